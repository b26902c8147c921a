//! What the tests share: images in memory that are not the kernel's, and one lock for the one thing
//! that all calls of a process share, the image that they go to.

// Each test file is a program of its own and uses its part of this.
#![allow(dead_code)]

pub mod process;

use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};
use vdso_client::{ClockId, Timespec, Vdso, system_call};
use vdso_elf::Image;
use vdso_image::Source;

/// Which image calls go to is one for the process, and tests run side by side in it.
pub struct OneAtATime(#[allow(dead_code)] MutexGuard<'static, ()>);

impl OneAtATime {
    pub fn begin() -> Self {
        static LOCK: Mutex<()> = Mutex::new(());
        Self(LOCK.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for OneAtATime {
    fn drop(&mut self) {
        vdso_client::reset();
    }
}

/// Machine code: `mov rax, -38; ret`.
pub const ANSWERS_ENOSYS: &[u8] = &[0x48, 0xc7, 0xc0, 0xda, 0xff, 0xff, 0xff, 0xc3];
/// Machine code: `mov rax, -1; ret`, with no time written.
pub const ANSWERS_EPERM: &[u8] = &[0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xc3];
/// `test rdi, rdi; je +7; mov qword [rdi], -38; mov rax, -38; ret`: a time that looks like `ENOSYS`.
pub const TIME_IS_MINUS_38: &[u8] = &[
    0x48, 0x85, 0xff, 0x74, 7, 0x48, 0xc7, 0x07, 0xda, 0xff, 0xff, 0xff, 0x48, 0xc7, 0xc0, 0xda,
    0xff, 0xff, 0xff, 0xc3,
];
/// `test rdi, rdi; je +7; mov qword [rdi], 7; mov eax, 7; ret`.
pub const TIME_IS_7: &[u8] =
    &[0x48, 0x85, 0xff, 0x74, 7, 0x48, 0xc7, 0x07, 7, 0, 0, 0, 0xb8, 7, 0, 0, 0, 0xc3];
/// A getrandom that writes nothing and says that it did, but for what it needs: 144 bytes of memory that may
/// be dropped. `cmp r8, -1; jne +23; mov dword [rcx], 144; mov dword [rcx + 4], 3; mov dword [rcx + 8], 0x28;
/// xor eax, eax; ret; mov rax, rsi; ret`.
pub const GETRANDOM_SAYS_THAT_IT_WROTE: &[u8] = &[
    0x49, 0x83, 0xf8, 0xff, 0x75, 23, 0xc7, 0x01, 144, 0, 0, 0, 0xc7, 0x41, 4, 3, 0, 0, 0, 0xc7,
    0x41, 8, 0x28, 0, 0, 0, 0x31, 0xc0, 0xc3, 0x48, 0x89, 0xf0, 0xc3,
];
/// `mov eax, -22; ret`.
pub const ANSWERS_EINVAL: &[u8] = &[0xb8, 0xea, 0xff, 0xff, 0xff, 0xc3];
/// `mov qword [rsi], 7; mov qword [rsi + 8], 9; xor eax, eax; ret`.
pub const WRITES_7_9_TO_SECOND: &[u8] =
    &[0x48, 0xc7, 0x06, 7, 0, 0, 0, 0x48, 0xc7, 0x46, 8, 9, 0, 0, 0, 0x31, 0xc0, 0xc3];
/// The same to `rdi`.
pub const WRITES_7_9_TO_FIRST: &[u8] =
    &[0x48, 0xc7, 0x07, 7, 0, 0, 0, 0x48, 0xc7, 0x47, 8, 9, 0, 0, 0, 0x31, 0xc0, 0xc3];
/// `mov dword [rdi], 3; mov dword [rsi], 4; xor eax, eax; ret`.
pub const WRITES_3_AND_4: &[u8] =
    &[0xc7, 0x07, 3, 0, 0, 0, 0xc7, 0x06, 4, 0, 0, 0, 0x31, 0xc0, 0xc3];

/// An image of ours, to be changed. Its functions are all replaced before they are called, so it needs
/// no pages.
pub struct Draft(Vec<u8>);

impl Draft {
    /// Every function answers `ENOSYS`.
    pub fn new() -> Self {
        let mut draft = Self(vdso_image::bytes(Source::Chain).to_vec());
        let calls =
            ["clock_gettime", "clock_getres", "gettimeofday", "time", "getcpu", "getrandom"];
        for name in calls {
            draft.code(name, ANSWERS_ENOSYS);
        }
        draft
    }

    /// Replaces a function's code.
    pub fn code(&mut self, name: &str, code: &[u8]) -> &mut Self {
        let image = Image::parse(&self.0).expect("an image of ours");
        let symbol = image.lookup(&format!("__vdso_{name}"), None).expect("a function of ours");
        let at = image.file_offset(symbol.value).expect("it is inside");
        self.0[at..at + code.len()].copy_from_slice(code);
        self
    }

    /// Takes a function away.
    pub fn hide(&mut self, name: &str) -> &mut Self {
        let image = Image::parse(&self.0).expect("an image of ours");
        let symbol = image.lookup(&format!("__vdso_{name}"), None).expect("a function of ours");
        let at = symbol.section_index_offset;
        self.0[at..at + 2].fill(0);
        self
    }

    /// Replaces text in the string table by text of the same length.
    pub fn rename(&mut self, from: &str, to: &str) -> &mut Self {
        assert_eq!(from.len(), to.len());
        let at = self.0.windows(from.len()).position(|window| window == from.as_bytes());
        let at = at.expect("the text is there");
        self.0[at..at + to.len()].copy_from_slice(to.as_bytes());
        self
    }

    /// Maps it for good.
    pub fn map(&self) -> Vdso<'static> {
        let address = map_executable(&self.0);
        // SAFETY: an image of ours, mapped for good.
        unsafe { Vdso::from_ptr(address.as_ptr()) }.expect("an image of ours")
    }

    /// Maps it, and makes all calls go there.
    pub fn adopt(&self) {
        // SAFETY: mapped for good, and each function is of its type.
        unsafe { vdso_client::adopt(self.map()) }.expect("an image in pages");
    }
}

fn map_executable(bytes: &[u8]) -> NonNull<u8> {
    let length = bytes.len().next_multiple_of(4096).try_into().expect("it is not empty");
    let flags = MapFlags::MAP_PRIVATE;
    let writable = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let mapping =
        unsafe { mmap_anonymous(None, length, writable, flags) }.expect("there is memory");
    // SAFETY: the mapping is ours, writable and as long.
    unsafe {
        mapping.cast::<u8>().copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len())
    };
    let executable = ProtFlags::PROT_READ | ProtFlags::PROT_EXEC;
    // SAFETY: nobody refers to it yet.
    unsafe { mprotect(mapping, length.get(), executable) }.expect("it may be executable");
    mapping.cast()
}

/// The kernel's own time.
pub fn kernels(id: ClockId) -> Timespec {
    system_call::clock_gettime(id).expect("a clock that every kernel has")
}

/// `read` must give a time between two of the kernel's, moved by `shift_ns`, give or take.
#[track_caller]
pub fn assert_between(
    id: ClockId,
    shift_ns: i128,
    tolerance_ns: i128,
    read: impl FnOnce() -> Timespec,
) {
    let before_ns = kernels(id).as_nanos() + shift_ns - tolerance_ns;
    let now_ns = read().as_nanos();
    let after_ns = kernels(id).as_nanos() + shift_ns + tolerance_ns;
    assert!(
        (before_ns..=after_ns).contains(&now_ns),
        "{:?}: {now_ns} is not in {before_ns}..={after_ns}",
        id.name()
    );
}
