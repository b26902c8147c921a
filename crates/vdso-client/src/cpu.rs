//! The CPU that a thread runs on, inlined into the caller.
//!
//! ```
//! let here = vdso_client::cpu::current()?;
//! println!("CPU {}, node {}", here.cpu, here.node);
//! # Ok::<(), vdso_client::Errno>(())
//! ```
//!
//! The first call looks for the best of these ways, and [`way`] says which it is:
//!
//! | way | needs |
//! |---|---|
//! | [`Way::Rseq`] | a C library that registers threads ([`crate::rseq`]), Linux 6.3 |
//! | [`Way::Rdpid`] | x86-64, a processor with RDPID, and a kernel whose own answer is the same |
//! | [`Way::Getcpu`] | nothing: [`getcpu()`](crate::getcpu()), by the vDSO's function or the system call |
//!
//! The answer may be old by the time it is looked at, as that of getcpu(2): the thread may have moved. In a child that shares its
//! parent's memory (vfork(2)) the first way gives where the parent was. After [`without_vdso`](crate::without_vdso) the system
//! call is made. A process that goes on on another machine, restored from a checkpoint, looks anew after [`reset`](crate::reset).

use core::sync::atomic::{AtomicIsize, AtomicU8, Ordering, fence};

use crate::calls::getcpu::{Cpu, getcpu};
use crate::errno::Errno;
use crate::resolve;
use crate::rseq::{self, Thread};

/// How [`current`] finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Way {
    /// What the kernel has written where the C library has registered the thread.
    Rseq = 1,
    /// An instruction that reads a register which the kernel keeps for each CPU.
    Rdpid = 2,
    /// The call.
    Getcpu = 3,
}

/// A [`Way`]; zero: nobody has asked yet.
static WAY: AtomicU8 = AtomicU8::new(0);

/// Where the C library registers threads, if that is the way: so a read need not look for its variables. Zero, where
/// none has its registration: another way.
static OFFSET: AtomicIsize = AtomicIsize::new(0);

/// The CPU that this thread runs on, and its node.
///
/// # Errors
/// As [`getcpu()`](crate::getcpu()).
#[inline(always)]
pub fn current() -> Result<Cpu, Errno> {
    match by_rseq().or_else(by_rdpid) {
        Some(here) => Ok(here),
        None => unpacked(unusual()),
    }
}

/// How [`current`] finds out here.
pub fn way() -> Way {
    match WAY.load(Ordering::Relaxed) {
        0 => find(),
        way if way == Way::Rdpid as u8 => Way::Rdpid,
        way if way == Way::Rseq as u8 => Way::Rseq,
        _ => Way::Getcpu,
    }
}

/// `None` if it is not the way, or if this thread is not registered any more.
#[inline(always)]
fn by_rseq() -> Option<Cpu> {
    // Relaxed: one word that stands for itself.
    let offset = OFFSET.load(Ordering::Relaxed);
    if offset == 0 {
        return None;
    }
    // SAFETY: `find` has it from there.
    unsafe { Thread::at(offset) }?.written_cpu_and_node()
}

/// `None` if it is not the way.
#[inline(always)]
fn by_rdpid() -> Option<Cpu> {
    #[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
    if WAY.load(Ordering::Relaxed) == Way::Rdpid as u8 {
        return Some(rdpid::read());
    }
    None
}

/// The first call, and those that take a call. In one word: a result in memory would have the usual answer go through
/// memory, too, which takes four times as long as to find it.
#[cold]
#[inline(never)]
fn unusual() -> i64 {
    // Looks for the way.
    way();
    let answer = match by_rseq().or_else(by_rdpid) {
        Some(here) => Ok(here),
        None => getcpu(),
    };
    match answer {
        Ok(Cpu { cpu, node }) => i64::from(node) << u32::BITS | i64::from(cpu),
        Err(error) => -i64::from(error.raw()),
    }
}

/// What [`unusual`] has packed. A node's number is below 2^31, so no answer is negative.
#[inline(always)]
fn unpacked(packed: i64) -> Result<Cpu, Errno> {
    if packed < 0 {
        return Err(Errno::from_raw((-packed) as i32));
    }
    Ok(Cpu { cpu: packed as u32, node: (packed >> u32::BITS) as u32 })
}

fn find() -> Way {
    let generation = resolve::generation();
    let (way, offset) = best();
    OFFSET.store(offset, Ordering::Relaxed);
    WAY.store(way as u8, Ordering::Relaxed);
    // SeqCst: the stores and the load must not pass each other, as in `Slot::resolve`.
    fence(Ordering::SeqCst);
    if resolve::generation() != generation {
        forget();
    }
    way
}

/// The way, and the offset that goes with it.
fn best() -> (Way, isize) {
    if resolve::is_turned_off() {
        return (Way::Getcpu, 0);
    }
    let is_registered = Thread::of_libc().and_then(Thread::cpu_and_node).is_some();
    if let Some(offset) = rseq::libc_offset().filter(|offset| is_registered && *offset != 0) {
        return (Way::Rseq, offset);
    }
    #[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
    if rdpid::is_kernels() {
        return (Way::Rdpid, 0);
    }
    (Way::Getcpu, 0)
}

/// For a change of the image, which has changed the generation before.
pub(crate) fn forget() {
    OFFSET.store(0, Ordering::Relaxed);
    WAY.store(0, Ordering::Relaxed);
}

/// The register TSC_AUX, which Linux writes on each CPU, and which its own vDSO reads. Source: Intel SDM, RDPID;
/// `arch/x86/include/asm/vdso/processor.h` (Linux 6.18).
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
mod rdpid {
    use core::arch::asm;
    use core::arch::x86_64::{__cpuid, __cpuid_count};

    use super::Cpu;
    use crate::system_call;

    #[inline(always)]
    pub fn read() -> Cpu {
        // The processor takes the instruction for one that needs what was in the register before: a constant does not wait.
        let mut word = 0_u64;
        // SAFETY: the processor has the instruction, as `is_kernels` has found; it reads a register alone.
        unsafe { asm!("rdpid {}", inout(reg) word, options(nomem, nostack, preserves_flags)) };
        /// How many bits the CPU has; the node is above.
        const CPU_BITS: u32 = 12;
        let word = word as u32;
        Cpu { cpu: word & ((1 << CPU_BITS) - 1), node: word >> CPU_BITS }
    }

    /// Whether the processor has it, and it says what the kernel says: below an emulated kernel it is the host's.
    pub fn is_kernels() -> bool {
        /// One is enough unless the thread moves to another CPU meanwhile.
        const TRIES: u32 = 100;
        has_instruction()
            && (0..TRIES)
                .find_map(|_| {
                    let before = read();
                    let asked = system_call::getcpu();
                    (read() == before).then(|| asked == Ok(before))
                })
                .unwrap_or(false)
    }

    #[allow(unused_unsafe, reason = "safe since Rust 1.94")]
    fn has_instruction() -> bool {
        /// Leaf 7, ECX. Source: Intel SDM, CPUID.
        const RDPID: u32 = 1 << 22;
        // SAFETY: every x86-64 processor has the instruction, and leaf 0.
        let leaves = unsafe { __cpuid(0) }.eax;
        // SAFETY: as above; looked at only if there is such a leaf.
        leaves >= 7 && unsafe { __cpuid_count(7, 0) }.ecx & RDPID != 0
    }
}
