//! An image in this process, with its two pages behind it.

use core::ffi::{CStr, c_char};
use core::fmt::Write;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use syscalls::{Errno, Sysno};
use vdso_data::architecture::Architecture;
use vdso_data::own::OwnPage;
use vdso_data::process::{COUNTER_MODE, FLAG_CPU_IN_TOD, NEVER_EVEN_SEQ, ProcessPage};
use vdso_elf::Image;

use super::{kernel, optional};
use crate::system;

/// A mapping, for the rest of the process's life.
#[derive(Clone, Copy)]
pub struct Mapped {
    base: *mut u8,
    image: Image<'static>,
    /// The page of clocks.
    pub own: &'static OwnPage,
}

/// The smallest page of memory that a kernel may have.
const PAGE_BYTES: usize = 4 << 10;

const READ: usize = 1;
const WRITE: usize = 2;
const EXECUTE: usize = 4;

/// Source: `asm/mman.h`.
const SHARED: usize = 0x01;
const PRIVATE: usize = 0x02;
const FIXED: usize = 0x10;
const ANONYMOUS: usize =
    if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 0x800 } else { 0x20 };

impl Mapped {
    /// Maps the file `ARCHITECTURE-SOURCE.so` of the current folder.
    pub fn of(architecture: &'static Architecture, source: &str) -> Result<Self, Errno> {
        Self::with(architecture, source, |_| ())
    }

    /// The same, with what `fill` adds to the process page.
    pub fn with(
        architecture: &'static Architecture,
        source: &str,
        fill: impl FnOnce(&ProcessPage),
    ) -> Result<Self, Errno> {
        let mut path = Path::default();
        // What does not fit is no file.
        let _ = write!(path, "{}-{source}.so", architecture.name);
        let file = open(&path)?;
        let bytes = architecture.mapping_bytes();
        let base = map(0, bytes, 0, PRIVATE | ANONYMOUS, usize::MAX)?;
        let base = core::ptr::with_exposed_provenance_mut::<u8>(base);
        map(
            base.expose_provenance(),
            architecture.own_page(),
            READ | EXECUTE,
            PRIVATE | FIXED,
            file,
        )?;
        let own = base.wrapping_add(architecture.own_page()).cast::<OwnPage>();
        map_new(own.cast(), SHARED)?;
        // SAFETY: mapped, writable, aligned to a page, and nobody else's.
        unsafe { own.write(OwnPage::new()) };
        let process = base.wrapping_add(architecture.process_page()).cast::<ProcessPage>();
        map_new(process.cast(), PRIVATE)?;
        // SAFETY: as above.
        unsafe { process.write(page(process.addr())) };
        // SAFETY: written just now; all of its fields are atomics.
        fill(unsafe { &*process });
        // SAFETY: nobody writes to that page any more.
        unsafe { protect(process.cast(), PAGE_BYTES, READ) }?;
        // SAFETY: a file of one page at least, whose mapping stays; what is behind its end is not looked
        // at by a reader that keeps to the load segment.
        let bytes = unsafe { core::slice::from_raw_parts(base, PAGE_BYTES) };
        let length = vdso_elf::extent(bytes).unwrap_or(0);
        // SAFETY: as long as the image says that it is, which the file is as well.
        let bytes = unsafe { core::slice::from_raw_parts(base, length) };
        let image = Image::parse(bytes).map_err(|_| Errno::ENOEXEC)?;
        // SAFETY: mapped for good; all of its fields are atomics.
        Ok(Self { base, image, own: unsafe { &*own } })
    }

    /// The address of an exported function.
    pub fn function(&self, name: &str) -> Option<NonNull<()>> {
        let symbol = self.image.lookup(name, None)?;
        NonNull::new(self.base.wrapping_add(symbol.value as usize).cast())
    }

    /// Makes the image writable; the file stays as it is.
    ///
    /// # Safety
    /// Nobody may refer to what is then written to.
    pub unsafe fn make_writable(&self) -> Result<(), Errno> {
        let bytes = self.image.bytes().len();
        // SAFETY: it adds a permission; the caller answers for what is made of it.
        unsafe { protect(self.base, bytes, READ | WRITE | EXECUTE) }
    }

    /// The ELF file.
    pub fn image(&self) -> &Image<'static> {
        &self.image
    }

    /// Where it is.
    pub fn base(&self) -> usize {
        self.base.addr()
    }
}

/// What the image must know of this process: the kernel's functions, but not its page.
fn page(addr: usize) -> ProcessPage {
    let page = ProcessPage::new();
    // What every kernel of the matrix does there.
    let flags = if cfg!(target_arch = "s390x") { FLAG_CPU_IN_TOD } else { 0 };
    page.flags.store(flags | optional::flags(), Ordering::Relaxed);
    let functions = &page.functions;
    for (slot, function) in [
        (&functions.clock_gettime, kernel::clock_gettime()),
        (&functions.gettimeofday, kernel::gettimeofday()),
        (&functions.getcpu, kernel::getcpu()),
    ] {
        slot.store(kernel::addr(function), Ordering::Relaxed);
    }
    let passed_on = Architecture::CURRENT.into_iter().flat_map(Architecture::passed_on);
    for (slot, export) in functions.forwarded.iter().zip(passed_on) {
        slot.store(kernel::addr(kernel::function(export.name)), Ordering::Relaxed);
    }
    // The addresses that whoever maps the page fills in where the kernel's page is unknown.
    for (field, own) in [
        (&page.clock_mode_addr, COUNTER_MODE),
        (&page.hres.seq_addr, NEVER_EVEN_SEQ),
        (&page.raw.seq_addr, NEVER_EVEN_SEQ),
    ] {
        field.store((addr + own) as u64, Ordering::Relaxed);
    }
    page
}

fn map_new(page: *mut u8, kind: usize) -> Result<usize, Errno> {
    let flags = kind | FIXED | ANONYMOUS;
    map(page.expose_provenance(), PAGE_BYTES, READ | WRITE, flags, usize::MAX)
}

fn map(
    addr: usize,
    bytes: usize,
    protection: usize,
    flags: usize,
    file: usize,
) -> Result<usize, Errno> {
    let arguments = [addr, bytes, protection, flags, file, 0];
    // IBM Z takes the arguments in memory. Source: mmap(2).
    #[cfg(target_arch = "s390x")]
    let arguments = [(&raw const arguments).expose_provenance(), 0, 0, 0, 0, 0];
    #[cfg(any(target_arch = "x86", target_arch = "arm", target_arch = "mips"))]
    let number = Sysno::mmap2;
    #[cfg(not(any(target_arch = "x86", target_arch = "arm", target_arch = "mips")))]
    let number = Sysno::mmap;
    // SAFETY: a new mapping, or one over what was reserved for it.
    unsafe { system::call(number, arguments) }
}

/// # Safety
/// Nobody may write to what becomes read-only, or refer to what becomes writable.
unsafe fn protect(start: *mut u8, bytes: usize, protection: usize) -> Result<(), Errno> {
    let arguments = [start.expose_provenance(), bytes, protection, 0, 0, 0];
    // SAFETY: the caller's promise.
    unsafe { system::call(Sysno::mprotect, arguments) }.map(drop)
}

fn open(path: &Path) -> Result<usize, Errno> {
    const AT_FDCWD: usize = -100_isize as usize;
    let arguments = [AT_FDCWD, path.as_ptr().expose_provenance(), 0, 0, 0, 0];
    // SAFETY: it reads the path, which ends with a zero.
    unsafe { system::call(Sysno::openat, arguments) }
}

/// A path with a zero at its end.
#[derive(Default)]
pub struct Path {
    bytes: [u8; 32],
    length: usize,
}

impl Path {
    pub fn as_ptr(&self) -> *const c_char {
        self.as_c_str().as_ptr()
    }

    pub fn as_c_str(&self) -> &CStr {
        // A zero is always left at the end.
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl Write for Path {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            if self.length + 1 == self.bytes.len() {
                return Err(core::fmt::Error);
            }
            self.bytes[self.length] = byte;
            self.length += 1;
        }
        Ok(())
    }
}
