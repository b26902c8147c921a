//! What the command says of itself, on standard error.

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::io::{Stdout, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use vdso_inject::Error;

use crate::run::notice::hint;
use crate::run::startup;

/// Says something. In one write, so that lines of several processes do not mix; nobody may be
/// listening, and that is no reason to fail.
pub fn say(text: impl Display) {
    let _ = std::io::stderr().write_all(format!("vdso: {text}\n").as_bytes());
}

/// A text of somebody else's, a name or a path, for a terminal and for one line: what controls, what is not
/// seen, and what turns the direction of writing is written as Rust does, `\n` and `\u{202e}`.
pub fn printable(text: &str) -> String {
    escape(text.as_bytes(), is_seen)
}

/// The same of a path or another argument, which may be no text: what is none is written as `\xff`.
pub fn printable_path(path: impl AsRef<OsStr>) -> String {
    escape(path.as_ref().as_bytes(), is_seen)
}

/// The same between quotes that it cannot end.
pub fn quoted(name: impl AsRef<OsStr>) -> String {
    let is_plain = |character| is_seen(character) && !['\'', '\\'].contains(&character);
    format!("'{}'", escape(name.as_ref().as_bytes(), is_plain))
}

fn escape(bytes: &[u8], is_plain: impl Fn(char) -> bool) -> String {
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match is_plain(character) {
                true => shown.push(character),
                false => shown.extend(character.escape_default()),
            }
        }
        shown.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    shown
}

/// Whether Rust writes it as it is behind another character, as accents are; quotes aside.
fn is_seen(character: char) -> bool {
    let behind: String = ['a', character].iter().collect();
    let written: Vec<char> = behind.escape_debug().skip(1).collect();
    written.last() == Some(&character) && written.len() <= 2
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
    if let Some(error) = error.downcast_ref::<Error>()
        && let Some(hint) = hint(error)
    {
        say(format_args!("hint: {hint}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_what_it_shows_is_not() {
        for shown in ["plain", "two words", "caf\u{e9}", "cafe\u{301}", "\u{5b57}", r#"a"b\c"#] {
            assert_eq!(printable(shown), shown);
        }
        for (text, shown) in [
            ("\u{1b}[2J\r\n", r"\u{1b}[2J\r\n"),
            ("a\u{202e}b\u{2066}", r"a\u{202e}b\u{2066}"),
            ("\u{9b}\u{200b}\u{feff}\u{2028}", r"\u{9b}\u{200b}\u{feff}\u{2028}"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert_eq!(printable_path(OsStr::from_bytes(b"a\xff\xc3")), r"a\xff\xc3");
    }

    #[test]
    fn a_name_does_not_end_its_quotes() {
        assert_eq!(quoted("sh"), "'sh'");
        assert_eq!(quoted("a' (pid 1)\n"), r"'a\' (pid 1)\n'");
        assert_eq!(quoted(r"a\"), r"'a\\'");
    }
}
