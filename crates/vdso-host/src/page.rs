//! The kernel's data page in this process, read as its image reads it.

use vdso_data::linux::{CLOCK_MODE_COUNTER, CLOCK_MODE_TIMENS, Layout};
use vdso_data::sync::{AtomicU32, AtomicU64, Ordering};
use vdso_data::{clock, seqlock};

use super::layout::KnownLayout;
use super::{Mapping, PageError};

/// How much the kernel may raise `mult` while it steers, as a part of `mult`: a ninth, from
/// `clocksource_max_adjustment` in `kernel/time/clocksource.c` (Linux 6.18), which allows 11 %.
const MAX_ADJUSTMENT_DIVISOR: u64 = 8;

/// A recognised page.
#[derive(Clone, Copy, Debug)]
pub struct KernelPage {
    name: &'static str,
    layout: Layout,
    vvar_addr: u64,
    vvar_bytes: usize,
    displacement: i64,
}

/// One consistent look at a clock of the page's.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    /// Counter value when it was taken.
    pub cycles: u64,
    /// Seconds at `cycles`, before the carry from `shifted_ns`.
    pub sec: [u64; clock::LINES],
    /// Nanoseconds at `cycles`, shifted left by `shift`.
    pub shifted_ns: [u64; clock::LINES],
    /// Nanoseconds a cycle, shifted left by `shift`.
    pub mult: u32,
    /// By how many bits `mult` and `shifted_ns` are shifted left.
    pub shift: u32,
}

impl KernelPage {
    /// The page with that one of `layouts` by which it holds clocks, if they run on the counter.
    ///
    /// Types alone need not tell where the clocks begin. What is there instead, where they do not, are
    /// zeros or the middle of a clock.
    pub(super) fn recognise(
        vdso_addr: u64,
        vvar: Mapping,
        layouts: &[KnownLayout],
    ) -> Result<Self, PageError> {
        let looked_at = layouts.iter().map(|&known| Self::look(vdso_addr, vvar, known));
        let (mut pages, mut errors) = (Vec::new(), Vec::new());
        looked_at.for_each(|looked_at| match looked_at {
            Ok(page) => pages.push(page),
            Err(error) => errors.push(error),
        });
        match pages.as_slice() {
            [page] => Ok(*page),
            [] => Err(errors.into_iter().max_by_key(telling).unwrap_or(PageError::Implausible)),
            _ => Err(PageError::Ambiguous),
        }
    }

    /// Checks that the page holds clocks where a layout says, and that they run on the counter.
    fn look(vdso_addr: u64, vvar: Mapping, (name, layout): KnownLayout) -> Result<Self, PageError> {
        let page = Self {
            name,
            layout,
            vvar_addr: vvar.start,
            vvar_bytes: vvar.bytes(),
            displacement: vvar.start.wrapping_sub(vdso_addr) as i64,
        };
        let bytes = page.vvar_bytes.min(vdso_data::PAGE_BYTES);
        if page.end() > bytes {
            return Err(PageError::TooSmall { bytes, needed_bytes: page.end() });
        }
        match page.mode() {
            CLOCK_MODE_COUNTER => {}
            CLOCK_MODE_TIMENS => return Err(PageError::TimeNamespace),
            mode => return Err(PageError::CounterUnused { mode }),
        }
        if [layout.hres, layout.raw].into_iter().all(|clock| page.is_plausible(clock)) {
            Ok(page)
        } else {
            Err(PageError::Implausible)
        }
    }

    fn is_plausible(&self, clock: usize) -> bool {
        let shift = self.word(clock, self.layout.mult + 4);
        self.word(clock, self.layout.mult) != 0 && (1..=32).contains(&shift)
    }

    /// What the layout is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where things are in it.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// From the kernel's vDSO to its `[vvar]`, bytes; the same in every process.
    pub fn displacement(&self) -> i64 {
        self.displacement
    }

    /// `clock_mode` now.
    pub fn mode(&self) -> u32 {
        self.word(self.layout.hres, self.layout.seq + 4)
    }

    /// How many cycles behind `cycle_last` the image's arithmetic is good for: below 2^32, and no
    /// overflow of 64 bits, with room for all the steering that the kernel allows itself.
    pub(super) fn max_cycles(&self, clock: usize) -> u64 {
        let mult = u64::from(self.word(clock, self.layout.mult));
        let largest_mult = mult + mult / MAX_ADJUSTMENT_DIVISOR;
        // A second, shifted, of the kernel's and one of an offset's.
        let shift = self.word(clock, self.layout.mult + 4).min(32);
        let largest_base = 2_000_000_000u64 << shift;
        ((u64::MAX - largest_base) / largest_mult.max(1)).min(u64::from(u32::MAX))
    }

    /// The clocks other than MONOTONIC_RAW at one instant; `None` when this process has entered a
    /// time namespace or the kernel has given up the counter.
    pub fn snapshot(&self, counter: impl Fn() -> u64) -> Option<Snapshot> {
        self.snapshot_of(self.layout.hres, counter)
    }

    /// MONOTONIC_RAW.
    pub fn snapshot_raw(&self, counter: impl Fn() -> u64) -> Option<Snapshot> {
        self.snapshot_of(self.layout.raw, counter)
    }

    fn snapshot_of(&self, clock: usize, counter: impl Fn() -> u64) -> Option<Snapshot> {
        let seq = self.atomic_word(clock, self.layout.seq);
        let never_even = || self.mode() == CLOCK_MODE_TIMENS;
        seqlock::read(seq, never_even, counter, |cycles| {
            let cycle_last = self.double_word(clock, self.layout.cycle_last);
            let mult = self.word(clock, self.layout.mult);
            // A counter value from just before the update stands for the update itself.
            let delta = (cycles.wrapping_sub(cycle_last) as i64).max(0) as u64;
            let advance = delta.wrapping_mul(u64::from(mult));
            let base = |id: usize| self.layout.basetime + id * vdso_data::linux::BASETIME_BYTES;
            Snapshot {
                cycles: cycles.max(cycle_last),
                sec: std::array::from_fn(|id| self.double_word(clock, base(id))),
                shifted_ns: std::array::from_fn(|id| {
                    self.double_word(clock, base(id) + 8).wrapping_add(advance)
                }),
                mult,
                shift: self.word(clock, self.layout.mult + 4) & 63,
            }
        })
        .filter(|_| self.mode() == CLOCK_MODE_COUNTER)
    }

    /// Where the later clock ends.
    fn end(&self) -> usize {
        let clock_bytes = self.layout.basetime + clock::LINES * vdso_data::linux::BASETIME_BYTES;
        self.layout.hres.max(self.layout.raw) + clock_bytes
    }

    fn word(&self, clock: usize, member: usize) -> u32 {
        self.atomic_word(clock, member).load(Ordering::Relaxed)
    }

    fn atomic_word(&self, clock: usize, member: usize) -> &AtomicU32 {
        let addr = self.vvar_addr + (clock + member) as u64;
        // SAFETY: `recognise` has checked that the layout ends within the mapping's first page,
        // which the kernel keeps mapped and readable for as long as the process lives; every member
        // is aligned in the kernel's structure.
        unsafe { &*(addr as *const AtomicU32) }
    }

    fn double_word(&self, clock: usize, member: usize) -> u64 {
        let addr = self.vvar_addr + (clock + member) as u64;
        // SAFETY: as above.
        let word = unsafe { &*(addr as *const AtomicU64) };
        word.load(Ordering::Relaxed)
    }
}

/// Which of several reasons is the one to give: zeros look like a clock without a counter, and the
/// middle of a clock has no mode that there is.
fn telling(error: &PageError) -> u8 {
    const MODES: u32 = 16;
    match error {
        PageError::TimeNamespace => 4,
        PageError::CounterUnused { mode: 1..MODES } => 3,
        PageError::Implausible => 2,
        PageError::CounterUnused { .. } => 1,
        _ => 0,
    }
}
