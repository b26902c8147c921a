//! arm64: the virtual counter.

use std::arch::asm;

use vdso_data::process::FLAG_CNTVCTSS;

/// What the kernel calls it.
pub const CLOCKSOURCE: &str = "arch_sys_counter";

/// Reads it, ordered after every earlier instruction.
pub fn read() -> u64 {
    let cycles: u64;
    // SAFETY: reads a counter, which Linux lets user mode do or does in its place. Not `nomem`, so
    // that the compiler, too, keeps memory accesses in place.
    unsafe {
        asm!("isb", "mrs {}, cntvct_el0", "isb", out(reg) cycles, options(nostack, preserves_flags));
    };
    cycles
}

/// The architecture has it run at one rate. Where a CPU has a fault there, Linux does not let its own
/// vDSO read it: the kernel's page tells that, and only such a page is trusted without being asked.
pub fn is_usable() -> bool {
    true
}

/// Whether the CPU has the register that is read in order by itself.
pub fn image_flags() -> u32 {
    /// `arch/arm64/include/uapi/asm/hwcap.h`.
    const HWCAP2_ECV: libc::c_ulong = 1 << 19;
    // SAFETY: only asks.
    let capabilities = unsafe { libc::getauxval(libc::AT_HWCAP2) };
    if capabilities & HWCAP2_ECV != 0 { FLAG_CNTVCTSS } else { 0 }
}
