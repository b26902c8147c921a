//! Which clock.

use core::fmt;

use vdso_data::clock;

/// The id of a clock, as clock_gettime(2) takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ClockId(i32);

impl ClockId {
    /// Wall-clock time, which may be set.
    pub const REALTIME: Self = Self(clock::REALTIME as i32);
    /// Time since some point before boot, without suspend; never set.
    pub const MONOTONIC: Self = Self(clock::MONOTONIC as i32);
    /// CPU time of this process. Always a system call, as for each clock that no vDSO knows.
    pub const PROCESS_CPUTIME: Self = Self(2);
    /// CPU time of this thread.
    pub const THREAD_CPUTIME: Self = Self(3);
    /// As [`MONOTONIC`](Self::MONOTONIC), at the rate of the hardware alone.
    pub const MONOTONIC_RAW: Self = Self(clock::MONOTONIC_RAW as i32);
    /// [`REALTIME`](Self::REALTIME) as of the last timer tick.
    pub const REALTIME_COARSE: Self = Self(clock::REALTIME_COARSE as i32);
    /// [`MONOTONIC`](Self::MONOTONIC) as of the last timer tick.
    pub const MONOTONIC_COARSE: Self = Self(clock::MONOTONIC_COARSE as i32);
    /// As [`MONOTONIC`](Self::MONOTONIC), and the time suspended.
    pub const BOOTTIME: Self = Self(clock::BOOTTIME as i32);
    /// International atomic time.
    pub const TAI: Self = Self(clock::TAI as i32);
    /// [`REALTIME`](Self::REALTIME), for timers that wake a suspended machine. Always a system call, which
    /// fails with [`EINVAL`](crate::Errno::EINVAL) where no device could wake it.
    pub const REALTIME_ALARM: Self = Self(8);
    /// [`BOOTTIME`](Self::BOOTTIME), likewise.
    pub const BOOTTIME_ALARM: Self = Self(9);
    /// The kernel's auxiliary clocks, which are steered by themselves (Linux 6.17). One that nobody has
    /// turned on is an error, [`ENODEV`](crate::Errno::ENODEV).
    pub const AUX: [Self; 8] = {
        let mut ids = [Self(16); 8];
        let mut index = 0;
        while index < ids.len() {
            ids[index] = Self(16 + index as i32);
            index += 1;
        }
        ids
    };

    /// The clocks that a vDSO may answer.
    pub const OF_VDSO: [Self; 7] = [
        Self::REALTIME,
        Self::MONOTONIC,
        Self::MONOTONIC_RAW,
        Self::REALTIME_COARSE,
        Self::MONOTONIC_COARSE,
        Self::BOOTTIME,
        Self::TAI,
    ];

    /// Any id: those of a process or thread by clock_getcpuclockid(3), of a device by its file
    /// descriptor, or one that a newer kernel has.
    pub const fn from_raw(id: i32) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The name of the clock without `CLOCK_`, for those that have a constant here.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::REALTIME => "REALTIME",
            Self::MONOTONIC => "MONOTONIC",
            Self::PROCESS_CPUTIME => "PROCESS_CPUTIME_ID",
            Self::THREAD_CPUTIME => "THREAD_CPUTIME_ID",
            Self::MONOTONIC_RAW => "MONOTONIC_RAW",
            Self::REALTIME_COARSE => "REALTIME_COARSE",
            Self::MONOTONIC_COARSE => "MONOTONIC_COARSE",
            Self::BOOTTIME => "BOOTTIME",
            Self::TAI => "TAI",
            Self::REALTIME_ALARM => "REALTIME_ALARM",
            Self::BOOTTIME_ALARM => "BOOTTIME_ALARM",
            Self(id @ 16..=23) => {
                const NAMES: [&str; 8] =
                    ["AUX0", "AUX1", "AUX2", "AUX3", "AUX4", "AUX5", "AUX6", "AUX7"];
                NAMES[id as usize - 16]
            }
            _ => return None,
        })
    }

    /// Whether a page of ours has the clock as a line over the counter.
    #[inline(always)]
    pub(crate) const fn is_fine(self) -> bool {
        clock::is_in(self.0 as u32, clock::HIGH_RESOLUTION)
    }

    /// Whether the clock advances with the timer tick.
    #[inline(always)]
    pub(crate) const fn is_coarse(self) -> bool {
        clock::is_in(self.0 as u32, clock::COARSE)
    }
}

/// The name without `CLOCK_`, or the number.
impl fmt::Display for ClockId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.pad(name),
            None => fmt::Display::fmt(&self.0, formatter),
        }
    }
}
