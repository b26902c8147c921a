//! Where a thread goes on that has reported a system call: at `detour`, which the linker script puts
//! [`FROM_ENTRY`](vdso_data::detour::FROM_ENTRY) bytes behind the image's entry point.
//!
//! `svc` changes no register but X0, which has the result: none could have the way back. So whoever sends a thread here puts
//! all of them on its stack, as the kernel does where it delivers a signal, and the thread goes back by rt_sigreturn(2). Its
//! stack pointer has the address of that [`ReturnFrame`]; no other register is of use here.
//!
//! A signal's handler may run at any of these instructions, and may never return; a backtrace out of it shows who made
//! the call. What a handler changes in the blocked signals stays so: from where they are read until the thread is back no
//! handler runs.

use core::arch::global_asm;
use core::mem::offset_of;

use vdso_data::detour::frame::ReturnFrame;
use vdso_data::detour::frame::arm64::Registers;

use super::{NUMBERS, number};
use crate::detour;

type Frame = ReturnFrame<Registers>;

const REGISTERS: usize = offset_of!(Frame, registers) + offset_of!(Registers, x);
const PC: usize = offset_of!(Frame, registers) + offset_of!(Registers, pc);

global_asm!(
    ".pushsection .text.detour,\"ax\",%progbits",
    ".hidden detour",
    ".type detour, %function",
    "detour:",
    ".cfi_startproc",
    // X30 is the caller's, so the way back has another column: libgcc's for such frames. Debuggers know that of PC.
    ".cfi_return_column 96",
    ".cfi_def_cfa sp, {bytes}",
    ".cfi_offset 96, {pc} - {bytes}",
    ".cfi_offset 32, {pc} - {bytes}",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
    ".cfi_offset \\n, {registers} + 8 * \\n - {bytes}",
    ".endr",
    "add x0, sp, #{call}",
    "bl {make}",
    "str x0, [sp, #{registers}]",
    // SIG_BLOCK
    "mov x0, #0",
    "add x1, sp, #{all_signals}",
    "add x2, sp, #{blocked_signals}",
    "mov x3, #8",
    "mov x8, #{rt_sigprocmask}",
    "svc #0",
    "mov x8, #{rt_sigreturn}",
    "svc #0",
    ".cfi_endproc",
    ".size detour, . - detour",
    ".popsection",
    make = sym detour::make,
    bytes = const Frame::BYTES,
    pc = const PC,
    registers = const REGISTERS,
    call = const offset_of!(Frame, call),
    all_signals = const offset_of!(Frame, all_signals),
    blocked_signals = const offset_of!(Frame, blocked_signals),
    rt_sigprocmask = const number::RT_SIGPROCMASK,
    rt_sigreturn = const NUMBERS.rt_sigreturn,
);
