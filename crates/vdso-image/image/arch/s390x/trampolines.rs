//! The returns from signal handlers, and what the kernel sends programs to so that they restart a system
//! call. It sends them to its own vDSO, which stays mapped; these are for programs that look them up by
//! name, or put them into their own frames.
//!
//! The returns have no unwind rules. What a signal interrupts has a program counter that is in no general
//! register; unwinders know the instruction by heart, and look at it only where there are no rules. As
//! they look for rules one byte before the return address, a NOP keeps them off the function before.
//! Source: `s390_fallback_frame_state` in libgcc. The restart leaves registers and stack as they are, so
//! it has the rules of any function's first instruction.

use core::arch::global_asm;

use super::NUMBERS;

const SIGRETURN: u32 = NUMBERS.sigreturn.expect("it has this call");

macro_rules! system_call {
    ($name:literal, $number:expr, $start:literal, $end:literal) => {
        global_asm!(
            ".pushsection .text.trampolines,\"ax\",%progbits",
            ".p2align 4",
            "nopr",
            "nopr",
            concat!(".globl ", $name),
            concat!(".type ", $name, ", %function"),
            concat!($name, ":"),
            $start,
            "svc {number}",
            // It does not come back here.
            ".short 0",
            $end,
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            number = const $number,
        );
    };
}

system_call!("__kernel_sigreturn", SIGRETURN, "", "");
system_call!("__kernel_rt_sigreturn", NUMBERS.rt_sigreturn, "", "");
system_call!("__kernel_restart_syscall", NUMBERS.restart_syscall, ".cfi_startproc", ".cfi_endproc");
