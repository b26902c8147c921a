//! Every call against the kernel's vDSO, against none, and against images that lack functions or
//! answer `ENOSYS`.

#![cfg(all(target_arch = "x86_64", not(miri)))]

mod support;

use support::{
    ANSWERS_EINVAL, ANSWERS_ENOSYS, ANSWERS_EPERM, Draft, GETRANDOM_SAYS_THAT_IT_WROTE, OneAtATime,
    TIME_IS_7, TIME_IS_MINUS_38, WRITES_3_AND_4, WRITES_7_9_TO_FIRST, WRITES_7_9_TO_SECOND,
    assert_between,
};
use test_support::{Lacking, skip};
use vdso_client::{
    Answer, Call, Capabilities, ClockId, Cpu, Errno, Instant, NotAdopted, NotFound, Outcome,
    Reason, SystemTime, Timespec, Timeval, UnorderedInstant, Vdso, clock_getres, clock_gettime,
    getcpu, gettimeofday, read_at_once, read_at_once_within, self_test, time, timezone,
};

const SEVEN_NINE: Timespec = Timespec { sec: 7, nsec: 9 };
const NO_CLOCK: ClockId = ClockId::from_raw(12_345);

/// Each call must answer as the kernel does, whoever answers it.
#[track_caller]
fn assert_right() {
    for id in
        ClockId::OF_VDSO.into_iter().chain([ClockId::PROCESS_CPUTIME, ClockId::THREAD_CPUTIME])
    {
        assert_between(id, 0, 0, || clock_gettime(id).expect("a clock"));
    }
    assert_eq!(clock_gettime(NO_CLOCK), Err(Errno::EINVAL));
    assert_eq!(clock_getres(NO_CLOCK), Err(Errno::EINVAL));
    let raw_cpu = vdso_client::system_call::getcpu().expect("getcpu");
    assert!(getcpu().expect("getcpu").node <= raw_cpu.node.max(1024));
    assert_eq!(timezone(), vdso_client::system_call::timezone());
    for finding in self_test() {
        assert_eq!(finding.outcome, Outcome::Agrees, "{finding:?}");
    }
}

#[test]
fn the_kernels_vdso_answers() {
    let _one = OneAtATime::begin();
    assert_right();
    let capabilities = Capabilities::probe();
    match capabilities.vdso() {
        Ok(_) => {
            let symbol = "__vdso_clock_gettime";
            let expected = Answer::Function { symbol, version: "LINUX_2.6" };
            assert_eq!(capabilities.answer(Call::ClockGettime), expected);
        }
        Err(reason) => {
            let expected = Answer::SystemCall(Reason::NoVdso(reason));
            assert_eq!(capabilities.answer(Call::ClockGettime), expected);
        }
    }
}

#[test]
fn without_a_vdso_there_are_system_calls() {
    let _one = OneAtATime::begin();
    vdso_client::without_vdso();
    assert_right();
    let capabilities = Capabilities::probe();
    assert!(!capabilities.has_own_page());
    for call in Call::ALL {
        let expected = Answer::SystemCall(Reason::NoVdso(NotFound::TurnedOff));
        assert_eq!(capabilities.answer(call), expected);
    }
}

#[test]
fn a_time_that_fails_is_an_error_and_one_before_1970_is_none() {
    let _one = OneAtATime::begin();
    Draft::new().code("time", ANSWERS_EPERM).adopt();
    assert_eq!(time(), Err(Errno::EPERM));
    Draft::new().code("time", TIME_IS_MINUS_38).adopt();
    assert_eq!(time(), Ok(-38));
}

#[test]
fn a_function_that_answers_enosys_is_retried() {
    let _one = OneAtATime::begin();
    Draft::new().adopt();
    assert_right();
    let capabilities = Capabilities::probe();
    for call in Call::ALL {
        let answer = capabilities.answer(call);
        let is_told = matches!(answer, Answer::SystemCall(Reason::AnswersEnosys { .. }));
        assert!(is_told, "{}: {answer}", call.name());
    }
}

#[test]
fn a_findings_text_names_the_call_and_the_clock() {
    let _one = OneAtATime::begin();
    let findings: Vec<String> = self_test().map(|finding| finding.to_string()).collect();
    assert!(findings.contains(&"clock_gettime (MONOTONIC): agrees".to_owned()), "{findings:?}");
    assert!(findings.contains(&"getrandom: agrees".to_owned()), "{findings:?}");
    telling().adopt();
    let differs = self_test().find(|finding| finding.call == Call::Time).expect("a finding");
    assert!(differs.to_string().starts_with("time: differs by -"), "{differs}");
}

/// Bytes that are always the same are found out, and a function that does not know is said to be none.
#[test]
fn random_bytes_that_repeat_are_no_random_bytes() {
    let _one = OneAtATime::begin();
    let outcome = || {
        let mut findings = self_test().filter(|finding| finding.call == Call::Getrandom);
        findings.next().expect("a finding").outcome
    };
    assert_eq!(outcome(), Outcome::Agrees);
    Draft::new().code("getrandom", GETRANDOM_SAYS_THAT_IT_WROTE).adopt();
    let symbol = "__vdso_getrandom";
    let expected = Answer::Function { symbol, version: "LINUX_2.6" };
    assert_eq!(Capabilities::probe().answer(Call::Getrandom), expected);
    if vdso_client::random::State::new().is_by_function() {
        assert_eq!(outcome(), Outcome::Repeats);
    } else {
        let name = "random_bytes_that_repeat_are_no_random_bytes";
        skip(Lacking::Kernel, name, "it has no memory that may be dropped (Linux 6.11)");
    }
    Draft::new().adopt();
    let answer = Capabilities::probe().answer(Call::Getrandom);
    assert_eq!(answer, Answer::SystemCall(Reason::AnswersEnosys { symbol }));
    assert_eq!(outcome(), Outcome::Agrees);
}

/// Whatever is adopted is read again at each first call, by its address alone.
#[test]
fn an_image_that_is_not_whole_pages_is_not_adopted() {
    let _one = OneAtATime::begin();
    let whole = telling().map();
    let bytes = whole.image().bytes();
    let cut = Vdso::from_bytes(&bytes[..bytes.len() - 1]).expect("an image in all but its padding");
    // SAFETY: mapped for good, and each function is of its type.
    assert_eq!(unsafe { vdso_client::adopt(cut) }, Err(NotAdopted::NotPadded));
    let mut moved = vec![0; 1];
    moved.extend_from_slice(bytes);
    let moved: &'static [u8] = moved.leak();
    // At least one of the two does not begin with a page.
    let moved = [moved, &moved[1..]].into_iter().find_map(|bytes| {
        let image = Vdso::from_bytes(bytes).ok()?;
        (!image.base().addr().is_multiple_of(4096)).then_some(image)
    });
    if let Some(moved) = moved {
        // SAFETY: if it were adopted, nothing of it would be called.
        assert_eq!(unsafe { vdso_client::adopt(moved) }, Err(NotAdopted::NotAtPage));
    }
    assert_right();
    // SAFETY: as above.
    assert_eq!(unsafe { vdso_client::adopt(whole) }, Ok(()));
    assert_eq!(clock_gettime(ClockId::REALTIME), Ok(SEVEN_NINE));
}

/// An image whose functions all say something that no kernel says.
fn telling() -> Draft {
    let mut draft = Draft::new();
    draft.code("clock_gettime", WRITES_7_9_TO_SECOND).code("clock_getres", WRITES_7_9_TO_SECOND);
    draft.code("gettimeofday", WRITES_7_9_TO_FIRST).code("time", TIME_IS_7);
    draft.code("getcpu", WRITES_3_AND_4);
    draft
}

#[test]
fn the_functions_of_an_image_are_called() {
    let _one = OneAtATime::begin();
    // What is remembered of the kernel's clock is not that of another image.
    Instant::update_recent();
    for_some_time(|_| _ = UnorderedInstant::now());
    telling().adopt();
    assert_eq!(UnorderedInstant::now().assume_ordered(), Instant::now());
    assert_eq!(Instant::recent(), Instant::now());
    assert_eq!(clock_gettime(ClockId::REALTIME), Ok(SEVEN_NINE));
    assert_eq!(clock_getres(ClockId::REALTIME), Ok(SEVEN_NINE));
    assert_eq!(gettimeofday(), Ok(Timeval { sec: 7, usec: 9 }));
    assert_eq!(time(), Ok(7));
    assert_eq!(getcpu(), Ok(Cpu { cpu: 3, node: 4 }));
    assert_eq!(Some(Instant::now()), Instant::from_timespec(SEVEN_NINE));
    assert_eq!(Some(SystemTime::now()), SystemTime::from_timespec(SEVEN_NINE));
    assert_eq!(UnorderedInstant::now().assume_ordered(), Instant::now());
    assert_eq!(read_at_once([ClockId::TAI]).expect("a clock").times, [SEVEN_NINE]);
    let differs = self_test().filter(|finding| matches!(finding.outcome, Outcome::Differs { .. }));
    assert!(differs.count() >= 10, "the self-test does not see it");
    vdso_client::reset();
    assert_right();
}

#[test]
fn missing_functions_are_missed_one_by_one() {
    let _one = OneAtATime::begin();
    for missing in ["clock_gettime", "clock_getres", "gettimeofday", "getcpu"] {
        telling().hide(missing).adopt();
        let answers = [
            ("clock_gettime", clock_gettime(ClockId::REALTIME) == Ok(SEVEN_NINE)),
            ("clock_getres", clock_getres(ClockId::REALTIME) == Ok(SEVEN_NINE)),
            ("gettimeofday", gettimeofday() == Ok(Timeval { sec: 7, usec: 9 })),
            ("getcpu", getcpu() == Ok(Cpu { cpu: 3, node: 4 })),
        ];
        for (name, is_of_image) in answers {
            assert_eq!(is_of_image, name != missing, "{name}, without {missing}");
        }
        let capabilities = Capabilities::probe();
        for call in Call::ALL.into_iter().filter(|call| call.name() == missing) {
            let answer = capabilities.answer(call);
            let is_told = matches!(answer, Answer::SystemCall(Reason::NotExported { .. }));
            assert!(is_told, "{answer}");
        }
    }
}

#[test]
fn a_missing_time_is_the_coarse_clock() {
    let _one = OneAtATime::begin();
    telling().hide("time").adopt();
    assert_eq!(time(), Ok(7));
    telling().hide("time").hide("clock_gettime").adopt();
    assert_eq!(time(), vdso_client::system_call::time());
}

#[test]
fn another_version_is_another_function() {
    let _one = OneAtATime::begin();
    telling().rename("LINUX_2.6\0", "LINUX_2.7\0").adopt();
    assert_right();
    let answer = Capabilities::probe().answer(Call::ClockGettime);
    assert!(matches!(answer, Answer::SystemCall(Reason::OtherVersion { .. })), "{answer}");
}

#[test]
fn an_error_of_a_function_is_an_error() {
    let _one = OneAtATime::begin();
    Draft::new().code("clock_gettime", ANSWERS_EINVAL).adopt();
    assert_eq!(clock_gettime(ClockId::MONOTONIC), Err(Errno::EINVAL));
    Draft::new().code("clock_gettime", ANSWERS_ENOSYS).adopt();
    assert_between(ClockId::MONOTONIC, 0, 0, || clock_gettime(ClockId::MONOTONIC).expect("it is"));
}

#[test]
fn clocks_that_are_read_one_after_another_tell_their_spread() {
    let _one = OneAtATime::begin();
    let ids = [ClockId::MONOTONIC, ClockId::MONOTONIC_RAW, ClockId::MONOTONIC];
    let now = read_at_once(ids).expect("clocks");
    assert!(now.spread_ns > 0);
    let [first, _, last] = now.times;
    let apart_ns = last.as_nanos() - first.as_nanos();
    assert!(0 <= apart_ns && apart_ns <= i128::from(now.spread_ns), "{now:?}");
    assert_eq!(read_at_once([ClockId::MONOTONIC, NO_CLOCK]), Err(Errno::EINVAL));
}

#[test]
fn clocks_that_are_read_within_a_spread_are_or_are_none() {
    let _one = OneAtATime::begin();
    let ids = [ClockId::MONOTONIC, ClockId::MONOTONIC_RAW];
    let now = read_at_once_within(ids, u64::MAX).expect("clocks").expect("it is within that");
    assert!(now.spread_ns > 0);
    // Two reads are no instant, and nobody says that they are.
    assert_eq!(read_at_once_within(ids, 0), Ok(None));
    assert_eq!(read_at_once_within([NO_CLOCK], 0), Err(Errno::EINVAL));
    // An image whose clock stands still: whatever is asked for but an instant is had at once.
    telling().adopt();
    let now = read_at_once_within(ids, 1).expect("clocks").expect("it is within that");
    assert_eq!((now.times, now.spread_ns), ([SEVEN_NINE; 2], 1));
}

/// Long enough for a line over the counter to be made and renewed.
fn for_some_time(mut body: impl FnMut(Instant)) {
    let start = Instant::now();
    let mut now = start;
    while now.duration_since(start) < std::time::Duration::from_millis(100) {
        body(now);
        now = Instant::now();
    }
}

/// Wide enough for any host: the kernel slews a clock by a tenth at most, and a line is used for 40 ms.
#[test]
fn unordered_reads_follow_the_clock() {
    const TOLERANCE: std::time::Duration = std::time::Duration::from_millis(5);
    let _one = OneAtATime::begin();
    let follow = || {
        let mut last = UnorderedInstant::now().assume_ordered();
        for_some_time(|before| {
            let now = UnorderedInstant::now();
            let now = now.assume_ordered();
            assert!(now + TOLERANCE >= last, "{now:?} after {last:?}");
            last = now;
            assert!(now + TOLERANCE >= before, "{now:?}, and before it {before:?}");
            let after = Instant::now();
            assert!(after + TOLERANCE >= now, "{now:?}, and after it {after:?}");
        });
    };
    std::thread::scope(|scope| (0..4).for_each(|_| _ = scope.spawn(follow)));
}

#[test]
fn a_recent_moment_is_that_of_the_last_look() {
    let _one = OneAtATime::begin();
    let before = Instant::now();
    let first = Instant::recent();
    assert!(before <= first && first <= Instant::now());
    assert_eq!(Instant::recent(), first);
    let look = Instant::update_recent();
    assert!(look >= first);
    assert_eq!((Instant::recent(), Instant::recent()), (look, look));
    // A look on another thread counts as well; it is the later one.
    let there = std::thread::spawn(Instant::update_recent).join().expect("it ends");
    assert_eq!(Instant::recent(), there);
    assert!(there >= look);
}

/// Threads and signal handlers make first calls, while another thread makes them first again.
#[test]
fn calls_are_right_while_they_are_resolved() {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    use std::sync::atomic::{AtomicU32, Ordering};

    extern "C" fn handler(_: libc::c_int) {
        let now = clock_gettime(ClockId::MONOTONIC);
        if now.is_ok_and(|now| now.sec > 0) {
            HANDLED.fetch_add(1, Ordering::Relaxed);
        }
    }
    static HANDLED: AtomicU32 = AtomicU32::new(0);
    const ROUNDS: u32 = 2_000;

    let _one = OneAtATime::begin();
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler reads a clock and adds to a number.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.expect("a signal");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = Instant::now();
                for _ in 0..ROUNDS {
                    let now = Instant::now();
                    assert!(now >= last, "{now:?} after {last:?}");
                    last = now;
                    nix::sys::signal::raise(Signal::SIGUSR1).expect("a signal");
                }
            });
        }
        scope.spawn(|| (0..ROUNDS).for_each(|_| vdso_client::reset()));
    });
    assert_eq!(HANDLED.load(Ordering::Relaxed), 2 * ROUNDS);
}
