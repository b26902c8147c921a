//! What `/proc`, `/sys` and `/dev` say, under a root folder that a test may put in their place.
//!
//! Nothing here judges: that is what the checks are for. What cannot be read is `None`, or an error
//! in words where the reason matters.

pub mod auxv;
pub mod image;
pub mod libc;
pub mod machine;
pub mod maps;
pub mod process;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder below which everything is read: `/`, but for tests.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// Reads below `folder`.
    pub fn new(folder: Option<&Path>) -> Self {
        Self(folder.unwrap_or(Path::new("/")).to_owned())
    }

    /// The path of a file, which may be given with a leading slash.
    pub fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// A file's text; what is not UTF-8 is replaced.
    pub fn text(&self, path: &str) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.path(path))?).into_owned())
    }

    /// A file's text without white space around it, if it can be read and is not empty.
    pub fn line(&self, path: &str) -> Option<String> {
        let text = self.text(path).ok()?;
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }
}
