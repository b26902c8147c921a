//! The ids of process and thread: the kernel's own, whoever forks in whatever way, and without a system call later.

#![cfg(not(miri))]

mod support;

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::WaitStatus;
use support::process::{forbid, in_child, is_so_in_sharing_child, status_of_child, wait};
use vdso_client::ids::{process_id, thread_id};
use vdso_client::system_call;

fn are_kernels() -> bool {
    process_id() == system_call::getpid() && thread_id() == system_call::gettid()
}

#[track_caller]
fn assert_kernels() {
    // The first call, a later one, and what that has left behind.
    for _ in 0..3 {
        assert_eq!(process_id(), system_call::getpid());
        assert_eq!(thread_id(), system_call::gettid());
    }
}

#[test]
fn a_child_and_its_children_have_their_own() {
    assert_kernels();
    in_child(|| {
        assert_kernels();
        in_child(|| {
            assert_kernels();
            std::thread::spawn(assert_kernels).join().expect("its own");
        });
        assert_kernels();
    });
    assert_kernels();
}

/// A child that has never asked has children itself: nothing that is kept may be the first one's.
#[test]
fn a_grandchild_of_a_child_that_has_not_asked_has_its_own() {
    assert_kernels();
    in_child(|| in_child(|| in_child(assert_kernels)));
}

#[test]
fn each_thread_has_its_own() {
    assert_kernels();
    let threads: Vec<_> = (0..20).map(|_| std::thread::spawn(assert_kernels)).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("its own"));
}

/// A thread that is not the first one forks: in the child it is, with another id.
#[test]
fn a_child_of_a_thread_has_its_own() {
    let forks = || {
        assert_kernels();
        in_child(assert_kernels);
        assert_kernels();
    };
    std::thread::spawn(forks).join().expect("its own");
}

/// No C library's handler sees these.
#[test]
fn a_child_by_a_plain_system_call_has_its_own() {
    assert_kernels();
    for number in [libc::SYS_fork, libc::SYS_clone] {
        let flags = if number == libc::SYS_clone { libc::SIGCHLD } else { 0 };
        // SAFETY: the child looks at its ids and ends.
        let child = unsafe { libc::syscall(number, flags, 0, 0, 0, 0) };
        if child == 0 {
            let is_so = are_kernels() && are_kernels();
            // SAFETY: ends at once.
            unsafe { libc::_exit(i32::from(!is_so)) };
        }
        assert_eq!(wait(child as i32), 0);
        assert_kernels();
    }
}

/// The only way to tell it from its parent is a system call, which it need not have asked for.
#[test]
fn a_child_that_shares_memory_spoils_nothing_of_its_parents() {
    // In processes that have not asked yet, each.
    let asks_first: [fn() -> bool; 3] =
        [are_kernels, || thread_id() == system_call::gettid(), || are_kernels() && are_kernels()];
    for ask in asks_first {
        in_child(|| {
            assert!(is_so_in_sharing_child(ask), "the child's, as nobody has asked before");
            assert_kernels();
            assert!(!is_so_in_sharing_child(are_kernels), "as documented");
            assert_kernels();
        });
    }
}

/// A thread that has not asked, of a process that has.
#[test]
fn a_child_that_shares_memory_keeps_nothing_for_its_parents_thread() {
    assert_kernels();
    let asks = || {
        let is_own = is_so_in_sharing_child(|| thread_id() == system_call::gettid());
        assert!(is_own, "the thread has not asked yet");
        assert_kernels();
    };
    std::thread::spawn(asks).join().expect("its own");
}

/// A thread and the first one of its child may have the same number in two namespaces: what is kept tells them apart.
#[test]
fn ids_are_right_in_new_namespaces() {
    in_child(|| {
        assert_kernels();
        let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWPID;
        // SAFETY: changes which namespaces this process's children are in, and who it is.
        if unsafe { libc::unshare(flags) } != 0 {
            let lacking = test_support::Lacking::Privilege;
            return test_support::skip(lacking, "ids_are_right_in_new_namespaces", "unshare");
        }
        assert_kernels();
        in_child(|| {
            assert_eq!(process_id(), Ok(1));
            assert_kernels();
            let thread = || {
                assert_kernels();
                // SAFETY: as above.
                assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
                assert_kernels();
                in_child(|| {
                    assert_eq!((process_id(), thread_id()), (Ok(1), Ok(1)));
                    assert_kernels();
                });
            };
            std::thread::spawn(thread).join().expect("its own");
            assert_kernels();
        });
    });
}

static FORKED: AtomicI32 = AtomicI32::new(-1);
static IS_RIGHT: AtomicBool = AtomicBool::new(true);

/// Forks, and looks on both sides.
extern "C" fn fork_in_handler(_: c_int) {
    // SAFETY: a plain system call, which a handler may make.
    let forked = unsafe { libc::syscall(libc::SYS_fork) } as i32;
    FORKED.store(forked, Ordering::Relaxed);
    IS_RIGHT.fetch_and(are_kernels(), Ordering::Relaxed);
}

#[test]
fn a_handler_that_forks_leaves_both_their_own() {
    in_child(|| {
        let flags = SaFlags::empty();
        let action = SigAction::new(SigHandler::Handler(fork_in_handler), flags, SigSet::empty());
        // SAFETY: the handler does what a handler may.
        unsafe { sigaction(Signal::SIGUSR1, &action) }.expect("a handler");
        nix::sys::signal::raise(Signal::SIGUSR1).expect("a signal");
        assert!(IS_RIGHT.load(Ordering::Relaxed));
        assert_kernels();
        let child = FORKED.load(Ordering::Relaxed);
        if child != 0 {
            assert_eq!(wait(child), 0);
        }
    });
}

/// Executes the next instruction and then traps. Source: Intel SDM, volume 1, 3.4.3.3.
#[cfg(target_arch = "x86_64")]
const TRAP_FLAG: i64 = 1 << 8;
/// How often this process's call was interrupted, and of how many children what they were given was another's.
static INTERRUPTED: AtomicI32 = AtomicI32::new(0);
static WRONG: AtomicI32 = AtomicI32::new(0);

/// The child runs on to the end of the call, and its parent waits for that.
#[cfg(target_arch = "x86_64")]
extern "C" fn fork_and_step_on(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's, for this handler alone.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    INTERRUPTED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: a plain system call, which a handler may make.
    let forked = unsafe { libc::syscall(libc::SYS_fork) } as i32;
    FORKED.store(forked, Ordering::Relaxed);
    if forked == 0 {
        context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
        return;
    }
    let mut status = -1;
    // SAFETY: it is our child.
    let is_good = unsafe { libc::waitpid(forked, &mut status, 0) } == forked && status == 0;
    WRONG.fetch_add(i32::from(!is_good), Ordering::Relaxed);
}

/// A process's first call is interrupted after each of its instructions, by a handler that forks. What the call gives may be
/// from before the fork; what the next one gives is each process's own.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_fork_after_each_instruction_of_a_first_call_leaves_both_their_own() {
    in_child(|| {
        let handler = SigHandler::SigAction(fork_and_step_on);
        let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does what a handler may.
        unsafe { sigaction(Signal::SIGTRAP, &action) }.expect("a handler");
        // SAFETY: changes a flag that no compiled code looks at.
        unsafe { std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
        let _ = std::hint::black_box(thread_id());
        // SAFETY: as above.
        unsafe { std::arch::asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
        assert_kernels();
        if FORKED.load(Ordering::Relaxed) != 0 {
            let interrupted = INTERRUPTED.load(Ordering::Relaxed);
            assert!(interrupted > 100, "it was interrupted {interrupted} times");
            assert_eq!(WRONG.load(Ordering::Relaxed), 0, "children with ids of others");
        }
    });
}

/// A filter kills whoever makes the system calls.
#[test]
fn after_the_first_no_system_call_is_made() {
    in_child(|| {
        assert_kernels();
        forbid(&[libc::SYS_getpid, libc::SYS_gettid, libc::SYS_rseq, libc::SYS_prctl]);
        for _ in 0..1_000 {
            process_id().expect("kept");
            thread_id().expect("kept");
        }
    });
}

/// The same filter before the first: the test above would notice.
#[test]
fn a_system_call_would_be_noticed() {
    for ask in [process_id, thread_id] {
        let status = status_of_child(|| {
            forbid(&[libc::SYS_getpid, libc::SYS_gettid]);
            let _ = ask();
        });
        assert!(matches!(status, WaitStatus::Signaled(_, Signal::SIGSYS, _)), "{status:?}");
    }
}

#[test]
fn what_was_kept_is_forgotten_by_a_reset() {
    in_child(|| {
        assert_kernels();
        vdso_client::reset();
        assert_kernels();
    });
    let status = status_of_child(|| {
        assert_kernels();
        vdso_client::reset();
        forbid(&[libc::SYS_getpid]);
        let _ = process_id();
    });
    assert!(matches!(status, WaitStatus::Signaled(_, Signal::SIGSYS, _)), "{status:?}");
}
