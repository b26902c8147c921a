//! Checks of vdso-vsyscall: what it says of the legacy page, against what this kernel does.
//!
//! [`page`]: reads, writes and jumps; [`calls`]: the functions, with good and bad pointers; [`filters`]: what seccomp and
//! tracers see and can change. [`touch`] is how a program does all that and survives.

mod calls;
mod filters;
mod page;
mod touch;

use vdso_vsyscall::Mode;

use crate::report::Report;
use crate::system;

pub fn run(report: &mut Report) {
    let permissions = system::mapping("[vsyscall]").map(|mapping| mapping.permissions);
    let permissions = permissions.as_ref().and_then(|it| core::str::from_utf8(it).ok());
    let Some(mode) = Mode::of_permissions(permissions) else {
        return report.fail("mode", format_args!("permissions {permissions:?}"));
    };
    report.ok("mode", mode);
    if let Err(error) = touch::catch_faults() {
        return report.fail("handler", error);
    }
    page::run(report, mode);
    calls::run(report, mode);
    if mode.answers() {
        filters::run(report);
    }
}
