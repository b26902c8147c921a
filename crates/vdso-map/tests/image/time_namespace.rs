//! A process that enters a time namespace with an image that was mapped before: by then its kernel has
//! another page in the place of the one that the image knows, and shifted clocks.

use std::fs;

use vdso_data::arithmetic::Timespec;
use vdso_data::clock;

use super::support::*;
use test_support::{Lacking, skip};

/// How far the namespace's clocks are ahead.
const MONOTONIC_AHEAD: i64 = 100_000;
const BOOTTIME_AHEAD: i64 = 200_000;

/// Lets this process's children live in a new time namespace; why it may not.
fn enter() -> Result<(), String> {
    // SAFETY: changes where this process's children are created, and nothing in memory.
    if unsafe { libc::unshare(libc::CLONE_NEWTIME) } != 0 {
        return Err(format!("unshare: {}", nix::errno::Errno::last().desc()));
    }
    let offsets = format!("monotonic {MONOTONIC_AHEAD} 0\nboottime {BOOTTIME_AHEAD} 0\n");
    fs::write("/proc/self/timens_offsets", offsets)
        .map_err(|error| format!("timens_offsets: {error}"))
}

fn check(mapped: &Mapped, offset: Timespec) {
    let functions = mapped.functions();
    for id in PAGE_CLOCKS {
        let moved = |time: Timespec| time.wrapping_add(offset);
        for _ in 0..100 {
            let (before, now, after) = (kernels(id), functions.read(id), kernels(id));
            let is_between = moved(before) <= now && now <= moved(after);
            assert!(is_between, "{mapped}, clock {id}: {now:?}, not {before:?} to {after:?}");
        }
    }
    let moved = |id| kernels(id).wrapping_add(offset);
    let (before, now, after) =
        (moved(clock::REALTIME_COARSE).sec, functions.seconds(), moved(clock::REALTIME_COARSE).sec);
    assert!(before <= now && now <= after, "{mapped}, time: {before} {now} {after}");
    let before = moved(clock::REALTIME).as_nanos() / 1000 * 1000;
    let now = functions.timeval().as_nanos();
    assert!(
        before <= now && now <= moved(clock::REALTIME).as_nanos(),
        "{mapped}, gettimeofday: {now}"
    );
    for id in PAGE_CLOCKS {
        let mut res = UNWRITTEN;
        // SAFETY: a clock_getres, and `res` is ours.
        assert_eq!(unsafe { (functions.clock_getres)(id as i32, &mut res) }, 0);
        assert_ne!(res, UNWRITTEN);
    }
}

#[test]
fn clocks_are_right_in_a_namespace_that_is_entered_later() {
    // Once without anything else, to see whether it can be had.
    let mut reason = String::new();
    let probe = in_child(|| enter().unwrap_or_else(|reason| panic!("{reason}")));
    if !matches!(probe, nix::sys::wait::WaitStatus::Exited(_, 0)) {
        reason.push_str("a time namespace needs CAP_SYS_ADMIN, and CONFIG_TIME_NS");
        return skip(Lacking::Privilege, "time_namespace", &reason);
    }
    for offset in [seconds(0), Timespec { sec: -55, nsec: 999_999_999 }] {
        for (mapped, _publisher) in images("time_namespace", &offset_by(offset)) {
            let outside = kernels(clock::MONOTONIC).sec;
            // The child that enters stays outside itself; its child is inside.
            assert_good(in_child(|| {
                enter().unwrap_or_else(|reason| panic!("{reason}"));
                assert_good(in_child(|| {
                    assert!(kernels(clock::MONOTONIC).sec >= outside + MONOTONIC_AHEAD);
                    check(&mapped, offset);
                }));
            }));
        }
    }
}
