//! x86-64.

use std::slice;

use super::Interrupted;
use crate::arch::Registers;

/// Where a thread makes calls for its tracer. Behind the call are instructions that put the thread back to where it was,
/// from a table behind them: whenever the tracer dies, they are what the thread goes on with.
#[derive(Clone, Copy, Debug)]
pub struct Parking {
    addr: u64,
}

/// What the table holds, in this order.
const TABLE_WORDS: usize = 13;

impl Parking {
    /// How long it is.
    pub const BYTES: usize = 256;
    /// How long the text may be: the longest is `/proc/4194304/fd/2147483647`.
    pub const TEXT_BYTES: usize = 32;

    /// That at an address.
    pub fn at(addr: u64) -> Option<Self> {
        Some(Self { addr })
    }

    /// Where a call is made.
    pub fn call_addr(self) -> u64 {
        self.addr
    }

    /// Where a thread goes on by itself.
    pub fn resume_addr(self) -> u64 {
        let resume = &raw const vdso_parking_resume;
        self.addr + (resume.addr() - (&raw const vdso_parking).addr()) as u64
    }

    /// Where the text is that calls may name a file by.
    pub fn text_addr(self) -> u64 {
        self.addr + (code().len() + TABLE_WORDS * 8) as u64
    }

    /// What is written there, for a thread that is stopped with these registers and blocks these signals.
    pub fn bytes_for(self, registers: Registers, signals_blocked: u64) -> Option<Vec<u8>> {
        let mut bytes = code().to_vec();
        for word in table(&registers.to_words(), signals_blocked)? {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.resize(Self::BYTES, 0);
        Some(bytes)
    }
}

/// Places of registers in `struct user_regs_struct`, `arch/x86/include/asm/user_64.h`.
mod place {
    pub const R11: usize = 6;
    pub const R10: usize = 7;
    pub const R9: usize = 8;
    pub const R8: usize = 9;
    pub const RAX: usize = 10;
    pub const RCX: usize = 11;
    pub const RDX: usize = 12;
    pub const RSI: usize = 13;
    pub const RDI: usize = 14;
    pub const ORIG_RAX: usize = 15;
    pub const RIP: usize = 16;
    pub const CS: usize = 17;
    pub const FLAGS: usize = 18;
    pub const RSP: usize = 19;
}

fn table(registers: &[u64], signals_blocked: u64) -> Option<[u64; TABLE_WORDS]> {
    use place::{FLAGS, ORIG_RAX, R8, R9, R10, R11, RAX, RCX, RDI, RDX, RIP, RSI, RSP};
    let at = |place: usize| registers.get(place).copied();
    let (rip, rax) = resumed(at(RIP)?, at(RAX)?, at(ORIG_RAX)?);
    Some([
        signals_blocked,
        at(FLAGS)?,
        at(RSP)?,
        rip,
        rax,
        at(RCX)?,
        at(RDX)?,
        at(RSI)?,
        at(RDI)?,
        at(R8)?,
        at(R9)?,
        at(R10)?,
        at(R11)?,
    ])
}

/// Where a thread goes on, and with what in `rax`: the kernel makes a call anew that was interrupted, but only for
/// registers that say so, so here it is the thread itself that does. `arch_do_signal_or_restart` of
/// `arch/x86/kernel/signal.c`.
fn resumed(rip: u64, rax: u64, orig_rax: u64) -> (u64, u64) {
    /// `ERESTARTSYS`, `ERESTARTNOINTR`, `ERESTARTNOHAND` and `ERESTART_RESTARTBLOCK` of `include/linux/errno.h`.
    const ANEW: std::ops::RangeInclusive<i64> = -514..=-512;
    const BY_BLOCK: i64 = -516;
    /// `syscall`.
    const INSTRUCTION_BYTES: u64 = 2;
    match rax.cast_signed() {
        _ if orig_rax.cast_signed() < 0 => (rip, rax),
        error if ANEW.contains(&error) => (rip.wrapping_sub(INSTRUCTION_BYTES), orig_rax),
        BY_BLOCK => (rip.wrapping_sub(INSTRUCTION_BYTES), libc::SYS_restart_syscall as u64),
        _ => (rip, rax),
    }
}

/// Whether a stopped thread is in no system call, so none has to be made anew for it.
pub fn is_in_own_code(registers: Registers) -> bool {
    registers.to_words().get(place::ORIG_RAX).is_some_and(|word| word.cast_signed() < 0)
}

/// Whether a stopped thread executes 64-bit code: a program of 64 bits may have 32-bit code as well (Wine), which cannot come to
/// a parking.
pub fn is_in_native_code(registers: Registers) -> bool {
    registers.to_words().get(place::CS) == Some(&USER_CS)
}

/// `__USER_CS` of `arch/x86/include/asm/segment.h`.
const USER_CS: u64 = 0x33;

unsafe extern "C" {
    static vdso_parking: u8;
    static vdso_parking_resume: u8;
    static vdso_parking_table: u8;
}

fn code() -> &'static [u8] {
    let (start, end) = (&raw const vdso_parking, &raw const vdso_parking_table);
    // SAFETY: both symbols bound one piece of read-only data.
    unsafe { slice::from_raw_parts(start, end.addr() - start.addr()) }
}

// The stack pointer is the program's own again before its signals are no longer blocked, as a handler may run then; from
// there on neither the flags nor the stack are touched.
std::arch::global_asm!(
    ".pushsection .rodata.vdso_parking,\"a\",@progbits",
    ".globl vdso_parking, vdso_parking_resume, vdso_parking_table",
    ".hidden vdso_parking",
    ".hidden vdso_parking_resume",
    ".hidden vdso_parking_table",
    ".balign 8",
    "vdso_parking:",
    "syscall",
    "vdso_parking_resume:",
    "lea rsp, [rip + vdso_parking_table + 8]",
    "popfq",
    "mov rsp, [rip + vdso_parking_table + 16]",
    "mov eax, {sigprocmask}",
    "mov edi, {setmask}",
    "lea rsi, [rip + vdso_parking_table]",
    "mov edx, 0",
    "mov r10d, 8",
    "syscall",
    "mov rax, [rip + vdso_parking_table + 32]",
    "mov rcx, [rip + vdso_parking_table + 40]",
    "mov rdx, [rip + vdso_parking_table + 48]",
    "mov rsi, [rip + vdso_parking_table + 56]",
    "mov rdi, [rip + vdso_parking_table + 64]",
    "mov r8, [rip + vdso_parking_table + 72]",
    "mov r9, [rip + vdso_parking_table + 80]",
    "mov r10, [rip + vdso_parking_table + 88]",
    "mov r11, [rip + vdso_parking_table + 96]",
    "jmp qword ptr [rip + vdso_parking_table + 24]",
    ".balign 8",
    "vdso_parking_table:",
    ".popsection",
    sigprocmask = const libc::SYS_rt_sigprocmask,
    setmask = const libc::SIG_SETMASK,
);

/// Code that signal handlers have interrupted whose stack these words are, from some address up: the kernel leaves a
/// `struct rt_sigframe` there (`arch/x86/include/asm/sigframe.h`), which is known by what the kernel alone writes.
pub fn signal_frames(words: &[u64]) -> impl Iterator<Item = Interrupted> {
    /// From `uc_flags` to `rip` in `struct ucontext`, in words.
    const TO_RIP: usize = 21;
    /// `UC_FP_XSTATE`, `UC_SIGCONTEXT_SS`, `UC_STRICT_RESTORE_SS`.
    const FLAGS: u64 = 7;
    /// A bit of the processor's flags that is always set, and the highest one that a program may have.
    const ALWAYS: u64 = 2;
    const HIGHEST: u64 = 1 << 21;
    words.windows(TO_RIP + 3).filter_map(|window| {
        let (flags, link) = (window[0], window[1]);
        let &[stack_addr, instruction_addr, eflags, segments] = window.last_chunk()?;
        let is_frame = segments & 0xffff == USER_CS // In the low half of a word.
            && flags & !FLAGS == 0
            && link == 0
            && eflags & ALWAYS != 0
            && eflags < HIGHEST << 1;
        is_frame.then_some(Interrupted { instruction_addr, stack_addr })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parking_has_room_for_all() {
        let end = code().len() + TABLE_WORDS * 8 + Parking::TEXT_BYTES;
        assert!(end <= Parking::BYTES, "{end}");
        assert_eq!(code().len() % 8, 0);
        assert!(code().starts_with(b"\x0f\x05"));
    }

    /// What the kernel does where it is not asked to go on elsewhere.
    #[test]
    fn an_interrupted_call_is_made_anew() {
        let error = |number: i64| number.cast_unsigned();
        let number = libc::SYS_poll as u64;
        for restart in [-512, -513, -514] {
            assert_eq!(resumed(100, error(restart), number), (98, number));
        }
        assert_eq!(resumed(100, error(-516), number), (98, 219));
        // A call that has ended, an error that a program may see, and no call at all.
        assert_eq!(resumed(100, 7, number), (100, 7));
        assert_eq!(resumed(100, error(-4), number), (100, error(-4)));
        assert_eq!(resumed(100, error(-512), u64::MAX), (100, error(-512)));
    }

    #[test]
    fn frames_are_found_where_the_kernel_has_left_them() {
        let mut words = vec![0x1234_u64; 100];
        let frame = 40;
        words[frame] = 7;
        words[frame + 1] = 0;
        words[frame + 20] = 0x7fff_0000;
        words[frame + 21] = 0x55aa;
        words[frame + 22] = 0x246;
        words[frame + 23] = 0x002b_0000_0000_0033;
        let found: Vec<_> = signal_frames(&words).collect();
        assert_eq!(found, [Interrupted { instruction_addr: 0x55aa, stack_addr: 0x7fff_0000 }]);
        for (at, other) in [(0, 8), (1, 1), (22, 0x244), (23, 0x23)] {
            let mut words = words.clone();
            words[frame + at] = other;
            assert_eq!(signal_frames(&words).count(), 0, "{at}");
        }
    }
}
