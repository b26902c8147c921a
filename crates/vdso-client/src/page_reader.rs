//! For loops that do little else than read clocks.

use crate::calls::clock_gettime::clock_gettime;
use crate::clock_id::ClockId;
use crate::own::{self, CoarsePlaces, FinePlaces, OwnPages};
use crate::timespec::Timespec;

/// The own page, with all of its addresses at hand: a read by it looks up nothing, so the addresses
/// can stay in registers, which is worth a nanosecond where a whole read of a coarse clock takes two.
///
/// Where there is no own page there is no reader, and where a reader does not know a time (a clock
/// that no page has, a page that nobody publishes any more, a time namespace) it gives `None`:
/// [`clock_gettime`] knows. It goes on reading the page that it was made for after a
/// [`reset`](crate::reset).
///
/// ```
/// use vdso_client::{ClockId, PageReader, clock_gettime};
///
/// let reader = PageReader::get();
/// for _ in 0..10 {
///     let now = match reader.and_then(|reader| reader.read(ClockId::MONOTONIC_COARSE)) {
///         Some(now) => now,
///         None => clock_gettime(ClockId::MONOTONIC_COARSE)?,
///     };
///     println!("{now:?}");
/// }
/// # Ok::<(), vdso_client::Errno>(())
/// ```
#[derive(Clone, Copy)]
pub struct PageReader {
    fine: FinePlaces,
    coarse: CoarsePlaces,
}

impl PageReader {
    /// Of the image that this process's calls go to, if it has an own page.
    pub fn get() -> Option<Self> {
        // The first call of a process looks for the page.
        let _ = clock_gettime(ClockId::MONOTONIC);
        OwnPages::get().map(|pages| Self { fine: pages.fine(), coarse: pages.coarse() })
    }

    /// The time of a clock; `None` if the page alone does not say.
    #[inline(always)]
    pub fn read(&self, id: ClockId) -> Option<Timespec> {
        if id.is_fine() {
            let [now] = self.fine.read([id], own::ordered)?;
            Some(now)
        } else if id.is_coarse() {
            self.coarse.read(id)
        } else {
            None
        }
    }

    /// Several clocks that are computed from the counter, at one value of it; `None` if the page alone
    /// does not say.
    #[inline(always)]
    pub fn read_at_once<const N: usize>(&self, ids: [ClockId; N]) -> Option<[Timespec; N]> {
        if !ids.iter().all(|id| id.is_fine()) {
            return None;
        }
        self.fine.read(ids, own::ordered)
    }
}
