//! The registers of a program that is stopped at its start.

use vdso_data::detour::Call;
use vdso_data::detour::frame::ReturnFrame;
use vdso_data::detour::frame::arm64::{self, Vectors};

use super::{ABI_64, ABI_ARM};
use crate::arch::{Abi, return_frame, timed};
use crate::detour::{Detour, Diverted};
use crate::error::Result;
use crate::ptrace::{RegisterSet, Stopped};

/// `svc #0`.
const INSTRUCTION: [u8; 4] = 0xd400_0001_u32.to_le_bytes();
const INSTRUCTION_BYTES: u64 = INSTRUCTION.len() as u64;

/// The register that has the number of a call.
const NUMBER: usize = 8;

/// Where a stopped program is.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    general: General,
    /// How many bytes the kernel gave: 32-bit programs have fewer.
    bytes: usize,
}

/// `struct user_pt_regs` of `arch/arm64/include/uapi/asm/ptrace.h`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct General {
    x: [u64; 31],
    sp: u64,
    pc: u64,
    pstate: u64,
}

/// `struct user_fpsimd_state` of the same file.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct FloatingPoint {
    v: [[u64; 2]; 32],
    fpsr: u32,
    fpcr: u32,
    reserved: [u32; 2],
}

impl FloatingPoint {
    fn read(thread: &Stopped) -> Result<Self> {
        let mut registers = Self::default();
        // SAFETY: any bytes are integers.
        unsafe { thread.read_register_set(RegisterSet::FloatingPoint, &mut registers) }?;
        Ok(registers)
    }
}

/// Whether a shadow stack (GCS) guards a thread's returns: it goes back from no frame that the kernel has not made.
fn has_shadow_stack(thread: &Stopped) -> bool {
    /// `struct user_gcs` of the same file.
    #[derive(Default)]
    #[repr(C)]
    struct ShadowStack {
        enabled: u64,
        locked: u64,
        pointer: u64,
    }
    let mut registers = ShadowStack::default();
    // SAFETY: any bytes are integers.
    let read = unsafe { thread.read_register_set(RegisterSet::ShadowStack, &mut registers) };
    // Most processors have none, and most kernels know of none.
    read.is_ok() && registers.enabled != 0
}

impl Registers {
    /// Reads those of a stopped tracee.
    pub(crate) fn read(thread: &Stopped) -> Result<Self> {
        let mut general = General::default();
        // SAFETY: any bytes are integers.
        let bytes = unsafe { thread.read_register_set(RegisterSet::General, &mut general) }?;
        Ok(Self { general, bytes })
    }

    /// The kind of program that has them.
    pub fn abi(&self, _stack_start: u64) -> &'static Abi {
        if self.is_arm() { &ABI_ARM } else { &ABI_64 }
    }

    /// The next instruction.
    pub fn instruction_addr(&self) -> u64 {
        if self.is_arm() { self.arm(15) } else { self.general.pc }
    }

    /// The stack pointer.
    pub fn stack_addr(&self) -> u64 {
        if self.is_arm() { self.arm(13) } else { self.general.sp }
    }

    fn is_arm(&self) -> bool {
        self.bytes != size_of::<General>()
    }

    /// A register of a 32-bit program's: the kernel gives them as words of 32 bits, one behind another.
    fn arm(&self, number: usize) -> u64 {
        let pair = self.general.x[number / 2];
        if number % 2 == 0 { pair & 0xffff_ffff } else { pair >> 32 }
    }

    /// Makes a stopped program go on with the first stage: one write of all registers.
    pub(crate) fn start(
        &self,
        thread: &mut Stopped,
        start_addr: u64,
        data_addr: u64,
    ) -> Result<()> {
        let mut general = General { pc: start_addr, ..self.general };
        general.x[19] = data_addr;
        thread.write_register_set(&general)
    }

    /// Those by which a stopped program makes a system call, at an instruction for that; `None` as this is
    /// not done here yet.
    pub fn for_call(&self, _call_addr: u64, _number: i64, _arguments: [u64; 6]) -> Option<Self> {
        None
    }

    /// Sends a thread elsewhere that is stopped behind the answer of its report, with these registers: there the kernel has
    /// put it before its instruction already, with its arguments.
    pub(crate) fn divert(&self, thread: &mut Stopped, to: &Detour) -> Result<Diverted> {
        let number = self.general.x[NUMBER] as u32;
        let site_addr = to.instruction_addr - INSTRUCTION_BYTES;
        if (self.general.pc, number) != (site_addr, to.number) || self.is_arm() {
            return Ok(Diverted::Elsewhere);
        }
        let [args @ .., _, _, _] = *self.general.x.first_chunk::<9>().expect("there are 31");
        let call = Call { args, number: number.into(), timer_clock: to.timer_clock.into() };
        let blocked = thread.blocked_signals()?;
        let registers = self.as_of_signal(&FloatingPoint::read(thread)?, to.instruction_addr);
        let frame = ReturnFrame::new(call, blocked, registers);
        let place = (!has_shadow_stack(thread)).then_some(self.general.sp);
        let place = place.and_then(|stack_addr| return_frame::put(thread, stack_addr, &frame));
        let Some(frame_addr) = place else {
            return Ok(Diverted::NoRoom);
        };
        thread.write_register_set(&General {
            sp: frame_addr,
            pc: to.detour_addr,
            ..self.general
        })?;
        Ok(Diverted::Sent)
    }

    /// All of them, as a handler of a signal would find them that has come at `pc`.
    fn as_of_signal(&self, floating_point: &FloatingPoint, pc: u64) -> arm64::Registers {
        let General { x, sp, pstate, .. } = self.general;
        let FloatingPoint { v, fpsr, fpcr, .. } = *floating_point;
        let (magic, bytes) = (Vectors::MAGIC, size_of::<Vectors>() as u32);
        let vectors = Vectors { magic, bytes, fpsr, fpcr, v };
        arm64::Registers { fault_addr: 0, x, sp, pc, pstate, unused: 0, vectors, end: [0; 2] }
    }

    /// Those with which a thread that is stopped in a wait, whose instruction is in `code`, goes on with `result`. The
    /// kernel has put it before that instruction, to make the call anew; `None` if it is elsewhere, behind a call that
    /// has ended.
    pub fn told(&self, thread: &Stopped, code: &std::ops::Range<u64>, result: i64) -> Option<Self> {
        let addr = self.general.pc;
        let number = self.general.x[NUMBER] as u32;
        let mut instruction = [0; INSTRUCTION.len()];
        thread.memory().read(addr, &mut instruction).ok()?;
        let is_there =
            code.contains(&addr) && instruction == INSTRUCTION && timed::may_wait_until(number);
        let mut general = General { pc: addr + INSTRUCTION_BYTES, ..self.general };
        general.x[0] = result.cast_unsigned();
        is_there.then_some(Self { general, bytes: self.bytes })
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
        Ok(self.general.x[0])
    }

    /// Sets those of a stopped program.
    pub(crate) fn write(&self, thread: &mut Stopped) -> Result<()> {
        thread.write_register_set(&self.general)
    }

    /// Where a stub that was stopped has its data.
    pub fn stub_data_addr(&self) -> u64 {
        self.general.x[19]
    }

    /// Puts a stopped program back to its very start. The kernel has left the system call already: it
    /// is not made anew.
    pub(crate) fn restart(
        &self,
        thread: &mut Stopped,
        instruction_addr: u64,
        stack_addr: u64,
    ) -> Result<()> {
        let blank = General { sp: stack_addr, pc: instruction_addr, ..General::default() };
        thread.write_register_set(&blank)
    }
}
