//! The state of each thread.

use core::cell::Cell;

use super::memory::thread_id;
use super::pool::Place;

std::thread_local! {
    /// Without a destructor: registering one may allocate, which no signal handler may do. What a
    /// thread has had goes to another one when that finds its owner gone.
    static PLACE: Cell<Option<(Place, u32)>> = const { Cell::new(None) };
}

std::thread_local! {
    /// Whether a call is under way here, in memory that a child has as its parent has it: a handler that
    /// forks may have interrupted one. The state is wiped in the child, so it says that nobody uses it, and
    /// yet the call that was interrupted goes on there.
    static IS_CALLED: Cell<bool> = const { Cell::new(false) };
}

/// A call of this thread's, until it is dropped.
pub struct Call {
    /// It has interrupted another.
    is_nested: bool,
}

impl Call {
    #[inline]
    pub fn begin() -> Self {
        // Without the variable nothing is known, and none is the first.
        Self { is_nested: IS_CALLED.try_with(|is_called| is_called.replace(true)).unwrap_or(true) }
    }

    /// This thread's place; `None` if there is no function or no memory, or if it takes a system call to
    /// be safe.
    #[inline]
    pub fn place(&self) -> Option<Place> {
        match PLACE.try_with(Cell::get) {
            Ok(Some((place, thread))) if place.is_current() && place.is_marked(thread) => {
                Some(place)
            }
            Ok(known) if !self.is_nested => look(known),
            _ => None,
        }
    }
}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        let _ = IS_CALLED.try_with(|is_called| is_called.set(self.is_nested));
    }
}

/// The first call of a thread, or the first after a fork, after the memory was dropped, or after the
/// program's calls went to another image. No call is under way here but the one that asks.
#[cold]
fn look(known: Option<(Place, u32)>) -> Option<Place> {
    let thread = thread_id();
    // Of a thread that has forked, what is known is the parent's.
    if let Some((place, owner)) = known
        && owner == thread
    {
        if place.is_current() && place.confirm(owner) {
            return Some(place);
        }
        place.give_back(owner);
    }
    PLACE.try_with(|cell| cell.set(None)).ok()?;
    let place = Place::claim(thread)?;
    PLACE.try_with(|cell| cell.set(Some((place, thread)))).ok()?;
    Some(place)
}

#[cfg(all(test, not(miri)))]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    use super::{Call, PLACE, Place, look, thread_id};

    fn place() -> Option<Place> {
        Call::begin().place()
    }

    /// Nobody must go on with a state that somebody else may take: the one that has forked has another
    /// number than the state's owner.
    #[test]
    fn a_forked_thread_looks_for_a_state_of_its_own() {
        let Some(before) = place() else { return };
        assert!(before.is_marked(thread_id()) && place().is_some());
        // SAFETY: the child computes and ends.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Child => {
                let (known, owner) = PLACE.get().expect("the parent's");
                let is_parents = owner != thread_id();
                let is_wiped = !known.is_marked(owner) && !known.is_marked(thread_id());
                let own = place().expect("as its parent");
                let is_own = own.is_marked(thread_id()) && own.confirm(thread_id());
                // SAFETY: ends at once.
                unsafe { libc::_exit(i32::from(!(is_parents && is_wiped && is_own))) };
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
    }

    /// The handler that has forked must leave alone what it has interrupted: the state, wiped, does not say
    /// that it is in use.
    #[test]
    fn a_call_within_another_leaves_the_state_of_a_forked_thread_alone() {
        let interrupted = Call::begin();
        if interrupted.place().is_none() {
            return;
        }
        assert!(place().is_some(), "as long as the state says that it is in use");
        // SAFETY: the child computes and ends.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Child => {
                let is_left_alone = place().is_none();
                drop(interrupted);
                let is_found_then = place().is_some();
                // SAFETY: ends at once.
                unsafe { libc::_exit(i32::from(!(is_left_alone && is_found_then))) };
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
    }

    /// What `place` finds in one look, `look` finds again: a mark that is lost says nothing of the owner.
    #[test]
    fn a_state_that_was_wiped_is_still_its_owners() {
        let Some(before) = place() else { return };
        before.mark(0);
        assert!(!before.is_marked(thread_id()));
        let after = look(PLACE.get()).expect("a state");
        assert!(after.is_marked(thread_id()) && after.is_at(&before));
    }
}
