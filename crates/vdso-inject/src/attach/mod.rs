//! An image into a program that runs, and out again. x86-64 alone.
//!
//! The program's C library has the addresses of the kernel's functions already, so these are made to jump to the
//! image's, in this process's copy of the kernel's vDSO:
//!
//! ```text
//! __vdso_clock_gettime   jmp far         five bytes, written while all threads are stopped outside of them
//! far                    jmp [image]     behind the kernel's vDSO, on its last page
//! parking                syscall, ..     where a thread is made to map the image, and to unmap it
//! ```
//!
//! All threads are stopped (`threads.rs`), and one of them makes some system calls. Behind the call's instruction are
//! others that put that thread back (`machine.rs`): if the tracer is killed, at whatever step, the kernel lets go of all
//! threads, and they go on. What is changed is on disk before the first byte changes (`record.rs`), so whoever comes next
//! takes it away: [`detach`](detach()).
//!
//! Nothing announces the image, unlike where a program is started with one: what a program would find by that could be
//! gone the next moment.

mod changes;
mod check;
mod machine;
mod record;
mod threads;

use std::ops::Range;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use vdso_data::process::Template;
use vdso_map::CountsFile;

use crate::error::{Error, Result};
use crate::file::ProgramFile;
use changes::Changes;
use record::{Found, Record, RecordFile};
use threads::{Standing, Threads};

/// For how long threads are stopped again and again because one is where it must not be, or does not stop.
const GIVES_UP_AFTER: Duration = Duration::from_secs(3);
/// How long they go on in between, at first and at most.
const PAUSES: Range<Duration> = Duration::from_micros(200)..Duration::from_millis(20);

/// What a running program is given.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// The image and its page of clocks.
    pub file: &'a ProgramFile,
    /// What the program's process page is made from.
    pub template: &'a Template,
    /// Where it counts its calls, if it is an image that does. A thread's first call makes prctl, getpid and gettid; where the
    /// program may come to have a filter that kills for these, [`CountsFile::silence`] it before.
    pub counts: Option<&'a CountsFile>,
}

/// An image that is attached to a process. It stays when this is dropped, as it does when this process ends:
/// [`detach`](detach()) takes it away then.
#[derive(Debug)]
pub struct Attached {
    record: Record,
    file: RecordFile,
    halt: Halt,
}

/// For how long a program stood still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Halt {
    /// The longest time for which all threads were stopped at once.
    pub longest: Duration,
    /// How often they were.
    pub count: u32,
}

/// A program whose image was left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftBehind {
    /// The process of the program.
    pub pid: Pid,
}

/// Gives a running program the image.
///
/// What somebody has left behind in it is taken away first.
///
/// # Errors
/// The program is left as it was, or (if it cannot be stopped again, or this process is killed) as
/// [`left_behind`] says.
pub fn attach(pid: Pid, payload: Payload<'_>) -> Result<Attached> {
    undo_left_behind(pid)?;
    check::may_be_attached(pid)?;
    let changes = Changes::plan(pid, &payload)?;
    let mut halt = Halt::default();
    let file = RecordFile::create(&changes.record)?;
    if let Err(error) = make(&changes, &payload, &mut halt) {
        // As far as it came. If that is impossible, the record stays.
        if undo(&changes.record, &mut halt).is_ok() {
            file.remove()?;
        }
        return Err(error);
    }
    Ok(Attached { record: changes.record, file, halt })
}

impl Attached {
    /// The process that has the image.
    pub fn pid(&self) -> Pid {
        self.record.process.pid
    }

    /// For how long the program stood still meanwhile.
    pub fn halt(&self) -> Halt {
        self.halt
    }

    /// Takes the image away, from the process's forks as well.
    ///
    /// # Errors
    /// [`left_behind`] says where it still is. [`Error::Filtered`]: nobody comes to it any more, but it stays mapped, as each
    /// thread has a seccomp filter by now that may kill it for unmapping.
    pub fn detach(self) -> Result<Halt> {
        let Self { record, file, .. } = self;
        take_away(&record, file)
    }
}

/// Takes away what somebody has left behind in a process, from its forks as well.
///
/// # Errors
/// [`Error::NotAttached`] if there is nothing, [`Error::Attached`] if that somebody still holds it.
pub fn detach(pid: Pid) -> Result<Halt> {
    undo_left_behind(pid)?.ok_or(Error::NotAttached { pid })
}

/// The programs of this user in which somebody has left an image behind.
pub fn left_behind() -> Result<Vec<LeftBehind>> {
    let records = record::left_behind()?;
    Ok(records.iter().map(|record| LeftBehind { pid: record.process.pid }).collect())
}

/// A tracer is a thread, and lets go of all that it traces when it ends: also of who could not be stopped.
fn by_a_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            wake_at_once();
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A program stands still for as long as this thread waits: so it goes before others where it may, and sleeps no longer
/// than it asks for.
fn wake_at_once() {
    // A `struct sched_param`, as the kernel has it; musl's function for this call only fails.
    let lowest: libc::c_int = 1;
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: reads the parameter, and concerns this thread alone.
    unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const lowest) };
    // SAFETY: takes numbers, and concerns this thread alone.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0) };
}

fn undo_left_behind(pid: Pid) -> Result<Option<Halt>> {
    match RecordFile::find(pid)? {
        Found::Nothing => Ok(None),
        Found::Held => Err(Error::Attached { pid }),
        Found::LeftBehind(file, Some(record)) => take_away(&record, file).map(Some),
        Found::LeftBehind(file, None) => file.remove().map(|()| None),
    }
}

fn take_away(record: &Record, file: RecordFile) -> Result<Halt> {
    let mut halt = Halt::default();
    undo(record, &mut halt)?;
    file.remove()?;
    Ok(halt)
}

/// All that is changed in the process, while its threads are stopped.
fn make(changes: &Changes, payload: &Payload<'_>, halt: &mut Halt) -> Result<()> {
    let within: Vec<_> = changes.record.patches.iter().map(record::Patch::within).collect();
    let pid = changes.record.process.pid;
    let mut compared = check::Compared::default();
    // That takes long: while the program stands still, only who is new is left to be compared.
    compared.compare(pid)?;
    while_stopped(pid, halt, |threads| {
        // Without its first thread, which has the number, it is not attached to.
        if changes.record.process.thread() != Some(pid) {
            return Err(Error::Gone { pid });
        }
        compared.compare(pid)?;
        match threads.standing(&within)? {
            Standing::Within => Ok(None),
            Standing::Outside => changes.make(threads, payload).map(Some),
        }
    })
}

/// Takes away all that the record says, as far as it is there, and from forks.
fn undo(record: &Record, halt: &mut Halt) -> Result<()> {
    while let Some(pid) = record.process.thread() {
        match undo_in(pid, record, halt) {
            // That thread has ended, and others go on.
            Err(Error::Gone { .. }) if record.process.thread() != Some(pid) => {}
            undone => {
                undone?;
                break;
            }
        }
    }
    for fork in changes::forks(record) {
        match undo_in(fork, record, halt) {
            // It has ended, or executes another program, and whoever looked at it was told so in one of several ways.
            Err(_) if !changes::forks(record).contains(&fork) => {}
            undone => undone?,
        }
    }
    Ok(())
}

fn undo_in(pid: Pid, record: &Record, halt: &mut Halt) -> Result<()> {
    let undone = undo_while_stopped(pid, record, halt);
    match undone {
        // What was changed has ended with it.
        Err(Error::Gone { .. }) if !record.process.is_there() => Ok(()),
        undone => undone,
    }
}

fn undo_while_stopped(pid: Pid, record: &Record, halt: &mut Halt) -> Result<()> {
    if changes::is_unchanged(pid, record)? {
        return Ok(());
    }
    let mut compared = check::Compared::default();
    compared.compare(pid)?;
    while_stopped(pid, halt, |threads| {
        compared.compare(pid)?;
        // From now on nobody comes to the image any more, but somebody may be there.
        let Some(places) = changes::restore_functions(pid, record, threads)? else {
            return Ok(Some(()));
        };
        match threads.standing(&places)? {
            Standing::Within => Ok(None),
            Standing::Outside => changes::take_image_away(pid, record, threads).map(Some),
        }
    })
}

/// Stops all threads and does something, again and again until it is done: `None` is that a thread has to go on first.
fn while_stopped<T: Send>(
    pid: Pid,
    halt: &mut Halt,
    mut work: impl FnMut(&mut Threads) -> Result<Option<T>> + Send,
) -> Result<T> {
    let begun = Instant::now();
    let mut pause = PAUSES.start;
    loop {
        let stopped = Instant::now();
        let done = by_a_thread(|| {
            let mut threads = Threads::stop(pid)?;
            let done = work(&mut threads);
            let since = threads.since();
            drop(threads);
            halt.add(since.elapsed());
            done
        });
        match done {
            Ok(Some(done)) => return Ok(done),
            Ok(None) | Err(Error::Busy { .. }) if begun.elapsed() < GIVES_UP_AFTER => {}
            Ok(None) => return Err(Error::Busy { pid }),
            Err(error) => return Err(error),
        }
        // It runs at least as long as it has stood still.
        sleep(pause.max(stopped.elapsed()));
        pause = (pause * 2).min(PAUSES.end);
    }
}

impl Halt {
    fn add(&mut self, stopped: Duration) {
        self.longest = self.longest.max(stopped);
        self.count += 1;
    }
}
