//! The bytes of type information, wherever they are.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::slice;

/// See the module.
pub enum Content<'a> {
    /// Read a page at a time, as sysfs gives it.
    File(File),
    /// The kernel's own memory, since Linux 6.16.
    Mapped(Mapping),
    /// The caller's.
    Memory(&'a [u8]),
}

impl Content<'static> {
    /// Of a file of the kernel's, mapped where that is possible.
    pub fn open(path: &str) -> io::Result<(Self, usize)> {
        let file = File::open(path)?;
        let bytes = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        let content = Mapping::new(&file, bytes).map_or(Self::File(file), Self::Mapped);
        Ok((content, bytes))
    }
}

impl Content<'_> {
    /// The bytes at a place, copied only where they have to be read. `None` if they are not all there.
    pub fn get(&self, at: usize, bytes: usize) -> Option<Cow<'_, [u8]>> {
        let memory = match self {
            Self::Memory(memory) => memory,
            Self::Mapped(mapping) => mapping.bytes(),
            Self::File(file) => {
                let mut read = vec![0; bytes];
                file.read_exact_at(&mut read, at as u64).ok()?;
                return Some(Cow::Owned(read));
            }
        };
        memory.get(at..at.checked_add(bytes)?).map(Cow::Borrowed)
    }
}

/// A file of the kernel's, mapped until this is dropped.
pub struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    /// `None` where the kernel does not map it, or the file is somebody else's, who could shorten it.
    fn new(file: &File, bytes: usize) -> Option<Self> {
        if !is_of_kernel(file) || bytes == 0 {
            return None;
        }
        let (protection, flags) = (libc::PROT_READ, libc::MAP_PRIVATE);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, protection, flags, file.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return None;
        }
        Some(Self { start: NonNull::new(start.cast())?, bytes })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: mapped as long until drop, and the kernel neither changes nor takes away its types.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and no reference outlives this.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Whether it is in sysfs.
fn is_of_kernel(file: &File) -> bool {
    /// `SYSFS_MAGIC` of `include/uapi/linux/magic.h`.
    const SYSFS: u32 = 0x6265_6572;
    // SAFETY: all zeros is a valid value.
    let mut system: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is ours.
    let result = unsafe { libc::fstatfs(file.as_raw_fd(), &mut system) };
    result == 0 && system.f_type as u32 == SYSFS
}
