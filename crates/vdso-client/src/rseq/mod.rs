//! Restartable sequences (`rseq`): what the kernel writes into a thread's memory whenever the thread goes on: its CPU,
//! that CPU's node, and its concurrency id; and counters for each CPU that need no atomic instruction.
//!
//! ```
//! use vdso_client::rseq;
//!
//! match rseq::Thread::of_libc().and_then(|thread| thread.cpu()) {
//!     Some(cpu) => println!("on CPU {cpu}, without a system call"),
//!     None => println!("no C library has registered this thread"),
//! }
//! ```
//!
//! # Who registers
//!
//! A thread has one registration, and its owner is whoever came first. glibc registers every thread from version 2.35 on
//! (`GLIBC_TUNABLES=glibc.pthread.rseq=0` turns that off) and says where by three symbols, which are looked for at link time
//! as weak ones: [`Thread::of_libc`]. Elsewhere a thread may register itself: [`Registration`].
//!
//! | | x86-64 | arm64 | others |
//! |---|---|---|---|
//! | the C library's registration | yes | yes | no |
//! | a registration of one's own | yes | yes | yes |
//! | [`PerCpuCounter`] without atomic instructions | yes | no | no |
//!
//! # When not to use it
//!
//! A child that shares its parent's memory and is no thread of it (vfork(2), clone(2) with `CLONE_VM` alone) has no
//! registration and reads its parent's: where the parent was. Its additions to a [`PerCpuCounter`] may get lost, or lose
//! others'. The answer of [`Thread::cpu`] may be old at once, as that of getcpu(2).
//!
//! Sources: `include/uapi/linux/rseq.h`, `kernel/rseq.c` (Linux 6.18) and `Documentation/userspace-api/rseq.rst` (7.1); the
//! glibc manual, "Restartable Sequences".

#[cfg(all(target_arch = "aarch64", target_pointer_width = "64", not(miri)))]
#[path = "aarch64.rs"]
mod machine;
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
#[path = "x86_64.rs"]
mod machine;
#[cfg(not(all(
    any(target_arch = "aarch64", target_arch = "x86_64"),
    target_pointer_width = "64",
    not(miri)
)))]
#[path = "other.rs"]
mod machine;

mod c_library;
#[cfg(target_has_atomic = "64")]
mod counter;
mod registration;

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::arch::{self, NUMBERS};
use crate::auxv;
use crate::calls::getcpu::Cpu;
use crate::errno::Errno;

pub(crate) use self::c_library::offset as libc_offset;
#[cfg(target_has_atomic = "64")]
pub use self::counter::PerCpuCounter;
pub use self::registration::{NotRegistered, Registration};

/// `struct rseq` as far as every registration reaches: 32 bytes.
#[derive(Debug)]
#[repr(C, align(32))]
struct Area {
    /// A possible CPU, also before the thread is registered.
    cpu_id_start: AtomicU32,
    /// The CPU, or negative: the thread is not registered.
    cpu_id: AtomicU32,
    /// The address of the sequence that is under way, for the kernel; zero: none. 64 bits.
    rseq_cs: [AtomicU32; 2],
    flags: AtomicU32,
    node_id: AtomicU32,
    mm_cid: AtomicU32,
    reserved: AtomicU32,
}

/// The registered length that every kernel takes.
const AREA_BYTES: usize = 32;
const _: () = assert!(size_of::<Area>() == AREA_BYTES);

/// Where the fields end, as `AT_RSEQ_FEATURE_SIZE` counts: a kernel that says less does not write them.
const NODE_ID_END: u32 = 24;
const MM_CID_END: u32 = 28;

/// What kernels write that do not say how much (before Linux 6.3).
const FIRST_FEATURE_BYTES: u32 = 20;

/// This thread's registration, to be read.
///
/// It stays with its thread:
///
/// ```compile_fail
/// let thread = vdso_client::rseq::Thread::of_libc();
/// std::thread::spawn(move || thread.and_then(|thread| thread.cpu()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Thread<'a> {
    area: &'a Area,
    of_this_thread: PhantomData<*const ()>,
}

impl<'a> Thread<'a> {
    /// The C library's registration of this thread; `None` without such a C library, where that has been told not to
    /// register, and on architectures other than x86-64 and arm64.
    #[inline(always)]
    pub fn of_libc() -> Option<Thread<'static>> {
        let offset = libc_offset()?;
        // SAFETY: the C library's.
        unsafe { Thread::at(offset) }
    }

    /// # Safety
    /// `offset` must be [`libc_offset`]'s.
    #[inline(always)]
    pub(crate) unsafe fn at(offset: isize) -> Option<Thread<'static>> {
        let area = c_library::area_at(offset)?;
        // SAFETY: the C library's, which has 32 bytes or more and stays as long as the thread; the kernel alone writes
        // to it, and this crate by atomics.
        Some(Thread::new(unsafe { area.as_ref() }))
    }

    fn new(area: &'a Area) -> Self {
        Self { area, of_this_thread: PhantomData }
    }

    /// The CPU that this thread runs on; `None` if it is not registered any more.
    #[inline(always)]
    pub fn cpu(self) -> Option<u32> {
        // Relaxed: one word that the kernel has written when this thread went on.
        cpu_of(self.area.cpu_id.load(Ordering::Relaxed))
    }

    /// The CPU and its node; `None` as above, and before Linux 6.3.
    #[inline(always)]
    pub fn cpu_and_node(self) -> Option<Cpu> {
        if feature_bytes() < NODE_ID_END { None } else { self.written_cpu_and_node() }
    }

    /// The same on a kernel that is known to write both.
    #[inline(always)]
    pub(crate) fn written_cpu_and_node(self) -> Option<Cpu> {
        loop {
            let cpu = self.cpu()?;
            // Relaxed: as above. Between the two this thread may have moved.
            let node = self.area.node_id.load(Ordering::Relaxed);
            if self.cpu() == Some(cpu) {
                return Some(Cpu { cpu, node });
            }
        }
    }

    /// The kernel's `mm_cid`: a number that no other thread of this memory has as long as both run. It is less than the number
    /// of CPUs that the machine may have, small where few threads run, and changes as the CPU does. `None` as above.
    #[inline(always)]
    pub fn concurrency_id(self) -> Option<u32> {
        if feature_bytes() < MM_CID_END {
            return None;
        }
        let id = self.area.mm_cid.load(Ordering::Relaxed);
        // The kernel writes both, or neither.
        self.cpu().map(|_| id)
    }
}

/// The concurrency id of this thread by the C library's registration: see [`Thread::concurrency_id`].
///
/// ```
/// if let Some(id) = vdso_client::rseq::concurrency_id() {
///     println!("of all threads that run now, this one alone has {id}");
/// }
/// ```
#[inline(always)]
pub fn concurrency_id() -> Option<u32> {
    Thread::of_libc()?.concurrency_id()
}

/// `RSEQ_CPU_ID_UNINITIALIZED` (-1) and `RSEQ_CPU_ID_REGISTRATION_FAILED` (-2) are no CPUs.
#[inline(always)]
fn cpu_of(cpu_id: u32) -> Option<u32> {
    (cpu_id as i32 >= 0).then_some(cpu_id)
}

/// What the kernel has said; zero: it has not been asked.
static FEATURE_BYTES: AtomicU32 = AtomicU32::new(0);

/// How many bytes of a registration this kernel writes.
#[inline(always)]
fn feature_bytes() -> u32 {
    // Relaxed: one word that stands for itself.
    match FEATURE_BYTES.load(Ordering::Relaxed) {
        0 => ask_feature_bytes(),
        bytes => bytes,
    }
}

#[cold]
fn ask_feature_bytes() -> u32 {
    /// Source: `include/uapi/linux/auxvec.h`.
    const AT_RSEQ_FEATURE_SIZE: usize = 27;
    let said = auxv::look_up(auxv::order(), AT_RSEQ_FEATURE_SIZE);
    let said = said.map_or(0, |(_, bytes)| u32::try_from(bytes).unwrap_or(0));
    let bytes = said.max(FIRST_FEATURE_BYTES);
    FEATURE_BYTES.store(bytes, Ordering::Relaxed);
    bytes
}

/// Stands before each abort handler, so that no other code is taken for one. On these two architectures glibc
/// registers the same; on the others nobody has an abort handler here.
#[cfg(target_arch = "aarch64")]
const SIGNATURE: u32 = 0xd428_bc00;
#[cfg(not(target_arch = "aarch64"))]
const SIGNATURE: u32 = 0x5305_3053;

/// `RSEQ_FLAG_UNREGISTER`.
const UNREGISTER: usize = 1;

/// # Safety
/// With no flag, the area and as many bytes must stay until this thread has ended or is unregistered.
unsafe fn rseq(
    area: *const Area,
    bytes: usize,
    flags: usize,
    signature: u32,
) -> Result<isize, Errno> {
    let arguments = [area.expose_provenance(), bytes, flags, signature as usize, 0, 0];
    // SAFETY: the caller's promise; the kernel writes to these bytes alone.
    Errno::check(unsafe { arch::system_call(NUMBERS.rseq, arguments) })
}

/// Whether the kernel has the C library's registration for the thread that asks. A child that shares its parent's memory
/// is told no, though it finds the parent's.
#[cfg(target_has_atomic = "64")]
pub(crate) fn is_registered_by_libc() -> bool {
    let bytes = c_library::bytes();
    let Some(area) = libc_offset().and_then(c_library::area_at) else { return false };
    // With another signature nothing is taken away: it is looked at last.
    // SAFETY: registers nothing.
    let answer = unsafe { rseq(area.as_ptr(), bytes.max(AREA_BYTES), UNREGISTER, !SIGNATURE) };
    answer == Err(Errno::EPERM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(cpu_id: i32) -> Area {
        Area {
            cpu_id_start: AtomicU32::new(0),
            cpu_id: AtomicU32::new(cpu_id as u32),
            rseq_cs: [const { AtomicU32::new(0) }; 2],
            flags: AtomicU32::new(0),
            node_id: AtomicU32::new(1),
            mm_cid: AtomicU32::new(2),
            reserved: AtomicU32::new(0),
        }
    }

    #[test]
    fn what_is_not_registered_is_on_no_cpu() {
        for cpu_id in [-1, -2] {
            let area = area(cpu_id);
            let thread = Thread::new(&area);
            assert_eq!((thread.cpu(), thread.cpu_and_node()), (None, None));
            assert_eq!(thread.concurrency_id(), None);
        }
        assert_eq!(Thread::new(&area(7)).cpu(), Some(7));
    }

    /// In one test, as what the kernel has said is the process's.
    #[test]
    fn fields_that_the_kernel_does_not_write_are_not_read() {
        let area = area(3);
        let thread = Thread::new(&area);
        let said = feature_bytes();
        for (bytes, node, id) in [(20, None, None), (24, Some(1), None), (28, Some(1), Some(2))] {
            FEATURE_BYTES.store(bytes, Ordering::Relaxed);
            let read = (thread.cpu_and_node().map(|it| it.node), thread.concurrency_id());
            assert_eq!(read, (node, id), "{bytes}");
        }
        FEATURE_BYTES.store(said, Ordering::Relaxed);
    }
}
