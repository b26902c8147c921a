//! Whom a timekeeper follows.

use vdso_data::clock;
use vdso_data::gettimeofday::Timezone;

use crate::steering::Fixed;

/// A shift of a clock against another that is smaller than this is taken for noise of sampling, ns, unless a
/// reference says something else. Real ones are made by people and leap seconds.
pub const NOISE_NS: u32 = 2_000;

/// A machine's clocks, and the counter that they run on.
///
/// The page's readers must read that same counter, so it counts at one rate, and its value is the same on
/// all processors that are shown the page.
pub trait Reference {
    /// Reads the counter, after every earlier instruction.
    fn counter(&self) -> u64;

    /// What the clocks read at one value of the counter; `None` when they no longer run on it. Then readers
    /// are sent to the kernel that is their [fallback](Self::fallback).
    ///
    /// Clocks that nobody sets keep their distances within [`noise_ns`](Self::noise_ns). All but
    /// MONOTONIC_RAW run at one rate, which may change by up to an eighth. MONOTONIC, MONOTONIC_RAW and
    /// BOOTTIME never go back.
    fn sample(&mut self) -> Option<Sample>;

    /// How fast the clocks run now, as far as that is known without two samples: from calibration, or what
    /// the machine says. A part in a hundred thousand will do, as the samples tell it better.
    fn slopes(&self) -> Slopes;

    /// What `clock_getres` is to say.
    fn resolutions(&self) -> Resolutions;

    /// What `gettimeofday` is to say of the time zone; `None` where readers are to ask the kernel below them.
    fn time_zone(&self) -> Option<Timezone> {
        None
    }

    /// Whom the page's readers ask where it does not tell.
    fn fallback(&self) -> Fallback {
        Fallback::Kernel
    }

    /// By how much the distance between two clocks may seem to change though nobody has set one, ns.
    fn noise_ns(&self) -> u32 {
        NOISE_NS
    }
}

/// Whom the readers of a page ask when their line is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// A kernel that has the same clocks: Linux, or one that answers its system calls. A line ends soon after its
    /// successor is due, as a kernel knows the time better than a line of a publisher that is late.
    Kernel,
    /// Nobody: a line goes on until the next one, however late that is. Where the counter begins anew, as after the
    /// machine has slept, programs must not run before the page was published again; and where there is no
    /// [`sample`](Reference::sample), the clocks stand still.
    Nobody,
}

/// The fine clocks at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The counter's value at that instant.
    pub cycles: u64,
    /// By clock id: the time then in units of 2^-32 ns. Those that are not in
    /// [`clock::HIGH_RESOLUTION`] are not looked at.
    pub fixed: [Fixed; clock::LINES],
}

/// How fast a reference's clocks run, units of 2^-64 ns a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slopes {
    /// The slope of all clocks but MONOTONIC_RAW.
    pub steered: u128,
    /// The slope of MONOTONIC_RAW, which nobody slews.
    pub raw: u128,
}

impl Slopes {
    /// Of clocks that nobody slews, on a counter of so many cycles a second; at least one.
    pub const fn of_hz(hz: u64) -> Self {
        let hz = if hz == 0 { 1 } else { hz };
        let slope = ((vdso_data::arithmetic::NSEC_PER_SEC as u128) << 64) / hz as u128;
        Self { steered: slope, raw: slope }
    }

    /// By clock id.
    pub fn of(&self, id: usize) -> u128 {
        if id == clock::MONOTONIC_RAW as usize { self.raw } else { self.steered }
    }
}

/// What `clock_getres` says. Zero is for "unknown": the kernel below is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolutions {
    /// Of the clocks that are computed from the counter, ns.
    pub fine_ns: u32,
    /// Of the coarse clocks, ns: the timer's tick.
    pub coarse_ns: u32,
}

/// Through a borrow, for whoever needs the reference while it is followed.
impl<R: Reference + ?Sized> Reference for &mut R {
    fn counter(&self) -> u64 {
        (**self).counter()
    }

    fn sample(&mut self) -> Option<Sample> {
        (**self).sample()
    }

    fn slopes(&self) -> Slopes {
        (**self).slopes()
    }

    fn resolutions(&self) -> Resolutions {
        (**self).resolutions()
    }

    fn time_zone(&self) -> Option<Timezone> {
        (**self).time_zone()
    }

    fn fallback(&self) -> Fallback {
        (**self).fallback()
    }

    fn noise_ns(&self) -> u32 {
        (**self).noise_ns()
    }
}
