//! `getcpu(2)`.

use core::ffi::c_int;

use crate::{arch, pages, slow};

/// Bits of the kernel's per-CPU word that are the CPU's number; the node is above them.
/// `VDSO_CPUNODE_BITS` in `arch/x86/include/asm/segment.h` (Linux 6.18).
const CPU_BITS: u32 = 12;

/// Writes the CPU and its NUMA node; either may be null.
///
/// # Safety
/// What is not null must be writable.
#[inline(always)]
pub unsafe fn getcpu(cpu: *mut u32, node: *mut u32) -> c_int {
    let Some(word) = arch::cpu_and_node(pages::process()) else {
        // SAFETY: the caller's promise is passed on.
        return unsafe { slow::getcpu(cpu, node) };
    };
    if !cpu.is_null() {
        // SAFETY: not null, and the caller promises that it is writable then.
        unsafe { cpu.write(word & ((1 << CPU_BITS) - 1)) };
    }
    if !node.is_null() {
        // SAFETY: as above.
        unsafe { node.write(word >> CPU_BITS) };
    }
    0
}
