//! A million reads of each clock by the image, each between two of the kernel's.

use core::ptr::NonNull;

use vdso_client::Call;
use vdso_data::arithmetic::Timespec;
use vdso_data::clock;

use super::kernel::{self, Kernel};
use super::mapped::Mapped;
use crate::report::Report;

/// How often each clock is read.
pub const READS: u32 = 1_000_000;

/// Between how many reads the publisher gets its turn.
const TURN: u32 = 250_000;

/// Every clock with a line in the page.
const CLOCKS: [(u32, &str); 7] = [
    (clock::REALTIME, "REALTIME"),
    (clock::MONOTONIC, "MONOTONIC"),
    (clock::MONOTONIC_RAW, "MONOTONIC_RAW"),
    (clock::REALTIME_COARSE, "REALTIME_COARSE"),
    (clock::MONOTONIC_COARSE, "MONOTONIC_COARSE"),
    (clock::BOOTTIME, "BOOTTIME"),
    (clock::TAI, "TAI"),
];

/// `turn` is called now and then, and says by how many nanoseconds a read may be off.
pub fn run(report: &mut Report, source: &str, image: &Mapped, turn: &mut dyn FnMut() -> u64) {
    let ours = kernel::name_of(Call::ClockGettime).and_then(|name| image.function(name));
    let Some(ours) = ours else {
        report.fail(format_args!("{source}-brackets"), "the image lacks clock_gettime");
        return;
    };
    let theirs = Kernel::new();
    for (id, name) in CLOCKS {
        let result = bracket(ours, theirs, id, turn);
        report.check(format_args!("{source}-brackets-{name}"), result);
    }
}

/// What a million reads have shown.
struct Brackets {
    allowed_ns: u64,
    worst_ns: u64,
}

impl core::fmt::Display for Brackets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { allowed_ns, worst_ns } = self;
        write!(f, "{READS} reads, at most {worst_ns} ns outside, {allowed_ns} ns allowed")
    }
}

/// What was wrong with a read.
enum Wrong {
    Failed(isize),
    Outside { before: Timespec, ours: Timespec, after: Timespec, allowed_ns: u64 },
    Backwards { before: Timespec, after: Timespec },
}

impl core::fmt::Display for Wrong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "a read failed with {error}"),
            Self::Outside { before, ours, after, allowed_ns } => {
                write!(f, "{ours:?} is not within {allowed_ns} ns of {before:?} to {after:?}")
            }
            Self::Backwards { before, after } => write!(f, "{after:?} came after {before:?}"),
        }
    }
}

fn bracket(
    ours: NonNull<()>,
    theirs: Kernel,
    id: u32,
    turn: &mut dyn FnMut() -> u64,
) -> Result<Brackets, Wrong> {
    let mut brackets = Brackets { allowed_ns: 0, worst_ns: 0 };
    let mut last = None;
    for index in 0..READS {
        if index % TURN == 0 {
            brackets.allowed_ns = turn();
            // Lines may overlap by what a turn allows.
            last = None;
        }
        let before = theirs.read(id).map_err(Wrong::Failed)?;
        let now = kernel::read(ours, id).map_err(Wrong::Failed)?;
        let after = theirs.read(id).map_err(Wrong::Failed)?;
        if let Some(last) = last
            && now < last
        {
            return Err(Wrong::Backwards { before: last, after: now });
        }
        last = Some(now);
        let outside = (nanos(before) - nanos(now)).max(nanos(now) - nanos(after)).max(0) as u64;
        let allowed_ns = brackets.allowed_ns;
        if outside > allowed_ns {
            return Err(Wrong::Outside { before, ours: now, after, allowed_ns });
        }
        brackets.worst_ns = brackets.worst_ns.max(outside);
    }
    Ok(brackets)
}

/// These clocks are within 292 years of 1970.
pub fn nanos(time: Timespec) -> i64 {
    time.sec.wrapping_mul(1_000_000_000).wrapping_add(time.nsec)
}
