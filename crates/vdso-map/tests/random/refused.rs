//! A kernel that gives no key: a seccomp filter answers getrandom(2) in its place.

use std::ffi::c_int;
use std::sync::atomic::Ordering;

use super::mapped::Mapped;
use super::support::*;

/// What the filter answers: an error, and fewer bytes than were asked for.
const ANSWERS: [c_int; 2] = [libc::EPERM, 0];

/// Lengths of less than a state holds, and of more.
const LENGTHS: [usize; 3] = [1, 100, 5000];

/// From here on getrandom(2) fails with this error in this process; with error 0 it gives no bytes.
fn refuse_getrandom(errno: c_int) {
    const LOAD_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IS_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut filter = [
        step(LOAD_NUMBER, 0, 0, 0),
        step(IS_EQUAL, 0, 1, libc::SYS_getrandom as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: numbers alone.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: `program` is a filter for as long as the call takes.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    assert_eq!(result, 0);
}

/// Again and again: what a call has left in the state is nothing that the next one believes.
fn assert_refused(state: &State, errno: c_int) {
    for length in LENGTHS.repeat(2) {
        let mut buffer = vec![0; length];
        assert_eq!(state.try_fill(&mut buffer, 0), -(errno as isize), "{length} bytes");
        assert!(buffer.iter().all(|&byte| byte == 0), "{length} bytes: something was given");
    }
}

#[test]
fn a_state_without_a_key_gives_nothing() {
    for function in functions("a_state_without_a_key_gives_nothing") {
        for errno in ANSWERS {
            let status = in_child(|| {
                let state = function.state();
                refuse_getrandom(errno);
                assert_refused(&state, errno);
            });
            assert_good(status, &format!("{}, error {errno}", function.name));
        }
    }
}

#[test]
fn an_old_key_that_cannot_be_renewed_gives_nothing() {
    for mapped in Mapped::all() {
        for errno in ANSWERS {
            let status = in_child(|| {
                let state = mapped.function.state();
                state.draw::<10>();
                refuse_getrandom(errno);
                // The filter leaves alone who has a key that is good.
                state.draw::<10>();
                mapped.kernels.generation.fetch_add(1, Ordering::Relaxed);
                assert_refused(&state, errno);
            });
            assert_good(status, &format!("{}, error {errno}", mapped.function.name));
        }
    }
}
