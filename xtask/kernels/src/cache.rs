//! The folder that keeps what has been fetched: outside the tree, for all worktrees.
//!
//! ```text
//! apt/ARCH-SUITE/      lists, and what apt wants to write
//! kernels/ARCH/SERIES/ one kernel, named for its release
//! emulators/PACKAGE/   unpacked packages
//! firmware/            files out of packages
//! library/             the standard library's source
//! ```

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// The cache.
pub struct Cache {
    folder: PathBuf,
}

/// While this is there, no other process fetches anything.
pub struct Lock(#[expect(dead_code, reason = "closing the file unlocks it")] File);

impl Cache {
    /// The folder that is named, or the usual one.
    pub fn open(folder: Option<&Path>) -> Result<Self> {
        let folder = folder.map(Path::to_owned).or_else(usual).context(
            "there is no place for a cache, as neither XDG_CACHE_HOME nor HOME is set: use --cache",
        )?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder: folder.canonicalize()? })
    }

    /// Waits while another process fetches something.
    pub fn lock(&self) -> Result<Lock> {
        let file = File::create(self.folder.join("lock"))
            .with_context(|| format!("cannot write to {}", self.folder.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            eprintln!("waiting for another cargo xtask kernels, which is fetching something");
            flock(&file, FlockOperation::LockExclusive)?;
        }
        Ok(Lock(file))
    }

    /// A folder below, made if need be.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// A folder that goes away by itself, from which files can be renamed to others of the cache.
    pub fn temporary(&self) -> Result<TempDir> {
        tempfile::tempdir_in(&self.folder).context("cannot make a temporary folder in the cache")
    }
}

fn usual() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("VDSO_KERNELS") {
        return Some(folder.into());
    }
    let folder = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
    let folder = folder.map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    Some(folder?.join("vdso/kernels"))
}
