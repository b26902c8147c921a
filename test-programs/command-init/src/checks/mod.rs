//! The checks, in groups.

mod faults;
mod no_vdso;
mod programs;
mod random;
mod sources;
mod steered;
mod tools;
mod vsyscall;
mod x32;

use std::time::Duration;

use crate::capture;
use crate::report::Report;

/// What is to be expected of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The kernel's page is read.
    Page,
    /// It is not, and the message has this.
    NoPage(&'static str),
}

impl Expected {
    /// What the refusal of a source that is asked for by name has; `None` if it is taken.
    pub fn refusal(self, source: &str) -> Option<&'static str> {
        let Expected::NoPage(reason) = self else { return None };
        let is_seen = !reason.contains("no vDSO");
        match source {
            "host" => Some(reason),
            "own" if is_seen => Some(reason),
            // Without a vDSO, but with the counter as its clocksource, the kernel says so in a file.
            "own" if !counter_is_used() => Some("the kernel's clocksource is '"),
            _ => None,
        }
    }
}

const CLOCKSOURCE_UNUSED: &str =
    "the kernel does not use the counter as its clocksource (clock mode 0)";

/// What is expected of a kernel that was booted with a parameter.
fn expected(arguments: &[String]) -> Expected {
    if arguments.iter().any(|argument| argument == "vdso=0") {
        Expected::NoPage("this kernel gives no vDSO")
    } else if counter_is_used() {
        Expected::Page
    } else {
        Expected::NoPage(CLOCKSOURCE_UNUSED)
    }
}

/// Whether the kernel uses the counter. It does not where it was told another clocksource, and where it
/// could not tell the counter's frequency, as on an emulator that others interrupt.
pub fn counter_is_used() -> bool {
    const CURRENT: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    std::fs::read_to_string(CURRENT).is_ok_and(|current| current.trim() == "tsc")
}

/// A kernel that was not told otherwise takes the counter some seconds after it has booted, when it has
/// measured it for long enough; not at all if it finds it bad.
fn wait_for_the_counter(arguments: &[String]) {
    const LOOKS: u32 = 100;
    if arguments.iter().any(|argument| argument.starts_with("clocksource=")) {
        return;
    }
    for _ in 0..LOOKS {
        if counter_is_used() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Says so if a kernel was not told another clocksource and has one, or has one despite of it.
fn clocksource(report: &mut Report, arguments: &[String]) {
    let was_told = arguments.iter().any(|argument| argument.starts_with("clocksource="));
    match (was_told, counter_is_used()) {
        (false, true) | (true, false) => {}
        (false, false) => {
            report.skip("clocksource", "the kernel did not find the counter good enough");
        }
        (true, true) => {
            let error = anyhow::anyhow!("the counter is used: {arguments:?}");
            report.check("clocksource", Err::<&str, _>(error));
        }
    }
}

/// All groups; for `capture`, that alone. Those of this program know the sources of time of amd64.
pub fn run(arguments: &[String]) {
    if arguments.iter().any(|argument| argument == "capture") {
        return run_group("capture", capture::run);
    }
    // What such a parameter changes is seen by that alone.
    if arguments.iter().any(|argument| argument.starts_with("vsyscall=")) {
        return run_group("vsyscall", vsyscall::run);
    }
    if cfg!(target_arch = "x86_64") {
        run_groups(arguments);
    }
    // Such a kernel has none to hide.
    if !arguments.iter().any(|argument| argument == "vdso=0") {
        run_group("no-vdso", no_vdso::run);
    }
    programs::run();
}

fn run_groups(arguments: &[String]) {
    wait_for_the_counter(arguments);
    let expected = expected(arguments);
    run_group("sources", |report| {
        clocksource(report, arguments);
        sources::run(report, expected);
    });
    run_group("steered", |report| steered::run(report, expected));
    run_group("tools", |report| tools::run(report, expected));
    run_group("random", |report| random::run(report, expected));
    run_group("x32", |report| x32::run(report, expected));
    run_group("vsyscall", vsyscall::run);
    if expected == Expected::Page {
        run_group("faults", faults::run);
    }
}

fn run_group(name: &'static str, run: impl FnOnce(&mut Report)) {
    let mut report = Report::new(name);
    run(&mut report);
    report.close();
}
