//! The one line of the process.
//!
//! It is under a sequence lock, and a reader tries once: while somebody writes, and when the line was dropped, the
//! number is odd, and the function is asked.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

use vdso_data::arithmetic::{Mult, NSEC_PER_SEC, Nanos, nanos_at};
use vdso_data::hint::cold_path;
use vdso_data::seqlock;
use vdso_data::sync::writer_fence;

use super::Read;
use super::steering::{Line, Next, SHORTEST_SPAN_CYCLES, Sample, next};
use crate::arch;
use crate::calls::clock_gettime::by_function;
use crate::clock_id::ClockId;
use crate::file;
use crate::own::{self, FIRST};
use crate::resolve::{self, slots};
use crate::timespec::Timespec;

/// The line and what belongs to it. A [`Line`] is in parts: whole seconds need no division then.
#[repr(align(64))]
pub(crate) struct Shared {
    seq: AtomicU32,
    /// Whether there will be none, until calls go to another image.
    is_refused: AtomicBool,
    cycle_last: AtomicU64,
    life_cycles: AtomicU64,
    mult_fraction: AtomicU64,
    sec: AtomicU64,
    nsec: AtomicU64,
}

impl Shared {
    /// Zeros, which need nothing from the program's file: a line that has no life.
    pub const fn new() -> Self {
        Self {
            seq: AtomicU32::new(0),
            is_refused: AtomicBool::new(false),
            cycle_last: AtomicU64::new(0),
            life_cycles: AtomicU64::new(0),
            mult_fraction: AtomicU64::new(0),
            sec: AtomicU64::new(0),
            nsec: AtomicU64::new(0),
        }
    }

    /// The time at `cycles`; `None` if the line is not for that. Under the lock, so all of it is Relaxed.
    #[inline(always)]
    fn at(&self, cycles: u64) -> Option<Timespec> {
        let delta_cycles = cycles.wrapping_sub(self.cycle_last.load(Ordering::Relaxed));
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

    /// The line, for the writer, which alone changes it; `None` if there is none.
    fn load(&self) -> Option<Line> {
        let sec = self.sec.load(Ordering::Relaxed);
        let line = Line {
            cycle_last: self.cycle_last.load(Ordering::Relaxed),
            life_cycles: self.life_cycles.load(Ordering::Relaxed),
            mult_fraction: self.mult_fraction.load(Ordering::Relaxed),
            ns: sec * NSEC_PER_SEC + self.nsec.load(Ordering::Relaxed),
        };
        let is_line = self.seq.load(Ordering::Relaxed) & 1 == 0 && line.life_cycles > 0;
        is_line.then_some(line)
    }

    /// Makes it the line, unless calls have gone to another image since `generation`.
    fn store(&self, line: &Line, generation: u32) {
        // Relaxed: the fence orders it before the data.
        let odd = self.seq.fetch_or(1, Ordering::Relaxed) | 1;
        writer_fence();
        self.cycle_last.store(line.cycle_last, Ordering::Relaxed);
        self.life_cycles.store(line.life_cycles, Ordering::Relaxed);
        self.mult_fraction.store(line.mult_fraction, Ordering::Relaxed);
        self.sec.store(line.ns / NSEC_PER_SEC, Ordering::Relaxed);
        self.nsec.store(line.ns % NSEC_PER_SEC, Ordering::Relaxed);
        // Release: pairs with the Acquire of `seqlock::try_read_at`.
        self.seq.store(odd.wrapping_add(1), Ordering::Release);
        // SeqCst: the store and the load must not pass each other, as in `Slot::resolve`.
        fence(Ordering::SeqCst);
        if resolve::generation() != generation {
            self.drop_line();
        }
    }

    /// From now on there is no line.
    fn drop_line(&self) {
        // Release: as every store to it.
        self.seq.fetch_or(1, Ordering::Release);
    }

    /// There will be none, for the image of `generation`.
    fn refuse(&self, generation: u32) {
        self.is_refused.store(true, Ordering::Release);
        // SeqCst: as above.
        fence(Ordering::SeqCst);
        if resolve::generation() != generation {
            self.is_refused.store(false, Ordering::Release);
        }
    }
}

/// The time by the line.
#[inline(always)]
pub(crate) fn read() -> Read {
    let line = &FIRST.line;
    let counter = || own::unordered().joined();
    match seqlock::try_read_at(&line.seq, counter, |cycles| line.at(cycles)) {
        Some(now) => Read::Now(now),
        // Relaxed: one word that stands for itself.
        None if line.is_refused.load(Ordering::Relaxed) => Read::Nothing,
        None => Read::Expired,
    }
}

/// What the writer has from last time. Relaxed all of it: under [`Writer`].
static LAST_CYCLES: AtomicU64 = AtomicU64::new(0);
static LAST_NS: AtomicU64 = AtomicU64::new(0);
/// One more than the generation of the image that the last sample is of; zero: there is none.
static LAST_MARK: AtomicU64 = AtomicU64::new(0);
/// How often in a row it had to begin anew.
static FAILURES: AtomicU32 = AtomicU32::new(0);

/// A clock that was set more often is another than the counter's, and one that takes so long to be read each time
/// is an emulator's.
const MOST_FAILURES: u32 = 16;

/// Makes or renews the line, and gives the time by it; `None` if there is none yet, or if somebody else is at
/// it.
#[cold]
#[inline(never)]
pub(crate) fn renew() -> Option<Timespec> {
    let generation = resolve::generation();
    if slots::CLOCK_GETTIME.get().is_none() {
        FIRST.line.refuse(generation);
        return None;
    }
    let writer = Writer::begin()?;
    // Somebody else has done so.
    if let Read::Now(now) = read() {
        return Some(now);
    }
    writer.renew(generation)
}

/// For a change of the image, which has changed the generation before.
pub(crate) fn forget() {
    FIRST.line.drop_line();
    FIRST.line.is_refused.store(false, Ordering::Release);
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

    fn renew(&self, generation: u32) -> Option<Timespec> {
        let line = &FIRST.line;
        let last = self.last(generation);
        match last {
            None if !is_clocksource() => {
                line.refuse(generation);
                return None;
            }
            // Not worth the samples.
            Some(last) if fenced_counter().wrapping_sub(last.cycles) < SHORTEST_SPAN_CYCLES => {
                return None;
            }
            _ => {}
        }
        let Some(now) = sample() else {
            self.fail(generation);
            return None;
        };
        match last.map_or(Next::Anew, |last| next(last, line.load(), now)) {
            Next::TooEarly => return None,
            Next::TooSlow => line.refuse(generation),
            Next::Line(next) => {
                FAILURES.store(0, Ordering::Relaxed);
                line.store(&next, generation);
            }
            Next::Anew => {
                line.drop_line();
                self.fail(generation);
            }
        }
        self.note(now, generation);
        if line.load().is_some() { line.at(now.cycles) } else { None }
    }

    fn fail(&self, generation: u32) {
        if FAILURES.fetch_add(1, Ordering::Relaxed) >= MOST_FAILURES {
            FIRST.line.refuse(generation);
        }
    }

    /// The last sample, if it is of the image of `generation`.
    fn last(&self, generation: u32) -> Option<Sample> {
        let is_noted = LAST_MARK.load(Ordering::Relaxed) == u64::from(generation) + 1;
        let (cycles, ns) = (LAST_CYCLES.load(Ordering::Relaxed), LAST_NS.load(Ordering::Relaxed));
        is_noted.then_some(Sample { cycles, ns })
    }

    fn note(&self, sample: Sample, generation: u32) {
        LAST_CYCLES.store(sample.cycles, Ordering::Relaxed);
        LAST_NS.store(sample.ns, Ordering::Relaxed);
        LAST_MARK.store(u64::from(generation) + 1, Ordering::Relaxed);
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
    use super::{FIRST, Ordering, Read, is_counter, read, renew};

    /// Whoever goes on asking has a line at some time, or is told that there will be none.
    #[test]
    fn a_line_is_made_or_refused() {
        let line = &FIRST.line;
        while line.load().is_none() && !line.is_refused.load(Ordering::Relaxed) {
            renew();
        }
        // The line may have ended meanwhile.
        let is_read = (0..1_000).any(|_| {
            renew();
            matches!(read(), Read::Now(_))
        });
        assert_ne!(is_read, line.is_refused.load(Ordering::Relaxed));
    }

    #[test]
    fn only_clocks_of_the_counter_are_taken() {
        assert!(is_counter(b"tsc\n") && is_counter(b"kvm-clock\n"));
        assert!(!is_counter(b"tsc-early\n") && !is_counter(b"hpet\n") && !is_counter(b""));
    }
}
