//! Modes of the kernel: `vdso=` and `vsyscall=`.
//!
//! Source: `Documentation/admin-guide/kernel-parameters.txt`.

use super::Context;
use crate::doctor::report::{Check, Status};

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

/// How the legacy page at a fixed address behaves, which programs from before 2010 call.
pub fn vsyscall(context: &Context<'_>) -> Option<Check> {
    let (machine, process) = (context.machine, context.process);
    if machine.architecture != "x86_64" || !process.is_64_bit || process.mappings.is_err() {
        return None;
    }
    let protection = process.mapping("[vsyscall]").map(|mapping| mapping.protection.as_str());
    let mode = match protection {
        None => "none",
        Some(protection) if protection.starts_with('r') => "emulate",
        Some(_) => "xonly",
    };
    let check = Check::ok("vsyscall", "legacy vsyscall page", mode)
        .fact("mode", mode)
        .fact("parameter", machine.parameter("vsyscall"));
    if mode != "emulate" {
        return Some(check);
    }
    Some(check.because(
        Status::Warn,
        "the page is readable, at an address that everybody knows; calls of it trap into the kernel \
         in any mode",
        "boot with vsyscall=xonly, or vsyscall=none if no program from before 2010 is in use",
    ))
}
