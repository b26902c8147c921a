//! The C library: whether it asks the vDSO.
//!
//! Sources: the NEWS of glibc 2.34 (64-bit time on 32-bit machines) and 2.41 (getrandom), the release
//! notes of musl 1.2.0 and of Go 1.24.

use super::Context;
use super::vdso::cannot_look;
use crate::doctor::read::libc::Libc;
use crate::doctor::report::{Check, Status};

const GLIBC_GETRANDOM: (u32, u32) = (2, 41);
const GLIBC_TIME64: (u32, u32) = (2, 34);
const GO_GETRANDOM: (u32, u32) = (1, 24);
const MUSL_TIME64: (u32, u32) = (1, 2);

/// The check.
pub fn check(context: &Context<'_>) -> Check {
    let check = |summary: &str| Check::ok("libc", "C library", summary);
    match &context.process.libc {
        Err(reason) => cannot_look(check("not known"), context, reason),
        Ok(Libc::Glibc { version: Some(version) }) => {
            let (major, minor) = version;
            let check = check(&format!("glibc {major}.{minor}"))
                .fact("name", "glibc")
                .fact("version", format!("{major}.{minor}"));
            glibc(check, context, *version)
        }
        Ok(Libc::Glibc { version: None }) => check("glibc")
            .fact("name", "glibc")
            .because(Status::Unknown, "its version could not be read from its file", "ask it")
            .command("ldd --version"),
        Ok(Libc::Musl { version }) => musl(check, context, version.as_deref()),
        Ok(Libc::Go { version }) => go(check, context, version.as_deref()),
        Ok(Libc::StaticGlibc) => check("glibc, linked into the program").fact("name", "glibc"),
        Ok(Libc::NoneFound) => check("none found in the program").fact("name", None::<&str>),
    }
}

fn glibc(check: Check, context: &Context<'_>, version: (u32, u32)) -> Check {
    if !context.process.is_64_bit && version < GLIBC_TIME64 {
        return check.because(
            Status::Warn,
            "a 32-bit program with 32-bit time, which ends in January 2038; it does not ask the \
             vDSO's clock_gettime64",
            "use glibc 2.34 or later, and build with -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64",
        );
    }
    if context.process.vdso_has("getrandom") && version < GLIBC_GETRANDOM {
        return check.because(
            Status::Warn,
            "the vDSO has getrandom, but this glibc makes the system call",
            "update to glibc 2.41 or later, if the program needs many random numbers",
        );
    }
    check
}

fn musl(check: impl Fn(&str) -> Check, context: &Context<'_>, version: Option<&str>) -> Check {
    let name = version.map_or("musl".to_owned(), |version| format!("musl {version}"));
    let check = check(&name).fact("name", "musl").fact("version", version);
    let is_old = version.and_then(numbers).is_some_and(|version| version < MUSL_TIME64);
    if !context.process.is_64_bit && is_old {
        return check.because(
            Status::Warn,
            "a 32-bit program with 32-bit time, which ends in January 2038",
            "build it with musl 1.2.0 or later",
        );
    }
    // It has no way to ask the vDSO for them, so there is nothing to do.
    check.fact("asks_vdso_for_getrandom", false)
}

fn go(check: impl Fn(&str) -> Check, context: &Context<'_>, version: Option<&str>) -> Check {
    let name = version.map_or("none: Go".to_owned(), |version| format!("none: {version}"));
    let check = check(&name).fact("name", "go").fact("version", version);
    let number = version.and_then(|version| numbers(version.strip_prefix("go")?));
    if context.process.vdso_has("getrandom") && number.is_some_and(|number| number < GO_GETRANDOM) {
        return check.because(
            Status::Warn,
            "the vDSO has getrandom, but this Go makes the system call",
            "build the program with Go 1.24 or later, if it needs many random numbers",
        );
    }
    check
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
