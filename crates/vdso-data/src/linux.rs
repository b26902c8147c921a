//! Where Linux keeps its clocks: the layouts of `[vvar]`.
//!
//! The layout is not an interface of the kernel's, and distributions backport changes of it, so a
//! layout is never chosen by a version number. Here are the facts; `vdso-host` compares them with
//! the running kernel's type information and then with the kernel's own answers.
//!
//! Sources: `include/vdso/datapage.h` in Linux 5.9, 6.1, 6.12, 6.15 and 6.18; the type information of
//! Debian's kernels 6.1, 6.12, 7.2 and 7.3 for amd64 and arm64.

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
    /// Of MONOTONIC_RAW's `struct vdso_clock`.
    pub raw: usize,
    /// Within such a structure: `seq`; `clock_mode` follows it.
    pub seq: usize,
    /// Within such a structure: `cycle_last`.
    pub cycle_last: usize,
    /// Within such a structure: `mult`; `shift` follows it.
    pub mult: usize,
    /// Within such a structure: `basetime`.
    pub basetime: usize,
}

impl Layout {
    /// Two clocks of `clock_bytes` each, the first at `place`; members by their offsets in a clock.
    const fn of(place: usize, clock_bytes: usize, members: Members) -> Self {
        let Members { mult, basetime } = members;
        Self { hres: place, raw: place + clock_bytes, seq: 0, cycle_last: 8, mult, basetime }
    }

    /// The same clocks, further back in the page.
    pub const fn moved(self, bytes: usize) -> Self {
        Self { hres: self.hres + bytes, raw: self.raw + bytes, ..self }
    }
}

/// What differs between clocks.
struct Members {
    mult: usize,
    basetime: usize,
}

/// `mask` alone is between `cycle_last` and `mult`.
const WITHOUT_MAX_CYCLES: Members = Members { mult: 0x18, basetime: 0x20 };
/// `max_cycles` and `mask` are: `CONFIG_GENERIC_VDSO_OVERFLOW_PROTECT`, which x86 has.
const WITH_MAX_CYCLES: Members = Members { mult: 0x20, basetime: 0x28 };

/// Where `_vdso_data` is in `[vvar]` on x86 before 6.13: `arch/x86/include/asm/vvar.h`. In 6.13 there,
/// and on other architectures, it is at the beginning.
const VVAR_PLACE: usize = 128;

/// Linux 5.9 to 6.9 on x86-64: `struct vdso_data`, an array of two.
pub const LINUX_5_9: Layout = Layout::of(VVAR_PLACE, 0xf0, WITHOUT_MAX_CYCLES);
/// Linux 6.10 to 6.12 on x86-64.
pub const LINUX_6_10: Layout = Layout::of(VVAR_PLACE, 0xf8, WITH_MAX_CYCLES);
/// Linux 6.13 and 6.14 on x86-64.
pub const LINUX_6_13: Layout = Layout::of(0, 0xf8, WITH_MAX_CYCLES);
/// Linux 6.15 to 7.3 on x86-64: `struct vdso_time_data` at offset 0, clocks in `clock_data[2]`.
pub const LINUX_6_15: Layout = Layout::of(0, 0xe8, WITH_MAX_CYCLES);
/// Linux 5.9 to 6.14 on arm64.
pub const LINUX_5_9_ARM64: Layout = Layout::of(0, 0xf0, WITHOUT_MAX_CYCLES);
/// Linux 6.15 to 7.3 on arm64.
pub const LINUX_6_15_ARM64: Layout = Layout::of(0, 0xe0, WITHOUT_MAX_CYCLES);

/// Every layout that is recognised, with the name it is reported by.
pub const LAYOUTS: &[(&str, Layout)] = &[
    ("Linux 5.9 to 6.9", LINUX_5_9),
    ("Linux 6.10 to 6.12", LINUX_6_10),
    ("Linux 6.13 and 6.14", LINUX_6_13),
    ("Linux 6.15 and later", LINUX_6_15),
    ("Linux 5.9 to 6.14 on arm64", LINUX_5_9_ARM64),
    ("Linux 6.15 and later on arm64", LINUX_6_15_ARM64),
];
