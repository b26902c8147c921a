//! The tests of timers, futexes and time namespaces, and the ways to move clocks that they are run under.
//!
//! What they look at, in Linux 6.12's `tools/testing/selftests`: that no wait ends early on any clock (`nanosleep`), and
//! none late (`nsleep-lat`, `mqueue-lat`, `set-timer-lat`), that threads agree about the order of times (`threadtest`),
//! what timers do (`posix_timers`), what clocks do that are set, slewed and given leap seconds (`set-*`, `leap*`,
//! `valid-adjtimex`, `skew_consistency`), futexes with times (`futex`), and that all of that is right in a time namespace
//! (`timens`). What differs under a mode by its nature is not run there, and the table says why.

use std::time::Duration;

use super::suite::{Test, inconsistency_check};

/// A way to move a program's clocks.
pub struct Mode {
    /// For the table.
    pub name: &'static str,
    /// For `vdso run`.
    pub options: &'static [&'static str],
    /// How much of the program's time passes in a second.
    rate: f64,
}

/// All of them. A clock that stands still is none for tests that wait.
pub const MODES: &[Mode] = &[
    Mode { name: "all here", options: &["--clocks", "all"], rate: 1.0 },
    Mode { name: "+400d", options: &["--offset", "+400d"], rate: 1.0 },
    Mode { name: "-400d", options: &["--offset", "-400d"], rate: 1.0 },
    Mode { name: "+400d all", options: &["--offset", "+400d", "--clocks", "all"], rate: 1.0 },
    Mode { name: "rate .5", options: &["--rate", ".5"], rate: 0.5 },
    Mode { name: "rate 3", options: &["--rate", "3"], rate: 3.0 },
    Mode { name: "rate 30", options: &["--rate", "30"], rate: 30.0 },
];

/// One row of the table.
pub struct TimersTest {
    /// What is compiled and run.
    pub test: Test,
    /// What it starts itself.
    pub starts: &'static [Test],
    /// What it may do, and where.
    pub needs: Needs,
    /// How long it takes on a clock like the host's.
    lasts: Duration,
    /// What it asks of the machine.
    load: Load,
    /// In which modes it is not run.
    apart: Option<Apart>,
}

/// What a test does that not everybody may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// It sets the clock, and is never run without vdso.
    Setting,
    /// It makes time namespaces, in a user namespace that it is given.
    Namespaces,
    /// It also goes back to the time namespace where it began, which has to be that user namespace's, too.
    OwnTimeNamespace,
}

/// What a test takes for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// Nothing: it passes however late anything comes.
    Any,
    /// That a thread runs within some milliseconds: it has bounds on how late a wait ends, or on CPU time.
    Idle,
}

/// Why a test says nothing under some modes.
struct Apart {
    modes: Modes,
    reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modes {
    All,
    /// Those with a rate other than one.
    Rates,
}

impl Modes {
    fn has(self, mode: &Mode) -> bool {
        self == Self::All || mode.rate != 1.0
    }
}

/// Longer than this, of the host's time, no test takes that is run without `--all`.
const SHORT: Duration = Duration::from_secs(21);

impl TimersTest {
    /// Whether it is run in a mode.
    pub fn is_run(&self, mode: &Mode, long_too: bool) -> bool {
        let is_apart = self.apart.as_ref().is_some_and(|apart| apart.modes.has(mode));
        let is_short = self.lasts.div_f64(mode.rate) <= SHORT && self.load == Load::Any;
        !is_apart && (long_too || is_short)
    }

    /// Whether it is run without vdso.
    pub fn is_run_plain(&self, long_too: bool) -> bool {
        self.needs != Needs::Setting && MODES.iter().any(|mode| self.is_run(mode, long_too))
    }

    /// After this long it hangs.
    pub fn limit(&self, mode: &Mode) -> Duration {
        const AT_LEAST: Duration = Duration::from_secs(60);
        AT_LEAST + self.lasts.div_f64(mode.rate) * 2
    }

    /// Where it is not run whatever is asked for, and why.
    pub fn where_not(&self) -> Option<String> {
        let Apart { modes, reason } = self.apart.as_ref()?;
        let where_not = match modes {
            Modes::All => "not run",
            Modes::Rates => "not run with a rate",
        };
        Some(format!("{where_not}: {reason}"))
    }
}

const NAMESPACE_AT_A_RATE: &str = "what a namespace adds is taken for time that has passed, and so \
    multiplied by the rate";
const LATE_AT_A_RATE: &str = "its bound of 40 ms is one of the program's time";
const HASTY_AT_A_RATE: &str = "it gives up after a thousand short sleeps of the program's time";
const STEERED_ALIKE: &str = "it holds adjtimex's frequency against MONOTONIC's, which only the \
    host's kernel can change";

/// All of them.
pub const TESTS: &[TimersTest] = &[
    timers(&["nanosleep.c"], &[], 9),
    timers(&["threadtest.c"], &["-t", "2"], 2),
    timers(&["threadtest.c"], &["-t", "2", "-i"], 2),
    timers(&["mqueue-lat.c"], &[], 11).idle().apart(Modes::Rates, LATE_AT_A_RATE),
    timers(&["nsleep-lat.c"], &[], 130).idle().apart(Modes::Rates, LATE_AT_A_RATE),
    timers(&["set-timer-lat.c"], &[], 81).idle().apart(Modes::Rates, LATE_AT_A_RATE),
    timers(&["posix_timers.c"], &[], 30)
        .idle()
        .apart(Modes::Rates, "it holds CPU time, which is the kernel's, against REALTIME"),
    timers(&["set-tai.c"], &[], 1).sets(),
    timers(&["set-tz.c"], &[], 1).sets(),
    timers(&["valid-adjtimex.c"], &[], 1).sets(),
    timers(&["leapcrash.c"], &[], 81).sets(),
    timers(&["skew_consistency.c"], &[], 600).sets().starting(&[inconsistency_check(&[])]),
    timers(&["set-2038.c"], &[], 700)
        .sets()
        .starting(&[
            inconsistency_check(&[]),
            timers(&["nanosleep.c"], &[], 9).test,
            timers(&["nsleep-lat.c"], &[], 130).test,
        ])
        .idle()
        .apart(Modes::Rates, LATE_AT_A_RATE),
    timers(&["leap-a-day.c"], &["-i", "1"], 14).sets().apart(
        Modes::All,
        "a timer of timer_create until a time of REALTIME goes off by the clock as it was, before \
         the inserted second",
    ),
    timers(&["raw_skew.c"], &[], 120).apart(Modes::All, STEERED_ALIKE),
    timers(&["adjtick.c"], &[], 128).sets().apart(Modes::All, STEERED_ALIKE),
    timers(&["change_skew.c"], &[], 900).sets().apart(Modes::All, STEERED_ALIKE),
    timers(&["freq-step.c"], &[], 300).sets().apart(Modes::All, STEERED_ALIKE),
    timers(&["clocksource-switch.c"], &[], 60)
        .apart(Modes::All, "it would switch this machine's clocksource"),
    timers(&["alarmtimer-suspend.c"], &[], 300).apart(Modes::All, "it would suspend this machine"),
    timers(&["rtcpie.c"], &[], 60)
        .apart(Modes::All, "it measures interrupts of this machine's RTC"),
    futex(&["futex_wait_timeout.c"], &[]),
    futex(&["futex_wait_wouldblock.c"], &[]),
    futex(&["futex_requeue_pi_mismatched_ops.c"], &[]),
    futex(&["futex_requeue_pi.c"], &["-b", "-l", "-t", "5000"])
        .idle()
        .apart(Modes::Rates, HASTY_AT_A_RATE),
    futex(&["futex_requeue_pi.c"], &["-l", "-t", "500000"])
        .idle()
        .apart(Modes::Rates, HASTY_AT_A_RATE),
    futex(&["futex_requeue_pi.c"], &["-b", "-t", "500000"])
        .idle()
        .apart(Modes::Rates, HASTY_AT_A_RATE),
    futex(&["futex_requeue_pi.c"], &["-b", "-l", "-t", "2000000000"])
        .idle()
        .apart(Modes::Rates, HASTY_AT_A_RATE),
    futex(&["futex_requeue_pi_signal_restart.c"], &[]),
    futex(&["futex_wait.c"], &[]).idle(),
    futex(&["futex_waitv.c"], &[]).idle(),
    futex(&["futex_requeue.c"], &[]).idle(),
    timens(&["clock_nanosleep.c"]),
    timens(&["timerfd.c"]),
    timens(&["timer.c"]).apart(Modes::Rates, NAMESPACE_AT_A_RATE),
    timens(&["futex.c"]),
    timens(&["exec.c"]).apart(Modes::Rates, NAMESPACE_AT_A_RATE),
    timens(&["vfork_exec.c"]).apart(Modes::Rates, NAMESPACE_AT_A_RATE),
    timens(&["timens.c"]).in_own_namespace().apart(Modes::Rates, NAMESPACE_AT_A_RATE),
    timens(&["procfs.c"]).in_own_namespace(),
];

const fn timers(
    sources: &'static [&'static str],
    arguments: &'static [&'static str],
    lasts_s: u64,
) -> TimersTest {
    const FLAGS: &[&str] = &["-O3", "-pthread", "-lm"];
    row(Test { folder: "timers", sources, flags: FLAGS, arguments, linked: None }, lasts_s)
}

const fn futex(sources: &'static [&'static str], arguments: &'static [&'static str]) -> TimersTest {
    const FLAGS: &[&str] = &["-O2", "-D_GNU_SOURCE", "-pthread", "-I../include", "-I../.."];
    row(Test { folder: "futex/functional", sources, flags: FLAGS, arguments, linked: None }, 3)
}

const fn timens(sources: &'static [&'static str]) -> TimersTest {
    const FLAGS: &[&str] = &["-O2", "-D_GNU_SOURCE", "-pthread"];
    let test = Test { folder: "timens", sources, flags: FLAGS, arguments: &[], linked: None };
    TimersTest { needs: Needs::Namespaces, ..row(test, 3) }
}

const fn row(test: Test, lasts_s: u64) -> TimersTest {
    let lasts = Duration::from_secs(lasts_s);
    TimersTest { test, starts: &[], needs: Needs::Nothing, lasts, load: Load::Any, apart: None }
}

impl TimersTest {
    const fn sets(self) -> Self {
        Self { needs: Needs::Setting, ..self }
    }

    const fn starting(self, starts: &'static [Test]) -> Self {
        Self { starts, ..self }
    }

    const fn in_own_namespace(self) -> Self {
        Self { needs: Needs::OwnTimeNamespace, ..self }
    }

    const fn idle(self) -> Self {
        Self { load: Load::Idle, ..self }
    }

    const fn apart(self, modes: Modes, reason: &'static str) -> Self {
        Self { apart: Some(Apart { modes, reason }), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_run_says_why() {
        for row in TESTS {
            let is_run = MODES.iter().any(|mode| row.is_run(mode, true));
            assert!(is_run || row.where_not().is_some(), "{}", row.test);
        }
    }

    #[test]
    fn without_asking_nothing_takes_long_or_wants_an_idle_machine() {
        for (row, mode) in TESTS.iter().flat_map(|row| MODES.iter().map(move |mode| (row, mode))) {
            if row.is_run(mode, false) {
                assert!(row.load == Load::Any, "{}", row.test);
                assert!(row.lasts.as_secs_f64() / mode.rate < 22.0, "{}, {}", row.test, mode.name);
            }
        }
    }

    #[test]
    fn what_sets_the_clock_is_never_run_plain() {
        for row in TESTS.iter().filter(|row| row.needs == Needs::Setting) {
            assert!(!row.is_run_plain(true), "{}", row.test);
        }
    }
}
