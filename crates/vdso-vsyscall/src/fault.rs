//! What a program is told that is refused: SIGSEGV, as Linux fills it in.

use crate::Registers;

/// A call that ended in a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The signal. Linux sends it by force: blocked or ignored, it ends the program.
    pub segv: Segv,
    /// The registers as the handler's `ucontext` has them: still at the entry, with nothing taken from the stack.
    pub registers: Registers,
}

/// A SIGSEGV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segv {
    /// `si_code`.
    pub code: SegvCode,
    /// `si_addr`.
    pub addr: u64,
    /// What `ucontext` says of the processor's exception; its `cr2` is [`addr`](Self::addr). `None`: Linux leaves those fields as
    /// an earlier fault of the thread has made them, so nothing can be said of them.
    pub page_fault: Option<PageFault>,
}

/// Why, as `si_code` has it. `include/uapi/asm-generic/siginfo.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegvCode {
    /// `SEGV_MAPERR`: nothing is mapped at the address.
    MapErr,
    /// `SI_KERNEL`: no address is to blame; `si_addr` is zero.
    Kernel,
}

impl SegvCode {
    /// The number that the kernel has for it in `si_code`.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::MapErr => 1,
            Self::Kernel => 0x80,
        }
    }
}

/// The exception as `ucontext` has it: `REG_TRAPNO`, `REG_ERR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// The processor's error code: the sum of [`PRESENT`](Self::PRESENT) and the others.
    pub error_code: u64,
}

impl PageFault {
    /// The exception's number, `#PF`.
    pub const TRAP: u64 = 14;
    /// There was a page, and it was protected. Linux says so of every address of the kernel's half, so that nobody learns
    /// what is mapped there.
    pub const PRESENT: u64 = 1;
    /// It was a write.
    pub const WRITE: u64 = 2;
    /// It came from user mode.
    pub const USER: u64 = 4;
    /// It was an instruction's fetch; only processors with `NX` say so.
    pub const FETCH: u64 = 16;
}

impl Segv {
    /// What a plain page fault at an address of the kernel's half gives.
    pub(crate) const fn of_kernel_address(addr: u64, more: u64) -> Self {
        let error_code = PageFault::PRESENT | PageFault::USER | more;
        Self { code: SegvCode::MapErr, addr, page_fault: Some(PageFault { error_code }) }
    }

    /// What a pointer gives that cannot be one of a program's.
    pub(crate) const fn of_pointer(addr: u64) -> Self {
        let error_code = PageFault::USER | PageFault::WRITE;
        Self { code: SegvCode::MapErr, addr, page_fault: Some(PageFault { error_code }) }
    }

    /// One without a reason.
    pub(crate) const FORCED: Self = Self { code: SegvCode::Kernel, addr: 0, page_fault: None };
}
