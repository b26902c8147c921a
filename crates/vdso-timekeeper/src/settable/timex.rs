//! `struct timex` of adjtimex(2), by the kernel's own names, and what its bits mean: `include/uapi/linux/timex.h`.

use vdso_data::arithmetic::Timespec;

/// What a call asks for, and then what it says. Each field's unit is the kernel's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timex {
    /// What is to be changed: `ADJ_*`.
    pub modes: u32,
    /// What is still to be slewed: nanoseconds with [`STA_NANO`], else microseconds.
    pub offset: i64,
    /// How much faster the clock runs, units of 2^-16 ppm.
    pub freq: i64,
    /// The clock may be off by so much at most, in microseconds.
    pub maxerror: i64,
    /// The clock is thought to be off by so much, in microseconds.
    pub esterror: i64,
    /// `STA_*`.
    pub status: i32,
    /// The time constant of the loop that slews, or with [`ADJ_TAI`] the seconds that TAI is ahead.
    pub constant: i64,
    /// How finely the clock can be read, in microseconds.
    pub precision: i64,
    /// The largest change of its frequency, in units of 2^-16 ppm.
    pub tolerance: i64,
    /// Seconds, and nanoseconds or microseconds: the clock's time, or with [`ADJ_SETOFFSET`] what is added to it.
    pub time: [i64; 2],
    /// Microseconds of the clock between two ticks of a hundredth of a second.
    pub tick: i64,
    /// Seconds that TAI is ahead of REALTIME.
    pub tai: i32,
}

/// [`Timex::offset`] is given.
pub const ADJ_OFFSET: u32 = 0x0001;
/// [`Timex::freq`] is given.
pub const ADJ_FREQUENCY: u32 = 0x0002;
/// [`Timex::maxerror`] is given.
pub const ADJ_MAXERROR: u32 = 0x0004;
/// [`Timex::esterror`] is given.
pub const ADJ_ESTERROR: u32 = 0x0008;
/// [`Timex::status`] is given.
pub const ADJ_STATUS: u32 = 0x0010;
/// [`Timex::constant`] is given.
pub const ADJ_TIMECONST: u32 = 0x0020;
/// [`Timex::constant`] has the seconds of TAI.
pub const ADJ_TAI: u32 = 0x0080;
/// [`Timex::time`] is added.
pub const ADJ_SETOFFSET: u32 = 0x0100;
/// Times have microseconds.
pub const ADJ_MICRO: u32 = 0x1000;
/// Times have nanoseconds. With [`ADJ_ADJTIME`]: nothing is changed.
pub const ADJ_NANO: u32 = 0x2000;
/// [`Timex::tick`] is given.
pub const ADJ_TICK: u32 = 0x4000;
/// As `adjtime`: [`Timex::offset`] has microseconds to slew.
pub const ADJ_ADJTIME: u32 = 0x8000;

/// The loop slews.
pub const STA_PLL: i32 = 0x0001;
/// The loop looks at the frequency alone where it is seldom told.
pub const STA_FLL: i32 = 0x0008;
/// A second is inserted at the end of the day.
pub const STA_INS: i32 = 0x0010;
/// A second is left out at the end of the day.
pub const STA_DEL: i32 = 0x0020;
/// Nobody keeps the clock right.
pub const STA_UNSYNC: i32 = 0x0040;
/// The loop leaves the frequency as it is.
pub const STA_FREQHOLD: i32 = 0x0080;
/// Times have nanoseconds.
pub const STA_NANO: i32 = 0x2000;
/// What no program sets.
pub const STA_RONLY: i32 = 0xff00;

/// What a call gives: how the clock is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum State {
    /// Nothing is about to happen.
    #[default]
    Ok = 0,
    /// A second is inserted at the end of the day.
    Ins = 1,
    /// A second is left out at the end of the day.
    Del = 2,
    /// This is the inserted second.
    Oop = 3,
    /// It has happened; its bit is still set.
    Wait = 4,
    /// Nobody keeps the clock right.
    Error = 5,
}

impl State {
    pub(super) fn of(number: u64) -> Self {
        match number {
            1 => Self::Ins,
            2 => Self::Del,
            3 => Self::Oop,
            4 => Self::Wait,
            _ => Self::Ok,
        }
    }
}

/// Why a call is refused: an errno of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `EINVAL`.
    Invalid,
    /// `EPERM`.
    NotPermitted,
}

impl Timex {
    /// Whether nothing is to be changed.
    pub fn only_asks(&self) -> bool {
        self.modes == 0
            || self.modes & ADJ_ADJTIME != 0
                && self.modes & ADJ_NANO != 0
                && self.modes & ADJ_SETOFFSET == 0
    }

    /// Whether the kernel refuses it before it looks at who asks: an `adjtime` that gives no offset.
    pub fn is_refused_to_all(&self) -> bool {
        self.modes & ADJ_ADJTIME != 0 && self.modes & ADJ_OFFSET == 0
    }

    /// Whether the kernel would take it.
    pub fn check(&self) -> Result<(), Refusal> {
        const LEAST_TICK: i64 = 9_000;
        const MOST_TICK: i64 = 11_000;
        let is = |modes| self.modes & modes != 0;
        let bad_tick =
            !is(ADJ_ADJTIME) && is(ADJ_TICK) && !(LEAST_TICK..=MOST_TICK).contains(&self.tick);
        let per_sec = if is(ADJ_NANO) { 1_000_000_000 } else { 1_000_000 };
        let bad_time = is(ADJ_SETOFFSET) && !(0..per_sec).contains(&self.time[1]);
        let bad_freq = is(ADJ_FREQUENCY) && self.freq.checked_mul(PPM_SCALE).is_none();
        if self.is_refused_to_all() || bad_tick || bad_time || bad_freq {
            return Err(Refusal::Invalid);
        }
        Ok(())
    }

    /// [`Timex::time`] of [`ADJ_SETOFFSET`].
    pub fn step(&self) -> Timespec {
        let [sec, part] = self.time;
        Timespec { sec, nsec: if self.modes & ADJ_NANO != 0 { part } else { part * 1_000 } }
    }
}

/// By which the kernel multiplies a frequency.
const PPM_SCALE: i64 = 1_000 << 16;
