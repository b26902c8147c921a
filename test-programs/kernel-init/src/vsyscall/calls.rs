//! Calls of the functions, with good and bad pointers.

use core::fmt;

use vdso_vsyscall::{Access, Call, Entry, Fault, Mode, PAGE, Registers, UserMemory};

use super::page::is_like;
use super::touch::{OTHERS, Outcome, touch};
use crate::report::Report;
use crate::system;

/// What no kernel takes for a program's, however many levels its page tables have.
const KERNELS_ADDR: u64 = 0xffff_8000_0000_0000;
const NOWHERE_ADDR: u64 = 1 << 60;
/// `TASK_SIZE_MAX` with four levels, below which all other pointers here are.
const END_ADDR: u64 = 0x7fff_ffff_f000;
/// Nothing is mapped there.
const UNMAPPED_ADDR: u64 = 0x1000;

pub fn run(report: &mut Report, mode: Mode) {
    if !mode.answers() {
        return;
    }
    for entry in Entry::ALL {
        report.check(format_args!("{}-results", entry.name()), results(entry));
        let outcome = first_different(entry).map_or(Ok("36 pairs"), Err);
        report.check(format_args!("{}-pointers", entry.name()), outcome);
    }
    report.check("bad-stack", bad_stack());
}

/// What differs from what was to be expected.
struct Differs {
    pointers: [u64; 2],
    expected: Result<Call, Fault>,
    outcome: Outcome,
}

impl fmt::Display for Differs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pointers, expected, outcome } = self;
        write!(formatter, "with {pointers:x?}: {expected:x?} was expected, and {outcome:x?} came")
    }
}

/// Results lie between two of the system call's, and no register is changed but RAX.
fn results(entry: Entry) -> Result<&'static str, &'static str> {
    let ask = || {
        let mut words = [0u64; 4];
        let addrs = [(&raw mut words).expose_provenance(), (&raw mut words[2]).expose_provenance()];
        // SAFETY: it writes to `words`.
        let result =
            unsafe { system::raw(entry.number() as usize, [addrs[0], addrs[1], 0, 0, 0, 0]) };
        (result.map_or(u64::MAX, |value| value as u64), words)
    };
    for _ in 0..1_000 {
        let (low, before) = ask();
        let mut words = [0u64; 4];
        let addrs = [(&raw mut words).expose_provenance(), (&raw mut words[2]).expose_provenance()];
        let outcome = touch(Access::Execute, entry.addr(), 0, addrs[0] as u64, addrs[1] as u64);
        let (high, behind) = ask();
        let unchanged = [outcome.after.rdi, outcome.after.rsi, outcome.after.rsp];
        if outcome.signal.is_some() {
            return Err("a signal");
        }
        if unchanged != [addrs[0] as u64, addrs[1] as u64, 0] || outcome.others != OTHERS {
            return Err("registers are changed");
        }
        let is_between = match entry {
            // Seconds first, so the pair compares as time does; the time zone is behind it.
            Entry::Gettimeofday => before[..2] <= words[..2] && words[..2] <= behind[..2],
            Entry::Time => before[0] <= words[0] && words[0] <= behind[0],
            // It may have been moved between.
            Entry::Getcpu => words[0] < 2,
        };
        if !is_between || !(low..=high).contains(&outcome.after.rax) {
            return Err("it is not between two of the system call's");
        }
    }
    Ok("1000 calls")
}

/// Each pointer null, good, not mapped, not writable, and no program's.
fn first_different(entry: Entry) -> Option<Differs> {
    let mut words = [0u64; 4];
    let good = (&raw mut words).expose_provenance() as u64;
    let read_only = (&raw const PAGE_COPY).expose_provenance() as u64;
    let all = [0, good, UNMAPPED_ADDR, read_only, KERNELS_ADDR, NOWHERE_ADDR];
    for pointers in all.into_iter().flat_map(|first| all.map(|second| [first, second])) {
        let [rdi, rsi] = pointers;
        let registers = Registers { rax: 0x77, rdi, rsi, rsp: -8i64 as u64, rip: 0 };
        let memory = UserMemory { return_addr: Some(0), end_addr: END_ADDR };
        let expected = entry.call(registers, memory);
        let outcome = touch(Access::Execute, entry.addr(), 0x77, rdi, rsi);
        let is_bad = |pointer| [UNMAPPED_ADDR, read_only].contains(&pointer);
        let uses_second = entry != Entry::Time;
        let fault = match expected {
            Err(fault) => Some(fault),
            Ok(call) if is_bad(rdi) || uses_second && is_bad(rsi) => call.made(-EFAULT).err(),
            Ok(_) => None,
        };
        let is_right = match (&fault, &outcome.signal) {
            (None, None) => outcome.after.rsp == 0,
            (Some(fault), Some(signal)) => {
                is_like(&fault.segv, signal) && fault.registers == signal.registers
            }
            _ => false,
        };
        if !is_right {
            return Some(Differs { pointers, expected, outcome });
        }
    }
    None
}

/// Source: `include/uapi/asm-generic/errno-base.h`.
const EFAULT: i64 = 14;

/// In memory that cannot be written to.
static PAGE_COPY: [u8; 64] = {
    let mut copy = [0; 64];
    let mut at = 0;
    while at < copy.len() {
        copy[at] = PAGE[at];
        at += 1;
    }
    copy
};

/// Without a stack there is nowhere to return to, and no handler could run either.
fn bad_stack() -> Result<&'static str, &'static str> {
    const SIGSEGV: i32 = 11;
    const STATUS: i32 = 0x7f;
    let Ok(child) = system::fork() else { return Err("cannot fork") };
    let Some(child) = child else { jump_without_stack() };
    match system::wait(child) {
        Ok(status) if status & STATUS == SIGSEGV => Ok("the process ended by SIGSEGV"),
        _ => Err("the process did not end by SIGSEGV"),
    }
}

fn jump_without_stack() -> ! {
    // SAFETY: this process ends here, whatever comes of it.
    unsafe {
        core::arch::asm!(
            "mov rsp, {stack}",
            "xor edi, edi",
            "jmp {entry}",
            stack = in(reg) UNMAPPED_ADDR,
            entry = in(reg) Entry::Time.addr(),
            options(noreturn),
        )
    }
}
