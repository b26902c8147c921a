//! A counter with a part for each CPU.

use core::ptr::NonNull;
use core::slice;
use core::sync::atomic::{AtomicU64, Ordering};

use super::{Thread, machine};
use crate::errno::Errno;
use crate::file;
use crate::memory::{self, MAP_PRIVATE_ANONYMOUS, PAGE_BYTES, PROT_READ_WRITE};

/// A counter that threads on different CPUs add to without ever waiting for each other, and without an atomic
/// instruction. It is exact: whatever interrupts an addition, it is made once.
///
/// ```
/// use vdso_client::rseq::PerCpuCounter;
///
/// let requests = PerCpuCounter::new()?;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| (0..1000).for_each(|_| requests.add(1)));
///     }
/// });
/// assert_eq!(requests.sum(), 4000);
/// # Ok::<(), vdso_client::Errno>(())
/// ```
///
/// Each CPU has a part, in cache lines of its own, that threads on it add to by a restartable sequence: preempted, moved
/// to another CPU or interrupted by a signal before the addition, it begins anew. An addition that has been interrupted
/// three times (below a debugger that steps through it), or is made by a thread that nobody has registered, goes to one
/// more part by an atomic instruction. See the [module](super) for whom that is, and for who must not add.
///
/// A forked child has a copy, with what was counted until then. 128 bytes for each CPU that the machine may have.
#[derive(Debug)]
pub struct PerCpuCounter {
    parts: NonNull<Part>,
    /// CPUs beyond add to `rest`.
    count: usize,
    rest: AtomicU64,
}

/// Two lines: processors fetch them in pairs.
#[repr(C, align(128))]
struct Part {
    added: AtomicU64,
}

// SAFETY: the parts are atomics, and the counter's own.
unsafe impl Send for PerCpuCounter {}
// SAFETY: as above.
unsafe impl Sync for PerCpuCounter {}

/// As many as a page has parts for: where `/sys` does not say.
const COUNT_UNKNOWN: usize = PAGE_BYTES / size_of::<Part>();

/// Kernels can be configured for that many. Source: `NR_CPUS` of x86-64 and arm64.
const MOST_CPUS: usize = 8192;

impl PerCpuCounter {
    /// Zero everywhere.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`] without memory.
    pub fn new() -> Result<Self, Errno> {
        let count = possible_cpus().unwrap_or(COUNT_UNKNOWN);
        let bytes = count * size_of::<Part>();
        let pages = memory::map(bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS);
        let parts = pages.ok_or(Errno::ENOMEM)?.cast();
        Ok(Self { parts, count, rest: AtomicU64::new(0) })
    }

    /// Adds, as a thread that the C library has registered.
    #[inline]
    pub fn add(&self, amount: u64) {
        match Thread::of_libc() {
            Some(thread) => self.add_as(thread, amount),
            None => self.add_to_rest(amount),
        }
    }

    /// Adds, as a thread that has registered itself: [`Registration::thread`](super::Registration::thread).
    #[inline]
    pub fn add_as(&self, thread: Thread<'_>, amount: u64) {
        const TRIES: u32 = 3;
        for _ in 0..TRIES {
            // Relaxed: compared with the CPU in the sequence.
            let cpu = thread.area.cpu_id_start.load(Ordering::Relaxed);
            let Some(part) = self.parts().get(cpu as usize) else { break };
            // SAFETY: a `Thread` is its own thread's.
            if unsafe { machine::add_on(thread.area, cpu, &part.added, amount) } {
                return;
            }
        }
        self.add_to_rest(amount);
    }

    #[cold]
    fn add_to_rest(&self, amount: u64) {
        // Relaxed: it stands for itself; so below.
        self.rest.fetch_add(amount, Ordering::Relaxed);
    }

    /// What has been added in all, modulo 2^64. Additions that are made meanwhile are in it or not.
    pub fn sum(&self) -> u64 {
        self.by_cpu().fold(self.rest(), u64::wrapping_add)
    }

    /// What has been added on each CPU, from CPU 0 on, without the [`rest`](Self::rest).
    pub fn by_cpu(&self) -> impl Iterator<Item = u64> {
        self.parts().iter().map(|part| part.added.load(Ordering::Relaxed))
    }

    /// What was added by an atomic instruction.
    pub fn rest(&self) -> u64 {
        self.rest.load(Ordering::Relaxed)
    }

    fn parts(&self) -> &[Part] {
        // SAFETY: pages of this counter's own, which began as zeros, and hold so many parts.
        unsafe { slice::from_raw_parts(self.parts.as_ptr(), self.count) }
    }
}

impl Drop for PerCpuCounter {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nobody adds any more.
        unsafe { memory::unmap(self.parts.cast(), self.count * size_of::<Part>()) };
    }
}

/// How many CPUs the machine may have, with those that are absent or off now.
fn possible_cpus() -> Option<usize> {
    let mut list = [0; 256];
    let bytes = file::read(c"/sys/devices/system/cpu/possible", &mut list)?;
    count_of(list.get(..bytes)?)
}

/// From a list as `0-3` or `0,2-7`: one more than its last number.
fn count_of(list: &[u8]) -> Option<usize> {
    let list = list.strip_suffix(b"\n")?;
    let first_digit = list.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    let last = core::str::from_utf8(list.get(first_digit..)?).ok()?.parse::<usize>().ok()?;
    (last < MOST_CPUS).then_some(last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_counted() {
        for (list, count) in [("0\n", 1), ("0-1\n", 2), ("0,2-7\n", 8), ("0-8191\n", 8192)] {
            assert_eq!(count_of(list.as_bytes()), Some(count), "{list}");
        }
        for list in ["", "\n", "0-\n", "0-1", "0-8192\n", "0-99999999999999999999999\n", "x\n"] {
            assert_eq!(count_of(list.as_bytes()), None, "{list}");
        }
    }

    /// As on a machine with more CPUs than the list has.
    #[test]
    #[cfg(not(miri))]
    fn a_cpu_beyond_the_parts_adds_to_the_rest() {
        let mut counter = PerCpuCounter::new().expect("memory");
        let count = core::mem::replace(&mut counter.count, 0);
        counter.add(3);
        assert_eq!((counter.rest(), counter.sum()), (3, 3));
        counter.count = count;
    }
}
