//! x86-64: the time-stamp counter.

use std::arch::x86_64::{__cpuid, __cpuid_count, __rdtscp};

use vdso_data::process::{FLAG_AVX2, FLAG_RDPID};

/// What the kernel calls it.
pub const CLOCKSOURCE: &str = "tsc";

/// Reads it, ordered after every earlier instruction.
pub fn read() -> u64 {
    let mut aux = 0;
    // SAFETY: every x86-64 whose kernel uses the counter as its clocksource lets user mode read it;
    // `is_usable` tells whether the CPU has the ordered instruction.
    unsafe { __rdtscp(&mut aux) }
}

/// Whether the counter can be read in order. Whether it runs at one rate, the kernel knows better than
/// the CPU's word on it, which many virtual machines hide: it keeps watch, and is asked first.
pub fn is_usable() -> bool {
    const EXTENDED: u32 = 0x8000_0000;
    const RDTSCP: u32 = 1 << 27;
    __cpuid(EXTENDED).eax > EXTENDED && __cpuid(EXTENDED + 1).edx & RDTSCP != 0
}

/// What the image may use of the CPU: RDPID, which reads the kernel's per-CPU word in one instruction,
/// and AVX2, if the kernel keeps its registers.
pub fn image_flags() -> u32 {
    const RDPID: u32 = 1 << 22;
    let has_rdpid = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ecx & RDPID != 0;
    let rdpid = if has_rdpid { FLAG_RDPID } else { 0 };
    let avx2 = if is_x86_feature_detected!("avx2") { FLAG_AVX2 } else { 0 };
    rdpid | avx2
}
