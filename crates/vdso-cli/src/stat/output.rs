//! Where the counts are written to.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::chart::{USUAL_WIDTH, width};
use crate::message::printable_path;

/// A file, or standard error.
pub enum Output {
    /// What was asked for.
    File(PathBuf, File),
    /// Beside what the program says there.
    StandardError,
}

impl Output {
    /// Opens what was asked for. The program does not inherit it.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::StandardError) };
        let file = File::create(path);
        let file = file.with_context(|| format!("cannot write to {}", printable_path(path)))?;
        Ok(Self::File(path.to_owned(), file))
    }

    /// How many characters a line may have.
    pub fn width(&self) -> usize {
        match self {
            Self::StandardError if std::io::stderr().is_terminal() => width(),
            _ => USUAL_WIDTH,
        }
    }

    /// Writes all of it. Whoever has closed standard error does not want it.
    pub fn write(&self, text: &str) -> Result<()> {
        match self {
            Self::File(path, file) => {
                let plain = anstream::adapter::strip_str(text).to_string();
                let mut file = file;
                file.write_all(plain.as_bytes())
                    .with_context(|| format!("cannot write to {}", printable_path(path)))
            }
            Self::StandardError => match anstream::stderr().write_all(text.as_bytes()) {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                written => written.context("cannot write to standard error"),
            },
        }
    }
}
