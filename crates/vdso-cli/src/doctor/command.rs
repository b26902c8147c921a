//! `-- COMMAND`: runs a program, and looks at it when it starts and when it ends.
//!
//! It is traced, as by strace: that alone stops it with its memory intact at both ends, when its
//! libraries are not mapped yet and when they still are, and tells for each system call whether it is
//! made inside the vDSO. Nothing is written to it, and its signals are its own. Children that it
//! forks are left alone; its threads are counted with it.

use std::ffi::{CString, OsStr, OsString};
use std::io::{Read, Write};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{ForkResult, Pid, fork, pipe2};
use serde::Serialize;
use vdso_inject::ptrace::{self, Options, Seized, Stop, Stopped, SystemCall, Told, Until};

use super::numbers::{self, Kind};
use super::read::process::Process;
use crate::message::quoted;
use crate::run;
use crate::startup;
use crate::subject::refusal;
use crate::system::Root;

/// What is said of the program in the report.
#[derive(Clone, Debug, Serialize)]
pub struct CommandFacts {
    pub arguments: Vec<String>,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub looked_at: LookedAt,
    /// `None` if they were not counted.
    pub system_calls: Option<Counts>,
}

/// When the process was in the state that the checks are about.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LookedAt {
    /// A signal ended it in a way that left nothing to look at.
    Start,
    End,
}

/// System calls for what a vDSO could have answered.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Counts {
    /// Made inside the vDSO: it went on to the kernel.
    pub clocks_from_vdso: u64,
    /// Made elsewhere.
    pub clocks_direct: u64,
    pub getrandom_from_vdso: u64,
    pub getrandom_direct: u64,
    pub getcpu: u64,
    /// Of clocks that only the kernel knows: processor time, devices.
    pub always_kernel: u64,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Watched {
    pub facts: CommandFacts,
    /// Of its last look.
    pub process: Process,
}

/// Runs `command` to its end.
pub fn watch(command: &[OsString], count: bool) -> Result<Watched> {
    if !vdso_host::proc::is_ours() {
        let attempt = format!("cannot look at {}", quoted(&command[0]));
        return Err(refusal::without_proc(&attempt).into());
    }
    let arguments: Vec<CString> = command
        .iter()
        .map(|argument| CString::new(argument.as_bytes()).context("an argument has a zero byte"))
        .collect::<Result<_>>()?;
    if let Some((privilege, path)) = run::privileged_program(&command[0]) {
        bail!(
            "cannot trace {}: it would lose its {privilege}; run vdso as root to look at it",
            quoted(path)
        );
    }
    let (pid, refusal) = start(&arguments)?;
    ignore_keys()?;
    let mut watch =
        Watch { pid, count, root: Root::new(None), latest: None, counts: None, vdso: None };
    let end = watch.follow()?;
    let Some((looked_at, process)) = watch.latest else {
        bail!("cannot run {}: {}", quoted(&command[0]), why_it_did_not_run(refusal));
    };
    let (exit_code, signal) = (end.code(), end.signal());
    let arguments = command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let system_calls = watch.counts;
    Ok(Watched {
        facts: CommandFacts { arguments, exit_code, signal, looked_at, system_calls },
        process,
    })
}

/// Forks, traces the child, and lets it execute the program. The pipe says why it could not.
fn start(arguments: &[CString]) -> Result<(Pid, OwnedFd)> {
    let pipe = || pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe");
    let (wait_for_tracer, go) = pipe()?;
    let (refusal, refuse) = pipe()?;
    // SAFETY: this process has one thread.
    let child = match unsafe { fork() }.context("cannot fork")? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            drop(go);
            become_program(arguments, wait_for_tracer, refuse)
        }
    };
    drop((wait_for_tracer, refuse));
    let options = Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACEEXIT
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACESYSGOOD;
    // All whom this process traces tell their news to one wait.
    if let Err(error) = Seized::seize_with(child, options) {
        // It reads nothing, and ends.
        drop(go);
        let _ = nix::sys::wait::waitpid(child, None);
        bail!(
            "cannot trace {}: {}; allow ptrace (in a container with --cap-add=SYS_PTRACE, on the \
             host with kernel.yama.ptrace_scope below 2)",
            quoted(OsStr::from_bytes(arguments[0].to_bytes())),
            error.errno().unwrap_or(Errno::EPERM).desc()
        );
    }
    std::fs::File::from(go).write_all(b"!").context("cannot start the program")?;
    Ok((child, refusal))
}

/// What the child wrote before it gave up.
fn why_it_did_not_run(refusal: OwnedFd) -> &'static str {
    let mut errno = [0; 4];
    match std::fs::File::from(refusal).read_exact(&mut errno) {
        Ok(()) => Errno::from_raw(i32::from_ne_bytes(errno)).desc(),
        Err(_) => "it ended before its first instruction",
    }
}

/// The child, until it is the program.
fn become_program(arguments: &[CString], wait_for_tracer: OwnedFd, refuse: OwnedFd) -> ! {
    let is_traced = std::fs::File::from(wait_for_tracer).read_exact(&mut [0]).is_ok();
    if is_traced {
        startup::inheritance().restore();
        let errno = vdso_launch::execute(arguments);
        let _ = std::fs::File::from(refuse).write_all(&(errno as i32).to_ne_bytes());
    }
    // SAFETY: ends the process without running what belongs to its parent.
    unsafe { libc::_exit(1) }
}

/// ^C and ^\ are for the program, as with time(1).
fn ignore_keys() -> Result<()> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: ignoring runs no code of ours.
        unsafe { sigaction(signal, &ignore) }.context("cannot ignore a signal")?;
    }
    Ok(())
}

/// Where the vDSO is in the program.
struct Mapped {
    addrs: Range<u64>,
    /// Of `__kernel_vsyscall`, whoever calls it.
    entry: Option<Range<u64>>,
}

impl Mapped {
    /// Whether a function of the vDSO makes this call.
    fn makes(&self, pid: Pid, call: &SystemCall) -> bool {
        let is_entry = |addr| self.entry.as_ref().is_some_and(|entry| entry.contains(&addr));
        if is_entry(call.instruction_addr) {
            return caller_of_entry(pid, call).is_some_and(|caller| self.addrs.contains(&caller));
        }
        self.addrs.contains(&call.instruction_addr)
    }
}

/// Who has called `__kernel_vsyscall`. It pushes three registers, and is never entered in the middle.
/// Source: `arch/x86/entry/vdso/vdso32/system_call.S`.
fn caller_of_entry(pid: Pid, call: &SystemCall) -> Option<u64> {
    const PUSHED_BYTES: u64 = 3 * 4;
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut addr = [0; 4];
    memory.read_exact_at(&mut addr, call.stack_addr + PUSHED_BYTES).ok()?;
    Some(u64::from(u32::from_le_bytes(addr)))
}

struct Watch {
    pid: Pid,
    count: bool,
    root: Root,
    latest: Option<(LookedAt, Process)>,
    counts: Option<Counts>,
    vdso: Option<Mapped>,
}

impl Watch {
    fn follow(&mut self) -> Result<ExitStatus> {
        loop {
            let (pid, told) = ptrace::wait_traced().context("cannot wait for the program")?;
            match told {
                Told::Stopped(thread) => {
                    self.look(&thread);
                    let until = match thread.stop() {
                        Stop::Group => Until::Continued,
                        _ if self.count => Until::Call,
                        _ => Until::Event,
                    };
                    thread.resume(until);
                }
                Told::Ended(Some(status)) if pid == self.pid => {
                    return Ok(ExitStatus::from_raw(status));
                }
                Told::Ended(_) | Told::Running(_) => {}
            }
        }
    }

    fn look(&mut self, thread: &Stopped) {
        let pid = thread.tid();
        match thread.stop() {
            Stop::Exec if pid == self.pid => {
                self.counts = self.count.then(Counts::default);
                self.take(LookedAt::Start);
            }
            // Before the program runs, the process is a copy of this one.
            Stop::Exit if pid == self.pid && self.latest.is_some() => {
                self.take(LookedAt::End);
            }
            Stop::Call => {
                if let Ok(Some(call)) = thread.system_call() {
                    self.note(pid, &call);
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, at: LookedAt) {
        let Ok(mut process) = Process::read(&self.root, &self.pid.to_string()) else {
            return;
        };
        // That is this process.
        process.tracer = None;
        let vdso = process.vdso.as_ref().ok().and_then(Option::as_ref);
        let mapping = |addr| {
            let mut mappings = process.mappings.iter().flatten();
            mappings.find(|mapping| mapping.addrs.contains(&addr))
        };
        self.vdso = vdso.and_then(|vdso| {
            let content = vdso.content.as_ref().ok();
            let entry = content.and_then(|content| content.system_call_entry.clone());
            Some(Mapped {
                addrs: mapping(vdso.addr)?.addrs.clone(),
                entry: entry.map(|entry| vdso.addr + entry.start..vdso.addr + entry.end),
            })
        });
        self.latest = Some((at, process));
    }

    fn note(&mut self, pid: Pid, call: &SystemCall) {
        let (Some(counts), Some(kind)) = (&mut self.counts, numbers::kind(call)) else {
            return;
        };
        let is_from_vdso = self.vdso.as_ref().is_some_and(|vdso| vdso.makes(pid, call));
        let count = match (kind, is_from_vdso) {
            (Kind::KernelClock, _) => &mut counts.always_kernel,
            (Kind::Clock, true) => &mut counts.clocks_from_vdso,
            (Kind::Clock, false) => &mut counts.clocks_direct,
            (Kind::Getrandom, true) => &mut counts.getrandom_from_vdso,
            (Kind::Getrandom, false) => &mut counts.getrandom_direct,
            (Kind::Getcpu, _) => &mut counts.getcpu,
        };
        *count += 1;
    }
}
