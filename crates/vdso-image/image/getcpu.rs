//! `getcpu(2)`.

use core::ffi::c_int;
use core::hint::cold_path;

use vdso_data::counts::Counter;

use crate::counts::{self, Caller};
use crate::{arch, slow};

/// Writes the CPU and its NUMA node; either may be null.
///
/// # Safety
/// What is not null must be writable.
#[inline(always)]
pub unsafe fn getcpu(cpu: *mut u32, node: *mut u32) -> c_int {
    let caller = Caller::current();
    match arch::cpu_and_node() {
        Some(word) => {
            // SAFETY: the caller's promise is passed on, here and below.
            let result = unsafe { write(word, cpu, node) };
            caller.count(Counter::Getcpu as usize, result)
        }
        // SAFETY: as above.
        None => unsafe { unusual(cpu, node) },
    }
}

/// Counts a call that takes more than a look, and makes it.
///
/// # Safety
/// What is not null must be writable.
#[inline(always)]
unsafe fn unusual(cpu: *mut u32, node: *mut u32) -> c_int {
    if cfg!(counts) {
        // SAFETY: the caller's promise is passed on, here and below.
        return unsafe { counted(cpu, node) };
    }
    // SAFETY: as above.
    unsafe { slow::getcpu(cpu, node) }
}

/// # Safety
/// What is not null must be writable.
#[cold]
#[inline(never)]
unsafe fn counted(cpu: *mut u32, node: *mut u32) -> c_int {
    counts::count_rarely(Counter::Getcpu as usize, ());
    // SAFETY: the caller's promise is passed on.
    unsafe { slow::getcpu(cpu, node) }
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
