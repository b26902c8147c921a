//! What `inspect` and `dump` look at: a process, an image in a file, or the core file of a process.
//!
//! [`Target::find`] makes one of what a person has written. [`process`] reads a process's memory, and
//! [`refusal`] says why that was not allowed; [`mod@file`] reads images and [`core_file`] cores.

mod core_file;
mod file;
mod process;
pub mod refusal;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use vdso_image::Source;

use crate::args::is_pid;
use crate::message::{Hinted, printable, printable_path};
use crate::system::maps::Mapping;

/// What a person wants to look at.
#[derive(Clone, Debug)]
pub struct Target {
    /// What it is.
    pub origin: Origin,
    /// The mappings that have to do with a vDSO.
    pub mappings: Vec<Mapping>,
    /// The images: the one in use first.
    pub images: Vec<FoundImage>,
}

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The process that runs this.
    ThisProcess,
    /// Another one.
    Process {
        /// The process's number.
        pid: u32,
        /// What the process calls itself.
        name: String,
    },
    /// An image in a file.
    File(PathBuf),
    /// The core file of a process.
    Core(PathBuf),
}

/// An image.
#[derive(Clone, Debug)]
pub struct FoundImage {
    /// Where it is in the process's memory.
    pub addr: Option<u64>,
    /// All of its mapping, or of its file.
    pub bytes: Vec<u8>,
    /// Whether the auxiliary vector tells the program to use this one; nobody knows of a file.
    pub in_use: Option<bool>,
}

impl Target {
    /// The target that a person has written: the number of a process, a file, or nothing for the
    /// process that runs this.
    pub fn find(text: Option<&OsStr>) -> Result<Self> {
        let Some(text) = text else { return process::this() };
        match text.to_str().filter(|text| is_pid(text)) {
            Some(digits) => process::other(digits),
            None => file::open(Path::new(text)),
        }
    }

    /// The image that the program uses, or with `kernels` the kernel's own.
    pub fn image(&self, kernels: bool) -> Result<&FoundImage> {
        let wanted = |image: &&FoundImage| !kernels || source_of(&image.bytes).is_none();
        match self.images.iter().find(wanted) {
            Some(image) => Ok(image),
            None if self.images.is_empty() => Err(self.without_image().into()),
            None => bail!("{} has no image of the kernel's", self.origin),
        }
    }

    /// That there is none, and what may be the reason.
    pub fn without_image(&self) -> Hinted {
        Hinted::new(
            format!("{} has no vDSO", self.origin),
            "kernels that were booted with vdso=0 give none, and neither do some emulators and sandboxes",
        )
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ThisProcess => write!(formatter, "this process"),
            Self::Process { pid, name } => {
                write!(formatter, "process {pid} ({})", printable(name))
            }
            Self::File(path) => formatter.write_str(&printable_path(path)),
            Self::Core(path) => {
                write!(formatter, "the core file {}", printable_path(path))
            }
        }
    }
}

/// Which of our images this is, if it is one: injection changes a few bytes, but not the build-id.
pub fn source_of(bytes: &[u8]) -> Option<Source> {
    let build_id = vdso_elf::Image::parse(bytes).ok()?.build_id()?;
    Source::ALL.into_iter().find(|&source| {
        vdso_elf::Image::parse(vdso_image::bytes(source))
            .is_ok_and(|image| image.build_id() == Some(build_id))
    })
}
