//! Checks of the images of `vdso-image`: mapped into this process with pages of their own, and held
//! against the kernel.
//!
//! | | |
//! |---|---|
//! | [`loaders`] | a C library loads an image |
//! | [`mapped`] | maps an image, as injection does |
//! | [`kernel`] | the kernel's own functions |
//! | [`publisher`] | a small timekeeper, for the image of the `own` source |
//! | [`brackets`] | a million reads of each clock, each between two of the kernel's |
//! | [`functions`] | everything else that an image answers |
//! | [`moved`] | clocks that the page moves |
//! | [`alone`] | pages without a kernel below |
//! | [`steering`] | a counter that the kernel steers |
//! | [`signals`] | the trampolines, and a backtrace through them |
//! | [`unwinding`] | a backtrace from each instruction |
//! | [`rules`] | an image's unwind rules, as a reader of them sees them |
//! | [`optional`] | what not every CPU has |
//! | [`arch`] | calls and signal handlers, one file for each architecture |

mod alone;
mod arch;
mod brackets;
mod functions;
mod kernel;
mod loaders;
mod mapped;
mod moved;
mod optional;
mod publisher;
mod rules;
mod signals;
mod steering;
#[cfg_attr(
    any(target_arch = "arm", target_arch = "powerpc64", target_arch = "mips64"),
    path = "no_unwinding.rs"
)]
mod unwinding;

use mapped::Mapped;
use vdso_data::architecture::Architecture;

use crate::report::Report;

/// The sources of time whose images are checked; `host` needs to know the kernel's page.
const SOURCES: [&str; 2] = ["chain", "own"];

pub fn run(report: &mut Report) {
    let Some(architecture) = Architecture::CURRENT else {
        report.skip("all", "there is no image for this architecture");
        return;
    };
    loaders::run(report, architecture);
    for source in SOURCES {
        match Mapped::of(architecture, source) {
            Ok(image) => check(report, architecture, source, &image),
            Err(error) => report.fail(source, format_args!("cannot map its image: {error}")),
        }
    }
    unwinding::run(report, architecture);
}

fn check(
    report: &mut Report,
    architecture: &'static Architecture,
    source: &'static str,
    image: &Mapped,
) {
    functions::run(report, source, image);
    if source == "own" {
        publisher::run(report, architecture, image);
        steering::run(report, architecture);
        alone::run(report, architecture);
    } else {
        brackets::run(report, source, image, &mut || 0);
        moved::run(report, image);
        signals::run(report, architecture, image);
    }
}
