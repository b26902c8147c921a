//! What a trap and the registers that it interrupts look like, one row for each architecture.
//!
//! Sources: `struct ucontext` and `struct sigcontext` in `arch/*/include/uapi/asm/` (Linux 6.18), and the
//! ABI of each architecture for DWARF's columns and for what a function must keep.

use core::ops::Range;

/// One architecture.
pub struct Layout {
    /// The instruction that makes the kernel send SIGTRAP, or SIGILL.
    pub trap: &'static [u8],
    /// How far behind the beginning of that instruction the program counter is then.
    pub behind_bytes: u64,
    /// Where the program counter is among what a handler is given.
    pub pc: usize,
    /// Where registers are: the columns, and the place of the first of them.
    pub registers: &'static [(Range<u16>, usize)],
    /// The column of the stack pointer.
    pub sp: u16,
    /// The column of the return address at a function's beginning; `None` if it is on the stack.
    pub link: Option<u16>,
    /// By how many bytes the frame's address is above the stack pointer of the caller.
    pub cfa_above_sp: u64,
    /// What a function must give back as it was, the stack pointer aside.
    pub kept: &'static [Range<u16>],
    /// Whether the compiler's rules still tell of a frame, or of what is saved in it, when a function has
    /// given that back. LLVM writes none of its ends there; a backtrace that begins just there is wrong.
    pub ends_late: bool,
}

/// There are no more columns than this.
pub const COLUMNS: usize = 66;

/// A register.
#[cfg(any(target_pointer_width = "64", target_arch = "x86_64"))]
pub type Word = u64;
/// A register.
#[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64")))]
pub type Word = u32;

const WORD_BYTES: usize = size_of::<Word>();

/// Where what follows flags, a link, and a stack is.
#[allow(dead_code, reason = "an architecture has one or the other")]
const BEHIND_STACK: usize = 5 * WORD_BYTES;
/// The same behind 1024 bits for signals as well, aligned to 16 bytes.
#[allow(dead_code, reason = "as above")]
const BEHIND_SIGNALS: usize = 176;

#[cfg(target_arch = "x86_64")]
pub const LAYOUT: Layout = {
    // x32's links and stacks are those of a 32-bit process.
    let start = if crate::system::IS_X32 { 24 } else { BEHIND_STACK };
    Layout {
        trap: &[0xcc],
        behind_bytes: 1,
        pc: start + 16 * WORD_BYTES,
        registers: &[
            // R8 to R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP.
            (8..16, start),
            (5..6, start + 8 * WORD_BYTES),
            (4..5, start + 9 * WORD_BYTES),
            (6..7, start + 10 * WORD_BYTES),
            (3..4, start + 11 * WORD_BYTES),
            (1..2, start + 12 * WORD_BYTES),
            (0..1, start + 13 * WORD_BYTES),
            (2..3, start + 14 * WORD_BYTES),
            (7..8, start + 15 * WORD_BYTES),
        ],
        sp: 7,
        link: None,
        cfa_above_sp: 0,
        kept: &[3..4, 6..7, 12..16],
        ends_late: false,
    }
};

#[cfg(target_arch = "x86")]
pub const LAYOUT: Layout = {
    // Behind four segment registers.
    let start = BEHIND_STACK + 4 * WORD_BYTES;
    Layout {
        trap: &[0xcc],
        behind_bytes: 1,
        pc: start + 10 * WORD_BYTES,
        registers: &[
            // EDI, ESI, EBP, ESP, EBX, EDX, ECX, EAX.
            (7..8, start),
            (6..7, start + WORD_BYTES),
            (5..6, start + 2 * WORD_BYTES),
            (4..5, start + 3 * WORD_BYTES),
            (3..4, start + 4 * WORD_BYTES),
            (2..3, start + 5 * WORD_BYTES),
            (1..2, start + 6 * WORD_BYTES),
            (0..1, start + 7 * WORD_BYTES),
        ],
        sp: 4,
        link: None,
        cfa_above_sp: 0,
        kept: &[3..4, 5..8],
        ends_late: true,
    }
};

#[cfg(target_arch = "aarch64")]
pub const LAYOUT: Layout = {
    // Behind the address of a fault. X0 to X30, SP, PC.
    let start = BEHIND_SIGNALS + WORD_BYTES;
    Layout {
        trap: &0xd420_0000_u32.to_le_bytes(),
        behind_bytes: 0,
        pc: start + 32 * WORD_BYTES,
        registers: &[(0..32, start)],
        sp: 31,
        link: Some(30),
        cfa_above_sp: 0,
        kept: &[19..30],
        ends_late: false,
    }
};

#[cfg(target_arch = "riscv64")]
pub const LAYOUT: Layout = Layout {
    // C.EBREAK, which fits in the place of every instruction.
    trap: &0x9002_u16.to_le_bytes(),
    behind_bytes: 0,
    // In the place of X0.
    pc: BEHIND_SIGNALS,
    registers: &[(1..32, BEHIND_SIGNALS + WORD_BYTES)],
    sp: 2,
    link: Some(1),
    cfa_above_sp: 0,
    kept: &[8..10, 18..28],
    ends_late: false,
};

#[cfg(target_arch = "loongarch64")]
pub const LAYOUT: Layout = Layout {
    trap: &0x002a_0000_u32.to_le_bytes(),
    behind_bytes: 0,
    pc: BEHIND_SIGNALS,
    registers: &[(0..32, BEHIND_SIGNALS + WORD_BYTES)],
    sp: 3,
    link: Some(1),
    cfa_above_sp: 0,
    kept: &[22..32],
    ends_late: true,
};

#[cfg(target_arch = "s390x")]
pub const LAYOUT: Layout = {
    // The mask of the program status word, its address, and R0 to R15.
    let start = BEHIND_STACK + 2 * WORD_BYTES;
    Layout {
        trap: &[0x00, 0x01],
        behind_bytes: 2,
        pc: BEHIND_STACK + WORD_BYTES,
        registers: &[(0..16, start)],
        sp: 15,
        link: Some(14),
        // What a callee may save its registers in is the caller's.
        cfa_above_sp: 160,
        kept: &[6..14],
        ends_late: true,
    }
};

/// How many bytes the instruction at the beginning of these is long; `None` if it is none.
#[cfg(target_arch = "x86_64")]
pub fn instruction_bytes(bytes: &[u8]) -> Option<usize> {
    use yaxpeax_arch::LengthedInstruction;
    let decoder = yaxpeax_x86::long_mode::InstDecoder::default();
    Some(decoder.decode_slice(bytes).ok()?.len().to_const() as usize)
}

/// How many bytes the instruction at the beginning of these is long; `None` if it is none.
#[cfg(target_arch = "x86")]
pub fn instruction_bytes(bytes: &[u8]) -> Option<usize> {
    use yaxpeax_arch::LengthedInstruction;
    let decoder = yaxpeax_x86::protected_mode::InstDecoder::default();
    Some(decoder.decode_slice(bytes).ok()?.len().to_const() as usize)
}

/// The two lowest bits of the first halfword tell. Source: the RISC-V manual, volume I, 1.5.
#[cfg(target_arch = "riscv64")]
pub fn instruction_bytes(bytes: &[u8]) -> Option<usize> {
    bytes.first().map(|first| if first & 3 == 3 { 4 } else { 2 })
}

/// The two highest bits tell. Source: z/Architecture Principles of Operation, 5-3.
#[cfg(target_arch = "s390x")]
pub fn instruction_bytes(bytes: &[u8]) -> Option<usize> {
    bytes.first().map(|first| match first >> 6 {
        0 => 2,
        1 | 2 => 4,
        _ => 6,
    })
}

/// All of four bytes.
#[cfg(not(any(
    target_arch = "x86",
    target_arch = "x86_64",
    target_arch = "riscv64",
    target_arch = "s390x"
)))]
pub fn instruction_bytes(_bytes: &[u8]) -> Option<usize> {
    Some(4)
}
