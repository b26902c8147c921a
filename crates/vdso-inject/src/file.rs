//! The files of images that are put into programs: with the stub's second stage behind what a program keeps.

use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};

use vdso_data::architecture::Architecture;
use vdso_map::{ImageFile, ImageRoom};

use crate::arch::{ABIS, Abi};
use crate::error::{Error, Result};

/// A file to be mapped by programs of one kind.
#[derive(Clone, Debug)]
pub struct ProgramFile(ImageFile);

impl ProgramFile {
    /// For programs of this process's own kind: see [`ImageFile::create`].
    pub fn create(name: &str, image: &[u8]) -> Result<Self> {
        let tail = ABIS.first().map_or(&[][..], |abi| second_stage(abi));
        Ok(Self(ImageFile::create_with_tail(name, image, tail)?))
    }

    /// The same file with the image of the architecture's twin: see [`ImageFile::twin`].
    pub fn twin(&self, image: &[u8]) -> Result<Self> {
        let twin = self.architecture().twin.ok_or(Error::Architecture)?;
        let abi = ABIS.iter().find(|abi| abi.name == twin).ok_or(Error::Architecture)?;
        Ok(Self(self.0.twin(image, second_stage(abi))?))
    }

    /// Whether the two are in one file.
    pub fn is_in_file_of(&self, other: &Self) -> bool {
        self.0.is_in_file_of(&other.0)
    }

    /// Where in a mapping the stub's second stage is, at the end.
    pub fn second_stage(&self) -> u64 {
        self.0.tail_offset()
    }
}

impl Deref for ProgramFile {
    type Target = ImageFile;

    fn deref(&self) -> &ImageFile {
        &self.0
    }
}

impl AsFd for ProgramFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A file for programs of another kind, whose image is not known yet: see [`ImageRoom`].
#[derive(Clone, Debug)]
pub struct ProgramRoom {
    room: ImageRoom,
    abi: &'static Abi,
}

impl ProgramRoom {
    /// For programs of that kind.
    pub fn create(abi: &'static Abi, name: &str) -> Result<Self> {
        let architecture = Architecture::named(abi.name).ok_or(Error::Architecture)?;
        Ok(Self { room: ImageRoom::create(architecture, name)?, abi })
    }

    /// The file with `image`. If there is one already, it must be the same.
    pub fn fill(&self, image: &[u8]) -> Result<ProgramFile> {
        Ok(ProgramFile(self.room.fill(image, second_stage(self.abi))?))
    }
}

impl AsFd for ProgramRoom {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.room.as_fd()
    }
}

fn second_stage(abi: &Abi) -> &'static [u8] {
    abi.stub.as_ref().map_or(&[], |stub| stub.second_stage())
}
