//! The checks, in groups.

mod faults;
mod sources;
mod tools;

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

/// What is expected of a kernel that was booted with a parameter.
fn expected(arguments: &[String]) -> Expected {
    let has = |parameter: &str| arguments.iter().any(|argument| argument == parameter);
    if has("vdso=0") {
        Expected::NoPage("this kernel gives no vDSO")
    } else if has("clocksource=hpet") || has("clocksource=acpi_pm") {
        Expected::NoPage("the kernel does not use the counter as its clocksource (clock mode 0)")
    } else {
        Expected::Page
    }
}

/// All groups; for `capture`, that alone.
pub fn run(arguments: &[String]) {
    if arguments.iter().any(|argument| argument == "capture") {
        return run_group("capture", capture::run);
    }
    let expected = expected(arguments);
    run_group("sources", |report| sources::run(report, expected));
    run_group("tools", |report| tools::run(report, expected));
    if expected == Expected::Page {
        run_group("faults", faults::run);
    }
}

fn run_group(name: &'static str, run: impl FnOnce(&mut Report)) {
    let mut report = Report::new(name);
    run(&mut report);
    report.close();
}
