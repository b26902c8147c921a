//! A machine's clocks: what an image with a page of theirs is to say.

use vdso_data::clock;
use vdso_host::counter;
use vdso_timekeeper::steering::Line;
use vdso_timekeeper::{Fallback, Reference, Resolutions, Sample, Slopes};

use crate::support::NSEC_PER_SEC;

pub const TICK_NS: u32 = 4_000_000;

/// A machine's clocks, each of which is another line over the counter.
#[derive(Clone, Copy)]
pub struct Model {
    booted_at_cycles: u64,
}

impl Model {
    pub fn now() -> Self {
        Self { booted_at_cycles: counter::read() - 777_777_777 }
    }

    fn slope(id: u32) -> u128 {
        let Slopes { steered, raw } = Self::slopes();
        if id == clock::MONOTONIC_RAW { raw } else { steered }
    }

    fn slopes() -> Slopes {
        Slopes { raw: Slopes::of_hz(2_000_100_000).raw, ..Slopes::of_hz(2_000_000_000) }
    }

    /// Units of 2^-32 ns.
    pub fn at(&self, id: u32, cycles: u64) -> i128 {
        let ahead_ns = match id {
            clock::REALTIME => 1_700_000_000 * NSEC_PER_SEC,
            clock::TAI => 1_700_000_037 * NSEC_PER_SEC,
            clock::BOOTTIME => 1_234 * NSEC_PER_SEC + 5,
            _ => 0,
        };
        let line =
            Line { cycles: self.booted_at_cycles, start: ahead_ns << 32, slope: Self::slope(id) };
        line.at(cycles)
    }
}

impl Reference for Model {
    fn counter(&self) -> u64 {
        counter::read()
    }

    fn sample(&mut self) -> Option<Sample> {
        let cycles = self.counter();
        let fixed = std::array::from_fn(|id| self.at(id as u32, cycles));
        Some(Sample { cycles, fixed })
    }

    fn slopes(&self) -> Slopes {
        Self::slopes()
    }

    fn resolutions(&self) -> Resolutions {
        Resolutions { fine_ns: 1, coarse_ns: TICK_NS }
    }

    fn fallback(&self) -> Fallback {
        Fallback::Nobody
    }
}
