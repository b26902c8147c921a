//! An architecture whose running programs are left alone.

use super::Interrupted;
use crate::arch::Registers;

/// There is none.
#[derive(Clone, Copy, Debug)]
pub enum Parking {}

impl Parking {
    /// No room is needed.
    pub const BYTES: usize = 0;
    /// Nor for a text.
    pub const TEXT_BYTES: usize = 0;

    /// None.
    pub fn at(_addr: u64) -> Option<Self> {
        None
    }

    /// Where a call is made.
    pub fn call_addr(self) -> u64 {
        match self {}
    }

    /// Where a thread goes on by itself.
    pub fn resume_addr(self) -> u64 {
        match self {}
    }

    /// Where the text is.
    pub fn text_addr(self) -> u64 {
        match self {}
    }

    /// What is written.
    pub fn bytes_for(self, _registers: Registers, _signals_blocked: u64) -> Option<Vec<u8>> {
        match self {}
    }
}

/// Nobody asks.
pub fn is_in_own_code(registers: Registers) -> bool {
    let _ = registers;
    false
}

/// Nobody asks.
pub fn is_in_native_code(_registers: Registers) -> bool {
    false
}

/// None that is known here.
pub fn signal_frames(_words: &[u64]) -> impl Iterator<Item = Interrupted> {
    std::iter::empty()
}
