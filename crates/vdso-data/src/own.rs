//! Our own page: what the timekeeper publishes and the image reads.
//!
//! Line `n` is clock id `n`. A line holds two views of one clock:
//!
//! - **the counter view** (`cycle_last` to `fraction`): the clock as a straight line over the
//!   counter. The `own` source reads nothing else. It is good for `stale_cycles` after `cycle_last`;
//!   beyond, the publisher is taken for dead.
//! - **the host view** (`offset` to `rate`): the clock as a function of the host's clock, which
//!   stays right without any publisher. The `host` and `chain` sources, coarse clocks and every
//!   stale line use it.

use crate::PAGE_BYTES;
use crate::arithmetic::{Mult, NSEC_PER_SEC, Nanos, Rate, Timespec, Transform};
use crate::clock::LINES;
use crate::gettimeofday::Timezone;
use crate::latch::{self, COPIES};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// "vdsopage" in ASCII, in the machine's byte order.
pub const MAGIC: u64 = u64::from_be_bytes(*b"vdsopage");
/// Changes when a reader of the old layout would misread the new one.
pub const VERSION: u32 = 1;

/// A page of clocks. Shared: one timekeeper writes it, any number of processes read it.
///
/// Two halves, each with one of the copies that the latch switches between; the header stands in
/// the room in front of the first.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct OwnPage {
    /// The fields that are not of one clock.
    pub header: Header,
    first: [Line; LINES],
    unused: [Line; HEADER_LINES],
    second: [Line; LINES],
}

/// How many lines' room the header has.
const HEADER_LINES: usize = 4;

/// What is not clocks.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Header {
    /// Always [`MAGIC`]: that this is such a page.
    pub magic: AtomicU64,
    /// The [`VERSION`] of the layout that the page was written by.
    pub version: AtomicU32,
    /// How long the page is, bytes.
    pub size_bytes: AtomicU32,
    /// The [latch]: even names the first copy, odd the second.
    pub seq: AtomicU32,
    /// Resolution of the clocks computed from the counter, ns.
    pub hrtimer_res_ns: AtomicU32,
    /// Resolution of the coarse clocks, ns: the host's timer tick, or the step by which they advance where
    /// [no Linux](crate::process::FLAG_NO_LINUX) is below.
    pub coarse_res_ns: AtomicU32,
    /// Always zero, for later versions.
    pub reserved: [AtomicU32; 9],
    /// By clock id: the whole seconds of [`Transform::offset`] where adding those is all there is to
    /// do, as `i64`, or else [`MORE_THAN_SECONDS`]. One word, so it can be read without the latch.
    pub seconds_offset: [AtomicU64; LINES],
    /// Grows when keys that were made before may be known elsewhere, as after a virtual machine was
    /// restored from a copy: all processes make new ones. An image adds it to the kernel's. Never zero.
    pub random_generation: AtomicU64,
    /// What `gettimeofday` says of the time zone: [`TIME_ZONE_KNOWN`], minutes west of Greenwich in the 31 bits
    /// below that, the kind of summer time in the lower half. Zero: ask the kernel. One word, so it can be read
    /// without the latch.
    pub time_zone: AtomicU64,
    /// Always zero, for later versions.
    pub reserved_too: [AtomicU64; 42],
}

/// See [`Header::time_zone`].
pub const TIME_ZONE_KNOWN: u64 = 1 << 63;

/// See [`Header::seconds_offset`]. No time after 1970 can be moved by as much without overflow.
pub const MORE_THAN_SECONDS: i64 = i64::MAX;

/// One clock.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Line {
    /// Counter value that this line starts at, cycles, lower half. The fast path is good for less
    /// than 2^32 cycles from there and subtracts by halves.
    pub cycle_last_low: AtomicU32,
    /// The upper half of the counter value that this line starts at, cycles.
    pub cycle_last_high: AtomicU32,
    /// How far after `cycle_last` the line may be used, cycles: beyond, the publisher is dead or late.
    /// Zero: the counter is unusable.
    pub stale_cycles: AtomicU64,
    /// Nanoseconds a cycle, whole ones. With `mult_fraction` zero, too: the clock is frozen.
    pub mult_whole: AtomicU64,
    /// The part of a nanosecond a cycle beyond `mult_whole`, units of 2^-64 ns.
    pub mult_fraction: AtomicU64,
    /// Whole seconds at `cycle_last`; as `i64`.
    pub sec: AtomicU64,
    /// Nanoseconds after `sec` at `cycle_last`, below 10^9.
    pub nsec: AtomicU64,
    /// Fraction of a nanosecond at `cycle_last`, units of 2^-64 ns.
    pub fraction: AtomicU64,
    /// [`Transform::offset`], whole seconds; as `i64`.
    pub offset_sec: AtomicU64,
    /// [`Transform::offset`], nanoseconds below 10^9. With [`NOT_ONLY_OFFSET`] set, the rate is not
    /// one, and a reader that would just add has to scale.
    pub offset_nsec: AtomicU64,
    /// [`Rate::whole`] of the virtual clock.
    pub rate_whole: AtomicU64,
    /// [`Rate::fraction`] of the virtual clock.
    pub rate_fraction: AtomicU64,
    /// [`Transform::base`], whole seconds; as `i64`.
    pub base_sec: AtomicU64,
    /// [`Transform::base`], nanoseconds below 10^9.
    pub base_nsec: AtomicU64,
    /// Always zero, for later versions.
    pub reserved: [AtomicU64; 3],
}

/// See [`Line::offset_nsec`]. Above every number of nanoseconds, so that one comparison tells.
pub const NOT_ONLY_OFFSET: u64 = 1 << 63;

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Line>() == 128);
    assert!(size_of::<Header>() == HEADER_LINES * size_of::<Line>());
    assert!(core::mem::offset_of!(OwnPage, first) == 512);
    assert!(core::mem::offset_of!(OwnPage, second) == 512 + PAGE_BYTES / COPIES);
    assert!(size_of::<OwnPage>() == PAGE_BYTES);
};

/// The values of a line's counter view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterView {
    /// Counter value that the line starts at, cycles.
    pub cycle_last: u64,
    /// How far after `cycle_last` the line may be used, cycles; see [`Line::stale_cycles`].
    pub stale_cycles: u64,
    /// Nanoseconds a cycle; see [`Line::mult_whole`].
    pub mult: Mult,
    /// Whole seconds at `cycle_last`.
    pub sec: i64,
    /// Nanoseconds and their fraction after `sec`.
    pub nanos: Nanos,
}

impl CounterView {
    /// A line that sends its readers to the host view.
    pub const UNUSABLE: Self = Self {
        cycle_last: u64::MAX / 2,
        stale_cycles: 0,
        mult: Mult { whole: 0, fraction: 0 },
        sec: 0,
        nanos: Nanos { ns: 0, fraction: 0 },
    };
}

impl Line {
    /// A line that no timekeeper has written yet.
    pub fn new() -> Self {
        let zero = || AtomicU64::new(0);
        let line = Self {
            cycle_last_low: AtomicU32::new(0),
            cycle_last_high: AtomicU32::new(0),
            stale_cycles: zero(),
            mult_whole: zero(),
            mult_fraction: zero(),
            sec: zero(),
            nsec: zero(),
            fraction: zero(),
            offset_sec: zero(),
            offset_nsec: zero(),
            rate_whole: zero(),
            rate_fraction: zero(),
            base_sec: zero(),
            base_nsec: zero(),
            reserved: [zero(), zero(), zero()],
        };
        line.store_counter_view(&CounterView::UNUSABLE);
        line.store_transform(&Transform::IDENTITY);
        line
    }

    /// Reads `nsec` and `fraction`. Under the latch.
    #[inline(always)]
    pub fn load_nanos(&self) -> Nanos {
        Nanos {
            ns: self.nsec.load(Ordering::Relaxed),
            fraction: self.fraction.load(Ordering::Relaxed),
        }
    }

    /// Reads the two parts of `mult`. Under the latch.
    #[inline(always)]
    pub fn load_mult(&self) -> Mult {
        Mult {
            whole: self.mult_whole.load(Ordering::Relaxed),
            fraction: self.mult_fraction.load(Ordering::Relaxed),
        }
    }

    /// Reads the counter view. Meaningful only under the latch.
    #[inline(always)]
    pub fn load_counter_view(&self) -> CounterView {
        CounterView {
            cycle_last: self.load_cycle_last().joined(),
            stale_cycles: self.stale_cycles.load(Ordering::Relaxed),
            mult: self.load_mult(),
            sec: self.sec.load(Ordering::Relaxed) as i64,
            nanos: self.load_nanos(),
        }
    }

    /// Writes the counter view. For the timekeeper, under the latch.
    pub fn store_counter_view(&self, view: &CounterView) {
        self.cycle_last_low.store(view.cycle_last as u32, Ordering::Relaxed);
        self.cycle_last_high.store((view.cycle_last >> 32) as u32, Ordering::Relaxed);
        self.stale_cycles.store(view.stale_cycles, Ordering::Relaxed);
        self.mult_whole.store(view.mult.whole, Ordering::Relaxed);
        self.mult_fraction.store(view.mult.fraction, Ordering::Relaxed);
        self.sec.store(view.sec as u64, Ordering::Relaxed);
        self.nsec.store(view.nanos.ns, Ordering::Relaxed);
        self.fraction.store(view.nanos.fraction, Ordering::Relaxed);
    }

    /// Reads the offset alone. Under the latch.
    #[inline(always)]
    pub fn load_offset(&self) -> Offset {
        Offset {
            sec: self.offset_sec.load(Ordering::Relaxed),
            nsec: self.offset_nsec.load(Ordering::Relaxed),
        }
    }

    /// Reads the host view. Meaningful only under the latch.
    #[inline(always)]
    pub fn load_transform(&self) -> Transform {
        Transform {
            offset: Timespec {
                sec: self.offset_sec.load(Ordering::Relaxed) as i64,
                nsec: (self.offset_nsec.load(Ordering::Relaxed) & !NOT_ONLY_OFFSET) as i64,
            },
            base: Timespec {
                sec: self.base_sec.load(Ordering::Relaxed) as i64,
                nsec: self.base_nsec.load(Ordering::Relaxed) as i64,
            },
            rate: Rate {
                whole: self.rate_whole.load(Ordering::Relaxed),
                fraction: self.rate_fraction.load(Ordering::Relaxed),
            },
        }
    }

    /// Reads the counter value that the line starts at. Under the latch.
    #[inline(always)]
    pub fn load_cycle_last(&self) -> Halves {
        Halves {
            low: self.cycle_last_low.load(Ordering::Relaxed),
            high: self.cycle_last_high.load(Ordering::Relaxed),
        }
    }

    /// Writes the host view. For the timekeeper, under the latch.
    pub fn store_transform(&self, transform: &Transform) {
        self.offset_sec.store(transform.offset.sec as u64, Ordering::Relaxed);
        let mark = if transform.is_offset_only() { 0 } else { NOT_ONLY_OFFSET };
        self.offset_nsec.store(transform.offset.nsec as u64 | mark, Ordering::Relaxed);
        self.rate_whole.store(transform.rate.whole, Ordering::Relaxed);
        self.rate_fraction.store(transform.rate.fraction, Ordering::Relaxed);
        self.base_sec.store(transform.base.sec as u64, Ordering::Relaxed);
        self.base_nsec.store(transform.base.nsec as u64, Ordering::Relaxed);
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

/// A counter value as the processor gives it on many machines. A difference by halves needs no
/// joining first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halves {
    /// The lower 32 bits of the counter.
    pub low: u32,
    /// The upper 32 bits of the counter.
    pub high: u32,
}

impl Halves {
    /// In one piece.
    #[inline(always)]
    pub const fn joined(self) -> u64 {
        (self.high as u64) << 32 | self.low as u64
    }

    /// Cycles since `start`: the lower half of the difference, and the upper, which is zero
    /// for as long as the lower one alone is right.
    #[inline(always)]
    pub fn since(self, start: Self) -> (u64, u32) {
        let (low, borrow) = self.low.overflowing_sub(start.low);
        let high = self.high.wrapping_sub(start.high).wrapping_sub(u32::from(borrow));
        (u64::from(low), high)
    }
}

/// What is added to a host's time, if nothing else is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// The whole seconds that are added; as `i64`.
    pub sec: u64,
    /// Nanoseconds below 10^9, or anything larger if adding is not enough.
    pub nsec: u64,
}

impl Offset {
    /// Whether adding is all there is to do.
    #[inline(always)]
    pub const fn is_all(self) -> bool {
        self.nsec < NSEC_PER_SEC
    }
}

impl OwnPage {
    /// A page of the host's own clocks whose counter lines are unusable: right, but slow.
    pub fn new() -> Self {
        let lines = || core::array::from_fn(|_| Line::new());
        Self {
            header: Header {
                magic: AtomicU64::new(MAGIC),
                version: AtomicU32::new(VERSION),
                size_bytes: AtomicU32::new(PAGE_BYTES as u32),
                seq: AtomicU32::new(0),
                hrtimer_res_ns: AtomicU32::new(0),
                coarse_res_ns: AtomicU32::new(0),
                reserved: core::array::from_fn(|_| AtomicU32::new(0)),
                seconds_offset: core::array::from_fn(|_| AtomicU64::new(0)),
                random_generation: AtomicU64::new(1),
                time_zone: AtomicU64::new(0),
                reserved_too: core::array::from_fn(|_| AtomicU64::new(0)),
            },
            first: lines(),
            unused: core::array::from_fn(|_| Line::new()),
            second: lines(),
        }
    }

    /// Reads the lines under the [latch]: `sample`, mostly the counter, is taken first at each try, and `read`
    /// is given it with the lines that were published last.
    #[inline(always)]
    pub fn read<S, T>(
        &self,
        sample: impl FnMut() -> S,
        mut read: impl FnMut(S, &[Line; LINES]) -> T,
    ) -> T {
        latch::read(&self.header.seq, sample, |sampled, copy| read(sampled, self.copy(copy)))
    }

    /// Begins an update. For the page's only writer, who may be killed at any instruction of it: readers go on
    /// with what was committed last.
    ///
    /// ```
    /// use vdso_data::arithmetic::{Mult, Nanos, Transform};
    /// use vdso_data::own::{CounterView, OwnPage};
    ///
    /// let page = OwnPage::new();
    /// let update = page.begin();
    /// for line in update.lines() {
    ///     line.store_transform(&Transform::IDENTITY);
    ///     // 5 s at a counter value of 1000, and a nanosecond a cycle from there, for a second.
    ///     line.store_counter_view(&CounterView {
    ///         cycle_last: 1000,
    ///         stale_cycles: 1_000_000_000,
    ///         mult: Mult { whole: 1, fraction: 0 },
    ///         sec: 5,
    ///         nanos: Nanos { ns: 0, fraction: 0 },
    ///     });
    /// }
    /// // Here is the time to look whether it has taken too long, and drop it.
    /// update.commit();
    /// assert_eq!(page.read(|| (), |(), lines| lines[0].load_counter_view().sec), 5);
    /// ```
    pub fn begin(&self) -> Update<'_> {
        Update { page: self, latch: latch::begin(&self.header.seq) }
    }

    /// Writes the words that are read without the latch. For whoever fills a page that nobody reads yet;
    /// [`Update::commit`] does it for all others.
    pub fn store_seconds_offsets(&self, transforms: &[Transform; LINES]) {
        for (word, transform) in self.header.seconds_offset.iter().zip(transforms) {
            let is_whole = transform.is_offset_only() && transform.offset.nsec == 0;
            let seconds = if is_whole { transform.offset.sec } else { MORE_THAN_SECONDS };
            word.store(seconds as u64, Ordering::Relaxed);
        }
    }

    /// The seconds `sec` of clock `id`, moved as the page says, where adding seconds does that.
    #[inline(always)]
    pub fn moved_by_seconds(&self, id: u32, sec: i64) -> Option<i64> {
        let index = if (id as usize) < LINES { id as usize } else { 0 };
        // Relaxed: one word that stands for itself.
        let offset = self.header.seconds_offset[index].load(Ordering::Relaxed) as i64;
        (offset != MORE_THAN_SECONDS).then(|| sec.wrapping_add(offset))
    }

    /// Writes what `gettimeofday` says of the time zone; `None` has readers ask the kernel. Of the minutes 31
    /// bits are kept.
    pub fn store_time_zone(&self, zone: Option<Timezone>) {
        let word = |zone: Timezone| {
            let minutes = u64::from(zone.minutes_west as u32) << 32;
            TIME_ZONE_KNOWN | minutes | u64::from(zone.dst_time as u32)
        };
        // Relaxed: one word that stands for itself.
        self.header.time_zone.store(zone.map_or(0, word), Ordering::Relaxed);
    }

    /// The time zone, if the page has it.
    #[inline(always)]
    pub fn time_zone(&self) -> Option<Timezone> {
        // Relaxed: as above.
        let word = self.header.time_zone.load(Ordering::Relaxed);
        // The sign of 31 bits.
        let minutes_west = ((word >> 32) as u32 as i32) << 1 >> 1;
        let zone = Timezone { minutes_west, dst_time: word as i32 };
        (word & TIME_ZONE_KNOWN != 0).then_some(zone)
    }

    /// Has every process that shares the page make new keys before it gives out another random byte.
    pub fn renew_keys(&self) {
        // Release: whoever sees the new generation finds what came before, such as the kernel's new seed.
        self.header.random_generation.fetch_add(1, Ordering::Release);
    }

    /// Whether this is a page that this version of the crate can read.
    pub fn is_readable(&self) -> bool {
        // Relaxed: these are written once, before the page is handed to anybody.
        self.header.magic.load(Ordering::Relaxed) == MAGIC
            && self.header.version.load(Ordering::Relaxed) == VERSION
    }

    /// One of the two copies; the latch says which.
    #[inline(always)]
    pub fn copy(&self, copy: usize) -> &[Line; LINES] {
        if copy % COPIES == 0 { &self.first } else { &self.second }
    }

    /// The line of `clock` in one of the copies. An id without a line gets that of REALTIME: whoever
    /// computes a read wants no bounds check, and knows what it asks for.
    #[inline(always)]
    pub fn line(&self, copy: usize, clock: u32) -> &Line {
        let index = if (clock as usize) < LINES { clock as usize } else { 0 };
        &self.copy(copy)[index]
    }
}

/// An update of a page that has begun. If it is dropped, readers stay where they are.
#[derive(Debug)]
#[must_use = "readers see nothing of an update that is not committed"]
pub struct Update<'page> {
    page: &'page OwnPage,
    latch: latch::Update<'page>,
}

impl Update<'_> {
    /// The lines to write. They hold an older update, so each has to be written whole: the counter view of
    /// the clocks that are computed from the counter, and every transform.
    pub fn lines(&self) -> &[Line; LINES] {
        self.page.copy(self.latch.spare())
    }

    /// What readers read meanwhile.
    pub fn published(&self) -> &[Line; LINES] {
        self.page.copy(self.latch.current())
    }

    /// Moves the readers over, by one store. The words that are read without the latch follow.
    pub fn commit(self) {
        let transforms = self.lines().each_ref().map(Line::load_transform);
        self.latch.commit();
        self.page.store_seconds_offsets(&transforms);
    }
}

impl Default for OwnPage {
    fn default() -> Self {
        Self::new()
    }
}
