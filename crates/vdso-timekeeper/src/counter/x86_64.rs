//! x86-64: the time-stamp counter.

use core::arch::x86_64::__cpuid;

/// Reads it, ordered after every earlier instruction.
pub fn read() -> u64 {
    // SAFETY: every x86-64 whose kernel uses the counter as its clocksource lets user mode read it;
    // `is_usable` tells whether the CPU has the ordered instruction.
    unsafe { vdso_arch::counter!() }
}

/// Whether the counter can be read in order. Whether it runs at one rate, the kernel knows better than
/// the CPU's word on it, which many virtual machines hide: it keeps watch, and is asked first.
pub fn is_usable() -> bool {
    /// Every CPU of this architecture has it: it says that there are 64 bits.
    const EXTENDED_FEATURES: u32 = 0x8000_0001;
    const RDTSCP: u32 = 1 << 27;
    __cpuid(EXTENDED_FEATURES).edx & RDTSCP != 0
}
