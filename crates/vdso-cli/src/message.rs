//! What the command says of itself, on standard error.

use std::fmt::Display;
use std::fs;
use std::io::{Stdout, Write};
use std::path::Path;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use vdso_launch::hint;

use crate::startup;

pub use vdso_launch::text::{printable, printable_path, quoted};

/// Says something. In one write, so that lines of several processes do not mix; nobody may be
/// listening, and that is no reason to fail.
pub fn say(text: impl Display) {
    let _ = std::io::stderr().write_all(format!("vdso: {text}\n").as_bytes());
}

/// What was attempted when results could not be written.
pub const PRINT: &str = "cannot write to standard output";

/// Standard output, for results. An error if there is none: Rust's runtime opens /dev/null for a stream
/// that was closed, and takes a write to one that is open for reading only for done.
pub fn stdout() -> Result<Stdout> {
    let flags = fcntl(std::io::stdout(), FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
    let is_read_only = flags.is_ok_and(|flags| flags & OFlag::O_ACCMODE == OFlag::O_RDONLY);
    if startup::inheritance().closed_streams()[1] || is_read_only {
        return Err(std::io::Error::from(Errno::EBADF)).context(PRINT);
    }
    Ok(std::io::stdout())
}

/// Whether an option's file is standard output: `-`, or one of the names that it has as a file. To open
/// it by these again would cut off what it has already. An error for one of the other standard streams
/// if that was closed.
pub fn is_stdout(path: &Path) -> Result<bool> {
    if path.as_os_str() == "-" {
        return Ok(true);
    }
    let closed = startup::inheritance().closed_streams();
    match stream_of(path) {
        Some(1) => Ok(true),
        // By that name there is what Rust's runtime opened in its place.
        Some(stream) if closed[stream] => Err(std::io::Error::from(Errno::EBADF))
            .with_context(|| format!("cannot write to {}", printable_path(path))),
        _ => Ok(false),
    }
}

/// The number of the standard stream that a path leads to, as `/dev/stdout` does.
fn stream_of(path: &Path) -> Option<usize> {
    // As many links as the kernel follows: path_resolution(7).
    const MOST_LINKS: usize = 40;
    let folders =
        ["/proc/self/fd", "/proc/thread-self/fd"].map(|folder| fs::canonicalize(folder).ok());
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = fs::canonicalize(parent.unwrap_or(Path::new("."))).ok()?;
        if folders.iter().flatten().any(|own| *own == folder) {
            let stream = path.file_name()?.to_str()?.parse().ok()?;
            return (stream < 3).then_some(stream);
        }
        path = folder.join(fs::read_link(&path).ok()?);
    }
    None
}

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

    /// The same with another thing to do.
    pub fn or(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
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
    if let Some(hint) = error.downcast_ref().and_then(hint) {
        say(format_args!("hint: {hint}"));
    }
}
