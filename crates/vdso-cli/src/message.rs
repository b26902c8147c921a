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

/// A text of somebody else's, a name or a path, for a terminal: it obeys control characters, so they are
/// written as Rust does, `\n` and `\u{1b}`.
pub fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        match character.is_control() {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown
}

/// What was attempted when results could not be written.
pub const PRINT: &str = "cannot write to standard output";

/// Something that went wrong, with what to do about it.
#[derive(Debug)]
pub struct Hinted {
    what: String,
    hint: String,
}

impl Hinted {
    /// Both.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }
}

impl Display for Hinted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.what)
    }
}

impl std::error::Error for Hinted {}

/// Says what went wrong, and what to do about it.
pub fn fail(error: &anyhow::Error) {
    say(format_args!("error: {error:#}"));
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        say(format_args!("hint: {}", hinted.hint));
    }
    if let Some(error) = error.downcast_ref::<Error>()
        && let Some(hint) = hint(error)
    {
        say(format_args!("hint: {hint}"));
    }
}
