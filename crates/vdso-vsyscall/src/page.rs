//! The page's place and bytes.
//!
//! In mode `emulate` programs can read these bytes, and some do: dynamic translators look for the instructions behind
//! an address. Linux never executes them: the page is not executable, so each call is a fault, and is answered there. Who has
//! no such fault to answer (a VMM below an unchanged kernel, a library in user space) can map these bytes executable at
//! any address: each entry is then the plain system call.

use crate::Entry;

/// Where the page is in every program. `VSYSCALL_ADDR` of `arch/x86/include/uapi/asm/vsyscall.h`.
pub const PAGE_ADDR: u64 = 0xffff_ffff_ff60_0000;

/// The page's size.
pub const PAGE_BYTES: usize = 4096;

/// What programs read there, byte for byte as Linux has it: at each entry `mov rax, NUMBER; syscall; ret`, and
/// breakpoints (`int3`) everywhere else. `arch/x86/entry/vsyscall/vsyscall_emu_64.S` (6.12).
pub const PAGE: [u8; PAGE_BYTES] = page();

/// Whether an address is in the page.
#[must_use]
pub const fn contains(addr: u64) -> bool {
    // There is more than a page behind it, so this does not wrap.
    addr >= PAGE_ADDR && addr < PAGE_ADDR + PAGE_BYTES as u64
}

const INT3: u8 = 0xcc;

const fn page() -> [u8; PAGE_BYTES] {
    let mut page = [INT3; PAGE_BYTES];
    let mut index = 0;
    while index < Entry::ALL.len() {
        let entry = Entry::ALL[index];
        // `mov rax, imm32`, sign-extended.
        let number = entry.number().to_le_bytes();
        let code = [
            0x48, 0xc7, 0xc0, number[0], number[1], number[2], number[3], //
            0x0f, 0x05, // syscall
            0xc3, // ret
        ];
        let mut at = 0;
        while at < code.len() {
            page[entry.offset() + at] = code[at];
            at += 1;
        }
        index += 1;
    }
    page
}
