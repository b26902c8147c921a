//! The state of each thread.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering, compiler_fence};

use super::pool::Place;
use super::process::{self, thread_id};
use crate::resolve::slots;

std::thread_local! {
    /// For a [`Call`] that has interrupted none. Without a destructor: registering one may allocate, which
    /// no signal handler may do. What a thread has had goes to another one when that finds its owner gone.
    static PLACE: Cell<Option<(Place, u32)>> = const { Cell::new(None) };
}

std::thread_local! {
    /// Whether a call is under way here. A handler that interrupts one leaves `PLACE` alone, as the call may
    /// be writing it, and the state as well, also in a child that the handler has forked: the state is wiped
    /// there, so it does not say that it is in use, and yet the interrupted call goes on with it.
    static IS_CALLED: AtomicBool = const { AtomicBool::new(false) };
}

/// A call of this thread's, until it is dropped.
pub struct Call {
    /// It has interrupted another.
    is_nested: bool,
}

impl Call {
    #[inline]
    pub fn begin() -> Self {
        let begin = |is_called: &AtomicBool| {
            // Relaxed: for this thread alone. In two steps, as a handler in between leaves what it finds.
            let is_nested = is_called.load(Ordering::Relaxed);
            is_called.store(true, Ordering::Relaxed);
            is_nested
        };
        // Without the variable nothing is known, and none is the first.
        let is_nested = IS_CALLED.try_with(begin).unwrap_or(true);
        // What follows must not be moved before the store: a handler would not know of it.
        compiler_fence(Ordering::SeqCst);
        Self { is_nested }
    }

    /// This thread's place; `None` if there is no function or no memory, or if it takes a system call to
    /// be safe.
    #[inline]
    pub fn place(&self) -> Option<Place> {
        if self.is_nested {
            return None;
        }
        match PLACE.try_with(Cell::get).ok()? {
            Some((place, thread)) if place.is_current() && place.is_marked(thread) => Some(place),
            known => look(known),
        }
    }
}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        // As in `begin`.
        compiler_fence(Ordering::SeqCst);
        let end = |is_called: &AtomicBool| is_called.store(self.is_nested, Ordering::Relaxed);
        let _ = IS_CALLED.try_with(end);
    }
}

/// How many more calls spare the search for a state after one that has found no memory: it would take
/// several system calls each time.
static SPARED: AtomicU32 = AtomicU32::new(0);

/// Often enough to find memory when there is some again.
const SPARED_AFTER_FAILURE: u32 = 1_000;

/// Whether this is one of them.
fn is_spared() -> bool {
    // Relaxed: some more or less do not matter.
    let spared = SPARED.load(Ordering::Relaxed);
    spared > 0 && {
        SPARED.store(spared - 1, Ordering::Relaxed);
        true
    }
}

/// The first call of a thread, or the first after a fork, after the memory was dropped, or after the
/// program's calls went to another image. No call is under way here but the one that asks.
#[cold]
fn look(known: Option<(Place, u32)>) -> Option<Place> {
    // Before any system call.
    slots::GETRANDOM.get()?;
    if known.is_none() && is_spared() {
        return None;
    }
    let thread = thread_id();
    // Of a thread that has forked, what is known is the parent's.
    if let Some((place, owner)) = known.filter(|(_, owner)| *owner == thread) {
        if place.is_current() && place.confirm(owner) {
            return Some(place);
        }
        place.give_back(owner);
    }
    // Of one that shares its parent's memory, the variable is the parent's, too.
    if !process::owns_pool() {
        return None;
    }
    PLACE.try_with(|cell| cell.set(None)).ok()?;
    let Some(place) = Place::claim(thread) else {
        SPARED.store(SPARED_AFTER_FAILURE, Ordering::Relaxed);
        return None;
    };
    // A handler may have forked since the number was asked for: then it is the parent's.
    if thread_id() != thread {
        return None;
    }
    PLACE.try_with(|cell| cell.set(Some((place, thread)))).ok()?;
    Some(place)
}

#[cfg(all(test, not(miri)))]
mod tests {
    use std::ffi::{c_int, c_void};
    use std::vec;
    use std::vec::Vec;

    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, Pid, fork};

    use super::super::pool::HELD;
    use super::{Call, Ordering, PLACE, Place, SPARED, look, thread_id};

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
                // As its parent. It must not panic: that would go on in the child's copy of the harness.
                let is_own = place()
                    .is_some_and(|own| own.is_marked(thread_id()) && own.confirm(thread_id()));
                // SAFETY: ends at once.
                unsafe { libc::_exit(i32::from(!(is_parents && is_wiped && is_own))) };
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
    }

    /// What it interrupts may be half-way through writing where the state is, or taking bytes from it. A
    /// handler that has forked must leave it alone, too: the state, wiped, does not say that it is in use.
    #[test]
    fn a_call_within_another_leaves_its_state_alone() {
        let interrupted = Call::begin();
        if interrupted.place().is_none() {
            return;
        }
        assert!(place().is_none());
        assert!(interrupted.place().is_some());
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

    /// Whether `part` says so in a child that has this thread's memory and variables while the thread waits,
    /// as a child of vfork has.
    fn is_so_in_sharing_child(part: fn() -> bool) -> bool {
        extern "C" fn run(part: *mut c_void) -> c_int {
            // SAFETY: it is what clone was called with below.
            let part = unsafe { part.cast::<fn() -> bool>().read() };
            c_int::from(!part())
        }
        let mut stack = vec![0_u128; 8 * 1024];
        let top = stack.as_mut_ptr_range().end.cast();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let argument = (&raw const part).cast_mut().cast();
        // SAFETY: the stack is the child's alone, and this thread waits until it has ended.
        let child = unsafe { libc::clone(run, top, flags, argument) };
        assert_ne!(child, -1, "clone");
        let child = Pid::from_raw(child);
        waitpid(child, None) == Ok(WaitStatus::Exited(child, 0))
    }

    /// A child's number is gone when it has ended: what it claims in the variable that it shares, anybody
    /// might take from its parent in the middle of a call.
    #[test]
    fn a_child_that_shares_memory_claims_nothing_for_its_parent() {
        let Some(before) = place() else { return };
        let is_parents_still = || {
            let after = place().expect("a state");
            after.is_at(&before) && after.is_marked(thread_id()) && after.confirm(thread_id())
        };
        assert!(is_so_in_sharing_child(|| place().is_some()), "it draws from its parent's state");
        assert!(is_parents_still());
        before.mark(0);
        assert!(is_so_in_sharing_child(|| place().is_none()), "the memory was dropped");
        assert!(is_parents_still());
        let known = PLACE.take();
        assert!(is_so_in_sharing_child(|| place().is_none()), "its parent has no state yet");
        assert!(PLACE.take().is_none());
        PLACE.set(known);
        assert!(is_parents_still());
    }

    /// To such a child all threads of its parent's process look as if they had ended.
    #[test]
    fn a_child_that_shares_memory_takes_no_state_from_a_living_thread() {
        let Some(before) = place() else { return };
        let claims_more_than_are_free = || {
            let places: Vec<_> = (0..500).map_while(|_| Place::claim(HELD)).collect();
            places.iter().for_each(|place| place.give_back(HELD));
            places.len() == 500
        };
        assert!(is_so_in_sharing_child(claims_more_than_are_free));
        assert!(before.confirm(thread_id()), "it was taken");
    }

    /// In a child, as the number of searches is the process's.
    #[test]
    fn a_search_in_vain_is_not_repeated_by_each_call() {
        if place().is_none() {
            return;
        }
        // SAFETY: the child computes and ends.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Child => {
                PLACE.set(None);
                SPARED.store(2, Ordering::Relaxed);
                let found = [place(), place(), place()].map(|place| place.is_some());
                // SAFETY: ends at once.
                unsafe { libc::_exit(i32::from(found != [false, false, true])) };
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
