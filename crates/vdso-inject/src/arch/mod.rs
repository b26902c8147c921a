//! What differs between architectures, one folder each, with the same names in all of them:
//!
//! | name | what |
//! |---|---|
//! | `ABIS` | the kinds of programs that the kernel executes there, this program's own first |
//! | `Registers` | those of a program that is stopped at its start: read, changed, put back |
//! | `JUMPS` | how a function of the kernel's vDSO is made to jump elsewhere, if that is done there |
//! | `stub.rs` | the instructions that a program executes before its first own one; see [`stub`](crate::stub) |
//!
//! How a first stage finds its data is between a folder's two files: the rest of this crate only calls
//! `Registers::start`. Where there is no injection yet, `none` stands for the
//! architecture's folder.

use vdso_arch::abi as kernels;
use vdso_arch::system_call::Numbers;
use vdso_arch::{ByteOrder, Class};
use vdso_data::detour::Mark;

use crate::error::{Error, Result};
use crate::exec::Probe;
use crate::stub::Stub;

#[cfg_attr(all(target_arch = "x86_64", target_pointer_width = "64"), path = "x86_64/mod.rs")]
#[cfg_attr(all(target_arch = "aarch64", target_endian = "little"), path = "aarch64/mod.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64/mod.rs")]
#[cfg_attr(
    not(any(
        all(target_arch = "x86_64", target_pointer_width = "64"),
        all(target_arch = "aarch64", target_endian = "little"),
        target_arch = "riscv64"
    )),
    path = "none.rs"
)]
mod selected;

pub mod jump;
mod operands;
#[allow(dead_code, reason = "not where registers are free for the way back")]
mod return_frame;
#[allow(dead_code, reason = "not where numbers of calls are an architecture's own")]
mod timed;

pub use selected::{ABIS, Registers};

/// A kind of programs: instruction set, size of a pointer, system calls.
#[derive(Debug)]
pub struct Abi {
    /// The name that people call it by, such as `x86-64`.
    pub name: &'static str,
    /// Size of a pointer in such a program.
    pub word: Word,
    /// The system calls of such a program that a launch has to do with.
    pub calls: Calls,
    /// What such a program executes before its first own instruction, if it can be given an image.
    pub stub: Option<Stub>,
    /// By which the kernel's vDSO for such programs is looked at, where it is not the launcher's own.
    pub probe: Option<Probe>,
}

impl Abi {
    /// The kind that `kernels` is about, with what a stub does there.
    #[allow(dead_code, reason = "not where there are no stubs")]
    pub(crate) const fn new(
        kernels: &kernels::Abi,
        stub_calls: &'static [StubCall],
        stub: Option<Stub>,
        probe: Option<Probe>,
    ) -> Self {
        let numbers = kernels.numbers.expect("each architecture here has a table");
        let word = match kernels.class {
            Class::Elf32 => Word::Bits32,
            Class::Elf64 => Word::Bits64,
        };
        let calls = Calls {
            audit_arch: kernels.audit_arch(ByteOrder::Little),
            execve: numbers.execve,
            execveat: numbers.execveat,
            prctl: numbers.prctl,
            seccomp: numbers.seccomp,
            stub: stub_calls,
            start: None,
            timed: &[],
        };
        Self { name: kernels.name, word, calls, stub, probe }
    }

    /// The same with calls that the image makes in such a program's place.
    #[allow(dead_code, reason = "not where there are none")]
    pub(crate) const fn with_timed(mut self, timed: &'static [TimedCall]) -> Self {
        self.calls.timed = timed;
        self
    }

    /// The same with a call that such a program makes before it reads a clock.
    #[allow(dead_code, reason = "not where there is none")]
    pub(crate) const fn with_start(mut self, start: StartCall) -> Self {
        self.calls.start = Some(start);
        self
    }

    /// What such a program's stub gives as `token` in the fourth argument of its requests.
    pub const fn token(&self, token: u64) -> u64 {
        match self.word {
            Word::Bits32 => token & 0xffff_ffff,
            Word::Bits64 => token,
        }
    }
}

/// Size of a pointer, and so of what is on a program's initial stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Four bytes.
    Bits32,
    /// Eight.
    Bits64,
}

impl Word {
    /// Its size.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Bits32 => 4,
            Self::Bits64 => 8,
        }
    }
}

/// Numbers of system calls, as a seccomp filter sees them.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// The `AUDIT_ARCH_*` by which a filter knows whose system calls these are.
    pub audit_arch: u32,
    /// The number of `execve`.
    pub execve: u32,
    /// The number of `execveat`.
    pub execveat: u32,
    /// The number of `prctl`, by which a stub talks to the supervisor.
    pub prctl: u32,
    /// The number of `seccomp`.
    pub seccomp: u32,
    /// The system calls that a stub makes.
    pub stub: &'static [StubCall],
    /// The one by which a program sets its thread pointer, if there is such a call.
    pub start: Option<StartCall>,
    /// Those with times that the image can make in a program's place; the most frequent ones first.
    pub timed: &'static [TimedCall],
}

/// A system call that C libraries and runtimes make once, at a program's start, while there is one thread and before they
/// read any clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartCall {
    /// Its number, as a filter sees it.
    pub number: u32,
    /// Its first argument, where the call does other things as well.
    pub first: Option<u32>,
}

/// A system call with times in its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedCall {
    /// Its name, as the manual has it.
    pub name: &'static str,
    /// Its number, as a filter sees it.
    pub number: u32,
    /// Which times it has.
    pub times: Times,
    /// Where the image marks it.
    pub mark: Mark,
}

/// Which times a call has. A place is that of an argument, from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The address of a deadline on a clock; a null pointer means none.
    Deadline {
        /// Which argument that address or number is, from zero.
        place: u8,
        /// Whose time it is.
        clock: Clock,
    },
    /// The address of a span; a null pointer means none.
    Span {
        /// Which argument that address or number is, from zero.
        place: u8,
    },
    /// The same, if there is no set of signals: with one the image cannot mark the call.
    SpanWithoutSet {
        /// Which argument that address or number is, from zero.
        place: u8,
        /// That which is a null pointer then.
        set_place: u8,
    },
    /// `setitimer`, `getitimer`: which of a process's timers, and the address of two spans.
    Interval {
        /// Which argument that address or number is, from zero.
        place: u8,
    },
    /// A span in milliseconds: none if it is negative, and no wait if it is zero.
    Millis {
        /// Which argument that address or number is, from zero.
        place: u8,
    },
    /// A span in seconds, the first argument.
    Seconds,
    /// `clock_nanosleep`: a clock, flags, and the address of a deadline or a span.
    Sleep,
    /// `futex`: an operation that tells whether there is a deadline or a span, and on which clock.
    Futex,
    /// A timer, flags that tell what its first time is, and the address of two times.
    Timer {
        /// Which argument that address or number is, from zero.
        place: u8,
    },
    /// A time-out of a socket's, by level and name of the option.
    SocketOption,
    /// i386's oldest `select`: the address of all arguments.
    OldSelect,
    /// i386's `socketcall`: which call of sockets, and the address of its arguments.
    SocketCall,
    /// i386's `ipc`: which call of System V's, and in the last argument the address of `semtimedop`'s span.
    Ipc,
    /// `io_uring_enter`: flags tell whether there is the address of a span behind an address.
    Ring,
    /// A timer, of which it says what is left.
    TimerLeft,
    /// A file, of which it tells the times.
    OfFile,
    /// The address of times that a file gets; a null pointer means now.
    ForFile {
        /// Which argument that address or number is, from zero.
        place: u8,
    },
    /// What time it is on this clock.
    Now {
        /// Whose time.
        clock: Clock,
        /// The size of a number in the times that it gives.
        word: Word,
    },
    /// What a clock is set to, which is no matter of the image's.
    Sets {
        /// By which call.
        setter: Setter,
        /// The size of a number in the times that it takes.
        word: Word,
    },
}

/// The calls that set a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setter {
    /// `clock_settime`: a clock and the address of a time.
    ClockSettime,
    /// `stime`: the address of whole seconds.
    Stime,
    /// `settimeofday`: the addresses of a time and a time zone.
    Settimeofday,
    /// `adjtimex`: the address of a `struct timex`.
    Adjtimex,
    /// `clock_adjtime`: a clock and the address of a `struct timex`.
    ClockAdjtime,
}

/// Whose time a deadline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// This clock's.
    Fixed(u32),
    /// That of the clock whose id is an argument.
    Argument(u8),
}

/// A system call that a stub makes, as a filter sees it.
#[derive(Clone, Copy, Debug)]
pub struct StubCall {
    /// The number of the call.
    pub number: u32,
    /// The arguments of the call, with an example for an address.
    pub args: [u64; 6],
    /// Whether the stub can do without.
    pub need: Need,
}

/// Whether something can be done without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It cannot.
    Required,
    /// It can, if it is refused and nobody is killed for it.
    Optional,
}

/// A stub's calls in the order in which it makes them.
#[allow(dead_code, reason = "not where there are no stubs")]
pub(crate) const fn stub_calls(numbers: &Numbers) -> [StubCall; 12] {
    use Need::{Optional, Required};
    const ADDR: u64 = 0x7fff_f7fb_0000 & (usize::MAX as u64);
    const PAGE: u64 = vdso_data::PAGE_BYTES as u64;
    const FD: u64 = 3;
    const READ: u64 = libc::PROT_READ as u64;
    const READ_WRITE: u64 = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    const READ_EXEC: u64 = (libc::PROT_READ | libc::PROT_EXEC) as u64;
    const PRIVATE: u64 = libc::MAP_PRIVATE as u64;
    const SHARED: u64 = (libc::MAP_SHARED | libc::MAP_FIXED) as u64;
    const ANONYMOUS: u64 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED) as u64;
    const fn call(number: u32, args: [u64; 6], need: Need) -> StubCall {
        StubCall { number, args, need }
    }
    let request = crate::stub::REQUEST as u64;
    let set_mm = libc::PR_SET_MM as u64;
    let set_mm_map = libc::PR_SET_MM_MAP as u64;
    [
        call(numbers.eventfd2, [0, libc::EFD_CLOEXEC as u64, 0, 0, 0, 0], Required),
        call(numbers.prctl, [request, 0, FD, 1, 0, 0], Required),
        call(numbers.fstat.expect("each has this call"), [FD, ADDR, 0, 0, 0, 0], Required),
        call(numbers.mmap, [0, 8 * PAGE, READ_EXEC, PRIVATE, FD, 0], Required),
        call(numbers.mmap, [ADDR, PAGE, READ, SHARED, FD, 4 * PAGE], Required),
        call(numbers.mmap, [ADDR, PAGE, READ_WRITE, ANONYMOUS, u64::MAX, 0], Required),
        call(numbers.mprotect, [ADDR, PAGE, READ, 0, 0, 0], Required),
        call(numbers.close, [FD, 0, 0, 0, 0, 0], Optional),
        call(numbers.madvise, [ADDR, PAGE, libc::MADV_DONTNEED as u64, 0, 0, 0], Optional),
        call(numbers.brk, [0; 6], Optional),
        call(numbers.prctl, [set_mm, set_mm_map, ADDR, 104, 0, 0], Optional),
        call(numbers.munmap, [ADDR, PAGE, 0, 0, 0, 0], Optional),
    ]
}

/// Whether programs of this program's own kind can be given an image here.
pub fn check_support() -> Result<()> {
    match ABIS.first() {
        Some(Abi { stub: Some(_), .. }) => Ok(()),
        _ => Err(Error::Architecture),
    }
}
