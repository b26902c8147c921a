//! Programs of another kind than the launcher, which the same kernel executes: i386 ones on x86-64.
//!
//! Their image and what it must know of the kernel's vDSO are others. The kernel's vDSO for them is in
//! their own processes alone, so what they get is made when the first of them comes.

use std::cell::OnceCell;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use super::memory::Memory;
use super::{FileBy, Payload, padding_in};
use crate::arch::{ABIS, Abi};
use crate::error::{Error, Result};

/// Makes what such programs get, from their kind and the kernel's vDSO that they have. An error if there is no image for them.
pub type Make = Box<dyn Fn(&'static Abi, &[u8]) -> Result<Payload>>;

/// What is put into programs of one other kind.
pub struct Companion {
    make: Make,
    made: OnceCell<(&'static Abi, Box<Payload>)>,
}

impl Companion {
    /// Nothing is made yet.
    pub fn new(make: Make) -> Self {
        Self { make, made: OnceCell::new() }
    }
}

impl fmt::Debug for Companion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Companion").field(&self.made).finish()
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
        // Where C libraries find a vDSO they take `AT_SYSINFO` for granted, which is the kernel's to give.
        if vdso_addr == 0 {
            return Err(Error::NoVdso { pid: memory.pid(), abi: abi.name });
        }
        let foreign = Error::Foreign { pid: memory.pid(), abi: abi.name };
        // One that nobody follows has inherited the file for programs of the launcher's own kind.
        let (Some(companion), FileBy::Request) = (&self.companion, by) else {
            return Err(foreign);
        };
        if companion.made.get().is_none() {
            let vdso = memory.mapping_at(vdso_addr)?;
            let mut payload = (companion.make)(abi, &vdso).map_err(|error| match error {
                Error::Architecture => foreign,
                error => error,
            })?;
            // Where the kernel has sealed the one, it has sealed the other.
            let stub = abi.stub.as_ref().filter(|_| self.padding.is_some());
            payload.padding = stub.and_then(|stub| padding_in(&vdso, stub));
            let _ = companion.made.set((abi, Box::new(payload)));
        }
        self.made_for(abi).ok_or(Error::Foreign { pid: memory.pid(), abi: abi.name })
    }

    /// The file that a stub in a program of this kind asks for.
    pub fn file_for(&self, abi: &Abi) -> Option<BorrowedFd<'_>> {
        let payload = if is_native(abi) { Some(self) } else { self.made_for(abi) };
        payload.map(|payload| payload.file.as_fd())
    }

    fn made_for(&self, abi: &Abi) -> Option<&Self> {
        let (made_for, payload) = self.companion.as_ref()?.made.get()?;
        std::ptr::eq(*made_for, abi).then_some(payload)
    }
}

fn is_native(abi: &Abi) -> bool {
    ABIS.first().is_some_and(|first| std::ptr::eq(*first, abi))
}
