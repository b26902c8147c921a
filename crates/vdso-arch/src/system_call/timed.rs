//! The numbers of system calls with times, and of those that are made beside them, as constants: so that they can be
//! told apart by a `match`.
//!
//! Sources: `arch/x86/entry/syscalls/syscall_64.tbl` and `syscall_32.tbl` of Linux 6.18;
//! `include/uapi/asm-generic/unistd.h` for architectures of 64 bits that came later, which lack the calls that others replace.
//! x32 has numbers of its own where structures differ. i386 has two calls where one has times of 32 bits: the one with times
//! of 64 bits has the usual name here.

macro_rules! numbers {
    ($($name:ident = $number:literal $(, $x32:literal)?;)*) => {
        /// The numbers of x86-64 programs' calls.
        #[expect(missing_docs, reason = "the kernel's names, each with a manual page")]
        pub mod x86_64 {
            $(pub const $name: u32 = $number;)*

            /// All of them, with their names.
            pub const ALL: &[(&str, u32)] = &[$((stringify!($name), $name)),*];
        }

        /// The numbers of x32 programs' calls.
        #[expect(missing_docs, reason = "the kernel's names, each with a manual page")]
        pub mod x32 {
            use crate::system_call::X32_BIT;

            $(pub const $name: u32 = X32_BIT | numbers!(@x32 $number $(, $x32)?);)*

            /// All of them, with their names.
            pub const ALL: &[(&str, u32)] = &[$((stringify!($name), $name)),*];
        }
    };
    (@x32 $number:literal) => { $number };
    (@x32 $number:literal, $x32:literal) => { $x32 };
}

numbers! {
    STAT = 4;
    FSTAT = 5;
    LSTAT = 6;
    POLL = 7;
    MMAP = 9;
    MUNMAP = 11;
    RT_SIGPROCMASK = 14;
    SELECT = 23;
    NANOSLEEP = 35;
    GETITIMER = 36;
    ALARM = 37;
    SETITIMER = 38;
    GETPID = 39;
    SETSOCKOPT = 54, 541;
    GETSOCKOPT = 55, 542;
    GETTIMEOFDAY = 96;
    SYSINFO = 99;
    TIMES = 100;
    RT_SIGTIMEDWAIT = 128, 523;
    UTIME = 132;
    PRCTL = 157;
    ADJTIMEX = 159;
    SETTIMEOFDAY = 164;
    GETTID = 186;
    TIME = 201;
    FUTEX = 202;
    IO_GETEVENTS = 208;
    SEMTIMEDOP = 220;
    TIMER_SETTIME = 223;
    TIMER_GETTIME = 224;
    CLOCK_SETTIME = 227;
    CLOCK_GETTIME = 228;
    CLOCK_NANOSLEEP = 230;
    EPOLL_WAIT = 232;
    UTIMES = 235;
    MQ_TIMEDSEND = 242;
    MQ_TIMEDRECEIVE = 243;
    FUTIMESAT = 261;
    NEWFSTATAT = 262;
    PSELECT6 = 270;
    PPOLL = 271;
    UTIMENSAT = 280;
    EPOLL_PWAIT = 281;
    TIMERFD_SETTIME = 286;
    TIMERFD_GETTIME = 287;
    RECVMMSG = 299, 537;
    CLOCK_ADJTIME = 305;
    STATX = 332;
    IO_PGETEVENTS = 333;
    IO_URING_ENTER = 426;
    EPOLL_PWAIT2 = 441;
    FUTEX_WAITV = 449;
    FUTEX_WAIT = 455;
}

macro_rules! generic_numbers {
    ($($name:ident = $number:literal;)*) => {
        /// The numbers of arm64 and 64-bit RISC-V programs' calls.
        #[expect(missing_docs, reason = "the kernel's names, each with a manual page")]
        pub mod generic {
            $(pub const $name: u32 = $number;)*

            /// All of them, with their names.
            pub const ALL: &[(&str, u32)] = &[$((stringify!($name), $name)),*];
        }
    };
}

generic_numbers! {
    IO_GETEVENTS = 4;
    EPOLL_PWAIT = 22;
    PSELECT6 = 72;
    PPOLL = 73;
    NEWFSTATAT = 79;
    FSTAT = 80;
    TIMERFD_SETTIME = 86;
    TIMERFD_GETTIME = 87;
    UTIMENSAT = 88;
    FUTEX = 98;
    NANOSLEEP = 101;
    GETITIMER = 102;
    SETITIMER = 103;
    TIMER_GETTIME = 108;
    TIMER_SETTIME = 110;
    CLOCK_SETTIME = 112;
    CLOCK_GETTIME = 113;
    CLOCK_NANOSLEEP = 115;
    RT_SIGPROCMASK = 135;
    RT_SIGTIMEDWAIT = 137;
    TIMES = 153;
    GETTIMEOFDAY = 169;
    SETTIMEOFDAY = 170;
    ADJTIMEX = 171;
    SYSINFO = 179;
    MQ_TIMEDSEND = 182;
    MQ_TIMEDRECEIVE = 183;
    SEMTIMEDOP = 192;
    SETSOCKOPT = 208;
    GETSOCKOPT = 209;
    MUNMAP = 215;
    MMAP = 222;
    RECVMMSG = 243;
    CLOCK_ADJTIME = 266;
    STATX = 291;
    IO_PGETEVENTS = 292;
    IO_URING_ENTER = 426;
    EPOLL_PWAIT2 = 441;
    FUTEX_WAITV = 449;
    FUTEX_WAIT = 455;
}

#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
pub use generic as current;

/// The numbers of i386 programs' calls.
#[expect(missing_docs, reason = "the kernel's names, each with a manual page")]
pub mod i386 {
    macro_rules! numbers {
        ($($name:ident = $number:literal;)*) => {
            $(pub const $name: u32 = $number;)*

            /// All of them, with their names.
            pub const ALL: &[(&str, u32)] = &[$((stringify!($name), $number)),*];
        };
    }

    numbers! {
        TIME = 13;
        ALARM = 27;
        TIMES = 43;
        GETTIMEOFDAY = 78;
        OLD_SELECT = 82;
        MMAP2 = 192;
        MUNMAP = 91;
        SOCKETCALL = 102;
        SETITIMER = 104;
        GETITIMER = 105;
        SYSINFO = 116;
        IPC = 117;
        SELECT = 142;
        NANOSLEEP = 162;
        POLL = 168;
        RT_SIGPROCMASK = 175;
        OLD_RT_SIGTIMEDWAIT = 177;
        OLD_FUTEX = 240;
        IO_GETEVENTS = 247;
        EPOLL_WAIT = 256;
        OLD_TIMER_SETTIME = 260;
        OLD_TIMER_GETTIME = 261;
        OLD_CLOCK_GETTIME = 265;
        OLD_CLOCK_NANOSLEEP = 267;
        OLD_MQ_TIMEDSEND = 279;
        OLD_MQ_TIMEDRECEIVE = 280;
        OLD_PSELECT6 = 308;
        OLD_PPOLL = 309;
        EPOLL_PWAIT = 319;
        OLD_TIMERFD_SETTIME = 325;
        OLD_TIMERFD_GETTIME = 326;
        OLD_RECVMMSG = 337;
        GETSOCKOPT = 365;
        SETSOCKOPT = 366;
        OLD_IO_PGETEVENTS = 385;
        CLOCK_GETTIME = 403;
        CLOCK_NANOSLEEP = 407;
        TIMER_GETTIME = 408;
        TIMER_SETTIME = 409;
        TIMERFD_GETTIME = 410;
        TIMERFD_SETTIME = 411;
        PSELECT6 = 413;
        PPOLL = 414;
        IO_PGETEVENTS = 416;
        RECVMMSG = 417;
        MQ_TIMEDSEND = 418;
        MQ_TIMEDRECEIVE = 419;
        SEMTIMEDOP = 420;
        RT_SIGTIMEDWAIT = 421;
        FUTEX = 422;
        IO_URING_ENTER = 426;
        EPOLL_PWAIT2 = 441;
        FUTEX_WAITV = 449;
        FUTEX_WAIT = 455;
    }
}

#[cfg(target_arch = "x86")]
pub use i386 as current;

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
pub use x86_64 as current;

#[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
pub use x32 as current;
