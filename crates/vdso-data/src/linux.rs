//! Where Linux keeps its clocks: the layouts of `[vvar]`.
//!
//! The layout is not an interface of the kernel's, and distributions backport changes of it, so a
//! layout is never chosen by a version number. Here are the facts; the timekeeper compares them with
//! the running kernel's type information and then with the kernel's own answers.
//!
//! Sources: `include/vdso/datapage.h` in Linux 5.9, 6.1, 6.12, 6.15 and 6.18.

/// `VDSO_CLOCKMODE_NONE`: the counter is unusable, ask the kernel.
pub const CLOCK_MODE_NONE: u32 = 0;
/// The first counter mode of every architecture; on x86 `VDSO_CLOCKMODE_TSC`.
pub const CLOCK_MODE_COUNTER: u32 = 1;
/// `VDSO_CLOCKMODE_TIMENS`: this is a time namespace's page, the clocks are on another.
pub const CLOCK_MODE_TIMENS: u32 = i32::MAX as u32;

/// One `basetime` entry: u64 seconds, u64 nanoseconds (shifted left in the fine clocks).
pub const BASETIME_BYTES: usize = 16;

/// Byte offsets within the `[vvar]` mapping, all that a reader needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Of the fine clocks' `struct vdso_clock` (before 6.15 `struct vdso_data`).
    pub hres: usize,
    /// Of MONOTONIC_RAW's.
    pub raw: usize,
    /// Within such a structure: `seq`; `clock_mode` follows it.
    pub seq: usize,
    /// Within it: `cycle_last`.
    pub cycle_last: usize,
    /// Within it: `mult`; `shift` follows it.
    pub mult: usize,
    /// Within it: `basetime`.
    pub basetime: usize,
}

/// Linux 6.15 to 7.3 on x86-64: `struct vdso_time_data` at offset 0, clocks in `clock_data[2]`.
pub const LINUX_6_15: Layout =
    Layout { hres: 0, raw: 0xe8, seq: 0, cycle_last: 8, mult: 0x20, basetime: 0x28 };

/// Every layout that is recognised, with the name it is reported by.
pub const LAYOUTS: &[(&str, Layout)] = &[("Linux 6.15 and later", LINUX_6_15)];
