//! There are no images for machines without 64-bit atomics.

use crate::report::Report;

pub fn run(report: &mut Report) {
    report.skip("all", "there is no image for a machine without 64-bit atomics");
}
