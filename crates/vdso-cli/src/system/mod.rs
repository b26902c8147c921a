//! What the kernel says in `/proc`, `/sys` and `/dev`: the files that more than one part of the command
//! reads. What only one needs it reads itself, as `vdso_measure` does with `/proc/stat`.
//!
//! [`Root`] is where these folders are, [`machine`] reads what holds for every process; [`maps`],
//! [`auxv`] and [`status`] read three files of a process. What `inspect` and `dump` make of them is in
//! [`subject`](crate::subject), and what `doctor` does, in its `read`.

pub mod auxv;
pub mod machine;
pub mod maps;
pub mod status;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
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

    /// Whether these are the folders of the machine that this runs on, and no copy of another's.
    pub fn is_this_machine(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// All bytes of a file that somebody else may have put there: only of an ordinary one, which is
    /// looked at before it is opened, as devices and pipes may do anything then.
    pub fn bytes_of_ordinary_file(&self, path: &str, accept: &Accept) -> io::Result<Vec<u8>> {
        let refused = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why);
        let flags = libc::O_PATH | if accept.links { 0 } else { libc::O_NOFOLLOW };
        let place = OpenOptions::new().read(true).custom_flags(flags).open(self.path(path))?;
        let metadata = place.metadata()?;
        if !metadata.is_file() {
            return Err(refused("it is no ordinary file"));
        }
        if accept.inode.is_some_and(|inode| inode != metadata.ino()) {
            return Err(refused("it is another file than the one that is mapped"));
        }
        let too_long = || refused(&format!("it is longer than {} MiB", accept.bytes >> 20));
        if metadata.len() > accept.bytes {
            return Err(too_long());
        }
        let file = File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))?;
        let mut bytes = Vec::new();
        file.take(accept.bytes + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > accept.bytes { Err(too_long()) } else { Ok(bytes) }
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

/// Which ordinary files are read.
#[derive(Clone, Copy, Debug)]
pub struct Accept {
    /// At the end of a link, too.
    pub links: bool,
    /// Only with this inode.
    pub inode: Option<u64>,
    /// Up to this length.
    pub bytes: u64,
}
