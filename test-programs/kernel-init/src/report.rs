//! The lines on the console, which `cargo xtask kernels` collects.
//!
//! ```text
//! vdso-check ABI/GROUP/NAME ok|fail|skip|note DETAIL
//! vdso-check ABI/GROUP end COUNT
//! vdso-check end
//! ```
//!
//! A note is about something new that is no failure. `COUNT` is the number of the group's lines, so that a lost one is missed. The last line says that
//! nothing more will come.

use core::fmt::{self, Display, Write};
use core::panic::PanicInfo;

use crate::arch::ABI;
use crate::system;

/// What a group of checks has said.
pub struct Report {
    group: &'static str,
    lines: u32,
}

impl Report {
    pub fn new(group: &'static str) -> Self {
        Self { group, lines: 0 }
    }

    /// A check that found what it expected; the detail says what.
    pub fn ok(&mut self, name: impl Display, detail: impl Display) {
        self.line(name, "ok", detail);
    }

    /// A check that found something else.
    pub fn fail(&mut self, name: impl Display, detail: impl Display) {
        self.line(name, "fail", detail);
    }

    /// A check that cannot be made here, and why.
    pub fn skip(&mut self, name: impl Display, reason: impl Display) {
        self.line(name, "skip", reason);
    }

    /// Something that is not known yet, and no failure.
    pub fn note(&mut self, name: impl Display, detail: impl Display) {
        self.line(name, "note", detail);
    }

    /// `ok` or `fail`, with what either says.
    pub fn check(&mut self, name: impl Display, result: Result<impl Display, impl Display>) {
        match result {
            Ok(detail) => self.ok(name, detail),
            Err(detail) => self.fail(name, detail),
        }
    }

    /// Says that this group has come to its end.
    pub fn close(self) {
        print(format_args!("{ABI}/{} end {}", self.group, self.lines));
    }

    fn line(&mut self, name: impl Display, status: &str, detail: impl Display) {
        self.lines += 1;
        print(format_args!("{ABI}/{}/{name} {status} {detail}", self.group));
    }
}

/// Says that nothing more will come.
pub fn close() {
    print(format_args!("end"));
}

/// A failed check of no group.
pub fn panicked(info: &PanicInfo<'_>) {
    print(format_args!("{ABI}/panic/process fail {info}"));
}

/// One write for a line, so that the kernel's own messages don't come between.
fn print(text: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; Line::LONGEST], length: 0 };
    // What does not fit is left out.
    let _ = write!(line, "vdso-check {text}");
    line.bytes[line.length] = b'\n';
    system::write_to_console(&line.bytes[..=line.length]);
}

struct Line {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl Line {
    const LONGEST: usize = 2048;
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.length == Self::LONGEST - 1 {
                return Err(fmt::Error);
            }
            self.bytes[self.length] = if byte == b'\n' { b' ' } else { byte };
            self.length += 1;
        }
        Ok(())
    }
}
