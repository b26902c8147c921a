//! A timer beside the counter, as it is found in machines.

use vdso_data::clock;

use super::{Random, World};
use crate::calibration::{Pace, Timer};
use crate::steering::Fixed;

/// A timer that shows the world's MONOTONIC_RAW in numbers of its own.
///
/// Reading it takes time, and what takes time may be interrupted.
#[derive(Clone, Debug)]
pub struct Hardware<'world> {
    world: &'world World,
    pace: Pace,
    bits: u32,
    begun: Fixed,
    first: u64,
    read_cycles: u64,
    random: Random,
    /// Once in so many steps, for up to so many cycles.
    interruptions: Option<(u64, u64)>,
    fault: Fault,
}

/// What is wrong with a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// It has stopped at this time.
    Stopped(Fixed),
    /// Once in so many reads it shows something else.
    Glitches(u64),
}

impl<'world> Hardware<'world> {
    /// One without faults, of which a read takes some 500 cycles, and up to as many more.
    pub fn new(world: &'world World, pace: Pace, bits: u32) -> Self {
        Self {
            world,
            pace,
            bits,
            begun: world.time(clock::MONOTONIC_RAW),
            first: 0,
            read_cycles: 500,
            random: Random::new(1),
            interruptions: None,
            fault: Fault::None,
        }
    }

    /// With other randomness, and another number to begin with.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Random::new(seed);
        self.first = self.random.bits();
        self
    }

    /// Which shows this number first.
    pub fn starting_at(mut self, first: u64) -> Self {
        self.first = first;
        self
    }

    /// Of which a read takes so many cycles, and up to as many more.
    pub fn taking(mut self, read_cycles: u64) -> Self {
        self.read_cycles = read_cycles;
        self
    }

    /// On a machine that does something else (system management, another guest) once in so many steps of a read, for
    /// up to so many cycles. A read has two: before the number is taken, and after.
    pub fn interrupted(mut self, one_in: u64, up_to_cycles: u64) -> Self {
        self.interruptions = Some((one_in, up_to_cycles));
        self
    }

    /// Which stops when so many nanoseconds have passed.
    pub fn stopping_after(mut self, ns: u64) -> Self {
        self.fault = Fault::Stopped(self.begun + (Fixed::from(ns) << 32));
        self
    }

    /// Which shows any number once in so many reads.
    pub fn glitching(mut self, one_in: u64) -> Self {
        self.fault = Fault::Glitches(one_in);
        self
    }

    fn step(&mut self) {
        let mut cycles = self.read_cycles / 2 + self.random.below(self.read_cycles / 2 + 1);
        if let Some((one_in, up_to)) = self.interruptions
            && self.random.one_in(one_in)
        {
            cycles += self.random.below(up_to);
        }
        self.world.advance_to(self.world.cycles() + cycles);
    }

    fn shows(&mut self) -> u64 {
        let mut now = self.world.time(clock::MONOTONIC_RAW);
        match self.fault {
            Fault::Glitches(one_in) if self.random.one_in(one_in) => return self.random.bits(),
            Fault::Stopped(at) => now = now.min(at),
            _ => {}
        }
        let passed = (now - self.begun) as u128;
        let ticks = passed * u128::from(self.pace.ticks) / u128::from(self.pace.ns);
        self.first.wrapping_add((ticks >> 32) as u64)
    }
}

impl Timer for Hardware<'_> {
    fn read(&mut self) -> u64 {
        self.step();
        let shown = self.shows() & (u64::MAX >> (64 - self.bits));
        self.step();
        shown
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn bits(&self) -> u32 {
        self.bits
    }
}
