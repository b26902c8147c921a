//! `cargo xtask ltp FOLDER`: the tests of the Linux Test Project that have to do with time, as somebody has built and
//! installed them, each plain and under several ways to move the clocks.
//!
//! What does not pass plain is not counted: without root's privileges that is much. Those that set the clock are never
//! run plain, and set the program's own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;
use xtask_build::process::{End, Finished};

use super::harmless::{self, HostClock};
use super::table::{Column, report};
use super::timers::{MODES, Mode, Modes};
use super::verdict::Verdict;
use super::{build_vdso, side_by_side};

/// Run the time tests of an installed Linux Test Project under `vdso run`, for some ten minutes, best on an idle machine
#[derive(clap::Args)]
pub struct Args {
    /// Where it is installed, such as /opt/ltp
    folder: PathBuf,
    /// The command to test [default: built now]
    #[arg(long, value_name = "PATH")]
    vdso: Option<PathBuf>,
    /// Run only tests with this in their names; may be repeated
    #[arg(long, value_name = "NAME")]
    test: Vec<String>,
}

/// The names of tests, without their numbers.
const GROUPS: &[&str] = &[
    "adjtimex",
    "alarm",
    "clock_adjtime",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "clock_settime",
    "epoll_pwait",
    "epoll_wait",
    "fstat",
    "futex_cmp_requeue",
    "futex_wait",
    "futex_wait_bitset",
    "futex_waitv",
    "futex_wake",
    "futimesat",
    "getitimer",
    "gettimeofday",
    "io_getevents",
    "io_pgetevents",
    "leapsec",
    "lstat",
    "mq_timedreceive",
    "mq_timedsend",
    "nanosleep",
    "poll",
    "ppoll",
    "pselect",
    "recvmmsg",
    "rt_sigtimedwait",
    "select",
    "semop",
    "setitimer",
    "settimeofday",
    "sigtimedwait",
    "stat",
    "statx",
    "stime",
    "time",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_settime",
    "timerfd",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    "times",
    "utime",
    "utimensat",
    "utimes",
];

/// Those that set the clock, and pass where they may.
const SETTING: &[&str] = &[
    "adjtimex01",
    "clock_adjtime01",
    "clock_settime01",
    "clock_settime02",
    "clock_settime03",
    "clock_settime04",
    "leapsec01",
    "settimeofday01",
    "stime01",
];

/// Groups that are not prepared for two at once, as they take loop devices, huge pages or all semaphores there may be.
const ALONE: &[&str] =
    &["futex_wake", "lstat", "semop", "stat", "statx", "utime", "utimensat", "utimes"];

const TICK: &str = "files have the host's last tick, which is further behind the program's clock";
const INTERVAL: &str =
    "an interval is kept, and read back, in whole nanoseconds or microseconds of the host's";
/// Those that are not run in some modes, and why.
const APART: &[(&str, Modes, &str)] = &[
    ("timerfd_settime02", Modes::All, "a race in the kernel is tried for two minutes"),
    ("clock_gettime04", Modes::Rates, "a bound of 50 ms is one of the program's time"),
    ("getitimer01", Modes::Rates, INTERVAL),
    ("setitimer01", Modes::Rates, INTERVAL),
    ("timer_settime01", Modes::Rates, INTERVAL),
    ("timer_settime03", Modes::Rates, INTERVAL),
    ("statx06", Modes::Rates, TICK),
    ("utime01", Modes::Rates, TICK),
    ("utime02", Modes::Rates, TICK),
    ("utime03", Modes::Rates, TICK),
];

/// A line of `runtest/syscalls`: a name, and the program with its arguments.
struct Test {
    name: String,
    words: Vec<OsString>,
    is_alone: bool,
}

/// Where things are.
struct Paths {
    /// LTP's folder.
    ltp: PathBuf,
    /// The command.
    vdso: PathBuf,
    /// Who has it locked may run a test of [`ALONE`].
    lock: NamedTempFile,
}

/// Exits with 1 if a test fails.
pub fn run(args: Args) -> Result<ExitCode> {
    let ltp = std::path::absolute(&args.folder)?;
    let is_wanted =
        |name: &str| args.test.is_empty() || args.test.iter().any(|part| name.contains(part));
    let tests = read_tests(&ltp, is_wanted)?;
    let vdso = std::path::absolute(args.vdso.map_or_else(build_vdso, Ok)?)?;
    let paths = Paths { ltp, vdso, lock: NamedTempFile::new()? };
    harmless::give_up_setting()?;
    let host = HostClock::read();
    let commands = |mode: Option<&Mode>| -> Vec<_> {
        tests.iter().map(|test| Some((test.command(&paths, mode)?, LIMIT))).collect()
    };
    let plain = Column::run("plain", commands(None).into_iter(), |_, run| verdict(run));
    // At a higher rate their bounds on how late a wait may end are microseconds of the host's.
    let modes: Vec<&Mode> = MODES.iter().filter(|mode| mode.rate <= 3.0).collect();
    let columns = side_by_side(&modes, |mode| {
        Column::run(mode.name, commands(Some(mode)).into_iter(), |place, run| {
            match plain.passed(place) {
                None if plain.has(place) => Verdict::NotCounted,
                plain => verdict_under_vdso(run, plain),
            }
        })
    });
    let names: Vec<String> = tests.iter().map(|test| test.name.clone()).collect();
    let tally = report("Linux Test Project", &names, &plain, &columns);
    for (name, modes, reason) in APART {
        println!("not run{}, as {reason}: {name}", modes.where_not());
    }
    host.ensure_unmoved()?;
    Ok(if tally.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// After this long a test hangs. The longest takes 20 s of its clock, and waits for those that it may not run beside.
const LIMIT: Duration = Duration::from_secs(600);

fn read_tests(ltp: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Test>> {
    let list = ltp.join("runtest/syscalls");
    let text =
        fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let mut tests = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(program)) = (words.next(), words.next()) else { continue };
        let number_at = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
        let group = &name[..number_at];
        let program = ltp.join("testcases/bin").join(program);
        if GROUPS.contains(&group) && is_wanted(name) && program.exists() {
            let words = [program.into()].into_iter().chain(words.map(OsString::from)).collect();
            let is_alone = ALONE.contains(&group);
            tests.insert(name.to_owned(), Test { name: name.to_owned(), words, is_alone });
        }
    }
    ensure!(!tests.is_empty(), "none of the tests in {} is installed", list.display());
    Ok(tests.into_values().collect())
}

impl Test {
    /// `None` where it is not run.
    fn command(&self, paths: &Paths, mode: Option<&Mode>) -> Option<Command> {
        let sets = SETTING.contains(&self.name.as_str());
        let is_apart = |(name, modes, _): &(&str, Modes, &str)| {
            *name == self.name && (*modes == Modes::All || mode.is_some_and(|mode| modes.has(mode)))
        };
        if sets && mode.is_none() || APART.iter().any(is_apart) {
            return None;
        }
        let mut words: Vec<OsString> = Vec::new();
        if self.is_alone {
            words.extend(["flock".into(), paths.lock.path().into()]);
        }
        if let Some(mode) = mode {
            words.push(paths.vdso.clone().into());
            let options = ["run", "-v", "--file-times", "clock"].iter().chain(mode.options);
            words.extend(options.map(OsString::from));
            words.extend(sets.then(|| "--settable".into()));
            words.push("--".into());
        }
        words.extend_from_slice(&self.words);
        let own = paths.ltp.join("testcases/bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([own].into_iter().chain(std::env::split_paths(&path)));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("LTPROOT", &paths.ltp).env("LTP_COLORIZE_OUTPUT", "n");
        command.env("PATH", path.ok()?);
        Some(command)
    }
}

/// By the exit codes of `tst_res_flags.h`: 0, or some of failed, broken and warned; 32 is what this machine cannot run.
fn verdict(finished: &Finished) -> Verdict {
    const CANNOT_RUN: i32 = 32;
    match &finished.end {
        End::Status(status) if status.success() => Verdict::Pass,
        End::Status(status) if status.code() == Some(CANNOT_RUN) => {
            Verdict::Skip("exit code 32".to_owned())
        }
        End::Status(status) => Verdict::Fail(status.to_string()),
        End::Hung(limit) => Verdict::Fail(format!("it hung for {} s", limit.as_secs())),
        End::NotStarted(error) => Verdict::Fail(format!("it cannot be started: {error}")),
    }
}

/// It must have run on the image, and as many of its tests must have passed as in the plain run, if there was one.
fn verdict_under_vdso(finished: &Finished, plain: Option<&Finished>) -> Verdict {
    let verdict = verdict(finished);
    if verdict != Verdict::Pass {
        return verdict;
    }
    if let Some(warning) = finished.stderr.lines().find(|line| line.starts_with("vdso: warning:")) {
        return Verdict::Fail(format!("vdso says '{warning}'"));
    }
    if !super::verdict::says_injected(&finished.stderr, None) {
        return Verdict::Fail("vdso does not say that it ran on the image".to_owned());
    }
    let passes = |run: &Finished| run.stderr.matches("TPASS").count();
    match plain {
        Some(plain) if passes(plain) != passes(finished) => {
            let (ours, plains) = (passes(finished), passes(plain));
            Verdict::Fail(format!("{ours} of its tests passed, {plains} when run plain"))
        }
        _ => Verdict::Pass,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn finished(code: i32, stderr: &str) -> Finished {
        let end = End::Status(ExitStatus::from_raw(code << 8));
        Finished { end, stdout: String::new(), stderr: stderr.to_owned() }
    }

    #[test]
    fn exit_codes_are_those_of_the_project() {
        assert_eq!(verdict(&finished(0, "")), Verdict::Pass);
        assert!(matches!(verdict(&finished(32, "")), Verdict::Skip(_)));
        for code in [1, 2, 3, 4, 33, 125] {
            assert!(matches!(verdict(&finished(code, "")), Verdict::Fail(_)), "{code}");
        }
    }

    #[test]
    fn a_pass_needs_the_image_and_every_test_of_the_plain_run() {
        const INJECTED: &str = "vdso: 'alarm02' (pid 7): image at 0x7f0000000000\n";
        let plain = finished(0, "a.c:1: TPASS: x\na.c:2: TPASS: y\n");
        let under = |stderr: &str| verdict_under_vdso(&finished(0, stderr), Some(&plain));
        let all = format!("{INJECTED}{}", plain.stderr);
        assert_eq!(under(&all), Verdict::Pass);
        for lacking in [&plain.stderr, &format!("{INJECTED}a.c:1: TPASS: x\n")] {
            assert!(matches!(under(lacking), Verdict::Fail(_)), "{lacking}");
        }
        assert!(matches!(under(&format!("{all}vdso: warning: x\n")), Verdict::Fail(_)));
    }

    #[test]
    fn tests_are_those_of_the_list_that_have_to_do_with_time_and_are_installed() {
        let ltp = tempfile::tempdir().expect("a folder");
        let bin = ltp.path().join("testcases/bin");
        fs::create_dir_all(&bin).expect("a folder");
        fs::create_dir(ltp.path().join("runtest")).expect("a folder");
        let list = "# alarm01 alarm01\nalarm02 alarm02 -x 1\nalarm03 gone\nstat01_64 stat\nopen01 open01\n";
        fs::write(ltp.path().join("runtest/syscalls"), list).expect("a file");
        for program in ["alarm01", "alarm02", "stat", "open01"] {
            fs::write(bin.join(program), "").expect("a file");
        }
        let tests = read_tests(ltp.path(), |_| true).expect("there are some");
        let seen: Vec<_> = tests.iter().map(|test| (&*test.name, test.is_alone)).collect();
        assert_eq!(seen, [("alarm02", false), ("stat01_64", true)]);
        assert_eq!(tests[0].words[1..], ["-x", "1"]);
    }
}
