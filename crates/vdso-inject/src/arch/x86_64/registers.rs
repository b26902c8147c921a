//! The registers of a program that is stopped at its start.

use vdso_data::detour::vsyscall::FROM_DETOUR;

use super::{ABI_64, ABI_I386, ABI_X32};
use crate::arch::Abi;
use crate::detour::{Detour, Diverted, RESTART, is_vsyscall};
use crate::error::Result;
use crate::ptrace::Stopped;
use crate::stub::DATA_BELOW_STACK;

/// `__USER32_CS` in `arch/x86/include/asm/segment.h`.
const USER32_CS: u64 = 0x23;

/// What is put on the stack of an i386 thread, which has too few registers for it: two words.
const PUSHED_BYTES: u64 = 8;

/// Where a stopped program is. The kernel gives those of a 32-bit one in the same form.
#[derive(Clone, Copy, Debug)]
pub struct Registers(libc::user_regs_struct);

const WORDS: usize = size_of::<libc::user_regs_struct>() / 8;

impl Registers {
    /// Reads those of a stopped tracee.
    pub(crate) fn read(thread: &Stopped) -> Result<Self> {
        thread.user_registers().map(Self)
    }

    /// The kind of program that has them, from the code segment and the eight bytes at the stack
    /// pointer: with 64-bit pointers that is the number of arguments, far below 2^32; with 32-bit ones
    /// the first argument's address is its upper half.
    pub fn abi(&self, stack_start: u64) -> &'static Abi {
        if self.is_i386() {
            &ABI_I386
        } else if stack_start >> 32 != 0 {
            &ABI_X32
        } else {
            &ABI_64
        }
    }

    /// The next instruction.
    pub fn instruction_addr(&self) -> u64 {
        self.0.rip
    }

    /// The stack pointer.
    pub fn stack_addr(&self) -> u64 {
        self.0.rsp
    }

    /// Makes a stopped program go on with the first stage: one write of all registers.
    pub(crate) fn start(
        &self,
        thread: &mut Stopped,
        start_addr: u64,
        data_addr: u64,
    ) -> Result<()> {
        let mut registers = libc::user_regs_struct { rip: start_addr, ..self.0 };
        // i386's finds its data by the stack pointer.
        if !self.is_i386() {
            registers.rbx = data_addr;
        }
        thread.set_user_registers(registers)
    }

    fn is_i386(&self) -> bool {
        self.0.cs == USER32_CS
    }

    /// Those by which a stopped program makes a system call, at an instruction for that.
    pub fn for_call(&self, call_addr: u64, number: i64, arguments: [u64; 6]) -> Option<Self> {
        let [rdi, rsi, rdx, r10, r8, r9] = arguments;
        let rax = number as u64;
        // The one that was interrupted is not to be made anew yet.
        let orig_rax = u64::MAX;
        let rip = call_addr;
        Some(Self(libc::user_regs_struct {
            rip,
            rax,
            orig_rax,
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            ..self.0
        }))
    }

    /// Sends a thread elsewhere that is stopped behind the answer of its report, with these registers.
    pub(crate) fn divert(&self, thread: &mut Stopped, to: &Detour) -> Result<Diverted> {
        let Some(mut diverted) = self.diverted(to) else { return Ok(Diverted::Elsewhere) };
        if self.is_i386() {
            if is_vsyscall(thread.tid(), to.instruction_addr) {
                diverted.0.rip += FROM_DETOUR as u64;
            }
            let words = [to.timer_clock, to.instruction_addr as u32].map(u32::to_ne_bytes);
            // Nobody has anything there until the registers are changed.
            if thread.write(diverted.0.rsp, &words.concat()).is_err() {
                return Ok(Diverted::NoRoom);
            }
        }
        diverted.write(thread).map(|()| Diverted::Sent)
    }

    /// Those with which a thread that is stopped behind the answer of its report goes on elsewhere; `None` if it
    /// is not there, or nowhere to be sent.
    fn diverted(&self, to: &Detour) -> Option<Self> {
        let restart = i64::from(-RESTART).cast_unsigned();
        let is_there = (self.0.rax, self.0.rip) == (restart, to.instruction_addr)
            && self.0.orig_rax as u32 == to.number;
        is_there.then(|| {
            if self.is_i386() {
                return Self(libc::user_regs_struct {
                    rip: to.detour_addr,
                    // The one register that the instruction changes itself.
                    rax: to.number.into(),
                    // For what does not fit into it.
                    rsp: self.0.rsp - PUSHED_BYTES,
                    orig_rax: u64::MAX,
                    ..self.0
                });
            }
            Self(libc::user_regs_struct {
                rip: to.detour_addr,
                // What the instruction changes itself.
                rcx: self.0.rip,
                r11: self.0.orig_rax,
                rax: to.timer_clock.into(),
                orig_rax: u64::MAX,
                ..self.0
            })
        })
    }

    /// Those with which a thread that is stopped in a system call, whose instruction is in `code`, goes on with
    /// `result`; `None` if it is in none that the kernel would go on with by itself.
    pub fn told(
        &self,
        _thread: &Stopped,
        code: &std::ops::Range<u64>,
        result: i64,
    ) -> Option<Self> {
        /// From `ERESTARTSYS` to `ERESTART_RESTARTBLOCK`.
        const RESTARTS: std::ops::RangeInclusive<i64> = -516..=-512;
        let is_there = code.contains(&self.0.rip)
            && RESTARTS.contains(&self.0.rax.cast_signed())
            && self.0.orig_rax.cast_signed() >= 0;
        let (rax, orig_rax) = (result.cast_unsigned(), u64::MAX);
        is_there.then_some(Self(libc::user_regs_struct { rax, orig_rax, ..self.0 }))
    }

    /// All of them as words, for another process to put them back.
    pub fn to_words(self) -> Vec<u64> {
        // SAFETY: the structure is made of words alone.
        let words: [u64; WORDS] = unsafe { std::mem::transmute(self.0) };
        words.to_vec()
    }

    /// Those that [`to_words`](Self::to_words) gave.
    pub fn from_words(words: &[u64]) -> Option<Self> {
        let words: [u64; WORDS] = words.try_into().ok()?;
        // SAFETY: as above.
        Some(Self(unsafe { std::mem::transmute::<[u64; WORDS], libc::user_regs_struct>(words) }))
    }

    /// What a call gave: a value or an errno.
    pub fn result(&self) -> std::result::Result<u64, i32> {
        const LOWEST: i64 = -4095;
        match self.0.rax.cast_signed() {
            error @ LOWEST..0 => Err(-error as i32),
            _ => Ok(self.0.rax),
        }
    }

    /// Sets those of a stopped program.
    pub(crate) fn write(&self, thread: &mut Stopped) -> Result<()> {
        thread.set_user_registers(self.0)
    }

    /// Where a stub that was stopped has its data.
    pub fn stub_data_addr(&self) -> u64 {
        if self.is_i386() { self.0.rsp - DATA_BELOW_STACK } else { self.0.rbx }
    }

    /// Puts a stopped program back to its very start.
    pub(crate) fn restart(
        &self,
        thread: &mut Stopped,
        instruction_addr: u64,
        stack_addr: u64,
    ) -> Result<()> {
        let blank = libc::user_regs_struct {
            rip: instruction_addr,
            rsp: stack_addr,
            eflags: 0x202,
            // No system call to restart.
            orig_rax: u64::MAX,
            r15: 0,
            r14: 0,
            r13: 0,
            r12: 0,
            rbp: 0,
            rbx: 0,
            r11: 0,
            r10: 0,
            r9: 0,
            r8: 0,
            rax: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            ..self.0
        };
        thread.set_user_registers(blank)
    }
}
