//! x86-64: the time-stamp counter.

use std::arch::x86_64::{__cpuid, __cpuid_count};

use vdso_data::process::{FLAG_AVX2, FLAG_RDPID};

/// What the kernel calls it.
pub const CLOCKSOURCE: &str = "tsc";

/// What the image may use of the CPU: RDPID, which reads the kernel's per-CPU word in one instruction,
/// and AVX2, if the kernel keeps its registers.
pub fn image_flags() -> u32 {
    const RDPID: u32 = 1 << 22;
    let has_rdpid = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ecx & RDPID != 0;
    let rdpid = if has_rdpid { FLAG_RDPID } else { 0 };
    let avx2 = if is_x86_feature_detected!("avx2") { FLAG_AVX2 } else { 0 };
    rdpid | avx2
}
