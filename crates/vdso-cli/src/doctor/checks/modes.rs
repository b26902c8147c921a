//! Modes of the kernel: `vdso=` and `vsyscall=`.
//!
//! Source: `Documentation/admin-guide/kernel-parameters.txt`.

use vdso_vsyscall::Mode;

use super::Context;
use crate::doctor::read::vsyscall::Caller;
use crate::doctor::report::{Check, Status};
use crate::message::printable;

/// Whether the kernel was told to give no vDSO.
pub fn vdso_parameter(context: &Context<'_>) -> Option<Check> {
    let machine = context.machine;
    machine.parameters.as_ref()?;
    // On a 32-bit kernel `vdso=` means `vdso32=`.
    let name = if context.process.is_64_bit { "vdso" } else { "vdso32" };
    let value = machine.parameter(name);
    let summary = value.map_or_else(|| format!("{name}= not given"), |v| format!("{name}={v}"));
    let check = Check::ok("vdso-parameter", "kernel parameter", summary).fact("value", value);
    if value != Some("0") {
        return Some(check);
    }
    Some(check.because(
        Status::Fail,
        format!("the kernel was booted with {name}=0 and gives programs no vDSO"),
        format!("remove {name}=0 from the kernel's command line and boot again"),
    ))
}

/// How the legacy page at a fixed address behaves, which programs from before 2014 call, and whether this one does.
pub fn vsyscall(context: &Context<'_>) -> Option<Check> {
    let (machine, process) = (context.machine, context.process);
    if machine.architecture != "x86_64" || !process.is_64_bit || process.mappings.is_err() {
        return None;
    }
    let mapping = process.mapping("[vsyscall]").map(|mapping| mapping.protection.as_str());
    let summary = mapping.unwrap_or("none");
    let mode = Mode::of_permissions(mapping);
    let summary = mode.map_or_else(|| summary.to_owned(), |mode| mode.to_string());
    let mut check = Check::ok("vsyscall", "legacy vsyscall page", summary.clone())
        .fact("mode", summary)
        .fact("parameter", machine.parameter("vsyscall"));
    let callers = &process.vsyscall_callers;
    if !callers.is_empty() {
        check = check.fact("callers", callers);
    }
    Some(match mode {
        Some(Mode::None) if !callers.is_empty() => check.because(
            Status::Fail,
            format!("{}, and dies of SIGSEGV there", who_calls(callers)),
            "boot with vsyscall=xonly, or keep it alive with vdso run --vsyscall",
        ),
        Some(Mode::Emulate) => check.because(
            Status::Warn,
            "the page is readable, at an address that everybody knows; calls of it trap into the kernel \
             in any mode",
            "boot with vsyscall=xonly, or vsyscall=none if no program from before 2014 is in use",
        ),
        _ if !callers.is_empty() => check.because(
            Status::Warn,
            format!("{}: a fault for each call, slower than a system call", who_calls(callers)),
            "update the program or its C library (glibc 2.15 or later)",
        ),
        _ => check,
    })
}

fn who_calls(callers: &[Caller]) -> String {
    let calls = |caller: &Caller| {
        format!("{} calls the page's {}", printable(&caller.file), caller.functions.join(", "))
    };
    callers.iter().map(calls).collect::<Vec<_>>().join("; ")
}
