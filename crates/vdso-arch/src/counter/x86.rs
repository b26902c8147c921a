//! x86: the time-stamp counter.

/// The counter's lower and upper 32 bits, not before any earlier instruction and load is done: RDTSCP waits for
/// them. So two reads that are ordered by the program, on whatever CPUs, are ordered in the counter.
///
/// The processor must have RDTSCP, and the program must be allowed to read the counter.
#[macro_export]
macro_rules! counter_halves {
    () => {{
        let (low, high): (u32, u32);
        ::core::arch::asm!("rdtscp", out("eax") low, out("edx") high, out("ecx") _, options(nostack));
        (low, high)
    }};
}

/// The counter as a `u64`, as [`counter_halves!`] reads it.
#[macro_export]
macro_rules! counter {
    () => {{
        let (low, high) = $crate::counter_halves!();
        u64::from(high) << 32 | u64::from(low)
    }};
}

/// The counter as a `u64`, after all earlier instructions and before all later ones, on any processor.
///
/// The program must be allowed to read the counter.
#[macro_export]
macro_rules! counter_fenced {
    () => {{
        let (low, high): (u32, u32);
        ::core::arch::asm!(
            "lfence",
            "rdtsc",
            "lfence",
            out("eax") low,
            out("edx") high,
            options(nostack)
        );
        u64::from(high) << 32 | u64::from(low)
    }};
}

/// The counter's lower and upper 32 bits at any moment that the processor likes: before or after its
/// neighbours. This one is `nomem`: the compiler may move it, too.
///
/// The program must be allowed to read the counter.
#[macro_export]
macro_rules! counter_halves_unordered {
    () => {{
        let (low, high): (u32, u32);
        ::core::arch::asm!("rdtsc", out("eax") low, out("edx") high, options(nostack, nomem));
        (low, high)
    }};
}
