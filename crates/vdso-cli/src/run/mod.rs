//! `vdso run`: a program on our vDSO, with a clock of its own.

mod args;
mod clocks;
pub mod notice;

use std::cell::RefCell;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use vdso_host::{Host, Kept};
use vdso_launch::follow::{Tick, Turn};
use vdso_launch::privilege::{self, Privilege};
use vdso_launch::{
    CallSites, Core, FileTimes, Follow, Launch, OnHostClock, Outcome, Plan, Selected, Source,
    SourceError, Streams, end_by_signal, execute, select, select_counting,
};
use vdso_map::CountsFile;
use vdso_timekeeper::{Report, Timekeeper};

use crate::message::{self, Hinted, quoted};
use crate::startup;

use args::FileTimesOf;
pub use args::Run;

/// A mistake in the arguments.
pub const USAGE: u8 = 2;
/// Our own failure, as in env(1) and timeout(1).
pub const FAILED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// What becomes of the counts of a program whose calls are counted.
#[derive(Clone, Copy)]
pub struct Counting<'a> {
    /// Called when the program has ended, if there was one.
    pub ended: &'a dyn Fn(&Counted<'_>) -> Result<()>,
}

/// What was counted.
pub struct Counted<'a> {
    /// The counts.
    pub counts: &'a CountsFile,
    /// How long the program ran.
    pub elapsed: Duration,
}

/// Runs the command, and gives its exit code.
pub fn run(run: &Run, counting: Option<Counting<'_>>) -> ExitCode {
    let plan = match clocks::plan(run) {
        Ok(plan) => plan,
        Err(error) => {
            message::fail(&error);
            return ExitCode::from(USAGE);
        }
    };
    if run.no_follow && run.file_times == FileTimesOf::Clock {
        message::say(
            "error: --file-times clock cannot be had with --no-follow, by which nothing is reported",
        );
        return ExitCode::from(USAGE);
    }
    match outcome(run, &plan, counting) {
        Ok(Outcome::Exited(code)) => ExitCode::from(code as u8),
        Ok(Outcome::Signaled(signal)) => end_by_signal(signal, Core::NotDumped).into(),
        Ok(Outcome::Dumped(signal)) => end_by_signal(signal, Core::Dumped).into(),
        Ok(Outcome::EndedOnHostClock) => ExitCode::from(FAILED),
        Ok(Outcome::NotExecuted(errno)) => {
            let name = quoted(&run.command[0]);
            message::say(format_args!("error: cannot run {name}: {}", errno.desc()));
            let is_missing = errno == Errno::ENOENT;
            ExitCode::from(if is_missing { NOT_FOUND } else { NOT_EXECUTABLE })
        }
        Err(error) => {
            message::fail(&error);
            ExitCode::from(FAILED)
        }
    }
}

fn outcome(run: &Run, plan: &Plan, counting: Option<Counting<'_>>) -> Result<Outcome> {
    vdso_inject::arch::check_support()?;
    FileTimes::from(run.file_times).check_support()?;
    let command = c_strings(run)?;
    if let Some((privilege, path)) = privileged_program(&run.command[0]) {
        return Ok(on_host_clock(run, &command, privilege, &path));
    }
    let kept = Kept::for_this_user();
    let host = kept.as_ref().map_or_else(Host::find, Host::find_with);
    let host = host.context("cannot read /proc/self/maps")?;
    let select = if counting.is_some() { select_counting } else { select };
    let asked = run.source.map(Source::from);
    let mut selected = select(&host, plan, asked, run.hidden()).map_err(with_hint)?;
    if run.no_patch {
        selected.payload.detours.call_sites = CallSites::Kept;
    }
    selected.payload.detours.file_times = run.file_times.into();
    explain(run, plan, &selected);
    let start = Instant::now();
    let mut outcome = launch(run, &command, plan, &host, &selected);
    if let (Some(counting), Some(counts), Ok(ended)) =
        (counting, &selected.payload.counts, &outcome)
        && !matches!(ended, Outcome::NotExecuted(_))
        && let Err(error) = (counting.ended)(&Counted { counts, elapsed: start.elapsed() })
    {
        outcome = Err(error);
    }
    // This process ends now, which takes away all at once.
    std::mem::forget((host, selected));
    outcome
}

fn launch(
    run: &Run,
    command: &[CString],
    plan: &Plan,
    host: &Host,
    selected: &Selected,
) -> Result<Outcome> {
    let report = RefCell::new(Report::default());
    let publisher = || -> Tick<'_> {
        let page = selected.payload.file.page();
        let mut timekeeper = Timekeeper::new(page, host.sampler(), plan.transforms);
        let report = &report;
        Box::new(move |turn| {
            if let Turn::Move(moved) = turn {
                timekeeper.move_clocks(moved);
            }
            let wait = timekeeper.update();
            *report.borrow_mut() = timekeeper.report();
            Some(wait)
        })
    };
    let farewell = || {
        let report = report.borrow();
        if run.verbose && report.updates > 1 {
            message::say(format_args!(
                "page published {} times; MONOTONIC deviated from the host's by {:.1} ns on \
                 average, {:.1} ns at worst",
                report.updates,
                report.mean_deviation_ns(),
                report.worst_deviation_ns()
            ));
        }
    };
    let launch = Launch {
        command,
        payload: &selected.payload,
        publisher: (selected.source == Source::Own).then_some(&publisher),
        follow: if run.no_follow { Follow::None } else { Follow::All },
        on_host_clock: if run.strict { OnHostClock::End } else { OnHostClock::Tell },
        notice: &notice::notice,
        tell_addresses: run.verbose,
        farewell: &farewell,
        inheritance: startup::inheritance(),
        streams: &Streams::inherited(),
        executed: &|_| {},
        caller: vdso_launch::Caller::None,
    };
    Ok(launch.run()?)
}

fn with_hint(error: SourceError) -> anyhow::Error {
    let what = error.to_string();
    match error {
        SourceError::Refused { .. } => {
            Hinted::new(what, "leave --source out to have a safe one chosen").into()
        }
        SourceError::NoRate => {
            Hinted::new(what, "use 'own' or 'chain' with --rate and --freeze").into()
        }
        error => error.into(),
    }
}

fn explain(run: &Run, plan: &Plan, selected: &Selected) {
    if !run.verbose {
        return;
    }
    message::say(selected);
    message::say(plan);
    if !run.hidden().is_empty() {
        message::say(format_args!("functions that are off: {}", run.hidden()));
    }
    if !selected.missing.is_empty() {
        message::say(format_args!(
            "the kernel's vDSO has functions that this image does not know, and that the program \
             will not find: {}",
            selected.missing.join(", ")
        ));
    }
}

fn c_strings(run: &Run) -> Result<Vec<CString>> {
    run.command
        .iter()
        .map(|argument| CString::new(argument.as_bytes()).context("an argument has a zero byte"))
        .collect()
}

/// What the program would lose if it were traced and followed, and the file that gives it.
pub fn privileged_program(name: &std::ffi::OsStr) -> Option<(Privilege, PathBuf)> {
    privilege::at_stake_of(name, std::env::var_os("PATH").as_deref(), None)
}

/// Runs a program as it is that cannot have both its privilege and a clock; or not, if that is what is
/// wanted.
fn on_host_clock(run: &Run, command: &[CString], privilege: Privilege, path: &Path) -> Outcome {
    let path = quoted(path);
    if run.strict {
        message::say(format_args!(
            "error: {path} would lose its {privilege}, or run on the kernel's own clocks: it is not run \
             (--strict)"
        ));
        return Outcome::EndedOnHostClock;
    }
    message::say(format_args!(
        "warning: {path} would lose its {privilege}: it runs on the kernel's own clocks"
    ));
    message::say("hint: run vdso inside it, for example: sudo vdso run ...");
    untouched(command)
}

/// Becomes the program.
fn untouched(command: &[CString]) -> Outcome {
    startup::inheritance().restore();
    Outcome::NotExecuted(execute(command))
}
