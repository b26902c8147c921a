//! All threads of a process, stopped where none of them is within certain addresses.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_host::proc::maps::{self, Mapping};
use vdso_host::proc::{self, Stat};

use super::check::is_filtered;
use super::machine::{is_in_native_code, is_in_own_code, signal_frames};
use crate::error::{Attempt, Error, Result};
use crate::exec::Memory;
use crate::exec::remote::is_in_restartable_sequence;
use crate::ptrace::{Options, Seized, Stop, Stopped, Told, Until};

/// How long a thread may take to stop: it may wait for a disk, or for a child that has borrowed its memory (vfork).
const STOPS_WITHIN: Duration = Duration::from_millis(100);
/// How soon threads are looked at that have not stopped.
const LOOKS_EVERY: Duration = Duration::from_micros(20);
/// How often the list of threads may have new ones.
const ROUNDS: usize = 1000;
/// How many signals a thread is given before it stops without one.
const SIGNALS: usize = 256;
/// How much of a stack is looked through for what signal handlers have interrupted.
const STACK_BYTES: u64 = 1 << 20;

/// All threads of a process. When this is dropped they go on.
#[derive(Debug)]
pub struct Threads {
    pid: Pid,
    stopped: Vec<Stopped>,
    since: Instant,
}

/// Whether threads keep out of some addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// None is there, nor has a signal handler interrupted one there.
    Outside,
    /// One is, or has been interrupted there.
    Within,
}

impl Threads {
    /// Stops all threads. This thread must end soon if that fails: what could not be stopped is let go of then.
    pub fn stop(pid: Pid) -> Result<Self> {
        let mut since = None;
        let (mut seen, mut stopped) = (HashSet::new(), Vec::new());
        for _ in 0..ROUNDS {
            let new = seize_new(pid, &mut seen)?;
            // A thread that has stopped makes no other one, so then the list is whole.
            if new.is_empty() && !stopped.is_empty() {
                let since = since.unwrap_or_else(Instant::now);
                return Ok(Self { pid, stopped, since });
            }
            let since = *since.get_or_insert_with(Instant::now);
            stopped.extend(interrupt(pid, new, since + STOPS_WITHIN)?);
        }
        Err(Error::Busy { pid })
    }

    /// How long they have stood still, the first of them.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// One that can be made to make calls: its signals are its own, it is in no sequence that would have to begin
    /// anew (rseq), and has no filter that may kill for these calls. One that is in its own code comes first, as for it no
    /// interrupted call has to be made anew.
    ///
    /// # Errors
    /// [`Error::Filtered`] if all of them have filters: those that have been installed since the image was attached.
    pub fn worker(&mut self) -> Result<&mut Stopped> {
        let mut found = None;
        let mut are_filtered = true;
        for (at, thread) in self.stopped.iter().enumerate() {
            let is_first = is_in_own_code(thread.registers()?);
            if !is_first && found.is_some() {
                continue;
            }
            if !is_in_native_code(thread.registers()?) {
                are_filtered = false;
                continue;
            }
            if is_filtered(self.pid, thread.tid().as_raw())? {
                continue;
            }
            are_filtered = false;
            if is_in_sequence(thread)? {
                continue;
            }
            found = Some(at);
            if is_first {
                break;
            }
        }
        let pid = self.pid;
        let at = found.ok_or(if are_filtered {
            Error::Filtered { pid }
        } else {
            Error::Busy { pid }
        })?;
        Ok(&mut self.stopped[at])
    }

    /// Any of them, to write to the memory.
    pub fn any(&mut self) -> &mut Stopped {
        self.stopped.first_mut().expect("a process has a thread")
    }

    /// Whether all of them keep out of these addresses.
    ///
    /// Nobody is made to leave them by single steps: a thread whose tracer dies after one has its trap flag set for ever,
    /// and dies of it.
    pub fn standing(&self, addrs: &[Range<u64>]) -> Result<Standing> {
        let is_within = |addr: u64| addrs.iter().any(|range| range.contains(&addr));
        for thread in &self.stopped {
            if is_within(thread.registers()?.instruction_addr()) {
                return Ok(Standing::Within);
            }
        }
        let maps = maps::read(self.pid).map_err(|error| failed(self.pid, &error))?;
        let writable = maps::lines(&maps).filter(|line| line.is_writable()).map(|line| line.addrs);
        let stacks: Vec<_> = writable.collect();
        let memory = Memory::of(self.pid);
        for thread in &self.stopped {
            let stack_addr = thread.registers()?.stack_addr();
            if was_interrupted_in(&memory, &stacks, stack_addr, &is_within)? {
                return Ok(Standing::Within);
            }
        }
        Ok(Standing::Outside)
    }
}

/// Those that are not known yet, traced; that does not stop them.
fn seize_new(pid: Pid, seen: &mut HashSet<i32>) -> Result<Vec<Seized>> {
    let tids = proc::numbers_in(format!("/proc/{pid}/task"));
    let tids = tids.map_err(|error| failed(pid, &error))?;
    let mut seized = Vec::new();
    for tid in tids.filter(|tid| !seen.contains(tid)).collect::<Vec<_>>() {
        match Seized::seize_with(Pid::from_raw(tid), Options::empty()) {
            Ok(thread) => {
                seen.insert(tid);
                seized.push(thread);
            }
            Err(Error::Gone { .. }) => {}
            // The first thread may end before the others, and stays in the list.
            Err(_) if has_ended(pid, tid) => {
                seen.insert(tid);
            }
            Err(error) => {
                let errno = error.errno().unwrap_or(Errno::EPERM);
                return Err(Error::on(pid, Attempt::SeizeRunning, errno));
            }
        }
    }
    Ok(seized)
}

fn has_ended(pid: Pid, tid: i32) -> bool {
    Stat::read(format_args!("{pid}/task/{tid}")).is_ok_and(|stat| stat.has_ended())
}

/// Stops all of them; some may end instead.
fn interrupt(pid: Pid, mut waiting: Vec<Seized>, until: Instant) -> Result<Vec<Stopped>> {
    for thread in &waiting {
        // An error means that it ends, which is heard of next.
        let _ = thread.interrupt();
    }
    let mut stopped = Vec::new();
    loop {
        for thread in std::mem::take(&mut waiting) {
            match thread.try_wait() {
                Told::Stopped(thread) => match without_signal(thread) {
                    Err(Error::Gone { .. }) => {}
                    thread => stopped.push(thread?),
                },
                Told::Running(thread) => waiting.push(thread),
                Told::Ended(_) => {}
            }
        }
        if waiting.is_empty() {
            return Ok(stopped);
        }
        if Instant::now() >= until {
            return Err(Error::Busy { pid });
        }
        sleep(LOOKS_EVERY);
    }
}

/// Stopped for nothing but the interruption: with a signal to be delivered it could not be made to make calls.
fn without_signal(mut thread: Stopped) -> Result<Stopped> {
    for _ in 0..SIGNALS {
        if matches!(thread.stop(), Stop::Interrupt | Stop::Group) {
            return Ok(thread);
        }
        thread.interrupt()?;
        thread.go_on(Until::Event)?;
    }
    Err(Error::Busy { pid: thread.tid() })
}

/// Whether it is in a sequence that the kernel would have it begin anew, if it went on elsewhere first.
fn is_in_sequence(thread: &Stopped) -> Result<bool> {
    is_in_restartable_sequence(thread, thread.registers()?.instruction_addr())
}

/// Whether a signal handler, whose frame is on one of the stacks that a thread is on, has interrupted code there.
fn was_interrupted_in(
    memory: &Memory,
    stacks: &[Mapping],
    stack_addr: u64,
    is_within: &dyn Fn(u64) -> bool,
) -> Result<bool> {
    let mut next = VecDeque::from([stack_addr]);
    let mut looked_at: Vec<Mapping> = Vec::new();
    while let Some(addr) = next.pop_front() {
        if looked_at.iter().any(|stack| stack.contains(addr)) {
            continue;
        }
        let Some(stack) = stacks.iter().find(|stack| stack.contains(addr)) else { continue };
        let start = addr & !7;
        looked_at.push(Mapping { start, end: stack.end });
        let mut bytes = vec![0; (stack.end - start).min(STACK_BYTES) as usize];
        memory.read(start, &mut bytes)?;
        let words: Vec<u64> =
            bytes.as_chunks().0.iter().map(|&word| u64::from_ne_bytes(word)).collect();
        for frame in signal_frames(&words) {
            if is_within(frame.instruction_addr) {
                return Ok(true);
            }
            next.push_back(frame.stack_addr);
        }
    }
    Ok(false)
}

fn failed(pid: Pid, error: &std::io::Error) -> Error {
    Error::on(pid, Attempt::ReadProc, error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}
