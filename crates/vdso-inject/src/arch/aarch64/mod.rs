//! arm64, most of whose kernels execute 32-bit arm programs, too.

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
    Abi::new(&rows::ARM64, &stub_calls(&numbers::GENERIC_64), Some(stub::STUB), None)
        .with_timed(timed::CALLS);

static ABI_ARM: Abi = Abi::new(&rows::ARM, &[], None, None);

/// What these kernels execute.
pub static ABIS: &[&Abi] = &[&ABI_64, &ABI_ARM];
