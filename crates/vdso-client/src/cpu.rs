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
//! | [`Way::Rdpid`] | x86-64, a processor with RDPID, and a kernel whose own answer is the same |
//! | [`Way::Rseq`] | a C library that registers threads ([`rseq`](crate::rseq)), Linux 6.3 |
//! | [`Way::Getcpu`] | nothing: [`getcpu()`](crate::getcpu()), by the vDSO's function or the system call |
//!
//! The answer may be old by the time it is looked at, as that of getcpu(2): the thread may have moved. In a child that shares its
//! parent's memory (vfork(2)) the second way gives where the parent was. After [`without_vdso`](crate::without_vdso) the system
//! call is made.

use core::sync::atomic::{AtomicU8, Ordering, fence};

use crate::calls::getcpu::{Cpu, getcpu};
use crate::errno::Errno;
use crate::resolve;
use crate::rseq::Thread;

/// How [`current`] finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Way {
    /// An instruction that reads a register which the kernel keeps for each CPU.
    Rdpid = 1,
    /// What the kernel has written where the C library has registered the thread.
    Rseq = 2,
    /// The call.
    Getcpu = 3,
}

/// A [`Way`]; zero: nobody has asked yet.
static WAY: AtomicU8 = AtomicU8::new(0);

/// The CPU that this thread runs on, and its node.
///
/// # Errors
/// As [`getcpu()`](crate::getcpu()).
#[inline(always)]
pub fn current() -> Result<Cpu, Errno> {
    // Relaxed: one word that stands for itself.
    match by(WAY.load(Ordering::Relaxed)) {
        Some(here) => Ok(here),
        None => unusual(),
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

/// `None` if it takes a call, or if nobody has asked yet.
#[inline(always)]
fn by(way: u8) -> Option<Cpu> {
    #[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
    if way == Way::Rdpid as u8 {
        return Some(rdpid::read());
    }
    if way == Way::Rseq as u8 { Thread::of_libc()?.cpu_and_node() } else { None }
}

/// The first call, and those that take a call.
#[cold]
fn unusual() -> Result<Cpu, Errno> {
    match by(way() as u8) {
        Some(here) => Ok(here),
        None => getcpu(),
    }
}

fn find() -> Way {
    let generation = resolve::generation();
    let way = best();
    WAY.store(way as u8, Ordering::Relaxed);
    // SeqCst: the store and the load must not pass each other, as in `Slot::resolve`.
    fence(Ordering::SeqCst);
    if resolve::generation() != generation {
        forget();
    }
    way
}

fn best() -> Way {
    if resolve::is_turned_off() {
        return Way::Getcpu;
    }
    #[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
    if rdpid::is_kernels() {
        return Way::Rdpid;
    }
    let here = Thread::of_libc().and_then(Thread::cpu_and_node);
    if here.is_some() { Way::Rseq } else { Way::Getcpu }
}

/// For a change of the image, which has changed the generation before.
pub(crate) fn forget() {
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
        let word: u64;
        // SAFETY: the processor has the instruction, as `is_kernels` has found; it reads a register alone.
        unsafe { asm!("rdpid {}", out(reg) word, options(nomem, nostack, preserves_flags)) };
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
