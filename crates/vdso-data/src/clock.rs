//! Clock ids, as in `include/uapi/linux/time.h`, and which of them a vDSO answers.

/// Wall-clock time, settable.
pub const REALTIME: u32 = 0;
/// Time since boot without suspend, never set, slewed by NTP.
pub const MONOTONIC: u32 = 1;
/// Processor time of a process, which nobody moves.
pub const PROCESS_CPUTIME_ID: u32 = 2;
/// Like [`MONOTONIC`], not slewed.
pub const MONOTONIC_RAW: u32 = 4;
/// [`REALTIME`] as of the last timer tick.
pub const REALTIME_COARSE: u32 = 5;
/// [`MONOTONIC`] as of the last timer tick.
pub const MONOTONIC_COARSE: u32 = 6;
/// [`MONOTONIC`] plus the time suspended.
pub const BOOTTIME: u32 = 7;
/// [`REALTIME`], for timers that wake a machine.
pub const REALTIME_ALARM: u32 = 8;
/// [`BOOTTIME`], for timers that wake a machine.
pub const BOOTTIME_ALARM: u32 = 9;
/// [`REALTIME`] without leap seconds.
pub const TAI: u32 = 11;

/// Clock ids below this one have a line in a page; `VDSO_BASES` in the kernel.
pub const LINES: usize = 12;

/// The clocks that are computed from the counter, as a bit set of ids.
pub const HIGH_RESOLUTION: u32 =
    1 << REALTIME | 1 << MONOTONIC | 1 << MONOTONIC_RAW | 1 << BOOTTIME | 1 << TAI;
/// The clocks that advance with the timer tick, as a bit set of ids. Whoever moves a fine clock moves
/// its coarse twin alike.
pub const COARSE: u32 = 1 << REALTIME_COARSE | 1 << MONOTONIC_COARSE;

/// The clocks of [`HIGH_RESOLUTION`] that may be set, and so may go back.
pub const SETTABLE: u32 = 1 << REALTIME | 1 << TAI;

/// The clocks of [`HIGH_RESOLUTION`], one by one.
pub const HIGH_RESOLUTION_IDS: [u32; 5] = [REALTIME, MONOTONIC, MONOTONIC_RAW, BOOTTIME, TAI];

/// The fine clock that a coarse one is as of the last tick; any other id is its own.
#[inline(always)]
pub const fn fine_twin(id: u32) -> u32 {
    match id {
        REALTIME_COARSE => REALTIME,
        MONOTONIC_COARSE => MONOTONIC,
        _ => id,
    }
}

/// The clock whose time this one shows: itself, for all but those that wake a machine, which have no line.
#[inline(always)]
pub const fn shown_by(clock: u32) -> u32 {
    match clock {
        REALTIME_ALARM => REALTIME,
        BOOTTIME_ALARM => BOOTTIME,
        _ => clock,
    }
}

/// Whether `clock` is in `set`. Any id may be asked about, as any comes from a caller.
#[inline(always)]
pub const fn is_in(clock: u32, set: u32) -> bool {
    clock < u32::BITS && (set >> clock) & 1 == 1
}
