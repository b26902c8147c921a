//! The counter that lines are functions of: the same one that the image reads.

/// Reads it, ordered after every earlier instruction.
#[cfg(target_arch = "x86_64")]
pub fn read() -> u64 {
    let mut aux = 0;
    // SAFETY: every x86-64 whose kernel uses the counter as its clocksource lets user mode read it;
    // `is_usable` tells whether the CPU has the ordered instruction.
    unsafe { std::arch::x86_64::__rdtscp(&mut aux) }
}

/// Whether the counter can be read in order and runs at one rate in every state of the CPU.
#[cfg(target_arch = "x86_64")]
pub fn is_usable() -> bool {
    use std::arch::x86_64::__cpuid;
    const EXTENDED: u32 = 0x8000_0000;
    const RDTSCP: u32 = 1 << 27;
    const INVARIANT: u32 = 1 << 8;
    __cpuid(EXTENDED).eax >= EXTENDED + 7
        && __cpuid(EXTENDED + 1).edx & RDTSCP != 0
        && __cpuid(EXTENDED + 7).edx & INVARIANT != 0
}

/// Reads it, ordered after every earlier instruction.
#[cfg(target_arch = "aarch64")]
pub fn read() -> u64 {
    let cycles: u64;
    // SAFETY: reads a counter, which Linux lets user mode do or does in its place.
    unsafe {
        std::arch::asm!("isb", "mrs {}, cntvct_el0", out(reg) cycles, options(nostack));
    };
    cycles
}

/// The architecture has it run at one rate.
#[cfg(target_arch = "aarch64")]
pub fn is_usable() -> bool {
    true
}
