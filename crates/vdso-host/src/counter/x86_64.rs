//! x86-64: the time-stamp counter.

use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

use vdso_data::process::{FLAG_AVX2, FLAG_RDPID};

/// What the kernel calls it.
pub const CLOCKSOURCE: &str = "tsc";

/// What the image may use of the CPU: RDPID, which reads the kernel's per-CPU word in one instruction,
/// and AVX2, if the kernel keeps its registers.
///
/// As few questions as can be: in a virtual machine each takes as long as ten system calls. Whoever has XSAVE, which
/// leaf 13 describes, has leaf 7.
pub fn image_flags() -> u32 {
    const OSXSAVE: u32 = 1 << 27;
    const AVX: u32 = 1 << 28;
    const AVX2: u32 = 1 << 5;
    const RDPID: u32 = 1 << 22;
    let usual = __cpuid(1).ecx;
    if usual & OSXSAVE == 0 {
        return 0;
    }
    let more = __cpuid_count(7, 0);
    let rdpid = if more.ecx & RDPID != 0 { FLAG_RDPID } else { 0 };
    let has_avx2 = usual & AVX != 0 && more.ebx & AVX2 != 0 && keeps_registers();
    rdpid | if has_avx2 { FLAG_AVX2 } else { 0 }
}

/// Whether the kernel keeps the registers that AVX has besides SSE's.
fn keeps_registers() -> bool {
    const SSE_AND_AVX: u64 = 0b110;
    // SAFETY: `OSXSAVE` says that there is the instruction, and that user mode may execute it.
    let kept = unsafe { enabled() };
    kept & SSE_AND_AVX == SSE_AND_AVX
}

/// `XCR0`.
///
/// # Safety
/// The CPU must have XSAVE, and the kernel must have turned it on.
#[target_feature(enable = "xsave")]
fn enabled() -> u64 {
    // SAFETY: this register is there wherever the instruction is.
    unsafe { _xgetbv(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_what_the_standard_library_finds() {
        let has = |flag| image_flags() & flag != 0;
        assert_eq!(has(FLAG_AVX2), is_x86_feature_detected!("avx2"));
        // It says nothing of RDPID.
        let has_rdpid = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ecx & 1 << 22 != 0;
        assert_eq!(has(FLAG_RDPID), has_rdpid);
    }
}
