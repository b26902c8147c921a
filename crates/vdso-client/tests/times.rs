//! The times' arithmetic and their conversions, with std's types as the oracle.

use std::time::Duration;

use vdso_client::{ClockId, Instant, SystemTime, Timespec, UNIX_EPOCH};

const SPANS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_nanos(999_999_999),
    Duration::from_secs(1),
    Duration::new(86_400, 500_000_000),
    Duration::new(u64::MAX, 999_999_999),
];

const TIMES: [Timespec; 6] = [
    Timespec { sec: 0, nsec: 0 },
    Timespec { sec: -1, nsec: 999_999_999 },
    Timespec { sec: 1_700_000_000, nsec: 500_000_001 },
    Timespec { sec: i64::MAX, nsec: 999_999_999 },
    Timespec { sec: i64::MIN, nsec: 0 },
    Timespec { sec: 2_147_483_648, nsec: 1 },
];

#[test]
fn sums_and_differences_are_those_of_integers() {
    for time in TIMES {
        assert_eq!(Timespec::from_nanos(time.as_nanos()), Some(time));
        for span in SPANS {
            let span_ns = i128::try_from(span.as_nanos()).expect("it fits");
            let sum = Timespec::from_nanos(time.as_nanos() + span_ns);
            assert_eq!(time.checked_add(span), sum, "{time:?} + {span:?}");
            let difference = Timespec::from_nanos(time.as_nanos() - span_ns);
            assert_eq!(time.checked_sub(span), difference, "{time:?} - {span:?}");
        }
        for earlier in TIMES {
            let span_ns = time.as_nanos() - earlier.as_nanos();
            let span = time.checked_duration_since(earlier);
            assert_eq!(span.map(|span| span.as_nanos() as i128), (span_ns >= 0).then_some(span_ns));
        }
    }
}

#[test]
fn nanoseconds_beyond_a_second_are_no_span() {
    let odd = Timespec { sec: 1, nsec: 2_000_000_000 };
    assert_eq!(odd.checked_duration_since(Timespec::default()), None);
}

#[test]
fn a_time_is_a_duration_unless_it_is_before_zero() {
    for span in [Duration::ZERO, Duration::new(86_400, 999_999_999)] {
        assert_eq!(Duration::try_from(Timespec::from(span)), Ok(span));
    }
    for (sec, nsec) in [(-1, 999_999_999), (i64::MIN, 0), (0, -1)] {
        assert!(Duration::try_from(Timespec { sec, nsec }).is_err());
    }
    assert!(Duration::try_from(Timespec { sec: i64::MAX, nsec: 999_999_999 }).is_ok());
}

/// The fields are anybody's to write, so what is checked must be checked for these, too.
#[test]
fn nanoseconds_of_any_size_are_no_panic() {
    for nsec in [i64::MIN, -1, 1_000_000_000, i64::MAX] {
        let odd = Timespec { sec: 0, nsec };
        assert_eq!(odd.checked_duration_since(Timespec { sec: 0, nsec: -nsec.signum() }), None);
        assert_eq!(Timespec { sec: 1, nsec: 0 }.checked_duration_since(odd), None);
        for span in SPANS {
            assert_eq!(odd.checked_add(span), None);
            assert_eq!(odd.checked_sub(span), None);
        }
    }
}

/// They are compared by their fields, and a second form of the same moment would be another one.
#[test]
fn moments_have_one_form_each() {
    for nsec in [i64::MIN, -1, 1_000_000_000, i64::MAX] {
        let odd = Timespec { sec: 1, nsec };
        assert_eq!(SystemTime::from_timespec(odd), None, "{odd:?}");
        assert_eq!(Instant::from_timespec(odd), None, "{odd:?}");
    }
    for time in TIMES {
        assert_eq!(SystemTime::from_timespec(time).map(|it| it.timespec()), Some(time));
        assert_eq!(Instant::from_timespec(time).map(|it| it.timespec()), Some(time));
    }
}

#[test]
fn instants_and_times_compare_as_stds() {
    let now = Instant::now();
    let later = now + Duration::from_millis(1_500);
    assert!(later > now);
    assert_eq!(later - now, Duration::from_millis(1_500));
    assert_eq!(now - later, Duration::ZERO);
    assert_eq!(now.checked_duration_since(later), None);
    assert_eq!(later - Duration::from_millis(1_500), now);
    let time = UNIX_EPOCH + Duration::from_secs(10);
    assert_eq!(time.duration_since(UNIX_EPOCH), Ok(Duration::from_secs(10)));
    let error = UNIX_EPOCH.duration_since(time).unwrap_err();
    assert_eq!(error.duration(), Duration::from_secs(10));
    assert!(SystemTime::now() > time);
}

#[cfg(all(feature = "std", not(miri)))]
#[test]
fn stds_types_are_the_same_moments() {
    for sec in [-5, 0, 5] {
        let time = Timespec { sec, nsec: 250_000_000 };
        let time = SystemTime::from_timespec(time).expect("a moment");
        let std: std::time::SystemTime = time.into();
        assert_eq!(SystemTime::from(std), time);
    }
    let before = std::time::Instant::now();
    let now = Instant::now();
    let std = now.to_std().expect("std has it");
    assert!(before <= std);
    assert!(Instant::from_std(before).expect("it is") <= Instant::now());
    let error = std::io::Error::from(vdso_client::Errno::EINVAL);
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[cfg(feature = "libc")]
#[test]
fn libcs_types_are_the_same() {
    let time = Timespec { sec: 5, nsec: 6 };
    let converted = libc::timespec::try_from(time).expect("it fits");
    assert_eq!((converted.tv_sec, converted.tv_nsec), (5, 6));
    assert_eq!(Timespec::from(converted), time);
    assert_eq!(vdso_client::Errno::ENOSYS.to_libc(), libc::ENOSYS);
}

#[cfg(feature = "rustix")]
#[test]
fn rustixs_types_are_the_same() {
    let time = Timespec { sec: 5, nsec: 6 };
    let converted = rustix::time::Timespec::from(time);
    assert_eq!((converted.tv_sec, converted.tv_nsec), (5, 6));
    assert_eq!(Timespec::from(converted), time);
    let boottime = rustix::time::ClockId::Boottime;
    assert_eq!(vdso_client::ClockId::from(boottime), vdso_client::ClockId::BOOTTIME);
    let error = rustix::io::Errno::from(vdso_client::Errno::EINVAL);
    assert_eq!(error, rustix::io::Errno::INVAL);
    for number in [i32::MIN, -1, 0, 4096, 1 << 16, i32::MAX] {
        let error = rustix::io::Errno::from(vdso_client::Errno::from_raw(number));
        assert_eq!(error, rustix::io::Errno::INVAL, "{number}");
    }
    let last = rustix::io::Errno::from(vdso_client::Errno::from_raw(4095));
    assert_eq!(last.raw_os_error(), 4095);
}

#[test]
fn times_are_shown_as_numbers_of_seconds() {
    for (sec, nsec, shown) in [
        (12, 345, "12.000000345"),
        (0, 0, "0.000000000"),
        (-1, 500_000_000, "-0.500000000"),
        (-2, 0, "-2.000000000"),
        (i64::MIN, 0, "-9223372036854775808.000000000"),
        (1, 2_000_000_000, "3.000000000"),
    ] {
        assert_eq!(Timespec { sec, nsec }.to_string(), shown);
    }
}

#[test]
fn clocks_are_shown_by_their_names() {
    for (id, number, shown) in [
        (ClockId::MONOTONIC, 1, "MONOTONIC"),
        (ClockId::REALTIME_ALARM, 8, "REALTIME_ALARM"),
        (ClockId::BOOTTIME_ALARM, 9, "BOOTTIME_ALARM"),
        (ClockId::AUX[0], 16, "AUX0"),
        (ClockId::AUX[7], 23, "AUX7"),
        (ClockId::from_raw(-6), -6, "-6"),
    ] {
        assert_eq!((id.raw(), id.to_string()), (number, shown.to_owned()));
        assert_eq!(ClockId::from_raw(number), id);
    }
    assert_eq!(format!("{:>10}|", ClockId::TAI), "       TAI|");
}

/// A clock that few kernels have is what the kernel says of it, and nothing else is read in its place.
#[cfg(not(miri))]
#[test]
fn rare_clocks_are_the_kernels() {
    use vdso_client::{clock_gettime, system_call};

    let rare = [ClockId::REALTIME_ALARM, ClockId::BOOTTIME_ALARM];
    for id in rare.into_iter().chain(ClockId::AUX) {
        let before = system_call::clock_gettime(id);
        let now = clock_gettime(id);
        match (before, now, system_call::clock_gettime(id)) {
            (Ok(before), Ok(now), Ok(after)) => assert!(before <= now && now <= after, "{id}"),
            (Err(before), now, _) => assert_eq!(now, Err(before), "{id}"),
            other => panic!("{id}: {other:?}"),
        }
    }
}
