//! The returns from signal handlers.
//!
//! The kernel sends handlers without a restorer of their own to its own vDSO's trampolines, which stay
//! mapped; these are for programs that look them up by name, or put them into their own frames.
//!
//! Their unwind rules say where the kernel has saved the registers that a signal interrupts: in the
//! `struct sigcontext` above the stack pointer. They begin one instruction before the function, as
//! unwinders look for them one byte before a return address. Sources: `arch/x86/include/asm/sigframe.h`,
//! `arch/x86/include/uapi/asm/sigcontext.h` (Linux 6.18); the i386 ABI supplement for columns.

use core::arch::global_asm;

use super::NUMBERS;

const SIGRETURN: u32 = NUMBERS.sigreturn.expect("it has this call");

/// From the stack pointer to the registers, in the frame of a plain signal: its number.
const PLAIN_CONTEXT: usize = 4;
/// In the frame of a signal with information: number, two pointers, `struct siginfo`, and `uc_flags`,
/// `uc_link`, `uc_stack`.
const CONTEXT: usize = 12 + 128 + 20;

macro_rules! trampoline {
    ($name:literal, $context:expr, [$($instruction:literal),+], $number:expr) => {
        global_asm!(
            ".pushsection .text.trampolines,\"ax\",@progbits",
            ".p2align 4",
            ".cfi_startproc",
            ".cfi_signal_frame",
            ".cfi_def_cfa 4, {context}",
            // EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI, EIP.
            ".cfi_offset 0, 44",
            ".cfi_offset 1, 40",
            ".cfi_offset 2, 36",
            ".cfi_offset 3, 32",
            ".cfi_offset 4, 28",
            ".cfi_offset 5, 24",
            ".cfi_offset 6, 20",
            ".cfi_offset 7, 16",
            ".cfi_offset 8, 56",
            "nop",
            concat!(".globl ", $name),
            concat!(".type ", $name, ", @function"),
            concat!($name, ":"),
            $($instruction,)+
            "mov eax, {number}",
            "int 0x80",
            ".cfi_endproc",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            context = const $context,
            number = const $number,
        );
    };
}

trampoline!(
    "__kernel_sigreturn",
    PLAIN_CONTEXT,
    ["pop eax", ".cfi_adjust_cfa_offset -4"],
    SIGRETURN
);
trampoline!("__kernel_rt_sigreturn", CONTEXT, [""], NUMBERS.rt_sigreturn);
