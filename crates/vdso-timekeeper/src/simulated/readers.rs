//! A program that reads the page as the image does.

use core::fmt;

use vdso_data::arithmetic::{Timespec, nanos_at, rounded_down};
use vdso_data::clock;
use vdso_data::own::{Halves, Line, OwnPage};
use vdso_data::sync::Ordering;

use super::{Random, World};
use crate::reference::{Fallback, Reference};

/// What the image of the `own` source does with the counter at `cycles`; `None` where it asks the kernel.
pub fn read(page: &OwnPage, id: u32, cycles: u64) -> Option<Timespec> {
    let view = page.read(|| (), |(), lines| lines[id as usize].load_counter_view());
    let halves = |cycles: u64| Halves { low: cycles as u32, high: (cycles >> 32) as u32 };
    let at = |delta_cycles| {
        let nanos = nanos_at(view.nanos, delta_cycles, view.mult);
        Some(Timespec::carried(view.sec as u64, nanos.ns))
    };
    let (low, beyond) = halves(cycles).since(halves(view.cycle_last));
    let delta_cycles = cycles.wrapping_sub(view.cycle_last);
    if beyond == 0 && low <= view.stale_cycles {
        at(low)
    } else if view.stale_cycles == 0 {
        None
    } else if delta_cycles <= view.stale_cycles {
        at(delta_cycles)
    } else if delta_cycles.wrapping_neg() <= 1 << 32 {
        at(0)
    } else {
        None
    }
}

/// What the image answers where nobody is below, of coarse clocks, too; `None` where a clock was never published.
pub fn alone(page: &OwnPage, id: u32, cycles: u64) -> Option<Timespec> {
    let line = clock::fine_twin(id);
    let view = page.read(|| (), |(), lines| lines[line as usize].load_counter_view());
    if view.stale_cycles == 0 || !clock::is_in(line, clock::HIGH_RESOLUTION) {
        return None;
    }
    let delta_cycles = cycles.wrapping_sub(view.cycle_last) as i64;
    let on_line = if delta_cycles < 0 { 0 } else { (delta_cycles as u64).min(view.stale_cycles) };
    let nanos = nanos_at(view.nanos, on_line, view.mult);
    let now = Timespec::carried(view.sec as u64, nanos.ns);
    if line == id {
        return Some(now);
    }
    let tick_ns = page.header.coarse_res_ns.load(Ordering::Relaxed);
    Some(Timespec { nsec: rounded_down(now.nsec as u64, tick_ns) as i64, ..now })
}

/// What the image answers where it asks the kernel, which says `host`.
pub fn settled(page: &OwnPage, id: u32, cycles: u64, host: Timespec) -> Timespec {
    let both = |line: &Line| (line.load_transform(), line.load_counter_view());
    let (transform, view) = page.read(|| (), |(), lines| both(&lines[id as usize]));
    let host = transform.apply(host);
    if view.stale_cycles == 0 {
        return host;
    }
    let at = |delta_cycles: u64| {
        let nanos = nanos_at(view.nanos, delta_cycles, view.mult);
        Timespec::carried(view.sec as u64, nanos.ns)
    };
    let delta_cycles = cycles.wrapping_sub(view.cycle_last) as i64;
    let furthest = at(delta_cycles.clamp(0, view.stale_cycles as i64) as u64);
    let gained = at(view.stale_cycles).wrapping_sub(at(0)).as_nanos().max(8_000_000);
    let behind = furthest.wrapping_sub(host).as_nanos();
    let was_set_back = clock::is_in(id, clock::SETTABLE) && behind * 8 > gained;
    if host >= furthest || was_set_back { host } else { furthest }
}

/// A program's readers, each of which comes after the one before.
#[derive(Clone, Debug)]
pub struct Readers {
    cycles: u64,
    last: [Option<Timespec>; clock::LINES],
    /// When the kernel was last asked.
    asked_at: u64,
    watched: u32,
}

/// A clock went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WentBack {
    /// The id of the clock that went back.
    pub id: u32,
    /// The time that was read first.
    pub from: Timespec,
    /// The earlier time that was read after that.
    pub to: Timespec,
}

impl fmt::Display for WentBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, from, to } = self;
        write!(f, "clock {id} went back from {from:?} to {to:?}")
    }
}

impl core::error::Error for WentBack {}

impl Readers {
    /// From now on. `watched` is the set of clocks that may not go back, as a bit set of ids.
    pub fn of(world: &World, watched: u32) -> Self {
        Self { cycles: world.cycles(), last: [None; clock::LINES], asked_at: 0, watched }
    }

    /// What was read last of a clock.
    pub fn last(&self, id: u32) -> Option<Timespec> {
        self.last[id as usize]
    }

    /// Some reads, up to when the counter is at `until`, which the world need not have come to.
    pub fn read(
        &mut self,
        page: &OwnPage,
        world: &World,
        until: u64,
        random: &mut Random,
    ) -> Result<(), WentBack> {
        for _ in 0..random.below(6) {
            let left = until.saturating_sub(self.cycles);
            // Many right after each other, and many at the last moment before what comes then.
            let step = match random.below(4) {
                0 | 1 => random.below(64),
                2 => random.below(left + 1),
                _ => left,
            };
            // Nobody reads the counter before it has been asked for the last time.
            self.cycles = (self.cycles + step).min(until.max(self.cycles)).max(self.asked_at);
            for id in clock::HIGH_RESOLUTION_IDS {
                let to = self.read_one(page, world, id);
                match self.last[id as usize].replace(to) {
                    Some(from) if from > to && clock::is_in(id, self.watched) => {
                        return Err(WentBack { id, from, to });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn read_one(&mut self, page: &OwnPage, world: &World, id: u32) -> Timespec {
        read(page, id, self.cycles).unwrap_or_else(|| {
            // Where the first look does not do, it looks at the counter once more.
            self.cycles = self.cycles.max(world.cycles());
            self.asked_at = self.cycles;
            let host = || settled(page, id, self.cycles, world.says(id, self.cycles));
            let last_word = || match world.fallback() {
                Fallback::Kernel => host(),
                Fallback::Nobody => alone(page, id, self.cycles).unwrap_or_default(),
            };
            read(page, id, self.cycles).unwrap_or_else(last_word)
        })
    }
}
