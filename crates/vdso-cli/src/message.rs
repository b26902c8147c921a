//! What the command says of itself, on standard error.

use std::fmt::Display;
use std::io::Write;

use vdso_inject::Error;

use crate::run::notice::hint;

/// Says something. In one write, so that lines of several processes do not mix; nobody may be
/// listening, and that is no reason to fail.
pub fn say(text: impl Display) {
    let _ = std::io::stderr().write_all(format!("vdso: {text}\n").as_bytes());
}

/// Says what went wrong, and what to do about it.
pub fn fail(error: &anyhow::Error) {
    say(format_args!("error: {error:#}"));
    if let Some(error) = error.downcast_ref::<Error>()
        && let Some(hint) = hint(error)
    {
        say(format_args!("hint: {hint}"));
    }
}
