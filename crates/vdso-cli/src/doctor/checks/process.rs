//! What surrounds a process: namespace, filters, tracers, sandboxes, preloaded libraries.

use super::Context;
use super::vdso::cannot_look;
use crate::doctor::read::process::Seccomp;
use crate::doctor::report::{Check, Status};
use crate::system::maps::Mapping;

/// Whether its clocks are moved. That costs a nanosecond or two, and no system call.
pub fn time_namespace(context: &Context<'_>) -> Check {
    let check = |summary: &str| Check::ok("time-namespace", "time namespace", summary);
    match &context.process.time_namespace {
        Err(reason) => cannot_look(check("not known"), context, reason),
        Ok(None) => check("the system's own"),
        Ok(Some(namespace)) => {
            let moved = namespace.offsets.iter().filter(|(_, seconds)| *seconds != 0.0);
            let moved: Vec<String> =
                moved.map(|(clock, seconds)| format!("{clock} {seconds:+} s")).collect();
            let by = if moved.is_empty() { "nothing moved".to_owned() } else { moved.join(", ") };
            let offsets: serde_json::Map<_, _> = namespace
                .offsets
                .iter()
                .map(|(clock, seconds)| (format!("{clock}_s"), (*seconds).into()))
                .collect();
            check(&format!("one of its own: {by}")).fact("offsets", offsets)
        }
    }
}

/// Whether each system call passes a filter.
pub fn seccomp(context: &Context<'_>) -> Check {
    let check = |summary: &str| Check::ok("seccomp", "seccomp", summary);
    let off_the_path = context.clocks_fall_back() != Some(false)
        || context.counts.is_some_and(|c| c.clocks_from_vdso + c.clocks_direct > 0);
    match context.process.seccomp {
        None => check("not known to this kernel"),
        Some(Seccomp::Off) => check("no filter"),
        Some(Seccomp::Strict) => check("strict mode").because(
            Status::Warn,
            "every system call but read, write and exit kills the process, so a call that falls back \
             would end it",
            "use a seccomp filter that allows clock_gettime",
        ),
        Some(Seccomp::Filters(count)) => {
            let count_text = count.map_or("filtered".to_owned(), |n| format!("{n} filters"));
            let check = check(&count_text).fact("filters", count);
            if !off_the_path {
                // The vDSO's calls do not pass them.
                return check;
            }
            check.because(
                Status::Warn,
                "each system call passes the filters, so calls that are not known to stay in the \
                 vDSO cost more, or are refused",
                "compare without them (docker run --security-opt seccomp=unconfined); allow \
                 clock_gettime in them",
            )
        }
    }
}

/// Whether someone traces it.
pub fn tracer(context: &Context<'_>) -> Check {
    let scope = context.machine.ptrace_scope;
    let check =
        |summary: &str| Check::ok("tracer", "tracer", summary).fact("yama_ptrace_scope", scope);
    let Some(tracer) = &context.process.tracer else {
        return check("none");
    };
    let name = tracer.name.as_deref().unwrap_or("?");
    check(&format!("{name} (pid {})", tracer.pid))
        .fact("pid", tracer.pid)
        .fact("name", &tracer.name)
        .because(
            Status::Warn,
            format!(
                "'{name}' traces the process and may stop it at each system call; it does not \
                     see calls of the vDSO"
            ),
            "measure without it",
        )
}

/// Whether this is Linux at all.
pub fn sandbox(context: &Context<'_>) -> Check {
    let check = |summary: &str| Check::ok("sandbox", "kernel", summary);
    let machine = context.machine;
    let version = machine.version.as_deref().unwrap_or_default();
    let release = machine.release.as_deref().unwrap_or("not known");
    // What gVisor answers since its first release.
    let is_gvisor = version.contains("gVisor") || version.contains("Jan 10 15:06:54 PST 2016");
    if is_gvisor {
        return check("gVisor").fact("version", version).because(
            Status::Warn,
            "gVisor's own kernel and vDSO answer: clocks are its own, and each system call costs \
             several times as much as on Linux",
            "run what reads clocks often under runc, or under runsc with --platform=kvm",
        );
    }
    // WSL 2 runs Linux, and writes itself in small letters.
    if release.contains("Microsoft") {
        return check("WSL 1").fact("version", version).because(
            Status::Fail,
            "WSL 1 translates system calls and gives no fast clocks",
            "move the distribution to WSL 2: wsl --set-version NAME 2",
        );
    }
    let has = |name| context.process.mapping(name).is_some();
    let check = check(&format!("Linux {release}"));
    if has("[vdso]") && !has("[vvar]") {
        return check.fact("has_vvar", false).because(
            Status::Warn,
            "there is a vDSO without the kernel's data page ([vvar]): a sandbox, an emulator or a \
             checkpoint tool made it",
            "see which calls fall back, and compare outside of it",
        );
    }
    check
}

/// Whether a library is in the way.
pub fn preloaded(context: &Context<'_>) -> Option<Check> {
    let mappings = context.process.mappings.as_ref().ok()?;
    let Some((file, tool)) = mappings.iter().find_map(known) else {
        return Some(Check::ok("preloaded", "preloaded libraries", "none that moves clocks"));
    };
    Some(Check::ok("preloaded", "preloaded libraries", tool).fact("file", file).because(
        Status::Warn,
        format!("{tool} answers clock reads in place of the C library, at several times the cost"),
        if tool == "valgrind" {
            "measure without it"
        } else {
            "to move a program's clocks at full speed: vdso run --offset ... -- COMMAND"
        },
    ))
}

/// The file's name, and the tool that it belongs to.
fn known(mapping: &Mapping) -> Option<(&str, &'static str)> {
    const KNOWN: [(&str, &str); 3] =
        [("libfaketime", "libfaketime"), ("datefudge", "datefudge"), ("vgpreload_", "valgrind")];
    let file = mapping.file_name();
    KNOWN.iter().find(|(prefix, _)| file.starts_with(prefix)).map(|(_, tool)| (file, *tool))
}
