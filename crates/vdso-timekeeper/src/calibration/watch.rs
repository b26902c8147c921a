//! Reads a timer between reads of the counter, and counts its rounds.

use super::bounds::{Bounds, Point};
use super::{Error, Timer};

/// How many readings are made for a point; the best one is kept.
const TRIES: u32 = 16;

/// After so many readings of the same number the timer is taken to stand still.
const STUCK_READINGS: u32 = 1 << 20;

pub(super) struct Watch<'a, C, T> {
    counter: &'a C,
    timer: &'a mut T,
    bits: u32,
    /// The largest number that it has shown, and the same without wraps.
    shown: u64,
    ticks: u64,
    last: Reading,
}

#[derive(Clone, Copy)]
struct Reading {
    before: u64,
    shown: u64,
    after: u64,
}

impl<'a, C: Fn() -> u64, T: Timer> Watch<'a, C, T> {
    pub fn begin(counter: &'a C, timer: &'a mut T) -> Result<Self, Error> {
        let bits = timer.bits().clamp(1, 64);
        let last = Reading::make(counter, timer)?;
        let shown = last.shown;
        Ok(Self { counter, timer, bits, shown, ticks: 0, last })
    }

    pub fn jitter_ticks(&self) -> u64 {
        self.timer.jitter_ticks()
    }

    /// In how many ticks it comes back to the same number.
    pub fn round_ticks(&self) -> u64 {
        1u64.checked_shl(self.bits).unwrap_or(u64::MAX)
    }

    /// Lets so many ticks pass.
    pub fn pass(&mut self, ticks: u64) -> Result<(), Error> {
        let until = self.ticks.saturating_add(ticks);
        self.timer.pause(self.timer.pace().ns_in(ticks));
        while self.ticks < until {
            self.next_number()?;
        }
        Ok(())
    }

    /// The narrowest of some points.
    pub fn point(&mut self, bounds: &Bounds) -> Result<Point, Error> {
        let (mut best, mut readings) = self.next_number()?;
        while readings < TRIES {
            let (point, took) = self.next_number()?;
            readings += took;
            if bounds.width_cycles(&point) < bounds.width_cycles(&best) {
                best = point;
            }
        }
        Ok(best)
    }

    /// Reads until the timer shows another number. How many readings that took.
    fn next_number(&mut self) -> Result<(Point, u32), Error> {
        for readings in 1..=STUCK_READINGS {
            let since = self.last.before;
            let reading = self.read()?;
            let grown = reading.shown.wrapping_sub(self.shown) & self.mask();
            if grown.wrapping_neg() & self.mask() <= self.jitter_ticks() {
                continue;
            }
            if grown > self.mask() / 2 {
                // It went back, or half a round was not seen.
                return Err(Error::Unsteady);
            }
            self.shown = reading.shown;
            self.ticks = self.ticks.saturating_add(grown);
            let Reading { before, after, .. } = reading;
            return Ok((Point { ticks: self.ticks, since, before, after }, readings));
        }
        Err(Error::TimerStuck)
    }

    fn read(&mut self) -> Result<Reading, Error> {
        let reading = Reading::make(self.counter, self.timer)?;
        let since_last = reading.before.wrapping_sub(self.last.after);
        if (since_last as i64) < 0 {
            return Err(Error::CounterWentBack);
        }
        self.last = reading;
        Ok(reading)
    }

    fn mask(&self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }
}

impl Reading {
    fn make(counter: &impl Fn() -> u64, timer: &mut impl Timer) -> Result<Self, Error> {
        let before = counter();
        let shown = timer.read();
        let after = counter();
        let took = after.wrapping_sub(before) as i64;
        if took < 0 { Err(Error::CounterWentBack) } else { Ok(Self { before, shown, after }) }
    }
}
