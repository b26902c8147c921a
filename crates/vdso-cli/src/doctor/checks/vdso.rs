//! The vDSO itself: whether there is one, and what it answers.

use super::Context;
use crate::doctor::functions::{self, Function};
use crate::doctor::read::image::{Content, Vdso};
use crate::doctor::report::{Check, Status};
use crate::system::machine::Machine;

/// Whether the process has one.
pub fn presence(context: &Context<'_>) -> Check {
    let check = |summary: &str| Check::ok("vdso", "vDSO", summary);
    let vdso = match &context.process.vdso {
        Ok(Some(vdso)) => vdso,
        Ok(None) => {
            let (cause, action) = absent(context);
            return check("none").because(Status::Fail, cause, action);
        }
        Err(reason) => return cannot_look(check("not known"), context, reason),
    };
    let check = check(if vdso.is_kernels() { "the kernel's" } else { "not the kernel's" })
        .fact("addr", format!("{:#x}", vdso.addr))
        .fact("mapping", &vdso.mapping)
        .fact("has_vvar", context.process.mapping("[vvar]").is_some());
    match &vdso.content {
        Err(reason) => check.because(
            Status::Fail,
            format!("the image that is announced cannot be read: {reason}"),
            "find out who changed it: a tracer, a sandbox or a checkpoint tool",
        ),
        Ok(_) if vdso.is_kernels() => check,
        Ok(_) => check.because(
            Status::Warn,
            format!("another image took its place: {}", name_of(vdso)),
            "none if that is on purpose (vdso run does it); the checks below are about that image",
        ),
    }
}

fn name_of(vdso: &Vdso) -> &str {
    match vdso.mapping.as_deref() {
        None | Some("") => "memory without a file",
        Some(name) => name,
    }
}

/// What was not allowed.
pub fn cannot_look(check: Check, context: &Context<'_>, reason: &str) -> Check {
    check
        .because(Status::Unknown, reason, "look as the process's user, or as root")
        .command(format!("sudo vdso doctor {}", context.process.pid))
}

fn absent(context: &Context<'_>) -> (&'static str, &'static str) {
    let machine = context.machine;
    let is_off = ["vdso", "vdso32"].iter().any(|name| machine.parameter(name) == Some("0"));
    if is_off {
        ("the kernel was booted without it", "see the check of the kernel parameter")
    } else if context.process.mapping("[vdso]").is_some() {
        (
            "the kernel maps one, but it is not announced to the program: something took it out of \
             the auxiliary vector (valgrind, rr, a sandbox)",
            "run the program outside of that tool",
        )
    } else {
        (
            "this kernel, emulator or sandbox gives none, so each clock read is a system call",
            "use a kernel with CONFIG_GENERIC_GETTIMEOFDAY, or another sandbox or emulator",
        )
    }
}

/// Which calls it answers.
pub fn functions(context: &Context<'_>) -> Option<Check> {
    let vdso = context.process.vdso.as_ref().ok()?.as_ref()?;
    let content = vdso.content.as_ref().ok()?;
    let expected = functions::expected(content.machine, content.class);
    let has = |function: &&Function| content.functions.iter().any(|name| name == function.symbol);
    let (present, missing): (Vec<&Function>, Vec<&Function>) = expected.iter().partition(has);
    let summary = if expected.is_empty() {
        format!(
            "{} functions; not known what this architecture's should have",
            content.functions.len()
        )
    } else {
        format!("{} of {} answered", present.len(), expected.len())
    };
    let check = Check::ok("functions", "calls answered", summary)
        .fact("answered", calls(&present))
        .fact("missing", calls(&missing))
        .fact("functions", exported(content));
    let Some(newest) = missing.iter().max_by_key(|function| function.since) else {
        return Some(check);
    };
    // Without this one, all clocks are slow.
    let status =
        if missing.iter().any(|f| f.call == "clock_gettime") { Status::Fail } else { Status::Warn };
    let cause = format!("{} {} to the kernel", calls(&missing).join(", "), go(missing.len()));
    Some(check.because(status, cause, advice(context.machine, newest)))
}

fn calls<'a>(functions: &[&'a Function]) -> Vec<&'a str> {
    functions.iter().map(|function| function.call.as_str()).collect()
}

fn go(count: usize) -> &'static str {
    if count == 1 { "goes" } else { "go" }
}

fn exported(content: &Content) -> Vec<&str> {
    let mut names: Vec<&str> = content.functions.iter().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn advice(machine: &Machine, missing: &Function) -> String {
    let Some((major, minor)) = missing.since else {
        return format!("use the kernel's own vDSO: every one has {}", missing.symbol);
    };
    match machine.kernel_version() {
        Some(version) if version >= (major, minor) => format!(
            "Linux {major}.{minor} and later can have {}: build the kernel with it, or use the \
             kernel's own vDSO if this is another",
            missing.symbol
        ),
        _ => format!("update the kernel: {} comes with Linux {major}.{minor}", missing.symbol),
    }
}
