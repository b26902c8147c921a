//! Several clocks at one instant.

use crate::calls::clock_gettime::clock_gettime;
use crate::clock_id::ClockId;
use crate::errno::Errno;
use crate::own::{self, OwnPages};
use crate::timespec::Timespec;

/// Times of several clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AtOnce<const N: usize> {
    /// In the order in which they were asked for.
    pub times: [Timespec; N],
    /// Zero: all of them stand for one value of the counter. Otherwise all of them were read within
    /// this many nanoseconds.
    pub spread_ns: u64,
}

/// Reads several clocks at one instant, or within as short a time as can be had: to tell how far one
/// clock is ahead of another.
///
/// On an own page, one read of the counter serves all clocks that are computed from it, and the
/// spread is zero. Everywhere else, and if a clock is asked for that is not computed from the counter,
/// the clocks are read one after another, three times over, and the times that were the closest
/// together are given: the spread is then what [`ClockId::MONOTONIC`] says of before and after.
///
/// # Errors
/// As [`clock_gettime`], of the first clock that has one.
///
/// ```
/// use vdso_client::{ClockId, read_at_once};
///
/// let now = read_at_once([ClockId::REALTIME, ClockId::MONOTONIC])?;
/// let [real, monotonic] = now.times;
/// println!("booted at {} ns, within {} ns", real.as_nanos() - monotonic.as_nanos(), now.spread_ns);
/// # Ok::<(), vdso_client::Errno>(())
/// ```
#[inline(always)]
pub fn read_at_once<const N: usize>(ids: [ClockId; N]) -> Result<AtOnce<N>, Errno> {
    match from_page(ids) {
        Some(now) => Ok(now),
        None => one_after_another(ids),
    }
}

/// The same, but with a spread of at most `spread_ns`: repeated until it is, a hundred times at most.
///
/// `None` if none of these was as close: where the clocks take longer to read, as they do by system calls, or
/// where this thread is interrupted again and again. A spread of zero is had on an own page alone.
///
/// # Errors
/// As [`clock_gettime`], of the first clock that has one.
///
/// ```
/// use vdso_client::{ClockId, read_at_once_within};
///
/// match read_at_once_within([ClockId::REALTIME, ClockId::BOOTTIME], 1_000)? {
///     Some(now) => println!("{} and {}, within {} ns", now.times[0], now.times[1], now.spread_ns),
///     None => println!("clocks are slow here"),
/// }
/// # Ok::<(), vdso_client::Errno>(())
/// ```
#[inline(always)]
pub fn read_at_once_within<const N: usize>(
    ids: [ClockId; N],
    spread_ns: u64,
) -> Result<Option<AtOnce<N>>, Errno> {
    match from_page(ids) {
        Some(now) => Ok(Some(now)),
        None => one_after_another_within(ids, spread_ns),
    }
}

#[inline(never)]
fn one_after_another_within<const N: usize>(
    ids: [ClockId; N],
    spread_ns: u64,
) -> Result<Option<AtOnce<N>>, Errno> {
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        let now = read_in_turn(ids)?;
        if now.spread_ns <= spread_ns {
            return Ok(Some(now));
        }
        // As in `one_after_another`.
        if let Some(now) = from_page(ids) {
            return Ok(Some(now));
        }
    }
    Ok(None)
}

/// From the own page, if there is one and it knows all of them.
#[inline(always)]
fn from_page<const N: usize>(ids: [ClockId; N]) -> Option<AtOnce<N>> {
    let pages = OwnPages::get()?;
    if !ids.iter().all(|id| id.is_fine()) {
        return None;
    }
    let times = pages.fine().read(ids, own::ordered)?;
    Some(AtOnce { times, spread_ns: 0 })
}

#[inline(never)]
fn one_after_another<const N: usize>(ids: [ClockId; N]) -> Result<AtOnce<N>, Errno> {
    const TRIES: u32 = 3;
    let mut best = read_in_turn(ids)?;
    // If that was the process's first call, it has looked for the page.
    if let Some(now) = from_page(ids) {
        return Ok(now);
    }
    for _ in 1..TRIES {
        let next = read_in_turn(ids)?;
        if next.spread_ns < best.spread_ns {
            best = next;
        }
    }
    Ok(best)
}

fn read_in_turn<const N: usize>(ids: [ClockId; N]) -> Result<AtOnce<N>, Errno> {
    let mut times = [Timespec::default(); N];
    let start = clock_gettime(ClockId::MONOTONIC)?;
    for (time, id) in times.iter_mut().zip(ids) {
        *time = clock_gettime(id)?;
    }
    let end = clock_gettime(ClockId::MONOTONIC)?;
    // Not zero, which would say that it was one instant.
    let spread_ns = (end.as_nanos() - start.as_nanos()).max(1);
    Ok(AtOnce { times, spread_ns: u64::try_from(spread_ns).unwrap_or(u64::MAX) })
}
