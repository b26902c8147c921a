//! Calls that are interrupted after each of their instructions: the processor's trap flag has a handler
//! called there, which draws from the same state, forks, or loses the memory. Forks and losses take longer,
//! so they come after each of the first and last instructions, and after some of those that generate.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::support::*;

/// What was drawn before, and how much the call asks for: from what is at hand, from what is at hand and a
/// new batch, from nothing at all.
const CALLS: [(usize, usize); 4] = [(10, 32), (10, 100), (470, 32), (0, 1000)];

/// A fragment of this length comes twice in random bytes in no test.
const WINDOW: usize = 16;

/// Executes the next instruction and then traps. Source: Intel SDM, volume 1, 3.4.3.3.
const TRAP_FLAG: i64 = 1 << 8;

/// Called after each instruction of the function.
type Body<'a> = Box<dyn FnMut(&mut libc::ucontext_t) + 'a>;

static BODY: AtomicPtr<Body<'static>> = AtomicPtr::new(ptr::null_mut());
/// Where it is, and the kernel's, to which it may be passed on.
static CODE: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

extern "C" fn handle(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's, for this handler alone.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let at = context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize;
    // No image is longer, and nothing else is so near: the test's own instructions trap, too.
    if CODE.iter().any(|code| at.abs_diff(code.load(Ordering::Relaxed)) < 0x4000) {
        // SAFETY: `step` has put it there, and waits.
        let body = unsafe { &mut *BODY.load(Ordering::Relaxed) };
        body(context);
    }
}

/// From here on nobody is called any more.
fn run_on(context: &mut libc::ucontext_t) {
    context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
}

/// Fills `length` bytes, interrupted after each instruction. In a process of its own: the handler is the
/// whole process's.
fn step(
    function: &Getrandom,
    state: &State,
    length: usize,
    body: impl FnMut(&mut libc::ucontext_t),
) -> Vec<u8> {
    let mut body: Body<'_> = Box::new(body);
    CODE[0].store(function.address(), Ordering::Relaxed);
    CODE[1].store(functions("a call")[0].address(), Ordering::Relaxed);
    BODY.store((&raw mut body).cast(), Ordering::Relaxed);
    let action = SigAction::new(SigHandler::SigAction(handle), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does what the test is about.
    unsafe { sigaction(Signal::SIGTRAP, &action) }.expect("a handler");
    let mut buffer = vec![0; length];
    // SAFETY: changes a flag that no compiled code looks at.
    unsafe { std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    let answer = state.try_fill(&mut buffer, 0);
    // SAFETY: as above.
    unsafe { std::arch::asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
    assert_eq!(answer, length as isize);
    buffer
}

/// Whether to look at what comes after this instruction of so many.
fn is_looked_at(at: usize, count: usize) -> bool {
    const EDGE: usize = 70;
    at < EDGE || at + EDGE > count || at.is_multiple_of(101)
}

/// How many instructions the call will take.
fn count(function: &Getrandom, state: &State, length: usize) -> usize {
    let copy = function.kept_state();
    copy.set(&state.bytes());
    let mut count = 0;
    step(function, &copy, length, |_| count += 1);
    count
}

/// Runs a part for each function and each call, in a process of its own.
#[track_caller]
fn each<'a>(
    functions: impl Iterator<Item = &'a Getrandom>,
    part: impl Fn(&Getrandom, &State, usize),
) {
    for function in functions {
        for (before, length) in CALLS {
            let status = in_child(|| {
                let state = function.state();
                state.try_fill(&mut vec![0; before], 0);
                part(function, &state, length);
            });
            assert_good(status, &format!("{}, {length} bytes after {before}", function.name));
        }
    }
}

fn windows(bytes: &[u8]) -> HashSet<&[u8]> {
    bytes.windows(WINDOW).collect()
}

/// Nothing of any is in another, and none has zeros.
#[track_caller]
fn assert_apart<'a>(all: impl IntoIterator<Item = &'a Vec<u8>>) {
    let mut seen = HashSet::from([&[0; WINDOW][..]]);
    for bytes in all {
        let own = windows(bytes);
        assert!(own.is_disjoint(&seen), "the same bytes twice, or zeros");
        seen.extend(own);
    }
}

#[test]
fn a_handler_after_each_instruction_is_given_its_own() {
    let all = functions("a_handler_after_each_instruction_is_given_its_own");
    each(all.iter(), |function, state, length| {
        let inner = RefCell::new(Vec::new());
        let outer = step(function, state, length, |_| {
            inner.borrow_mut().push(state.draw::<32>().to_vec());
        });
        let mut all = inner.into_inner();
        assert!(all.len() > 10, "it was interrupted {} times", all.len());
        all.extend([outer, state.draw::<1000>().to_vec()]);
        assert_apart(&all);
    });
}

#[test]
fn a_fork_after_each_instruction_gives_both_their_own() {
    let all = functions("a_fork_after_each_instruction_gives_both_their_own");
    each(all.iter(), |function, state, length| {
        assert_parted(function, state, length, &[]);
    });
}

/// As `interrupted` has it: the kernel's function does not find out.
#[test]
fn a_fork_after_each_instruction_that_draws_gives_both_their_own() {
    let all = functions("a_fork_after_each_instruction_that_draws_gives_both_their_own");
    for in_handler in [&[32][..], &[300, 2000]] {
        let own = all.iter().filter(|function| function.is_own(all));
        each(own, |function, state, length| assert_parted(function, state, length, in_handler));
    }
}

/// Forks after each instruction. Each child draws so much in its handler, then goes on to the end of the
/// call, and draws more: nothing of that is its parent's.
fn assert_parted(function: &Getrandom, state: &State, length: usize, in_handler: &[usize]) {
    const MORE: usize = 100;
    const PARENTS_MORE: usize = 3000;
    let shared = map(PAGE_BYTES, libc::MAP_SHARED | libc::MAP_ANONYMOUS).as_ptr();
    let count = count(function, state, length);
    let (mut childs, mut at, mut is_child) = (Vec::new(), 0, false);
    let mut bytes = step(function, state, length, |context| {
        at += 1;
        if !is_looked_at(at, count) {
            return;
        }
        // SAFETY: this process has one thread.
        let child = unsafe { libc::fork() };
        assert_ne!(child, -1);
        if child == 0 {
            for &bytes in in_handler {
                assert_eq!(state.try_fill(&mut vec![0; bytes], 0), bytes as isize);
            }
            is_child = true;
            return run_on(context);
        }
        let mut status = -1;
        // SAFETY: it is our child.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "the child has come to its end");
        // SAFETY: it has written that many, and has ended.
        let bytes = unsafe { std::slice::from_raw_parts(shared, length + MORE) }.to_vec();
        childs.push((at, bytes));
    });
    if is_child {
        bytes.extend(state.draw::<MORE>());
        // SAFETY: there is room for all of them.
        unsafe { shared.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        // SAFETY: ends this process.
        unsafe { libc::_exit(0) };
    }
    bytes.extend(state.draw::<PARENTS_MORE>());
    assert!(childs.len() > 10, "it was interrupted {} times", childs.len());
    let own = windows(&bytes);
    for (at, child) in &childs {
        // What was complete when the child was made is in both: the last instructions lead back.
        let is_after = |window: &[u8]| !own.contains(window);
        let later = &child[length..];
        assert!(later.windows(WINDOW).all(is_after), "after instruction {at}: the parent's bytes");
        assert!(!windows(child).contains(&[0; WINDOW][..]), "after instruction {at}: zeros");
    }
    assert_apart(
        childs.iter().map(|(_, child)| child[length..].to_vec()).collect::<Vec<_>>().iter(),
    );
}

/// Memory that is lost in the middle is found out about at the end.
#[test]
fn a_state_that_is_lost_after_an_instruction_begins_anew() {
    let all = functions("a_state_that_is_lost_after_an_instruction_begins_anew");
    each(all.iter(), |function, state, length| {
        let mut drawn = Vec::new();
        let count = count(function, state, length);
        // Each comes after all instructions before it, so these are fewer.
        let places = (1..70).chain((70..count).step_by(211)).chain([count - 1, count]);
        for lost_after in places.filter(|&at| at <= count) {
            let mut at = 0;
            let bytes = step(function, state, length, |context| {
                at += 1;
                if at == lost_after {
                    state.drop_memory();
                    run_on(context);
                }
            });
            drawn.extend([bytes, state.draw::<32>().to_vec()]);
        }
        assert_apart(&drawn);
    });
}
