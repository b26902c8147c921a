//! How a line over the counter is continued: pure arithmetic, for any counter and clock.
//!
//! A line is good for twice as many cycles as its slope was measured over, at most [`LONGEST_LIFE_CYCLES`]: so
//! at its end it is off by little more than the samples were, tens of nanoseconds, whatever the host's clock is
//! slewed by in the long run. It is renewed from where the clock is, never below where it has been: drift does not add up.

use vdso_data::arithmetic::{Mult, Nanos, nanos_at};

/// What the clock said at a value of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub cycles: u64,
    pub ns: u64,
}

/// The clock over the counter, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub cycle_last: u64,
    /// For how many cycles it may be read.
    pub life_cycles: u64,
    /// Nanoseconds a cycle, units of 2^-64 ns.
    pub mult_fraction: u64,
    pub ns: u64,
}

/// What follows from a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read this.
    Line(Line),
    /// Too little has passed since the last sample for a slope.
    TooEarly,
    /// The counter is slower than the clock: there is no line for that, as a read is to be short.
    TooSlow,
    /// The counter and the clock do not belong together, or one of them was set: begin anew with this
    /// sample, and read nothing meanwhile.
    Anew,
}

/// The least that a slope is measured over: 20 µs and more, on any counter of now.
pub(crate) const SHORTEST_SPAN_CYCLES: u64 = 1 << 16;
/// A sample that is older says nothing of the slope of now: some minutes.
const LONGEST_SPAN_CYCLES: u64 = 1 << 40;
/// Some 20 ms.
const LONGEST_LIFE_CYCLES: u64 = 1 << 26;

/// How far a sample may be off, ns, by interrupts between counter and clock.
const NOISE_NS: u64 = 2_000;
/// By which part of itself a host's rate may change between two samples: 512 ppm and more, as adjtimex(2)
/// does it.
const SLEW_DIVISOR: u64 = 512;
/// By which part of itself a slope is lowered at most, to come back to where the clock is.
const STEER_DIVISOR: u128 = 8;

impl Line {
    /// The clock at `cycles`, within the line's life or not.
    pub const fn ns_at(&self, cycles: u64) -> u64 {
        let base = Nanos { ns: self.ns, fraction: 0 };
        let mult = Mult { whole: 0, fraction: self.mult_fraction };
        nanos_at(base, cycles.wrapping_sub(self.cycle_last), mult).ns
    }
}

/// Continues `line`, if there is one, by what the clock said at `last` and says `now`.
pub(crate) fn next(last: Sample, line: Option<Line>, now: Sample) -> Next {
    let span_cycles = now.cycles.wrapping_sub(last.cycles);
    if span_cycles < SHORTEST_SPAN_CYCLES {
        return Next::TooEarly;
    }
    let Some(span_ns) = now.ns.checked_sub(last.ns) else { return Next::Anew };
    if span_cycles > LONGEST_SPAN_CYCLES {
        return Next::Anew;
    }
    let life_cycles = (2 * span_cycles).min(LONGEST_LIFE_CYCLES);
    let most_off_ns = NOISE_NS + span_ns / SLEW_DIVISOR;
    let mut ns = now.ns;
    if let Some(line) = line {
        let age_cycles = now.cycles.wrapping_sub(line.cycle_last);
        let is_recent = age_cycles <= 2 * line.life_cycles;
        if is_recent && line.ns_at(now.cycles).abs_diff(now.ns) > most_off_ns {
            return Next::Anew;
        }
        // What its readers may have read.
        let end = line.cycle_last.wrapping_add(age_cycles.min(line.life_cycles));
        ns = ns.max(line.ns_at(end));
    }
    let ahead_ns = ns - now.ns;
    if ahead_ns > most_off_ns {
        return Next::Anew;
    }
    let slope = (u128::from(span_ns) << 64) / u128::from(span_cycles);
    let lowered = (u128::from(ahead_ns) << 64) / u128::from(life_cycles);
    let slope = slope - lowered.min(slope / STEER_DIVISOR);
    match u64::try_from(slope) {
        Ok(mult_fraction) => {
            Next::Line(Line { cycle_last: now.cycles, life_cycles, mult_fraction, ns })
        }
        Err(_) => Next::TooSlow,
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_LIFE_CYCLES, Line, Next, SHORTEST_SPAN_CYCLES, Sample, next};

    /// A host whose counter runs at 2.9 GHz, and whose clock is slewed.
    struct World {
        cycles: u64,
        /// Units of 2^-32 ns.
        clock: u128,
        /// ns in 2^32 cycles, before slewing.
        slew_ppm: i128,
        random: u64,
    }

    impl World {
        fn new(cycles: u64) -> Self {
            Self { cycles, clock: 77 << 62, slew_ppm: 0, random: 1 }
        }

        fn random(&mut self) -> u64 {
            // Knuth's, of MMIX.
            self.random = self
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            self.random >> 33
        }

        fn pass(&mut self, cycles: u64) {
            self.cycles = self.cycles.wrapping_add(cycles);
            let per_cycle = (1_i128 << 32) * 10 / 29;
            let per_cycle = per_cycle + per_cycle * self.slew_ppm / 1_000_000;
            self.clock += u128::from(cycles) * per_cycle as u128;
        }

        fn ns(&self) -> u64 {
            (self.clock >> 32) as u64
        }

        /// With an error of up to 30 ns.
        fn sample(&mut self) -> Sample {
            let error = self.random() % 61;
            Sample { cycles: self.cycles, ns: self.ns() + error - 30 }
        }
    }

    fn line(next: Next) -> Line {
        match next {
            Next::Line(line) => line,
            other => panic!("{other:?}"),
        }
    }

    /// The line after the host's clock has gone on evenly for long.
    fn settled(world: &mut World) -> (Sample, Line) {
        let last = world.sample();
        world.pass(SHORTEST_SPAN_CYCLES);
        let now = world.sample();
        settle(world, now, line(next(last, None, now)))
    }

    fn settle(world: &mut World, mut last: Sample, mut current: Line) -> (Sample, Line) {
        for _ in 0..1_000 {
            world.pass(current.life_cycles);
            let now = world.sample();
            current = line(next(last, Some(current), now));
            last = now;
        }
        (last, current)
    }

    #[test]
    fn a_line_follows_its_clock_without_drift_and_never_goes_back() {
        for start in [0, 1 << 40, u64::MAX - (1 << 27)] {
            let mut world = World::new(start);
            let (mut last, mut current) = settled(&mut world);
            let (mut read_ns, mut worst_ns) = (0, 0);
            for round in 0..50_000 {
                if round % 1_000 == 0 {
                    world.slew_ppm = (world.random() % 1_001) as i128 - 500;
                }
                for _ in 0..8 {
                    world.pass(current.life_cycles / 8);
                    let ns = current.ns_at(world.cycles);
                    assert!(ns >= read_ns, "{ns} after {read_ns}");
                    read_ns = ns;
                    worst_ns = worst_ns.max(ns.abs_diff(world.ns()));
                }
                // Renewed by the next one who reads, at once or some time later.
                world.pass(world.random % 1_000 * (round % 2));
                let now = world.sample();
                current = line(next(last, Some(current), now));
                assert_eq!(current.life_cycles, LONGEST_LIFE_CYCLES);
                assert!(current.ns_at(now.cycles) >= read_ns, "{current:?} after {read_ns}");
                last = now;
            }
            // What it was slewed by at once at most, 1000 ppm, of a line's life, and what the samples are off.
            assert!(worst_ns < 23_500, "{worst_ns}");
            // From then on the samples' errors alone.
            for slew_ppm in [500, -500, 0] {
                world.slew_ppm = slew_ppm;
                (last, current) = settle(&mut world, last, current);
                let off_ns = current.ns_at(world.cycles).abs_diff(world.ns());
                assert!(off_ns < 100, "{off_ns}");
            }
        }
    }

    #[test]
    fn a_clock_that_stands_still_has_a_line_that_does() {
        let (last, now) = (Sample { cycles: 5, ns: 7 }, Sample { cycles: 5 + (1 << 20), ns: 7 });
        let line = line(next(last, None, now));
        assert_eq!(line.ns_at(now.cycles + line.life_cycles), 7);
    }

    #[test]
    fn a_counter_that_is_slower_than_the_clock_has_no_line() {
        let last = Sample { cycles: 0, ns: 0 };
        assert_eq!(next(last, None, Sample { cycles: 1 << 20, ns: 1 << 20 }), Next::TooSlow);
        assert!(matches!(
            next(last, None, Sample { cycles: 1 << 20, ns: (1 << 20) - 1 }),
            Next::Line(_)
        ));
    }

    #[test]
    fn what_does_not_belong_together_begins_anew() {
        let mut world = World::new(9);
        let (last, current) = settled(&mut world);
        world.pass(current.life_cycles);
        let now = world.sample();
        let after = |now| next(last, Some(current), now);
        assert!(matches!(after(now), Next::Line(_)));
        // The clock was set, as when a process enters a time namespace; or the counter was, or has no relation.
        assert_eq!(after(Sample { ns: now.ns + 500_000_000, ..now }), Next::Anew);
        assert_eq!(after(Sample { ns: last.ns - 1, ..now }), Next::Anew);
        assert_eq!(after(Sample { ns: now.ns + 100_000, ..now }), Next::Anew);
        assert_eq!(after(Sample { ns: now.ns - 100_000, ..now }), Next::Anew);
        assert_eq!(after(Sample { cycles: 3, ..now }), Next::Anew);
        assert_eq!(after(Sample { cycles: last.cycles + 100, ..now }), Next::TooEarly);
        // Whoever reads seldom has a line at once again, behind what was read.
        world.pass(3_000_000_000);
        let now = world.sample();
        assert!(
            line(next(last, Some(current), now)).ns
                >= current.ns_at(current.cycle_last + current.life_cycles)
        );
    }
}
