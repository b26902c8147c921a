//! What programs have counted: calls of the image's functions, by thread.
//!
//! The programs write these numbers themselves ([`vdso_data::counts`]), so a program can make them wrong, but no more
//! than that: sums stop at the largest number there is, and names may have any bytes.

use vdso_data::counts::{BLOCKS, Block, CLOCKS, Counter, WORDS, clock_place};
use vdso_data::sync::Ordering;
use vdso_map::CountsFile;

/// The kernel's names of its clocks, by id; those that have none here are the processes' own.
const CLOCK_NAMES: [&str; CLOCKS] = [
    "REALTIME",
    "MONOTONIC",
    "PROCESS_CPUTIME_ID",
    "THREAD_CPUTIME_ID",
    "MONOTONIC_RAW",
    "REALTIME_COARSE",
    "MONOTONIC_COARSE",
    "BOOTTIME",
    "REALTIME_ALARM",
    "BOOTTIME_ALARM",
    "10",
    "TAI",
    "12",
    "13",
    "14",
    "15",
    "other",
];

/// The functions, by the name that a C library has for each; the first two are counted for each clock.
const FUNCTIONS: [(&str, Counter); 6] = [
    ("clock_gettime", Counter::ClockGettime),
    ("clock_getres", Counter::ClockGetres),
    ("gettimeofday", Counter::Gettimeofday),
    ("time", Counter::Time),
    ("getcpu", Counter::Getcpu),
    ("getrandom", Counter::Getrandom),
];

/// Why the kernel was asked for a clock.
const REASONS: [(Reason, Counter); 4] = [
    (Reason::NoPage, Counter::NoPage),
    (Reason::CounterUnused, Counter::CounterUnused),
    (Reason::TimeNamespace, Counter::TimeNamespace),
    (Reason::Stale, Counter::Stale),
];

/// A function, with the clock that it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// As C libraries call it.
    pub function: &'static str,
    /// The kernel's name of the clock, without `CLOCK_`, or its number; `other` for those of processes and devices. `None` of a
    /// function that takes none.
    pub clock: Option<&'static str>,
}

/// Why the kernel was asked for a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Only the kernel has this clock, such as a process's CPU time.
    NoPage,
    /// The kernel does not use the counter.
    CounterUnused,
    /// The process is in a time namespace.
    TimeNamespace,
    /// The page did not tell: it is no longer published, or never was.
    Stale,
}

/// Counts, of one thread or of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally([u64; WORDS]);

/// What one thread has counted, or those that came after one another with the same thread pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The numbers of the process and the thread as they see them themselves; `None` if nobody could ask, as
    /// a filter would not have allowed it.
    pub ids: Option<(u32, u32)>,
    /// What the thread was called when it first called one of the functions.
    pub name: String,
    /// Its counts.
    pub tally: Tally,
}

/// What a launch's programs have counted until now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Those threads that have counted anything, in the order of their first calls.
    pub threads: Vec<Thread>,
    /// What those have counted who cannot be told apart: the threads beyond [`MOST_THREADS`], and all of a process that has no
    /// thread pointers.
    pub others: Tally,
}

/// How many threads are told apart.
pub const MOST_THREADS: usize = BLOCKS;

impl Report {
    /// Reads all counts as they are now, which a thread may be adding to meanwhile.
    pub fn read(file: &CountsFile) -> Self {
        let (blocks, _) = file.taken();
        let threads = blocks.iter().map(Thread::read).filter(|thread| !thread.tally.is_empty());
        Self { threads: threads.collect(), others: Tally::read(&file.counts().common) }
    }

    /// The sum of all counts.
    pub fn total(&self) -> Tally {
        let mut total = self.others.clone();
        for thread in &self.threads {
            total.add(&thread.tally);
        }
        total
    }
}

impl Thread {
    fn read(block: &Block) -> Self {
        // Relaxed, here and below: numbers that stand for themselves.
        let [pid, tid] = [&block.pid, &block.tid].map(|id| id.load(Ordering::Relaxed));
        let name = block.name.each_ref().map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
        let name = name.as_flattened().split(|&byte| byte == 0).next().unwrap_or_default();
        Self {
            ids: (pid != 0).then_some((pid, tid)),
            name: String::from_utf8_lossy(name).into_owned(),
            tally: Tally::read(block),
        }
    }
}

impl Tally {
    fn read(block: &Block) -> Self {
        Self(block.counts.each_ref().map(|count| count.load(Ordering::Relaxed)))
    }

    fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(count);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|&count| count == 0)
    }

    /// The calls, and how often each was made: those alone that were made.
    pub fn calls(&self) -> Vec<(Call, u64)> {
        let all = FUNCTIONS.iter().flat_map(|&(function, counter)| {
            let by_clock = matches!(counter, Counter::ClockGettime | Counter::ClockGetres);
            let clocks = if by_clock { CLOCKS } else { 1 };
            (0..clocks).map(move |place| {
                let clock = by_clock.then(|| CLOCK_NAMES[place]);
                (Call { function, clock }, counter as usize + place)
            })
        });
        let counted = all.map(|(call, word)| (call, self.0[word]));
        counted.filter(|&(_, count)| count != 0).collect()
    }

    /// How many calls were made.
    pub fn sum(&self) -> u64 {
        self.calls().iter().fold(0, |sum, &(_, count)| sum.saturating_add(count))
    }

    /// For which clocks the kernel was asked, by any function, and how often.
    pub fn asked_kernel(&self) -> Vec<(&'static str, u64)> {
        self.by_clock(Counter::AskedKernel)
    }

    /// Which clocks had to be read anew, as their page was being written, and how often.
    pub fn retried(&self) -> Vec<(&'static str, u64)> {
        self.by_clock(Counter::Retried)
    }

    fn by_clock(&self, counter: Counter) -> Vec<(&'static str, u64)> {
        let words = self.0[counter as usize..].iter().copied();
        CLOCK_NAMES.into_iter().zip(words).filter(|&(_, count)| count != 0).collect()
    }

    /// Why the kernel was asked, and how often.
    pub fn reasons(&self) -> Vec<(Reason, u64)> {
        let all = REASONS.into_iter().map(|(reason, counter)| (reason, self.0[counter as usize]));
        all.filter(|&(_, count)| count != 0).collect()
    }
}

const _: () = assert!(clock_place(u32::MAX) == CLOCKS - 1);

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> CountsFile {
        CountsFile::create("test").expect("memory")
    }

    fn set(block: &Block, word: usize, count: u64) {
        block.counts[word].store(count, Ordering::Relaxed);
    }

    fn call(function: &'static str, clock: Option<&'static str>) -> Call {
        Call { function, clock }
    }

    #[test]
    fn each_count_is_of_its_call() {
        let file = file();
        let counts = file.counts();
        counts.next.store(2, Ordering::Relaxed);
        let [first, second] = [&counts.blocks[0], &counts.blocks[1]];
        first.pid.store(7, Ordering::Relaxed);
        first.tid.store(8, Ordering::Relaxed);
        first.name[0].store(u64::from_ne_bytes(*b"abc\0\xff\xff\xff\xff"), Ordering::Relaxed);
        set(first, Counter::ClockGettime.of_clock(1), 5);
        set(first, Counter::ClockGettime.of_clock(u32::MAX), 1);
        set(first, Counter::AskedKernel.of_clock(u32::MAX), 1);
        set(first, Counter::NoPage as usize, 1);
        set(second, Counter::ClockGettime.of_clock(1), 2);
        set(second, Counter::ClockGetres.of_clock(1), 3);
        set(&counts.common, Counter::Getrandom as usize, 4);
        let report = Report::read(&file);
        assert_eq!(report.threads.len(), 2);
        assert_eq!((report.threads[0].ids, &*report.threads[0].name), (Some((7, 8)), "abc"));
        assert_eq!(report.threads[1].ids, None);
        let total = report.total();
        let expected = [
            (call("clock_gettime", Some("MONOTONIC")), 7),
            (call("clock_gettime", Some("other")), 1),
            (call("clock_getres", Some("MONOTONIC")), 3),
            (call("getrandom", None), 4),
        ];
        assert_eq!(total.calls(), expected);
        assert_eq!(total.sum(), 15);
        assert_eq!(total.asked_kernel(), [("other", 1)]);
        assert_eq!(total.reasons(), [(Reason::NoPage, 1)]);
        assert!(total.retried().is_empty());
    }

    /// As a program may write anything.
    #[test]
    fn garbage_is_counted_and_no_more() {
        let file = file();
        let counts = file.counts();
        counts.next.store(u64::MAX, Ordering::Relaxed);
        for block in counts.blocks.iter().chain([&counts.common]) {
            block.pid.store(u32::MAX, Ordering::Relaxed);
            block.name.iter().for_each(|word| word.store(u64::MAX, Ordering::Relaxed));
            (0..WORDS).for_each(|word| set(block, word, u64::MAX));
        }
        let report = Report::read(&file);
        assert_eq!(report.threads.len(), MOST_THREADS);
        assert_eq!(report.total().sum(), u64::MAX);
        assert!(report.threads[0].name.chars().all(|letter| letter == char::REPLACEMENT_CHARACTER));
    }
}
