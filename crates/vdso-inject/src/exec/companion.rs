//! Programs of other kinds than the launcher, which the same kernel executes: i386 and x32 ones on x86-64.
//!
//! Their images and what those must know of the kernel's vDSO are others. What they get is made when the
//! first of each kind comes, from the kernel's vDSO in a process of our own ([`probe`]).

use std::cell::OnceCell;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use vdso_data::own::OwnPage;

use super::memory::Memory;
use super::{FileBy, Payload, padding_in, probe};
use crate::arch::{ABIS, Abi};
use crate::error::{Error, Result};
use crate::file::{ProgramFile, ProgramRoom};
use crate::stub::{Stub, WithoutEntry};

/// Makes what such programs get, from their kind and the kernel's vDSO that they have. An error if there
/// is no image for them.
pub type Make = Box<dyn Fn(&'static Abi, &KernelVdso) -> Result<Payload>>;

/// The kernel's vDSO for programs of another kind.
#[derive(Clone, Debug)]
pub struct KernelVdso {
    /// The image; empty if there is none.
    pub image: Vec<u8>,
    /// Where its data pages are.
    pub pages: DataPages,
}

/// Where the data pages of the kernel's vDSO are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataPages {
    /// As far from the image as in the launcher.
    AsInLauncher,
    /// Elsewhere, or nowhere.
    Elsewhere,
}

/// What is put into programs of one other kind.
pub struct Companion {
    abi: &'static str,
    make: Make,
    file: CompanionFile,
    made: OnceCell<Box<Payload>>,
}

/// Which file the image of such programs is in. All processes of a launch must have the same, whichever of
/// them makes the image.
#[derive(Debug)]
pub enum CompanionFile {
    /// That of the launcher's own kind, which has room for it.
    SameAsPayload,
    /// One of its own.
    Own(ProgramRoom),
}

impl Companion {
    /// For the kind of this name. Nothing is made yet.
    pub fn new(abi: &'static str, file: CompanionFile, make: Make) -> Self {
        Self { abi, make, file, made: OnceCell::new() }
    }

    /// What has been made, or is made now; with room in the kernel's vDSO for `in_padding`.
    fn payload(
        &self,
        abi: &'static Abi,
        memory: &Memory,
        vdso_addr: u64,
        in_padding: Option<&Stub>,
    ) -> Result<&Payload> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let kernel = probe::kernel_vdso(abi)?;
        // Whatever its stack says: it has what it is given an image for.
        let there = memory.kernel_vdso()?.unwrap_or_default();
        if there != (vdso_addr, vdso_addr.wrapping_add(kernel.image.len() as u64)) {
            return Err(Error::VdsoPlace { pid: memory.pid() });
        }
        let mut payload = (self.make)(abi, &kernel)?;
        payload.padding = in_padding.and_then(|stub| padding_in(&kernel.image, stub));
        Ok(self.made.get_or_init(|| Box::new(payload)))
    }
}

impl fmt::Debug for Companion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Companion").field(&self.abi).field(&self.made).finish()
    }
}

impl Payload {
    /// What a program of this kind gets; for `memory`'s process, which has the kernel's vDSO at
    /// `vdso_addr`.
    pub(super) fn for_program(
        &self,
        abi: &'static Abi,
        memory: &Memory,
        vdso_addr: u64,
        by: FileBy,
    ) -> Result<&Self> {
        if is_native(abi) {
            return Ok(self);
        }
        let foreign = Error::Foreign { pid: memory.pid(), abi: abi.name };
        let Some(stub) = &abi.stub else { return Err(foreign) };
        if vdso_addr == 0 && stub.without_entry == WithoutEntry::Fails {
            return Err(Error::NoVdso { pid: memory.pid(), abi: abi.name });
        }
        let Some(companion) = self.companion(abi) else { return Err(foreign) };
        // Where the kernel has sealed the one vDSO, it has sealed the other.
        let in_padding = Some(stub).filter(|_| self.padding.is_some());
        let made = match companion.payload(abi, memory, vdso_addr, in_padding) {
            Err(Error::Architecture) => return Err(foreign),
            made => made?,
        };
        // One that nobody follows has inherited the file for programs of the launcher's own kind.
        match by {
            FileBy::Inheritance(_) if !made.file.is_in_file_of(&self.file) => Err(foreign),
            _ => Ok(made),
        }
    }

    /// The file that a stub in a program of this kind asks for.
    pub fn file_for(&self, abi: &Abi) -> Option<BorrowedFd<'_>> {
        if is_native(abi) {
            return Some(self.file.as_fd());
        }
        // Whoever asks has been given its image by this process, or by one whose successor this is.
        Some(match &self.companion(abi)?.file {
            CompanionFile::SameAsPayload => self.file.as_fd(),
            CompanionFile::Own(room) => room.as_fd(),
        })
    }

    /// The image that a program of this kind has, if this process knows it.
    pub(crate) fn image_file(&self, abi: &Abi) -> Option<&ProgramFile> {
        if is_native(abi) {
            return Some(&self.file);
        }
        Some(&self.companion(abi)?.made.get()?.file)
    }

    /// The pages of clocks that programs of other kinds read, as far as there are any yet.
    pub fn other_pages(&self) -> impl Iterator<Item = &OwnPage> {
        let made = self.companions.iter().filter_map(|companion| companion.made.get());
        made.map(|made| &made.file)
            .filter(|file| !file.is_in_file_of(&self.file))
            .map(|file| file.page())
    }

    fn companion(&self, abi: &Abi) -> Option<&Companion> {
        self.companions.iter().find(|companion| companion.abi == abi.name)
    }
}

pub(super) fn is_native(abi: &Abi) -> bool {
    ABIS.first().is_some_and(|first| std::ptr::eq(*first, abi))
}
