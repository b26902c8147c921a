//! The state of each thread.

use core::cell::Cell;

use super::memory::thread_id;
use super::pool::Place;

std::thread_local! {
    /// Without a destructor: registering one may allocate, which no signal handler may do. What a
    /// thread has had goes to another one when that finds its owner gone.
    static PLACE: Cell<Option<(Place, u32)>> = const { Cell::new(None) };
}

/// This thread's place; `None` if there is no function or no memory.
#[inline]
pub fn place() -> Option<Place> {
    match PLACE.try_with(Cell::get) {
        Ok(Some((place, thread))) if place.is_current() && place.is_marked(thread) => Some(place),
        Ok(known) => look(known),
        Err(_) => None,
    }
}

/// The first call of a thread, or the first after a fork, after the memory was dropped, or after the
/// program's calls went to another image.
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
    // A signal handler may have been here meanwhile, and claimed another.
    if let Some((other, _)) = PLACE.try_with(Cell::get).ok()? {
        place.give_back(thread);
        return Some(other);
    }
    PLACE.try_with(|cell| cell.set(Some((place, thread)))).ok()?;
    Some(place)
}

#[cfg(all(test, not(miri)))]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    use super::{PLACE, look, place, thread_id};

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
