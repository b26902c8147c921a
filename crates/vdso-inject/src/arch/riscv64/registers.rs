//! The registers of a program that is stopped at its start.

use vdso_data::detour::Call;
use vdso_data::detour::frame::ReturnFrame;
use vdso_data::detour::frame::riscv64;

use super::ABI_64;
use crate::arch::{Abi, return_frame, timed};
use crate::detour::{Detour, Diverted};
use crate::error::Result;
use crate::ptrace::{RegisterSet, Stopped};

/// `ecall`, which has no short form.
const INSTRUCTION: [u8; 4] = 0x0000_0073_u32.to_le_bytes();
const INSTRUCTION_BYTES: u64 = INSTRUCTION.len() as u64;

/// Where a stopped program is.
#[derive(Clone, Copy, Debug)]
pub struct Registers(General);

/// `struct user_regs_struct` of `arch/riscv/include/uapi/asm/ptrace.h`: the program counter, then x1 to
/// x31.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct General([u64; 32]);

/// Numbers of registers by their names in the calling convention.
const PC: usize = 0;
const SP: usize = 2;
const S1: usize = 9;
const A0: usize = 10;
const A7: usize = 17;

/// `struct __riscv_d_ext_state` of the same file, as the kernel gives it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct FloatingPoint {
    f: [u64; 32],
    fcsr: u64,
}

impl FloatingPoint {
    fn read(thread: &Stopped) -> Result<Self> {
        let mut registers = Self::default();
        // SAFETY: any bytes are integers.
        unsafe { thread.read_register_set(RegisterSet::FloatingPoint, &mut registers) }?;
        Ok(registers)
    }
}

impl Registers {
    /// Reads those of a stopped tracee.
    pub(crate) fn read(thread: &Stopped) -> Result<Self> {
        let mut general = General::default();
        // SAFETY: any bytes are integers.
        unsafe { thread.read_register_set(RegisterSet::General, &mut general) }?;
        Ok(Self(general))
    }

    /// The kind of program that has them.
    pub fn abi(&self, _stack_start: u64) -> &'static Abi {
        &ABI_64
    }

    /// The next instruction.
    pub fn instruction_addr(&self) -> u64 {
        self.0.0[PC]
    }

    /// The stack pointer.
    pub fn stack_addr(&self) -> u64 {
        self.0.0[SP]
    }

    /// Makes a stopped program go on with the first stage: one write of all registers.
    pub(crate) fn start(
        &self,
        thread: &mut Stopped,
        start_addr: u64,
        data_addr: u64,
    ) -> Result<()> {
        let General(mut registers) = self.0;
        registers[PC] = start_addr;
        registers[S1] = data_addr;
        thread.write_register_set(&General(registers))
    }

    /// Those by which a stopped program makes a system call, at an instruction for that; `None` as this is
    /// not done here yet.
    pub fn for_call(&self, _call_addr: u64, _number: i64, _arguments: [u64; 6]) -> Option<Self> {
        None
    }

    /// Sends a thread elsewhere that is stopped behind the answer of its report, with these registers: there the kernel has
    /// put it before its instruction already, with its arguments.
    pub(crate) fn divert(&self, thread: &mut Stopped, to: &Detour) -> Result<Diverted> {
        let General(mut registers) = self.0;
        let site_addr = to.instruction_addr - INSTRUCTION_BYTES;
        if (registers[PC], registers[A7]) != (site_addr, to.number.into()) {
            return Ok(Diverted::Elsewhere);
        }
        let args = *registers[A0..].first_chunk().expect("there are more");
        let call = Call { args, number: to.number.into(), timer_clock: to.timer_clock.into() };
        let blocked = thread.blocked_signals()?;
        let registers_then = self.as_of_signal(&FloatingPoint::read(thread)?, to.instruction_addr);
        let frame = ReturnFrame::new(call, blocked, registers_then);
        let Some(frame_addr) = return_frame::put(thread, registers[SP], &frame) else {
            return Ok(Diverted::NoRoom);
        };
        registers[PC] = to.detour_addr;
        registers[SP] = frame_addr;
        thread.write_register_set(&General(registers))?;
        Ok(Diverted::Sent)
    }

    /// All of them, as a handler of a signal would find them that has come at `pc`.
    fn as_of_signal(&self, floating_point: &FloatingPoint, pc: u64) -> riscv64::Registers {
        let General(mut x) = self.0;
        x[PC] = pc;
        let FloatingPoint { f, fcsr } = *floating_point;
        riscv64::Registers { x, f, fcsr: fcsr as u32, unused: [0; 67] }
    }

    /// Those with which a thread that is stopped in a wait, whose instruction is in `code`, goes on with `result`. The
    /// kernel has put it before that instruction, to make the call anew; `None` if it is elsewhere, behind a call that
    /// has ended.
    pub fn told(&self, thread: &Stopped, code: &std::ops::Range<u64>, result: i64) -> Option<Self> {
        let General(mut registers) = self.0;
        let (addr, number) = (registers[PC], registers[A7] as u32);
        let mut instruction = [0; INSTRUCTION.len()];
        thread.memory().read(addr, &mut instruction).ok()?;
        let is_there =
            code.contains(&addr) && instruction == INSTRUCTION && timed::may_wait_until(number);
        registers[PC] = addr + INSTRUCTION_BYTES;
        registers[A0] = result.cast_unsigned();
        is_there.then_some(Self(General(registers)))
    }

    /// All of them as words, for another process to put them back: nobody is worked on in the middle here.
    pub fn to_words(self) -> Vec<u64> {
        Vec::new()
    }

    /// Those that [`to_words`](Self::to_words) gave.
    pub fn from_words(_words: &[u64]) -> Option<Self> {
        None
    }

    /// What a call gave: a value or an errno.
    pub fn result(&self) -> std::result::Result<u64, i32> {
        Ok(self.0.0[A0])
    }

    /// Sets those of a stopped program.
    pub(crate) fn write(&self, thread: &mut Stopped) -> Result<()> {
        thread.write_register_set(&self.0)
    }

    /// Where a stub that was stopped has its data.
    pub fn stub_data_addr(&self) -> u64 {
        self.0.0[S1]
    }

    /// Puts a stopped program back to its very start. The kernel has left the system call already: it
    /// is not made anew.
    pub(crate) fn restart(
        &self,
        thread: &mut Stopped,
        instruction_addr: u64,
        stack_addr: u64,
    ) -> Result<()> {
        let mut registers = [0; 32];
        registers[PC] = instruction_addr;
        registers[SP] = stack_addr;
        thread.write_register_set(&General(registers))
    }
}
