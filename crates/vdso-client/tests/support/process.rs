//! Children: forked ones, those that share memory, and filters that end them.

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// Runs `body` in a forked child, which must end well.
#[track_caller]
pub fn in_child(body: impl FnOnce()) {
    let status = status_of_child(body);
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
}

/// How a forked child ends that runs `body`.
pub fn status_of_child(body: impl FnOnce()) -> WaitStatus {
    // SAFETY: the child makes no use of what other threads might have locked: it computes and ends.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            // Nobody waits in this copy of the harness for a test that fails.
            let is_good = catch_unwind(AssertUnwindSafe(body)).is_ok();
            // SAFETY: ends at once, without what the test program would do.
            unsafe { libc::_exit(if is_good { 0 } else { 101 }) };
        }
        ForkResult::Parent { child } => waitpid(child, None).expect("it is our child"),
    }
}

/// The exit code of a child.
#[track_caller]
pub fn wait(child: i32) -> i32 {
    match waitpid(Pid::from_raw(child), None).expect("it is our child") {
        WaitStatus::Exited(_, code) => code,
        status => panic!("{status:?}"),
    }
}

/// Whether `part` says so in a child that has this thread's memory and variables while the thread waits, as a child of
/// vfork has.
pub fn is_so_in_sharing_child(part: fn() -> bool) -> bool {
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
    wait(child) == 0
}

/// Whoever makes one of these calls is killed.
pub fn forbid(numbers: &[libc::c_long]) {
    answer(numbers, libc::SECCOMP_RET_KILL_PROCESS);
}

/// What a filter says to these calls; all others are made.
pub fn answer(numbers: &[libc::c_long], verdict: u32) {
    const LOAD_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IS_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let mut filter = vec![step(LOAD_NUMBER, 0, 0)];
    for &number in numbers {
        filter.push(step(IS_EQUAL, 1, number as u32));
        filter.push(step(RETURN, 0, verdict));
    }
    filter.push(step(RETURN, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: numbers alone.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: `program` is a filter for as long as the call takes.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &program) }, 0);
}
