//! Calls of vDSO functions, and signal handlers that return through a trampoline of the image's.
//!
//! A handler's first instructions put [`RETURN_TO`] where its return address is, whatever the kernel has
//! put there, and keep the stack pointer in [`ENTRY_SP`]; then they go on to [`handled`]. So an image's
//! trampoline is used also where the kernel knows no restorer but its own.
//!
//! Sources: the ABI of each architecture; `arch/*/kernel/signal*.c` (Linux 6.18) for how handlers begin.

use core::sync::atomic::AtomicUsize;

use super::signals::handled;

macro_rules! architectures {
    ($($file:ident: $condition:meta;)*) => {$(
        #[cfg($condition)]
        mod $file;
        #[cfg($condition)]
        pub use $file::*;
    )*};
}

architectures! {
    none: any(target_arch = "x86_64", target_arch = "arm", target_arch = "mips", target_arch = "mips64");
    aarch64: target_arch = "aarch64";
    riscv64: target_arch = "riscv64";
    s390x: target_arch = "s390x";
    powerpc64: target_arch = "powerpc64";
    loongarch64: target_arch = "loongarch64";
    x86: target_arch = "x86";
}

#[cfg(not(target_arch = "powerpc64"))]
mod c_call;
#[cfg(not(target_arch = "powerpc64"))]
pub use c_call::call;

/// Where a handler returns to.
pub static RETURN_TO: AtomicUsize = AtomicUsize::new(0);
/// The stack pointer at a handler's first instruction.
pub static ENTRY_SP: AtomicUsize = AtomicUsize::new(0);

/// What a test of trampolines needs.
#[derive(Clone, Copy)]
pub struct Signals {
    /// The handler.
    pub handler: unsafe extern "C" fn(),
    /// Writes the stack pointer and the address behind its last instruction to the third argument, and
    /// makes the system call `kill` with the first two: that instruction.
    pub raise: unsafe extern "C" fn(usize, usize, *mut [usize; 2]),
    /// What is added to the stack pointer when a handler returns.
    pub popped_bytes: usize,
    /// DWARF's number of the stack pointer.
    pub sp_column: u16,
}

/// The symbols of the assembly in a file here.
#[allow(unused_macros, reason = "there are architectures without trampolines")]
macro_rules! signals {
    (popped_bytes: $popped_bytes:literal, sp_column: $sp_column:literal) => {
        unsafe extern "C" {
            fn signal_handler();
            fn raise_signal(process: usize, signal: usize, before: *mut [usize; 2]);
        }

        /// What a test of trampolines needs.
        pub const SIGNALS: Option<super::Signals> = Some(super::Signals {
            handler: signal_handler,
            raise: raise_signal,
            popped_bytes: $popped_bytes,
            sp_column: $sp_column,
        });
    };
}
#[allow(unused_imports, reason = "as above")]
use signals;
