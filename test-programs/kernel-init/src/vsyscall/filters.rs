//! What seccomp filters and tracers see of a call, and what they can change. Source: seccomp(2), ptrace(2).

use core::sync::atomic::{AtomicU64, Ordering};

use vdso_vsyscall::{Access, AfterFilter, Call, Entry, Filtered, Registers, UserMemory};

use super::touch::touch;
use crate::report::Report;
use crate::system::{self, Instruction, Sysno, Told};

/// The call that all of them are about.
const ENTRY: Entry = Entry::Time;

/// Source: `include/uapi/linux/seccomp.h`.
const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_TRAP: u32 = 0x0003_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_TRACE: u32 = 0x7ff0_0000;
const RET_ALLOW: u32 = 0x7fff_0000;

const SIGTRAP: i32 = 5;
const SIGSYS: i32 = 31;

pub fn run(report: &mut Report) {
    report.check("filter-allow", filtered(RET_ALLOW, allowed));
    report.check("filter-errno", filtered(RET_ERRNO | 5, |call| skipped(call, -5)));
    report.check("filter-trace-without-tracer", filtered(RET_TRACE, |call| skipped(call, -ENOSYS)));
    report.check("filter-trap", filtered(RET_TRAP, trapped));
    report.check("filter-kill", killed());
    for (name, change) in CHANGES {
        report.check(format_args!("tracer-{name}"), traced(*change));
    }
}

const ENOSYS: i64 = 38;

/// A good call, as if from an address.
fn call() -> Call {
    let registers = Registers { rax: 0, rdi: 0, rsi: 0, rsp: -8i64 as u64, rip: 0 };
    let memory = UserMemory { return_addr: Some(0), end_addr: u64::MAX };
    ENTRY.call(registers, memory).expect("null pointers are good")
}

/// Answers calls of [`ENTRY`]'s number that come from its address, and allows all others.
fn install(answer: u32) -> Result<(), &'static str> {
    /// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K`.
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    /// Where `struct seccomp_data` has the number, and the halves of the instruction's address.
    const FIELDS: [u32; 3] = [0, 8, 12];
    let addr = ENTRY.addr();
    let values = [ENTRY.number(), addr as u32, (addr >> 32) as u32];
    let plain = |code, value| Instruction { code, if_true: 0, if_false: 0, value };
    let mut program = [plain(RETURN, RET_ALLOW); 8];
    for (at, (field, value)) in FIELDS.into_iter().zip(values).enumerate() {
        program[2 * at] = plain(LOAD, field);
        // To the last, which allows.
        let if_false = (7 - (2 * at + 2)) as u8;
        program[2 * at + 1] = Instruction { if_false, ..plain(JUMP_IF_EQUAL, value) };
    }
    program[6] = plain(RETURN, answer);
    system::set_filter(&program).map_err(|_| "cannot install a filter")
}

/// Runs a check in a process with such a filter.
fn filtered(answer: u32, check: fn(&Call) -> bool) -> Result<&'static str, &'static str> {
    match status(|| install(answer).is_ok() && check(&call()))? {
        0 => Ok("as expected"),
        _ => Err("otherwise than expected"),
    }
}

/// The status of a process that makes a check.
fn status(check: impl FnOnce() -> bool) -> Result<i32, &'static str> {
    match system::fork() {
        Ok(Some(child)) => system::wait(child).map_err(|_| "cannot wait"),
        Ok(None) => system::exit(usize::from(!check())),
        Err(_) => Err("cannot fork"),
    }
}

fn allowed(call: &Call) -> bool {
    let seen = Filtered::Allowed { number: call.number().into(), rip: ENTRY.addr() };
    let outcome = touch(Access::Execute, ENTRY.addr(), 0, 0, 0);
    call.after_filter(seen) == AfterFilter::Make
        && outcome.signal.is_none()
        && outcome.after.rax > 1_000
        && outcome.after.rax < 1 << 40
}

/// The registers behind a call that is not made.
fn skipped(call: &Call, rax: i64) -> bool {
    let seen = Filtered::Skipped { rax: rax as u64, rip: ENTRY.addr() };
    let outcome = touch(Access::Execute, ENTRY.addr(), 0, 0, 0);
    outcome.signal.is_none() && call.after_filter(seen) == AfterFilter::Return(outcome.after)
}

/// `si_call_addr` and `si_syscall` of SIGSYS, and the registers RAX and RIP in its handler.
static TOLD: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

/// Keeps what it is told.
unsafe extern "C" fn told(_signal: i32, info: *const u8, context: *const u8) {
    // SAFETY: `si_call_addr` is there.
    let call_addr = unsafe { info.wrapping_add(16).cast::<u64>().read() };
    // SAFETY: `si_syscall` is there.
    let number = unsafe { info.wrapping_add(24).cast::<u32>().read() };
    // SAFETY: `ucontext_t` has RAX there: see `touch`.
    let rax = unsafe { context.wrapping_add(40 + 13 * 8).cast::<u64>().read() };
    // SAFETY: and RIP.
    let rip = unsafe { context.wrapping_add(40 + 16 * 8).cast::<u64>().read() };
    for (word, value) in TOLD.iter().zip([call_addr, number.into(), rax, rip]) {
        word.store(value, Ordering::Relaxed);
    }
}

/// SIGSYS comes behind the return: its handler sees the caller's address, and the call's number in RAX.
fn trapped(call: &Call) -> bool {
    let handler = (told as *const ()).expose_provenance();
    // SAFETY: it keeps numbers and returns.
    let is_set = unsafe { system::set_handler(SIGSYS as usize, handler, Told::Registers) };
    let number = call.number().into();
    let is_skipped = is_set.is_ok() && skipped(call, number as i64);
    let [call_addr, told_number, rax, rip] = TOLD.each_ref().map(|it| it.load(Ordering::Relaxed));
    is_skipped
        && (call_addr, told_number, rax) == (ENTRY.addr(), number, number)
        && !vdso_vsyscall::contains(rip)
}

fn killed() -> Result<&'static str, &'static str> {
    let call = || {
        install(RET_KILL_PROCESS).is_ok() && touch(Access::Execute, ENTRY.addr(), 0, 0, 0).byte == 0
    };
    match status(call)? & 0x7f {
        SIGSYS => Ok("the process ended by SIGSYS"),
        _ => Err("the process did not end by SIGSYS"),
    }
}

/// `struct user_regs_struct` of x86-64.
type UserRegisters = [u64; 27];
const RAX: usize = 10;
const ORIG_RAX: usize = 15;
const RIP: usize = 16;

/// What a tracer makes of the registers at its stop.
type Change = fn(&mut UserRegisters);

const CHANGES: &[(&str, Change)] = &[
    ("changes-nothing", |_| {}),
    ("skips", |registers| (registers[ORIG_RAX], registers[RAX]) = (u64::MAX, 7)),
    ("changes-number", |registers| registers[ORIG_RAX] = 39),
    ("changes-address", |registers| registers[RIP] += 0x400),
];

/// A process whose call a tracer sees and changes: it is to end as is said of that.
fn traced(change: Change) -> Result<&'static str, &'static str> {
    const TRACEME: usize = 0;
    let child = match system::fork() {
        Ok(Some(child)) => child,
        Ok(None) => {
            // SAFETY: it changes who hears of this process.
            let _ = unsafe { system::call(Sysno::ptrace, [TRACEME, 0, 0, 0, 0, 0]) };
            // SAFETY: it takes no arguments.
            let pid = unsafe { system::call(Sysno::getpid, [0; 6]) }.unwrap_or(0);
            // SAFETY: the tracer hears of it, and has this process go on.
            let _ = unsafe { system::call(Sysno::kill, [pid, SIGTRAP as usize, 0, 0, 0, 0]) };
            let is_ready = install(RET_TRACE).is_ok();
            let outcome = touch(Access::Execute, ENTRY.addr(), 0, 0, 0);
            let code = match outcome.after.rax {
                _ if !is_ready || outcome.signal.is_some() => FAILED,
                7 => SKIPPED,
                _ => MADE,
            };
            system::exit(code)
        }
        Err(_) => return Err("cannot fork"),
    };
    let ended = trace(child, change);
    if ended.is_err() {
        const SIGKILL: usize = 9;
        // SAFETY: it ends the child, which is not waited for yet.
        let _ = unsafe { system::call(Sysno::kill, [child, SIGKILL, 0, 0, 0, 0]) };
        let _ = system::wait(child);
    }
    ended
}

/// With which a traced process ends.
const MADE: usize = 3;
const SKIPPED: usize = 4;
const FAILED: usize = 5;

fn ptrace(request: usize, child: usize, data: usize) -> Result<usize, &'static str> {
    // SAFETY: the callers' data are numbers, or addresses of registers that are theirs.
    let done = unsafe { system::call(Sysno::ptrace, [request, child, 0, data, 0, 0]) };
    done.map_err(|_| "ptrace fails")
}

fn trace(child: usize, change: Change) -> Result<&'static str, &'static str> {
    /// Source: `include/uapi/linux/ptrace.h`, `arch/x86/include/uapi/asm/ptrace-abi.h`.
    const CONT: usize = 7;
    const GETREGS: usize = 12;
    const SETREGS: usize = 13;
    const SETOPTIONS: usize = 0x4200;
    const O_TRACESECCOMP: usize = 1 << 7;
    const EVENT_SECCOMP: i32 = 7;
    let wait = || system::wait(child).map_err(|_| "cannot wait");
    if wait()? >> 8 != SIGTRAP {
        return Err("it did not stop at its beginning");
    }
    ptrace(SETOPTIONS, child, O_TRACESECCOMP)?;
    ptrace(CONT, child, 0)?;
    if wait()? >> 8 != SIGTRAP | EVENT_SECCOMP << 8 {
        return Err("no stop for the filter");
    }
    let mut registers: UserRegisters = [0; 27];
    let addr = (&raw mut registers).expose_provenance();
    ptrace(GETREGS, child, addr)?;
    let call = call();
    let seen = call.seen_by_filter();
    if (registers[RIP], registers[RAX]) != (seen.rip, seen.rax)
        || registers[ORIG_RAX] != call.number().into()
    {
        return Err("the tracer sees other registers");
    }
    change(&mut registers);
    ptrace(SETREGS, child, addr)?;
    ptrace(CONT, child, 0)?;
    let (number, rip, rax) = (registers[ORIG_RAX], registers[RIP], registers[RAX]);
    let filtered = match number as i64 {
        ..0 => Filtered::Skipped { rax, rip },
        _ => Filtered::Allowed { number, rip },
    };
    let expected = match call.after_filter(filtered) {
        AfterFilter::Make => (MADE as i32) << 8,
        AfterFilter::Return(_) => (SKIPPED as i32) << 8,
        AfterFilter::End => SIGSYS,
    };
    // Whether there is a core file as well depends on limits.
    match wait()? & !0x80 {
        status if status == expected => Ok("as expected"),
        _ => Err("it ended otherwise"),
    }
}
