//! Compares what this crate answers with what the kernel says.

use crate::calls::{
    clock_getres::clock_getres, clock_gettime::clock_gettime, getcpu::getcpu,
    gettimeofday::gettimeofday, time::time,
};
use crate::clock_id::ClockId;
use crate::errno::Errno;
use crate::names::Call;
use crate::system_call;

/// What came of one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
pub enum Outcome {
    /// They agree: a time lies between two of the kernel's.
    Agrees,
    /// The answer is this much more than the kernel's, or less. Under `vdso run` that is what was
    /// asked for.
    Differs {
        /// Nanoseconds outside the kernel's two answers; for [`Call::Getcpu`] the difference of the
        /// CPU's numbers.
        by: i128,
    },
    /// One of the two is an error.
    Fails(Errno),
}

impl Outcome {
    /// Whether it is not more than `tolerance_ns` off.
    pub fn is_within(self, tolerance_ns: u64) -> bool {
        match self {
            Self::Agrees => true,
            Self::Differs { by } => by.unsigned_abs() <= u128::from(tolerance_ns),
            Self::Fails(_) => false,
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
///     println!("{finding:?}");
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
    let others = [Call::Gettimeofday, Call::Time, Call::Getcpu].into_iter().map(|call| {
        let outcome = match call {
            Call::Gettimeofday => compare_gettimeofday(),
            Call::Time => compare_time(),
            _ => compare_getcpu(),
        };
        Finding { call, clock: None, outcome }
    });
    clock_gettime.chain(clock_getres).chain(others)
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
