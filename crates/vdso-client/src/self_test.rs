//! Compares what this crate answers with what the kernel says.

use core::fmt;

use vdso_arch::abi::Call;

use crate::calls::{
    clock_getres::clock_getres, clock_gettime::clock_gettime, getcpu::getcpu,
    gettimeofday::gettimeofday, time::time,
};
use crate::clock_id::ClockId;
use crate::errno::Errno;
use crate::random;
use crate::system_call;

/// What came of one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The call.
    pub call: Call,
    /// The clock that it was asked for, if it takes one.
    pub clock: Option<ClockId>,
    /// How the answers compare.
    pub outcome: Outcome,
}

/// How an answer compares with the system call's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// They agree: a time lies between two of the kernel's, and random bytes are like no others.
    Agrees,
    /// The answer is this much more than the kernel's, or less. Under `vdso run` that is what was
    /// asked for.
    Differs {
        /// Nanoseconds outside the kernel's two answers; for [`Call::Getcpu`] the difference of the
        /// CPU's numbers.
        by: i128,
    },
    /// Bytes of [`Call::Getrandom`] are like others, or like none were written.
    Repeats,
    /// One of the two is an error.
    Fails(Errno),
}

impl Outcome {
    /// Whether it is not more than `tolerance_ns` off.
    pub fn is_within(self, tolerance_ns: u64) -> bool {
        match self {
            Self::Agrees => true,
            Self::Differs { by } => by.unsigned_abs() <= u128::from(tolerance_ns),
            Self::Repeats | Self::Fails(_) => false,
        }
    }
}

/// How often a comparison is repeated that failed: a clock may be set in the midst of it, and a
/// thread may move to another CPU.
const TRIES: u32 = 5;

/// Compares each call, and each clock that a vDSO may answer, with the system call. Nobody has to: a
/// kernel's vDSO is right. It is for images that come from elsewhere, and for emulators.
///
/// ```
/// for finding in vdso_client::self_test() {
///     println!("{finding}");
/// }
/// ```
pub fn self_test() -> impl Iterator<Item = Finding> {
    let clock_gettime = ClockId::OF_VDSO.into_iter().map(|id| {
        let read = || clock_gettime(id).map(|now| now.as_nanos());
        let ask = || system_call::clock_gettime(id).map(|now| now.as_nanos());
        Finding { call: Call::ClockGettime, clock: Some(id), outcome: compare(read, ask) }
    });
    let clock_getres = ClockId::OF_VDSO.into_iter().map(|id| {
        let read = || clock_getres(id).map(|resolution| resolution.as_nanos());
        let ask = || system_call::clock_getres(id).map(|resolution| resolution.as_nanos());
        Finding { call: Call::ClockGetres, clock: Some(id), outcome: compare(read, ask) }
    });
    let others: [(Call, fn() -> Outcome); 4] = [
        (Call::Gettimeofday, compare_gettimeofday),
        (Call::Time, compare_time),
        (Call::Getcpu, compare_getcpu),
        (Call::Getrandom, compare_getrandom),
    ];
    let others = others.into_iter();
    let others = others.map(|(call, compare)| Finding { call, clock: None, outcome: compare() });
    clock_gettime.chain(clock_getres).chain(others)
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(formatter)?;
        if let Some(clock) = self.clock {
            write!(formatter, " ({clock})")?;
        }
        write!(formatter, ": {}", self.outcome)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agrees => formatter.write_str("agrees"),
            Self::Differs { by } => write!(formatter, "differs by {by}"),
            Self::Repeats => formatter.write_str("the same bytes twice"),
            Self::Fails(error) => write!(formatter, "fails: {error}"),
        }
    }
}

/// By a state of its own: as a program without the feature `std` gets them.
fn compare_getrandom() -> Outcome {
    const BYTES: usize = 32;
    let mut state = random::State::new();
    let mut blocks = [[0_u8; BYTES]; 4];
    let [_, kernels, first, second] = &mut blocks;
    let asked = random::by_system_call(random::as_uninit(kernels), 0).map(drop);
    let filled = asked.and_then(|()| state.fill(first)).and_then(|()| state.fill(second));
    if let Err(error) = filled {
        return Outcome::Fails(error);
    }
    let is_repeated = |index: usize| blocks[..index].contains(&blocks[index]);
    if (1..blocks.len()).any(is_repeated) { Outcome::Repeats } else { Outcome::Agrees }
}

fn compare_gettimeofday() -> Outcome {
    let nanos =
        |time: crate::Timeval| i128::from(time.sec) * 1_000_000_000 + i128::from(time.usec) * 1_000;
    compare(|| gettimeofday().map(nanos), || system_call::gettimeofday().map(nanos))
}

fn compare_time() -> Outcome {
    let nanos = |seconds| i128::from(seconds) * 1_000_000_000;
    compare(|| time().map(nanos), || system_call::time().map(nanos))
}

fn compare_getcpu() -> Outcome {
    compare(
        || getcpu().map(|at| i128::from(at.cpu)),
        || system_call::getcpu().map(|at| i128::from(at.cpu)),
    )
}

/// Whether what `read` gives lies between two answers of `ask`, best of a few.
fn compare(
    read: impl Fn() -> Result<i128, Errno>,
    ask: impl Fn() -> Result<i128, Errno>,
) -> Outcome {
    let mut outcome = Outcome::Agrees;
    for _ in 0..TRIES {
        outcome = compare_once(&read, &ask).unwrap_or_else(Outcome::Fails);
        if outcome == Outcome::Agrees {
            break;
        }
    }
    outcome
}

fn compare_once(
    read: impl Fn() -> Result<i128, Errno>,
    ask: impl Fn() -> Result<i128, Errno>,
) -> Result<Outcome, Errno> {
    let before = ask()?;
    let answer = read()?;
    let after = ask()?;
    Ok(if answer < before {
        Outcome::Differs { by: answer - before }
    } else if answer > after {
        Outcome::Differs { by: answer - after }
    } else {
        Outcome::Agrees
    })
}
