//! What not every CPU of an architecture has, as injection finds it out.

/// The flags of a process page on this CPU.
#[cfg(target_arch = "x86_64")]
pub fn flags() -> u32 {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    use vdso_data::process::{FLAG_AVX2, FLAG_RDRAND};
    const RDRAND: u32 = 1 << 30;
    const AVX2: u32 = 1 << 5;
    /// The kernel keeps what the CPU has beyond SSE: Linux then keeps AVX' registers.
    const OSXSAVE: u32 = 1 << 27;
    let features = __cpuid_count(7, 0);
    let has_avx2 = features.ebx & AVX2 != 0 && __cpuid(1).ecx & OSXSAVE != 0;
    let rdrand = if __cpuid(1).ecx & RDRAND != 0 { FLAG_RDRAND } else { 0 };
    rdpid(features.ecx) | rdrand | if has_avx2 { FLAG_AVX2 } else { 0 }
}

/// As above. Kernels of 32 bits leave what RDPID reads alone, unless their own vDSO reads it.
#[cfg(target_arch = "x86")]
pub fn flags() -> u32 {
    use core::arch::x86::__cpuid_count;
    if super::kernel::getcpu().is_some() { rdpid(__cpuid_count(7, 0).ecx) } else { 0 }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn rdpid(features: u32) -> u32 {
    const RDPID: u32 = 1 << 22;
    if features & RDPID != 0 { vdso_data::process::FLAG_RDPID } else { 0 }
}

/// As above.
#[cfg(target_arch = "aarch64")]
pub fn flags() -> u32 {
    const AT_HWCAP2: usize = 26;
    /// Source: `arch/arm64/include/uapi/asm/hwcap.h` (Linux 6.18).
    const ECV: usize = 1 << 19;
    let features = crate::system::auxiliary(AT_HWCAP2).unwrap_or(0);
    if features & ECV != 0 { vdso_data::process::FLAG_CNTVCTSS } else { 0 }
}

/// As above: nothing is.
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
pub fn flags() -> u32 {
    0
}
