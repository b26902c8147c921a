//! `getcpu(2)`.

use core::ffi::c_int;
use core::hint::cold_path;

use vdso_data::counts::Counter;

use crate::{arch, counts, slow};

/// Writes the CPU and its NUMA node; either may be null.
///
/// # Safety
/// What is not null must be writable.
#[inline(always)]
pub unsafe fn getcpu(cpu: *mut u32, node: *mut u32) -> c_int {
    match arch::cpu_and_node() {
        Some(word) => {
            // SAFETY: the caller's promise is passed on.
            let result = unsafe { write(word, cpu, node) };
            if counts::add(Counter::Getcpu as usize) { result } else { count_rarely(result) }
        }
        None => {
            counts::add_rarely(Counter::Getcpu as usize);
            // SAFETY: the caller's promise is passed on.
            unsafe { slow::getcpu(cpu, node) }
        }
    }
}

/// Counts a call that has not been counted, and gives its result.
#[cold]
#[inline(never)]
fn count_rarely(result: c_int) -> c_int {
    counts::add_rarely(Counter::Getcpu as usize);
    result
}

/// Takes the kernel's per-CPU word apart.
///
/// # Safety
/// What is not null must be writable.
#[inline(always)]
pub unsafe fn write(word: u32, cpu: *mut u32, node: *mut u32) -> c_int {
    if !cpu.is_null() {
        // SAFETY: not null, and the caller promises that it is writable then.
        unsafe { cpu.write(word & ((1 << arch::CPU_BITS) - 1)) };
    }
    if !node.is_null() {
        // C libraries' `sched_getcpu` does not ask for it.
        cold_path();
        // SAFETY: as above.
        unsafe { node.write(word >> arch::CPU_BITS) };
    }
    0
}
