//! arm64: the virtual counter.

use vdso_data::process::FLAG_CNTVCTSS;

/// What the kernel calls it.
pub const CLOCKSOURCE: &str = "arch_sys_counter";

/// Whether the CPU has the register that is read in order by itself.
pub fn image_flags() -> u32 {
    /// `arch/arm64/include/uapi/asm/hwcap.h`.
    const HWCAP2_ECV: libc::c_ulong = 1 << 19;
    // SAFETY: only asks.
    let capabilities = unsafe { libc::getauxval(libc::AT_HWCAP2) };
    if capabilities & HWCAP2_ECV != 0 { FLAG_CNTVCTSS } else { 0 }
}
