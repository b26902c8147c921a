//! Calls of this process itself, which are answered as a supervisor would answer another's.

use std::sync::atomic::{AtomicI64, Ordering};

use vdso_data::process::Template;
use vdso_inject::ProgramFile;
use vdso_inject::arch::ABIS;
use vdso_inject::detour::{CallSites, Detours, Setting};

use super::*;
use crate::follow::in_flight::SharedInFlight;

fn payload(setting: Setting) -> Payload {
    let image = vdso_image::bytes(vdso_image::Source::Chain);
    let file = ProgramFile::create("setting", image).expect("an image has a file");
    let launch = [Transform::IDENTITY; clock::LINES];
    vdso_host::initialise(file.page(), &launch);
    let detours = Detours::of(&launch, setting, CallSites::Kept, 7);
    Payload {
        file,
        template: Template::default(),
        padding: None,
        detours,
        counts: None,
        companions: Vec::new(),
    }
}

fn caller(id: u64) -> Caller<'static> {
    let data = libc::seccomp_data {
        nr: 0,
        arch: ABIS.first().map_or(0, |abi| abi.calls.audit_arch),
        instruction_pointer: 0,
        args: [0; 6],
    };
    let pid = std::process::id();
    let report = Report::of(0, &libc::seccomp_notif { id, pid, flags: 0, data });
    Caller { report, word: Word::Bits64, is_gone: &|| false }
}

fn addr_of<T>(value: &T) -> u64 {
    (&raw const *value).addr() as u64
}

/// How far the clock is ahead of the host's, in whole seconds.
fn ahead_sec(clock: &OwnClock<'_>) -> i64 {
    clock.realtime().offset.sec
}

#[test]
fn whoever_takes_over_a_step_that_was_made_answers_and_makes_it_not_again() {
    let shared = SharedInFlight::new().expect("there is memory");
    let payload = payload(Setting::Anybody);
    // It is answered there.
    let step = [const { AtomicI64::new(0) }; 26];
    step[0].store(ADJ_SETOFFSET.into(), Ordering::Relaxed);
    step[9].store(100, Ordering::Relaxed);
    let args = [addr_of(&step), 0, 0, 0, 0, 0];
    let mut first = OwnClock::new(&shared.clock, &payload);
    assert!(!first.was_set());
    let answer = first.answer(&caller(5), Setter::Adjtimex, &args);
    assert_eq!(answer, Answer { result: State::Error as i64, change: Some(How::Set) });
    assert_eq!(ahead_sec(&first), 100);
    // It is killed before it publishes or answers.
    drop(first);
    let mut second = OwnClock::new(&shared.clock, &payload);
    assert!(second.was_set());
    assert_eq!(second.answer(&caller(5), Setter::Adjtimex, &args), answer);
    assert_eq!(ahead_sec(&second), 100);
    // The next call is another.
    step[9].store(100, Ordering::Relaxed);
    assert_eq!(second.answer(&caller(6), Setter::Adjtimex, &args), answer);
    assert_eq!(ahead_sec(&second), 200);
    assert_eq!(second.moved(How::Set).transforms[clock::TAI as usize].offset.sec, 200);
}

#[test]
fn a_call_that_is_refused_changes_nothing() {
    let shared = SharedInFlight::new().expect("there is memory");
    let payload = payload(Setting::Anybody);
    let mut own = OwnClock::new(&shared.clock, &payload);
    let nowhere = [0, 8, 0, 0, 0, 0];
    let bad = [5i64, 1_000_000_000];
    for (setter, args, errno) in [
        (Setter::ClockSettime, nowhere, Errno::EFAULT),
        (Setter::ClockAdjtime, nowhere, Errno::EFAULT),
        (Setter::Settimeofday, [8, 0, 0, 0, 0, 0], Errno::EFAULT),
        (Setter::Adjtimex, [8, 0, 0, 0, 0, 0], Errno::EFAULT),
        (Setter::ClockSettime, [0, addr_of(&bad), 0, 0, 0, 0], Errno::EINVAL),
    ] {
        let refused = Answer { result: -i64::from(errno as i32), change: None };
        assert_eq!(own.answer(&caller(1), setter, &args), refused, "{setter:?}");
    }
    assert!(!own.was_set());
}

#[test]
fn a_time_before_monotonic_is_refused_and_no_timer_waits_to_be_set() {
    let shared = SharedInFlight::new().expect("there is memory");
    let payload = payload(Setting::Anybody);
    let mut own = OwnClock::new(&shared.clock, &payload);
    let too_early = [0i64, 1];
    let answer =
        own.answer(&caller(1), Setter::ClockSettime, &[0, addr_of(&too_early), 0, 0, 0, 0]);
    assert_eq!(answer, Answer { result: -i64::from(libc::EINVAL), change: None });
    assert!(own.jump.is_none());
}

#[test]
fn a_change_that_cannot_be_told_is_published_all_the_same() {
    /// Can be read, and not written to.
    static STEP: [i64; 26] = {
        let mut timex = [0; 26];
        timex[0] = ADJ_SETOFFSET as i64;
        timex[9] = 100;
        timex
    };
    let shared = SharedInFlight::new().expect("there is memory");
    let payload = payload(Setting::Anybody);
    let mut own = OwnClock::new(&shared.clock, &payload);
    let answer = own.answer(&caller(1), Setter::Adjtimex, &[addr_of(&STEP), 0, 0, 0, 0, 0]);
    let untold = Answer { result: -i64::from(libc::EFAULT), change: Some(How::Set) };
    assert_eq!(answer, untold);
    assert_eq!(ahead_sec(&own), 100);
}

#[test]
fn asking_is_no_change() {
    let shared = SharedInFlight::new().expect("there is memory");
    let payload = payload(Setting::Privileged);
    let mut own = OwnClock::new(&shared.clock, &payload);
    let asks = [const { AtomicI64::new(0) }; 26];
    let answer = own.answer(&caller(1), Setter::Adjtimex, &[addr_of(&asks), 0, 0, 0, 0, 0]);
    assert!(answer.result >= 0 && answer.change.is_none(), "{answer:?}");
    assert!(!own.was_set());
}

#[test]
fn who_has_ended_sets_nothing() {
    let shared = SharedInFlight::new().expect("there is memory");
    let payload = payload(Setting::Anybody);
    let mut own = OwnClock::new(&shared.clock, &payload);
    let wanted = [2_000_000_000i64, 0];
    let gone = Caller { is_gone: &|| true, ..caller(1) };
    let answer = own.answer(&gone, Setter::ClockSettime, &[0, addr_of(&wanted), 0, 0, 0, 0]);
    assert_eq!(answer.change, None);
    assert!(!own.was_set());
}

/// Those that wake a machine are there where that has a timer for it.
#[test]
fn who_cannot_be_sent_to_its_image_finds_the_clocks_that_the_kernel_has() {
    let shared = SharedInFlight::new().expect("there is memory");
    let payload = payload(Setting::Anybody);
    let own = OwnClock::new(&shared.clock, &payload);
    let timed = ABIS.first().map_or(&[][..], |abi| abi.calls.timed);
    let Some(call) = timed.iter().find(|call| call.name == "clock_gettime") else { return };
    for id in [clock::REALTIME, clock::REALTIME_ALARM, clock::BOOTTIME_ALARM] {
        let time = [const { AtomicI64::new(0) }; 2];
        let answer = own.answer_now(Pid::this(), call, &[id.into(), addr_of(&time), 0, 0, 0, 0]);
        let has = memory::kernel_has(id);
        let refused = -i64::from(Errno::EINVAL as i32);
        assert_eq!(answer, Some(if has { 0 } else { refused }), "{id}");
        assert_eq!(time[0].load(Ordering::Relaxed) != 0, has, "{id}");
    }
}
