//! The numbers of x86-64's and x32's system calls with times, and of those that are made beside them, as constants: so
//! that they can be told apart by a `match`.
//!
//! Source: `arch/x86/entry/syscalls/syscall_64.tbl` of Linux 6.18. x32 has numbers of its own where structures differ.

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

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
pub use x86_64 as current;

#[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
pub use x32 as current;
