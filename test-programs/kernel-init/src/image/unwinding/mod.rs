//! Backtraces from every instruction of an image.
//!
//! Each instruction is replaced by one that traps, and the image's functions are called in all ways that
//! lead through it. At a trap the instruction is put back, and a backtrace is made of the registers there,
//! by the image's own rules: step by step, it must leave the image just where it was called, with
//! the registers that a caller may rely on as they were. What those were, the trap at a function's first
//! instruction has told.
//!
//! | | |
//! |---|---|
//! | [`calls`] | the ways in which functions are called |
//! | [`random`] | those of `getrandom` |
//! | [`cover`] | whether there are rules for all code |
//! | [`layout`] | traps and registers of each architecture |
//! | [`registers`] | what a trap has interrupted, and a step up from there |
//! | [`watch`] | the traps |

mod calls;
mod cover;
mod layout;
mod random;
mod registers;
mod watch;

use core::fmt;

use vdso_data::architecture::Architecture;

use super::publisher;
use crate::report::Report;
use watch::{Counts, Marks, Watch};

/// The sources of time: all of them, `host` on a page that looks like the kernel's.
const SOURCES: [&str; 3] = ["chain", "own", "host"];

/// How much must be reached: the rest is for clocks and kernels that cannot be had here.
const LEAST_PERCENT: usize = 75;

/// How much of that may be where the rules are late: functions' ends are few. It was 3 % at most.
const MOST_LATE_PERCENT: usize = 4;

pub fn run(report: &mut Report, architecture: &'static Architecture) {
    for source in SOURCES {
        let name = format_args!("{source}-unwinds-everywhere");
        let marks = Marks::new();
        match everywhere(architecture, source, &marks) {
            Err(error) => report.fail(name, error),
            Ok(()) => tell(report, name, &marks.counts()),
        }
    }
}

/// Fails if too little was reached, or too much of it where the rules are late.
fn tell(report: &mut Report, name: fmt::Arguments<'_>, counts: &Counts<'_>) {
    let reached = counts.reached + counts.late;
    if reached * 100 < (reached + counts.missed) * LEAST_PERCENT {
        report.fail(name, format_args!("only {counts}"));
    } else if counts.late * 100 > reached * MOST_LATE_PERCENT {
        report.fail(name, format_args!("too many late rules: {counts}"));
    } else {
        report.ok(name, counts);
    }
}

fn everywhere(
    architecture: &'static Architecture,
    source: &str,
    marks: &Marks,
) -> Result<(), watch::Wrong> {
    let counter = publisher::counter(architecture).ok_or("the counter cannot be read")?;
    for scene in calls::SCENES {
        let watch = Watch::new(architecture, source, scene, marks)?;
        calls::make(&watch, architecture, counter)?;
    }
    Ok(())
}
