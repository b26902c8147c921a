//! What a thread is sent to its image's `detour` with where no register is free for the way back: what the kernel puts
//! on a stack when it delivers a signal (`struct rt_sigframe`), without a signal. The thread is put back by
//! rt_sigreturn(2), which takes every register from there.
//!
//! Whoever diverts the thread fills all of it in; the image's code writes the call's result and the blocked signals.
//! The kernel reads nothing of a `siginfo` there, so its room has what the image's code takes.
//!
//! Sources: `arch/arm64/kernel/signal.c` and `arch/riscv/kernel/signal.c` with the headers `sigcontext.h` and
//! `ucontext.h` of their `include/uapi/asm` (Linux 6.1 to 6.18).

use super::Call;

/// A frame, with one architecture's registers.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct ReturnFrame<R> {
    /// What the image makes.
    pub call: Call,
    /// The set of all signals, which the image blocks before it goes back.
    pub all_signals: u64,
    /// Room of the `siginfo` that nobody uses.
    pub unused: [u64; 7],
    /// `uc_flags` and `uc_link`, which the kernel does not read.
    pub flags_and_link: [u64; 2],
    /// `uc_stack`: [`KEPT_STACK`](Self::KEPT_STACK).
    pub signal_stack: [u64; 3],
    /// `uc_sigmask`: the signals that the thread has blocked.
    pub blocked_signals: u64,
    /// Room for more signals than there are, and up to the registers.
    pub unused_signals: [u64; 16],
    /// `uc_mcontext`.
    pub registers: R,
}

impl<R> ReturnFrame<R> {
    /// A stack for signals with a mode that there is not: the kernel refuses it, which `rt_sigreturn` does not mind, so that the
    /// thread keeps the one that it has.
    pub const KEPT_STACK: [u64; 3] = [0, 4, 0];

    /// A frame from which a thread goes on with these registers, and these signals blocked.
    pub const fn new(call: Call, blocked_signals: u64, registers: R) -> Self {
        Self {
            call,
            all_signals: u64::MAX,
            unused: [0; 7],
            flags_and_link: [0; 2],
            signal_stack: Self::KEPT_STACK,
            blocked_signals,
            unused_signals: [0; 16],
            registers,
        }
    }

    /// Its bytes.
    pub const BYTES: usize = size_of::<Self>();
}

/// arm64's.
pub mod arm64 {
    /// `struct sigcontext`, with what it reserves as far as that is used.
    #[derive(Clone, Copy, Debug)]
    #[repr(C, align(16))]
    pub struct Registers {
        /// Not read.
        pub fault_addr: u64,
        /// x0 to x30.
        pub x: [u64; 31],
        /// The stack pointer.
        pub sp: u64,
        /// The address of the next instruction.
        pub pc: u64,
        /// Flags and modes.
        pub pstate: u64,
        /// Up to what begins at a multiple of 16 bytes.
        pub unused: u64,
        /// The kernel takes no frame without these. What scalable vectors have beyond them is lost with any system call.
        pub vectors: Vectors,
        /// The end of the list that `vectors` begins.
        pub end: [u64; 2],
    }

    /// `struct fpsimd_context`.
    #[derive(Clone, Copy, Debug, Default)]
    #[repr(C, align(16))]
    pub struct Vectors {
        /// `FPSIMD_MAGIC`.
        pub magic: u32,
        /// Bytes of this structure.
        pub bytes: u32,
        /// Floating-point status.
        pub fpsr: u32,
        /// Floating-point control.
        pub fpcr: u32,
        /// v0 to v31.
        pub v: [[u64; 2]; 32],
    }

    impl Vectors {
        /// Of `arch/arm64/include/uapi/asm/sigcontext.h`.
        pub const MAGIC: u32 = 0x4650_8001;
    }

    const _: () = assert!(size_of::<Vectors>() == 528);
    const _: () = assert!(core::mem::offset_of!(super::ReturnFrame<Registers>, registers) == 304);
    const _: () = assert!(core::mem::offset_of!(Registers, vectors) == 288);
}

/// RISC-V's, of 64 bits.
pub mod riscv64 {
    /// `struct sigcontext`.
    #[derive(Clone, Copy, Debug)]
    #[repr(C, align(16))]
    pub struct Registers {
        /// The program counter, then x1 to x31.
        pub x: [u64; 32],
        /// Floating-point registers.
        pub f: [u64; 32],
        /// Floating-point control and status.
        pub fcsr: u32,
        /// As large as registers of 128 bits would be; then a list of further registers, which ends at once: vectors are
        /// lost with any system call.
        pub unused: [u32; 67],
    }

    const _: () = assert!(size_of::<Registers>() == 256 + 528);
    const _: () = assert!(core::mem::offset_of!(super::ReturnFrame<Registers>, registers) == 304);
}
