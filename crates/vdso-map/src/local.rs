//! An image in this very process: to validate it, to measure it, to test it.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;

use nix::sys::mman::{
    MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap,
};
use vdso_data::PAGE_BYTES;
use vdso_data::counts::{COUNTS_BYTES, TABLE_BYTES};
use vdso_data::process::{ProcessPage, Template};
use vdso_data::sync::Ordering;

use crate::counts::{COUNTING_BYTES, CountsFile};
use crate::error::{Attempt, Error, Result};
use crate::file::ImageFile;

/// An image mapped here, until it is dropped.
#[derive(Debug)]
pub struct LocalImage {
    mapping: NonNull<u8>,
    bytes: NonZeroUsize,
    _counting: Option<Counting>,
}

impl LocalImage {
    /// Maps `file` at an address of the kernel's choice, for a process whose kernel vDSO is at
    /// `vdso_addr`. An image for other programs than this one is an error.
    pub fn map(file: &ImageFile, template: &Template, vdso_addr: u64) -> Result<Self> {
        Self::map_page(file, template.page_for(vdso_addr), None)
    }

    /// The same for an image that [counts](vdso_image::counting), which counts there. Any thread of this process may call it, but
    /// on a CPU or below a kernel that does not let programs read their thread pointer they all share their counts.
    pub fn map_counting(
        file: &ImageFile,
        template: &Template,
        vdso_addr: u64,
        counts: &CountsFile,
    ) -> Result<Self> {
        let counting = Counting::map(counts)?;
        let page = template.page_for(vdso_addr);
        let (table_addr, counts_addr) = counting.addrs();
        // Relaxed: nobody has the page yet.
        page.counts_addr.store(counts_addr, Ordering::Relaxed);
        if has_thread_pointer() {
            page.counts_table_addr.store(table_addr, Ordering::Relaxed);
        }
        Self::map_page(file, page, Some(counting))
    }

    fn map_page(file: &ImageFile, page: ProcessPage, counting: Option<Counting>) -> Result<Self> {
        if file.architecture().name != vdso_image::ARCHITECTURE.name {
            return Err(Error::Architecture);
        }
        let bytes = NonZeroUsize::new(file.mapping_bytes()).expect("a file is not empty");
        let image_protection = ProtFlags::PROT_READ | ProtFlags::PROT_EXEC;
        let fd = file.as_fd();
        // SAFETY: a new mapping at an address of the kernel's choice.
        let mapping = unsafe { mmap(None, bytes, image_protection, MapFlags::MAP_PRIVATE, fd, 0) }
            .map_err(failed)?
            .cast();
        let local = Self { mapping, bytes, _counting: counting };
        local.map_own_page(fd)?;
        local.map_process_page(page)?;
        Ok(local)
    }

    /// The image's ELF header.
    pub fn image_addr(&self) -> usize {
        self.mapping.as_ptr() as usize + vdso_image::IMAGE
    }

    /// Address of an exported function, which is in the image.
    pub fn function(&self, name: &str) -> Option<usize> {
        let bytes = vdso_image::OWN_PAGE - vdso_image::IMAGE;
        // SAFETY: that many bytes are mapped there, readable, until drop.
        let image = unsafe { std::slice::from_raw_parts(self.image_addr() as *const u8, bytes) };
        let offset = vdso_elf::Image::parse(image).ok()?.lookup(name, None)?.file_offset?;
        Some(self.image_addr() + offset)
    }

    fn map_own_page(&self, fd: BorrowedFd<'_>) -> Result<()> {
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        let at = self.page_addr(vdso_image::OWN_PAGE);
        let page = NonZeroUsize::new(PAGE_BYTES).expect("a page is not empty");
        let offset = vdso_image::OWN_PAGE as libc::off_t;
        // SAFETY: replaces a page of our own mapping that nobody has looked at yet.
        unsafe { mmap(Some(at), page, ProtFlags::PROT_READ, flags, fd, offset) }.map_err(failed)?;
        Ok(())
    }

    fn map_process_page(&self, page: ProcessPage) -> Result<()> {
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
        let at = self.page_addr(vdso_image::PROCESS_PAGE);
        page.place_at(at.get() as u64);
        let length = NonZeroUsize::new(PAGE_BYTES).expect("a page is not empty");
        let writable = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: replaces a page of our own mapping that nobody has looked at yet.
        let mapped =
            unsafe { mmap_anonymous(Some(at), length, writable, flags) }.map_err(failed)?;
        // SAFETY: a fresh, writable, aligned page of our own.
        unsafe { mapped.cast().write(page) };
        // SAFETY: takes a right away from that page, to which there is no reference.
        unsafe { mprotect(mapped, PAGE_BYTES, ProtFlags::PROT_READ) }.map_err(failed)
    }

    fn page_addr(&self, offset: usize) -> NonZeroUsize {
        self.mapping.addr().saturating_add(offset)
    }
}

impl Drop for LocalImage {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length; whoever kept a function's address has been told
        // that the mapping ends here.
        let _ = unsafe { munmap(self.mapping.cast(), self.bytes.get()) };
    }
}

/// The table by which this process's threads find their counts, and the counts behind it.
#[derive(Debug)]
struct Counting(NonNull<u8>);

impl Counting {
    fn map(counts: &CountsFile) -> Result<Self> {
        let bytes = |bytes| NonZeroUsize::new(bytes).expect("not empty");
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let all = bytes(COUNTING_BYTES);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { mmap_anonymous(None, all, protection, MapFlags::MAP_PRIVATE) };
        let counting = Self(start.map_err(failed)?.cast());
        // SAFETY: the mapping that was just made. A child of `fork` finds its table empty.
        unsafe { madvise(counting.0.cast(), TABLE_BYTES, MmapAdvise::MADV_WIPEONFORK) }
            .map_err(failed)?;
        let at = counting.0.addr().saturating_add(TABLE_BYTES);
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        // SAFETY: replaces a part of that mapping.
        unsafe { mmap(Some(at), bytes(COUNTS_BYTES), protection, flags, counts.as_fd(), 0) }
            .map_err(failed)?;
        Ok(counting)
    }

    /// Of the table, and of the counts.
    fn addrs(&self) -> (u64, u64) {
        let start = self.0.addr().get() as u64;
        (start, start + TABLE_BYTES as u64)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length; an image that counts here is unmapped before.
        let _ = unsafe { munmap(self.0.cast(), COUNTING_BYTES) };
    }
}

/// Whether programs may read their thread pointer by an instruction, as an image that counts does.
#[cfg(target_arch = "x86_64")]
pub fn has_thread_pointer() -> bool {
    /// `HWCAP2_FSGSBASE` of `arch/x86/include/uapi/asm/hwcap2.h`.
    const FSGSBASE: libc::c_ulong = 1 << 1;
    // SAFETY: only asks.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & FSGSBASE != 0 }
}

/// As above: no image counts here.
#[cfg(not(target_arch = "x86_64"))]
pub fn has_thread_pointer() -> bool {
    false
}

fn failed(errno: nix::errno::Errno) -> Error {
    Error::System { attempt: Attempt::Map, errno }
}

#[cfg(test)]
mod tests {
    use vdso_data::architecture::Architecture;
    use vdso_image::Source;

    use super::*;
    use crate::file::ImageRoom;

    #[test]
    fn an_image_for_other_programs_is_not_mapped() {
        // What is in the file does not matter here.
        let image = vdso_image::bytes(Source::Chain);
        let native = ImageFile::create("test", image).expect("it has a file");
        let map = |file: &ImageFile| LocalImage::map(file, &Template::default(), 0);
        assert!(map(&native).is_ok());
        if native.architecture().twin.is_some() {
            let twin = native.twin(image, &[]).expect("there is room");
            assert!(matches!(map(&twin), Err(Error::Architecture)));
        }
        let name = native.architecture().companion;
        if let Some(companion) = name.and_then(Architecture::named) {
            let room = ImageRoom::create(companion, "test").expect("memory");
            // The smallest that is at hand: this image may be longer than that one's room.
            let host = vdso_host::Host::find().expect("maps");
            let file = room.fill(&host.image, &[]).expect("there is room");
            assert!(matches!(map(&file), Err(Error::Architecture)));
        }
    }
}
