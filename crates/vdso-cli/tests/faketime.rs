//! What the tests of libfaketime (its folder `test`, version 0.9.12) look at, asked of `vdso run`. Written anew.
//!
//! | its test | here |
//! |---|---|
//! | `functests/test_walkone.sh`, `test_null.sh` | [`each_power_of_two_is_a_date`] |
//! | `test.sh`: a date, a date to start at, days behind and ahead, a speed; `timetest.c`: `time`, `gettimeofday`, `clock_gettime`; `snippets`: into the stack, the heap and data, by `syscall(2)`, in a constructor of a preloaded library and in `main` | [`each_way_to_ask_shows_the_date_also_in_a_constructor`] |
//! | `timetest.c`: conditions by REALTIME and MONOTONIC, `sleep`, `usleep`; `snippets/syscall_clock_nanosleep.c` | [`each_way_to_wait_ends_when_its_clock_says_so_also_in_a_constructor`] |
//! | `timetest.c`: a timer with an interval, and how often it ran over; one until a time | [`timers_expire_as_often_as_their_clock_says`] |
//! | `functests/test_exclude_mono.sh`, both ways | [`a_date_that_stands_still_leaves_monotonic_alone_unless_asked`] |
//! | `functests/test_shm_across_processes.sh` | [`the_date_is_that_of_all_descendants`] |
//! | `timetest.c`: `stat`, `utime`, `utimes`, `utimensat`, `futimens` with the time of now | `files.rs`, by `--file-times` |
//! | `timetest.c`: the clock is set while a thread waits; `test.sh`: a file with the date is read anew | `setting.rs`: whoever sets the clock sets it for all of a launch |
//! | `functests/test_follow_absolute.sh`: the date is that of a file's time | does not apply: no file is looked at |
//! | `snippets/getpid.c` | does not apply: process numbers are the kernel's |
//! | `snippets/getrandom.c`, `getentropy.c`, `randomtest.sh`, `repeat_random.c` | does not apply: random bytes are never made to come twice |
//! | `variadic`, `shm_layout_test.c`, `libmallocintercept` | does not apply: no function of a library is replaced, so none can be called too early or in another way |
//! | `functests/test_true.sh`, `dont_test_false.sh` | does not apply: they test its own framework |

#![cfg(target_arch = "x86_64")]

mod support;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use support::{Finished, compile, finish, helper, vdso_run};

const SEC: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SEC;

fn now_ns() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("this is after 1970").as_nanos() as i128
}

/// The helper, with the library that it is to be started with.
fn looks(options: &[&str], what: &str) -> Command {
    let library = compile("looks.c", "looks.so", &["-O2", "-shared", "-fPIC", "-DLIBRARY"]);
    let mut command = vdso_run(options);
    let preload = format!("LD_PRELOAD={}", library.display());
    command.args(["env", &preload, &format!("LOOKS={what}")]).arg(program()).arg(what);
    command
}

fn program() -> PathBuf {
    helper("looks")
}

#[test]
fn each_power_of_two_is_a_date() {
    for exponent in 0..=33 {
        let seconds = (1u64 << exponent).to_string();
        let at = format!("@{seconds}");
        let run = finish(vdso_run(["--freeze", "--at", &at]).args(["date", "+%s"]));
        assert_eq!(run.succeeded().quiet().stdout.trim(), seconds);
    }
}

/// How the date is said, and between which times it is when it is looked at between two times of the host's.
type Dates = (&'static [&'static str], fn(i128, i128) -> RangeInclusive<i128>);

/// 2003-01-01T10:00:05Z and 2005-03-29T14:14:14Z.
const STANDING: i128 = 1_041_415_205 * SEC;
const BEGINNING: i128 = 1_112_105_654 * SEC;

/// The coarse clocks stand at the host's last tick, and there begins what a launch does with clocks: a time, and a rate.
const TICK: i128 = SEC / 100;

const DATES: [Dates; 6] = [
    (&["--freeze", "--at", "2003-01-01T10:00:05Z"], |_, _| STANDING..=STANDING),
    (&["--at", "2005-03-29T14:14:14Z"], |before, after| {
        BEGINNING..=BEGINNING + after - before + TICK
    }),
    (&["--offset", "-10d"], |before, after| before - 10 * DAY..=after - 10 * DAY),
    (&["--offset", "+10d"], |before, after| before + 10 * DAY..=after + 10 * DAY),
    (&["--offset", "+10d", "--rate", "1"], |before, after| before + 10 * DAY..=after + 10 * DAY),
    (&["--offset", "-15d", "--rate", "10"], |before, after| {
        before - 15 * DAY..=after - 15 * DAY + 9 * (after - before + TICK)
    }),
];

#[test]
fn each_way_to_ask_shows_the_date_also_in_a_constructor() {
    for (options, dates) in DATES {
        let before = now_ns();
        let run = finish(&mut looks(options, "times")).succeeded().quiet();
        let dates = dates(before, now_ns());
        for when in ["constructor", "main"] {
            let lines: Vec<&str> =
                run.stdout.lines().filter(|line| line.starts_with(when)).collect();
            assert_eq!(lines.len(), 8, "{run:#?}");
            for line in lines {
                let fields: Vec<&str> = line.split(' ').collect();
                let [_, way, seconds, nanoseconds] = fields[..] else { panic!("{line}") };
                let number = |text: &str| text.parse::<i128>().expect("a number");
                let shown = number(seconds) * SEC + number(nanoseconds);
                // `time` has whole seconds, `gettimeofday` whole microseconds.
                let coarse = if way.ends_with("time") { SEC } else { 1_000 };
                let is_within = shown <= *dates.end() && shown + coarse > *dates.start();
                assert!(is_within, "{options:?}: {line}, not in {dates:?}");
            }
        }
    }
}

#[test]
fn each_way_to_wait_ends_when_its_clock_says_so_also_in_a_constructor() {
    let ways = [
        "condition 110 REACHED",
        "condition-monotonic 110 REACHED",
        "kernel's-clock_nanosleep 0 REACHED",
        "semaphore -1 REACHED",
        "sleep 0 REACHED",
        "usleep 0 REACHED",
    ];
    let expected: String = ["constructor", "main"]
        .iter()
        .flat_map(|when| ways.map(|way| format!("{when} {way}\n")))
        .collect();
    // One that stands still has no end of a wait.
    for (options, _) in &DATES[1..] {
        let run = finish(&mut looks(options, "waits")).succeeded().quiet();
        assert_eq!(run.stdout, expected, "{options:?}");
    }
}

#[test]
fn timers_expire_as_often_as_their_clock_says() {
    for (options, _) in &DATES[1..] {
        let run = finish(vdso_run(*options).arg(program()).arg("timers")).succeeded().quiet();
        let expired = run.stdout.lines().next().and_then(|line| line.strip_prefix("EXPIRED "));
        let numbers: Vec<i64> =
            expired.unwrap_or_default().split(' ').flat_map(str::parse).collect();
        let [least, times, most] = numbers[..] else { panic!("{run:#?}") };
        assert!(least >= 10 && (least..=most).contains(&times), "{options:?}: {run:#?}");
        assert!(run.stdout.ends_with("\nUNTIL 1\n"), "{options:?}: {run:#?}");
    }
}

#[test]
fn a_date_that_stands_still_leaves_monotonic_alone_unless_asked() {
    let script = "import time
for clock in time.CLOCK_REALTIME, time.CLOCK_MONOTONIC:
    print(len({time.clock_gettime_ns(clock) for _ in range(1000)}) > 1)";
    let run = |options: &[&str]| -> Finished {
        finish(vdso_run(options).args(["python3", "-c", script])).succeeded().quiet()
    };
    let standing = ["--freeze", "--at", "2014-07-21T09:00:00Z"];
    assert_eq!(run(&standing).stdout, "False\nTrue\n");
    assert_eq!(run(&["--freeze", "--clocks", "all"]).stdout, "False\nFalse\n");
}

#[test]
fn the_date_is_that_of_all_descendants() {
    let script = "date -u +%Y; sh -c 'date -u +%Y; env -i date -u +%Y'; (setsid date -u +%Y)";
    let run = finish(vdso_run(["--at", "2020-06-15T12:00:00Z"]).args(["sh", "-c", script]));
    assert_eq!(run.succeeded().quiet().stdout, "2020\n".repeat(4));
}
