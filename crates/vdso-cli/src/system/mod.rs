//! What the kernel says in `/proc`, `/sys` and `/dev`: the one reader of each of its files for all that
//! the command does.
//!
//! [`Root`] is where these folders are, [`machine`] reads what holds for every process, [`maps`] and
//! [`auxv`] read two files of a process. What `inspect` and `dump` make of them is in
//! [`target`](crate::target), and what `doctor` does, in its `read`.

pub mod auxv;
pub mod machine;
pub mod maps;

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

    /// A file's text; what is not UTF-8, as names of programs and of files need not be, is replaced.
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
