//! 64-bit RISC-V.

mod registers;
mod stub;

use vdso_arch::abi::rows;
use vdso_arch::system_call::numbers;

use super::jump::Jumps;
use super::{Abi, stub_calls, timed};

pub use registers::Registers;

/// Not done here yet.
pub static JUMPS: Option<Jumps> = None;

static ABI_64: Abi =
    Abi::new(&rows::RISCV64, &stub_calls(&numbers::GENERIC_64), Some(stub::STUB), None)
        .with_timed(timed::CALLS);

/// What these kernels execute. No processor that Linux runs on executes 32-bit programs as well.
pub static ABIS: &[&Abi] = &[&ABI_64];
