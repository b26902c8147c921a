//! A registration of one's own, where no C library has made one.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::{AREA_BYTES, Area, SIGNATURE, Thread, UNREGISTER, feature_bytes, rseq};
use crate::errno::Errno;
use crate::memory::{self, MAP_PRIVATE_ANONYMOUS, PAGE_BYTES, PROT_READ_WRITE};

/// This thread's registration with the kernel, until it is dropped. Each has a page of its own. A forked child's only
/// thread has it, too.
///
/// ```
/// use vdso_client::rseq::{NotRegistered, Registration};
///
/// match Registration::new() {
///     Ok(registration) => println!("on CPU {:?}", registration.thread().cpu()),
///     Err(NotRegistered::Taken) => println!("the C library has registered this thread"),
///     Err(error) => println!("{error}"),
/// }
/// ```
///
/// A registration that is forgotten ([`core::mem::forget`]) lasts as long as its thread, and its page as long as the
/// process.
#[derive(Debug)]
pub struct Registration {
    area: NonNull<Area>,
    /// As registered: the kernel wants the same number back.
    area_bytes: usize,
    of_this_thread: PhantomData<*const ()>,
}

impl Registration {
    /// Registers this thread. Three system calls at most (mmap, rseq, munmap), and what [`auxv`](crate::auxv) says.
    ///
    /// # Errors
    /// See [`NotRegistered`].
    pub fn new() -> Result<Self, NotRegistered> {
        if Thread::of_libc().and_then(Thread::cpu).is_some() {
            return Err(NotRegistered::Taken);
        }
        let page = memory::map(PAGE_BYTES, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS);
        let page = page.ok_or(NotRegistered::NoMemory)?;
        let area = page.cast::<Area>();
        // Kernels of more fields want room for all of them, and serve who gives it faster (Linux 7.1).
        let wanted_bytes = (feature_bytes() as usize).max(AREA_BYTES);
        let area_bytes = if wanted_bytes <= PAGE_BYTES { wanted_bytes } else { AREA_BYTES };
        // SAFETY: a page of zeros, which are such an area.
        let fields = unsafe { area.as_ref() };
        // Until the kernel has written a CPU there.
        fields.cpu_id.store(u32::MAX, Ordering::Relaxed);
        // SAFETY: the page stays until `drop` has unregistered it.
        if let Err(error) = unsafe { rseq(area.as_ptr(), area_bytes, 0, SIGNATURE) } {
            // SAFETY: mapped above, and not registered.
            unsafe { memory::unmap(page, PAGE_BYTES) };
            return Err(NotRegistered::of(error));
        }
        Ok(Self { area, area_bytes, of_this_thread: PhantomData })
    }

    /// What the kernel writes there.
    #[inline(always)]
    pub fn thread(&self) -> Thread<'_> {
        // SAFETY: this page stays as long as `self`.
        Thread::new(unsafe { self.area.as_ref() })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let area = self.area.as_ptr();
        // SAFETY: registers nothing.
        if unsafe { rseq(area, self.area_bytes, UNREGISTER, SIGNATURE) }.is_ok() {
            // SAFETY: mapped by `new`, and the kernel does not know of it any more. Otherwise it might, and the page stays.
            unsafe { memory::unmap(self.area.cast(), PAGE_BYTES) };
        }
    }
}

/// Why a thread could not be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotRegistered {
    /// It is registered: by the C library, an allocator, or another [`Registration`].
    Taken,
    /// There is no memory for it.
    NoMemory,
    /// The kernel, or a filter, has said no: [`Errno::ENOSYS`] before Linux 4.18.
    Refused(Errno),
}

impl NotRegistered {
    fn of(error: Errno) -> Self {
        match error {
            // The kernel's words for another area, another signature, and the same of both.
            Errno::EINVAL | Errno::EPERM | Errno::EBUSY => Self::Taken,
            error => Self::Refused(error),
        }
    }
}

impl fmt::Display for NotRegistered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => formatter.write_str("the thread has a registration for rseq already"),
            Self::NoMemory => formatter.write_str("there is no memory for a registration"),
            Self::Refused(error) => write!(formatter, "rseq: {error}"),
        }
    }
}

impl core::error::Error for NotRegistered {}
