//! The vDSO, by each way to it, and whether it is this architecture's.

use vdso_client::auxv::{Order, Source};
use vdso_client::names::Abi;
use vdso_client::{NotFound, Vdso, vdso};
use vdso_elf::HashKind;

use crate::parameter::Parameter;
use crate::report::Report;
use crate::{kernel, parameter};

pub fn run(report: &mut Report) {
    for (name, source) in [
        ("startup-stack", Source::StartupStack),
        ("prctl", Source::Prctl),
        ("proc-self-auxv", Source::ProcSelf),
    ] {
        by(name, source, report);
    }
    match vdso() {
        Ok(vdso) if parameter::has_vdso() => image(&vdso, report),
        Ok(_) => report.fail("vdso", "there is one, although the kernel was told to have none"),
        Err(NotFound::NotInAuxiliaryVector) if !parameter::has_vdso() => {
            report.ok("vdso", "none, as the kernel was told");
        }
        Err(error) => report.fail("vdso", error),
    }
    if let Some(parameter) = Parameter::of_this_boot() {
        report.check("parameter", parameter.has_taken_effect());
    }
}

/// All ways must lead to the same.
fn by(name: &str, source: Source, report: &mut Report) {
    /// When `PR_GET_AUXV` came.
    const PRCTL: (u32, u32) = (6, 4);
    let found = Vdso::from_auxv(Order::of(&[source])).map(|vdso| vdso.base());
    let usual = vdso().map(|vdso| vdso.base());
    match found {
        Err(NotFound::NoAuxiliaryVector)
            if source == Source::Prctl && kernel::version() < PRCTL =>
        {
            report.ok(name, "not before Linux 6.4");
        }
        found if found == usual => report.ok(name, "the same"),
        found => report.fail(name, format_args!("{found:?}, and usually {usual:?}")),
    }
}

fn image(vdso: &Vdso<'_>, report: &mut Report) {
    let image = vdso.image();
    let Some(abi) = Abi::CURRENT else {
        return report.fail("vdso", "the client has no row for this architecture");
    };
    let is_its_own = image.machine() == abi.machine && image.class() == abi.class;
    let has_soname = image.soname().is_some_and(|name| abi.sonames.contains(&name));
    let hashes = match [HashKind::Gnu, HashKind::SystemV].map(|kind| image.has_hash_table(kind)) {
        [true, true] => "both hash tables",
        [true, false] => "GNU hash alone",
        [false, true] => "SysV hash alone",
        [false, false] => "no hash table",
    };
    let soname = image.soname().unwrap_or("no SONAME");
    let what = format_args!("{}, {soname}, {hashes}", abi.name);
    report.check("vdso", if is_its_own && has_soname { Ok(what) } else { Err(what) });
    match image.problems().next() {
        None => report.ok("readable", "every table"),
        Some(problem) => report.fail("readable", problem),
    }
}
