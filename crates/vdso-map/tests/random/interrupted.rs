//! Calls that are interrupted in the middle: by a handler that calls again, forks, or loses the memory.
//!
//! The middle is where a buffer leads from one page to another that cannot be written to yet: the fault's
//! handler does what the test is about, makes the page writable, and returns.

use std::collections::HashSet;
use std::ffi::c_int;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::mapped::Mapped;
use super::support::*;

/// Lengths, and how many bytes of them come before the middle: within what a state holds, and in what
/// goes to the buffer at once.
const CALLS: [(usize, usize); 6] =
    [(64, 1), (100, 50), (100, 99), (1000, 500), (3000, 64), (5000, 4000)];

type Body<'a> = Box<dyn Fn() + 'a>;

/// What the handler does, and how often it has.
static BODY: AtomicPtr<Body<'static>> = AtomicPtr::new(ptr::null_mut());
static HANDLED: AtomicU32 = AtomicU32::new(0);
static LATER_PAGES: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
const LATER_BYTES: usize = 2 * PAGE_BYTES;

extern "C" fn handle(_: c_int) {
    let body = BODY.load(Ordering::Relaxed);
    if HANDLED.fetch_add(1, Ordering::Relaxed) == 0 {
        // SAFETY: `interrupt` has put it there, and waits.
        let body = unsafe { &*body };
        body();
    }
    let pages = LATER_PAGES.load(Ordering::Relaxed).cast();
    // SAFETY: pages of `interrupt`'s.
    unsafe { libc::mprotect(pages, LATER_BYTES, libc::PROT_READ | libc::PROT_WRITE) };
}

/// Fills `length` bytes, of which `before` come before the interruption by `body`. In a process of its
/// own: faults are the whole process's.
fn interrupt(state: &State, (length, before): (usize, usize), body: impl Fn()) -> Vec<u8> {
    let pages = map(4 * PAGE_BYTES, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).as_ptr();
    let later = pages.wrapping_add(PAGE_BYTES);
    // SAFETY: pages of ours.
    let result = unsafe { libc::mprotect(later.cast(), LATER_BYTES, libc::PROT_NONE) };
    assert_eq!(result, 0);
    let mut body: Body<'_> = Box::new(body);
    HANDLED.store(0, Ordering::Relaxed);
    LATER_PAGES.store(later, Ordering::Relaxed);
    BODY.store((&raw mut body).cast(), Ordering::Relaxed);
    let action = SigAction::new(SigHandler::Handler(handle), SaFlags::SA_NODEFER, SigSet::empty());
    // SAFETY: the handler does what the test is about.
    unsafe { sigaction(Signal::SIGSEGV, &action) }.expect("a handler");
    // SAFETY: inside the four pages, with its end.
    let buffer = unsafe { std::slice::from_raw_parts_mut(later.wrapping_sub(before), length) };
    assert_eq!(state.try_fill(buffer, 0), length as isize);
    assert_eq!(HANDLED.load(Ordering::Relaxed), 1, "it was interrupted once");
    buffer.to_vec()
}

/// Runs a part for each function and each call, in a process of its own.
#[track_caller]
fn each(test: &str, part: impl Fn(&Getrandom, (usize, usize))) {
    for function in functions(test) {
        for call in CALLS {
            let status = in_child(|| part(function, call));
            assert_good(status, &format!("{}, {call:?}", function.name));
        }
    }
}

/// Whether a part of 16 bytes is in both.
fn share(one: &[u8], other: &[u8]) -> bool {
    let windows: HashSet<&[u8]> = one.windows(16).collect();
    other.windows(16).any(|window| windows.contains(window))
}

#[test]
fn a_call_within_a_call_goes_to_the_kernel_and_leaves_the_state_alone() {
    each("a_call_within_a_call_goes_to_the_kernel_and_leaves_the_state_alone", |function, call| {
        let state = function.state();
        state.draw::<10>();
        let inner = Mutex::new(Vec::new());
        let outer = interrupt(&state, call, || {
            let before = state.bytes();
            inner.lock().unwrap().extend(state.draw::<1000>());
            assert_eq!(state.bytes(), before);
        });
        let inner = inner.into_inner().unwrap();
        assert!(!share(&inner, &outer) && !share(&state.draw::<1000>(), &inner));
        // It is not in use any more: this call goes to the function.
        let before = state.bytes();
        state.draw::<10>();
        assert_ne!(state.bytes(), before);
    });
}

#[test]
fn a_state_that_is_lost_in_the_middle_begins_anew() {
    each("a_state_that_is_lost_in_the_middle_begins_anew", |function, call| {
        let state = function.state();
        state.draw::<10>();
        let bytes = interrupt(&state, call, || state.drop_memory());
        // What was copied from memory that was zeros by then is not given.
        assert!(!share(&bytes, &[0; 16]));
        assert!(!share(&state.draw::<1000>(), &bytes));
    });
}

/// Bytes that the old key has made before the new seed are not given after it.
#[test]
fn a_new_seed_in_the_middle_gives_bytes_of_a_new_key() {
    for mapped in Mapped::all() {
        for call in CALLS {
            let status = in_child(|| {
                let state = mapped.function.kept_state();
                state.draw::<10>();
                let copy = state.bytes();
                let of_old_key = interrupt(&state, call, || {});
                state.set(&copy);
                assert_eq!(interrupt(&state, call, || {}), of_old_key, "what is compared with");
                state.set(&copy);
                let given = interrupt(&state, call, || {
                    mapped.kernels.generation.fetch_add(1, Ordering::Relaxed);
                });
                assert!(!share(&given, &of_old_key));
            });
            assert_good(status, &format!("{}, {call:?}", mapped.function.name));
        }
    }
}

/// The child goes on where its parent was interrupted, with a state that is wiped.
#[test]
fn a_fork_in_the_middle_gives_both_their_own() {
    each("a_fork_in_the_middle_gives_both_their_own", |function, call| {
        assert_parted(function, call, |_| {});
    });
}

/// The same with a handler that draws in the child, from the state that it has interrupted: there it
/// does not say that it is in use. The kernel's own function then goes on with its parent's key, which is
/// why C libraries do not let it come to that. Ours finds out.
#[test]
fn a_fork_in_the_middle_that_draws_gives_both_their_own() {
    const TEST: &str = "a_fork_in_the_middle_that_draws_gives_both_their_own";
    let all = functions(TEST);
    for function in all.iter().filter(|function| function.is_own(all)) {
        for call in CALLS {
            let status = in_child(|| {
                // More than the interrupted call, too: what it has counted is then behind.
                for bytes in [32, 300, 2000] {
                    assert_parted(function, call, |state| {
                        assert_eq!(state.try_fill(&mut vec![0; bytes], 0), bytes as isize);
                    });
                }
            });
            assert_good(status, &format!("{}, {call:?}", function.name));
        }
    }
}

/// Forks in the middle of a call; the child does something more in its handler.
fn assert_parted(function: &Getrandom, call: (usize, usize), in_handler: impl Fn(&State)) {
    const SHARED: c_int = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let shared = map(4 * PAGE_BYTES, SHARED).as_ptr();
    let state = function.state();
    state.draw::<10>();
    let child = AtomicU32::new(0);
    let mut bytes = interrupt(&state, call, || {
        // SAFETY: this process has one thread.
        let forked = unsafe { libc::fork() };
        assert_ne!(forked, -1);
        child.store(forked as u32, Ordering::Relaxed);
        if forked == 0 {
            in_handler(&state);
        }
    });
    bytes.extend(state.draw::<1000>());
    let child = child.into_inner();
    if child == 0 {
        // SAFETY: the pages are ours, and have room.
        unsafe { shared.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        // SAFETY: ends this process.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: it is our child.
    assert_eq!(unsafe { libc::waitpid(child as libc::pid_t, &mut status, 0) }, child as c_int);
    assert_eq!(status, 0, "the child has come to its end");
    // SAFETY: it has written that many.
    let childs = unsafe { std::slice::from_raw_parts(shared, bytes.len()) };
    // The first part, too: whoever finds that it has forked begins again.
    assert!(!share(childs, &bytes), "parent and child have been given the same");
    assert!(!share(childs, &[0; 16]) && !share(&bytes, &[0; 16]));
}
