//! Where a backtrace from every instruction cannot be right, or is not made.

use vdso_data::architecture::Architecture;

use crate::report::Report;

/// Why not.
const REASON: &str = if cfg!(target_arch = "arm") {
    "the image has no unwind rules on this architecture"
} else if cfg!(target_arch = "powerpc64") {
    "the compiler moves what saves registers behind the rules that tell of it: they are right at calls"
} else {
    "a trap in the image ends this program by SIGBUS, for a reason that is not known"
};

pub fn run(report: &mut Report, _architecture: &'static Architecture) {
    report.skip("unwinds-everywhere", REASON);
}
