//! Checks of vdso-client: what it finds in this kernel, and whether what it answers is right.

mod found;

use crate::report::Report;

pub fn run(report: &mut Report) {
    found::run(report);
}
