//! What answers under Miri: no vDSO, and clocks that go on by a microsecond.
//!
//! `cargo xtask miri` runs this, also without Miri.

#![cfg(miri)]

use vdso_client::{
    Answer, Call, Capabilities, ClockId, Errno, Instant, NotFound, Reason, clock_getres,
    clock_gettime, getcpu, gettimeofday, read_at_once, time,
};

#[test]
fn clocks_go_on() {
    let start = Instant::now();
    assert!(Instant::now() > start);
    let first = clock_gettime(ClockId::REALTIME).expect("a clock");
    let second = gettimeofday().expect("a time");
    assert!((first.sec, first.nsec / 1_000) < (second.sec, second.usec));
    assert!(time().expect("a time") >= first.sec);
    assert_eq!(clock_getres(ClockId::REALTIME).map(|it| it.as_nanos()), Ok(1_000));
    assert!(read_at_once([ClockId::REALTIME, ClockId::TAI]).expect("clocks").spread_ns > 0);
}

#[test]
fn there_is_no_vdso() {
    let reason = NotFound::NoAuxiliaryVector;
    let capabilities = Capabilities::probe();
    assert_eq!(capabilities.vdso().unwrap_err(), reason);
    let answer = capabilities.answer(Call::ClockGettime);
    assert_eq!(answer, Answer::SystemCall(Reason::NoVdso(reason)));
    assert_eq!(getcpu(), Err(Errno::ENOSYS));
    vdso_client::reset();
    assert!(clock_gettime(ClockId::MONOTONIC).is_ok());
}
