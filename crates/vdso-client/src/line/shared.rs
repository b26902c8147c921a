//! The one line of the process.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

use vdso_data::arithmetic::{Mult, NSEC_PER_SEC, Nanos, nanos_at};
use vdso_data::hint::cold_path;
use vdso_data::latch;

use super::Read;
use super::steering::{Line, Next, SHORTEST_SPAN_CYCLES, Sample, next};
use crate::arch;
use crate::calls::clock_gettime::by_function;
use crate::clock_id::ClockId;
use crate::file;
use crate::own::{self, FIRST};
use crate::resolve::{self, slots};
use crate::timespec::Timespec;

/// [`Shared::state`]: nobody has looked, or there is no line yet.
const WITHOUT: u32 = 0;
/// There is a line.
const ACTIVE: u32 = 1;
/// There will be none.
const REFUSED: u32 = 2;

/// The line and what belongs to it.
#[repr(align(64))]
pub(crate) struct Shared {
    state: AtomicU32,
    /// Which of the two lines is read.
    seq: AtomicU32,
    lines: [Parts; latch::COPIES],
}

impl Shared {
    pub const fn new() -> Self {
        let (state, seq) = (AtomicU32::new(WITHOUT), AtomicU32::new(0));
        Self { state, seq, lines: [const { Parts::new() }; latch::COPIES] }
    }

    /// The line that is read. For the writer.
    fn current(&self) -> &Parts {
        self.copy(self.seq.load(Ordering::Relaxed) as usize)
    }

    #[inline(always)]
    fn copy(&self, copy: usize) -> &Parts {
        &self.lines[copy % latch::COPIES]
    }
}

/// A [`Line`], in parts: whole seconds need no division then.
struct Parts {
    cycle_last: AtomicU64,
    life_cycles: AtomicU64,
    mult_fraction: AtomicU64,
    sec: AtomicU64,
    nsec: AtomicU64,
}

impl Parts {
    const fn new() -> Self {
        Self {
            cycle_last: AtomicU64::new(0),
            life_cycles: AtomicU64::new(0),
            mult_fraction: AtomicU64::new(0),
            sec: AtomicU64::new(0),
            nsec: AtomicU64::new(0),
        }
    }

    /// Under the latch, as `load`.
    fn store(&self, line: &Line) {
        self.cycle_last.store(line.cycle_last, Ordering::Relaxed);
        self.life_cycles.store(line.life_cycles, Ordering::Relaxed);
        self.mult_fraction.store(line.mult_fraction, Ordering::Relaxed);
        self.sec.store(line.ns / NSEC_PER_SEC, Ordering::Relaxed);
        self.nsec.store(line.ns % NSEC_PER_SEC, Ordering::Relaxed);
    }

    /// For the writer, which alone changes it.
    fn load(&self) -> Line {
        let sec = self.sec.load(Ordering::Relaxed);
        Line {
            cycle_last: self.cycle_last.load(Ordering::Relaxed),
            life_cycles: self.life_cycles.load(Ordering::Relaxed),
            mult_fraction: self.mult_fraction.load(Ordering::Relaxed),
            ns: sec * NSEC_PER_SEC + self.nsec.load(Ordering::Relaxed),
        }
    }

    /// The time at `cycles`; `None` if the line is not for that.
    #[inline(always)]
    fn at(&self, cycles: u64) -> Option<Timespec> {
        let delta_cycles = cycles.wrapping_sub(self.cycle_last.load(Ordering::Relaxed));
        // Relaxed: under the latch.
        if delta_cycles > self.life_cycles.load(Ordering::Relaxed) {
            cold_path();
            return None;
        }
        let base = Nanos { ns: self.nsec.load(Ordering::Relaxed), fraction: 0 };
        let mult = Mult { whole: 0, fraction: self.mult_fraction.load(Ordering::Relaxed) };
        let ns = nanos_at(base, delta_cycles, mult).ns;
        let sec = self.sec.load(Ordering::Relaxed) as i64;
        if ns < NSEC_PER_SEC {
            return Some(Timespec { sec, nsec: ns as i64 });
        }
        let ns = ns - NSEC_PER_SEC;
        if ns < NSEC_PER_SEC {
            return Some(Timespec { sec: sec + 1, nsec: ns as i64 });
        }
        cold_path();
        None
    }
}

/// The time by the line.
#[inline(always)]
pub(crate) fn read() -> Read {
    // Acquire: pairs with the Release in `publish`.
    match FIRST.line.state.load(Ordering::Acquire) {
        ACTIVE => {}
        REFUSED => return Read::Nothing,
        _ => return Read::Expired,
    }
    let counter = || own::unordered().joined();
    match latch::try_read(&FIRST.line.seq, counter, |cycles, copy| FIRST.line.copy(copy).at(cycles))
    {
        Some(now) => Read::Now(now),
        None => Read::Expired,
    }
}

/// What the writer has from last time. Relaxed all of it: under [`Writer`].
static LAST_CYCLES: AtomicU64 = AtomicU64::new(0);
static LAST_NS: AtomicU64 = AtomicU64::new(0);
/// Of the image that the last sample is of, and one more; zero: there is none.
static LAST_GENERATION: AtomicU64 = AtomicU64::new(0);
/// How often in a row it had to begin anew.
static FAILURES: AtomicU32 = AtomicU32::new(0);

/// More often the clock is not set: it is another than the counter's.
const MOST_FAILURES: u32 = 16;

/// Makes or renews the line, and gives the time by it; `None` if there is none yet, or if somebody else is at it.
#[cold]
#[inline(never)]
pub(crate) fn renew() -> Option<Timespec> {
    let generation = resolve::generation();
    if slots::CLOCK_GETTIME.get().is_none() {
        return refuse(generation);
    }
    let _writer = Writer::begin()?;
    // Somebody else has done so.
    if let Read::Now(now) = read() {
        return Some(now);
    }
    let mark = u64::from(generation) + 1;
    let is_begun = LAST_GENERATION.load(Ordering::Relaxed) == mark;
    if !is_begun && !is_clocksource() {
        return refuse(generation);
    }
    let last =
        Sample { cycles: LAST_CYCLES.load(Ordering::Relaxed), ns: LAST_NS.load(Ordering::Relaxed) };
    if is_begun && fenced_counter().wrapping_sub(last.cycles) < SHORTEST_SPAN_CYCLES {
        return None;
    }
    let now = sample()?;
    // Relaxed: who reads it is the writer, and who forgets it changes the generation.
    let is_active = FIRST.line.state.load(Ordering::Relaxed) == ACTIVE;
    let line = (is_begun && is_active).then(|| FIRST.line.current().load());
    let next = if is_begun { next(last, line, now) } else { Next::Anew };
    if next != Next::TooEarly {
        LAST_CYCLES.store(now.cycles, Ordering::Relaxed);
        LAST_NS.store(now.ns, Ordering::Relaxed);
        LAST_GENERATION.store(mark, Ordering::Relaxed);
    }
    match next {
        Next::Line(line) => {
            FAILURES.store(0, Ordering::Relaxed);
            latch::write(&FIRST.line.seq, |_, copy| FIRST.line.copy(copy).store(&line));
            set_state(ACTIVE, generation);
            FIRST.line.current().at(line.cycle_last)
        }
        Next::TooEarly => None,
        Next::TooSlow => refuse(generation),
        Next::Anew => {
            set_state(WITHOUT, generation);
            let failures = FAILURES.fetch_add(1, Ordering::Relaxed);
            if failures < MOST_FAILURES { None } else { refuse(generation) }
        }
    }
}

fn refuse(generation: u32) -> Option<Timespec> {
    set_state(REFUSED, generation);
    None
}

/// Sets [`Shared::state`], unless the program's calls have gone to another image since `generation`.
fn set_state(state: u32, generation: u32) {
    // Release: pairs with the Acquire in `read`.
    FIRST.line.state.store(state, Ordering::Release);
    // SeqCst: the store and the load must not pass each other, as in `Slot::resolve`.
    fence(Ordering::SeqCst);
    if resolve::generation() != generation {
        FIRST.line.state.store(WITHOUT, Ordering::Release);
    }
}

/// For a change of the image, which has changed the generation before.
pub(crate) fn forget() {
    FIRST.line.state.store(WITHOUT, Ordering::Release);
    FAILURES.store(0, Ordering::Relaxed);
}

/// Whether somebody renews the line.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// The right to renew the line.
struct Writer;

impl Writer {
    fn begin() -> Option<Self> {
        // Acquire: pairs with the Release in `drop`; what the last writer has stored is seen.
        let taken = IS_TAKEN.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok().then_some(Self)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        IS_TAKEN.store(false, Ordering::Release);
    }
}

/// The clock and the counter at one moment: the closest of a few tries.
fn sample() -> Option<Sample> {
    const TRIES: u32 = 3;
    /// What lies further apart was interrupted.
    const WIDEST_CYCLES: u64 = 1 << 12;
    let mut best = (WIDEST_CYCLES, None);
    for _ in 0..TRIES {
        let before = fenced_counter();
        let now = by_function(ClockId::MONOTONIC).ok()?;
        let width = fenced_counter().wrapping_sub(before);
        let ns = u64::try_from(now.as_nanos()).ok()?;
        if width < best.0 {
            best = (width, Some(Sample { cycles: before.wrapping_add(width / 2), ns }));
        }
    }
    best.1
}

fn fenced_counter() -> u64 {
    // SAFETY: the kernel's clock is this counter, which so may be read, and its function does so.
    unsafe { arch::counter_fenced() }
}

/// Whether the kernel's clocks are computed from the counter. Where that cannot be read they are not.
fn is_clocksource() -> bool {
    let path = c"/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let mut name = [0; 32];
    let Some(bytes) = file::read(path, &mut name) else { return false };
    is_counter(name.get(..bytes).unwrap_or_default())
}

fn is_counter(name: &[u8]) -> bool {
    [&b"tsc\n"[..], b"kvm-clock\n", b"hyperv_clocksource_tsc_page\n"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::is_counter;

    #[test]
    fn only_clocks_of_the_counter_are_taken() {
        assert!(is_counter(b"tsc\n") && is_counter(b"kvm-clock\n"));
        assert!(!is_counter(b"tsc-early\n") && !is_counter(b"hpet\n") && !is_counter(b""));
    }
}
