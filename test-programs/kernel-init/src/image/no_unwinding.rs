//! Where the image has no unwind rules: 32-bit ARM, whose own tables tell of calls alone, not of every
//! instruction.

use vdso_data::architecture::{Architecture, Unwinding};

use crate::report::Report;

pub fn run(report: &mut Report, architecture: &'static Architecture) {
    assert!(architecture.unwinding == Unwinding::Nothing);
    report.skip("unwinds-everywhere", "the image has no unwind rules on this architecture");
}
