//! What a person may get wrong: each mistake has a code and a message that says what to do, and
//! nothing is run.

mod support;

use std::fs;
use std::process::Command;

use support::{Source, finish, scratch, set_mode, vdso_run, write_script};

/// Runs `vdso run OPTIONS -- echo RAN`, which must be refused as a mistake in its arguments.
#[track_caller]
fn assert_usage(options: &[&str], said: &[&str]) {
    let run = finish(vdso_run(options).args(["echo", "RAN"]));
    assert_eq!(run.stdout, "", "{run:#?}");
    let run = run.exited(2).said(&["error:"]);
    assert!(!run.stderr.contains("panicked"), "{run:#?}");
    run.said(said);
}

#[test]
fn what_controls_a_terminal_is_escaped_in_a_refusal() {
    for options in [["--x\u{1b}[31m\nvdso: fine", "1"], ["--offset", "1\u{1b}[31m\nvdso: fine"]] {
        assert_usage(&options, &[r"1", r"\u{1b}[31m\nvdso: fine"]);
    }
}

#[test]
fn help_fits_on_a_terminal() {
    for help in ["-h", "--help"] {
        let help = finish(vdso_run([help]).env("COLUMNS", "200")).succeeded();
        let widest = help.stdout.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{help:#?}");
    }
}

#[test]
fn an_unreadable_time_is_refused() {
    for time in [
        "",
        " ",
        "yesterday",
        "2038-13-01",
        "2038-02-30",
        "2038-01-19T25:00:00Z",
        "12:00",
        "2038-01-19 junk",
        "now",
    ] {
        assert_usage(&["--at", time], &["--at", "2038-01-19"]);
    }
    for time in ["@", "@x", "@1e9", "@1.0000000001", "@-", "@--1", "@ 1", "@0x10", "@."] {
        assert_usage(&["--at", time], &["--at", "seconds since 1970"]);
    }
}

#[test]
fn a_time_out_of_range_is_refused() {
    for time in [
        "@99999999999999",
        "@-99999999999999",
        "@9223372036854775808",
        "@99999999999999999999",
        "9999-12-31T23:59:59Z",
    ] {
        assert_usage(&["--at", time], &["--at", "out of range"]);
    }
    for time in ["99999-01-01", "+99999-01-01T00:00:00Z", "-99999-01-01"] {
        assert_usage(&[&format!("--at={time}")], &["--at"]);
    }
}

#[test]
fn an_unreadable_duration_is_refused() {
    for offset in
        ["", " ", "x", "1", "-5", "1.5", "1parsec", "d", "+", "-", "--1d", "1d-2h x", "1e3s"]
    {
        assert_usage(&[&format!("--offset={offset}")], &["--offset"]);
    }
    // Numbers without a unit are told how to have one.
    assert_usage(&["--offset=90"], &["90s"]);
    for offset in ["nan", "inf", "-inf"] {
        let run = finish(vdso_run([&format!("--offset={offset}")]).arg("true")).exited(2);
        assert!(!run.stderr.contains("for example"), "{run:#?}");
    }
}

#[test]
fn a_duration_out_of_range_is_refused() {
    for offset in ["300000000000y", "-300000000000y", "9999999999999999999s", "9000y", "-13000y"] {
        assert_usage(&[&format!("--offset={offset}")], &["--offset"]);
    }
}

#[test]
fn an_unreadable_rate_is_refused() {
    for rate in [
        "", " ", "-1", "-0.5", "nan", "NaN", "inf", "-inf", "1e99", "1e3", "x", ".", "1.2.3",
        "0x1", "+2",
    ] {
        assert_usage(&[&format!("--rate={rate}")], &["--rate", "0 to 1000000"]);
    }
}

#[test]
fn a_rate_out_of_range_is_refused() {
    for rate in ["1000000.1", "1000001", "99999999999999999999999"] {
        assert_usage(&["--rate", rate], &["--rate", "1000000"]);
    }
    assert_usage(&["--rate", "0.1234567890123456789"], &["--rate"]);
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    assert_usage(
        &["--at", "2000-01-01", "--offset", "1d"],
        &["--at", "--offset", "cannot be used"],
    );
    assert_usage(&["--freeze", "--rate", "2"], &["--freeze", "--rate", "cannot be used"]);
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    assert_usage(&["--clocks", "tai"], &["--clocks", "realtime", "monotonic", "boottime", "all"]);
    assert_usage(&["--clocks", ""], &["--clocks"]);
    assert_usage(&["--source", "kernel"], &["--source", "own", "host", "chain"]);
    assert_usage(&["--no-such-option"], &["--no-such-option"]);
}

#[test]
fn a_command_is_needed() {
    for arguments in
        [["run"].as_slice(), &["run", "--"], &["run", "--offset", "1d"], &["no-such"], &[]]
    {
        let run = finish(Command::new(support::VDSO).args(arguments)).exited(2);
        assert!(run.stderr.contains("Usage:"), "{run:#?}");
        assert_eq!(run.stdout, "", "{run:#?}");
    }
}

#[test]
fn help_has_examples_and_exit_codes() {
    let help = finish(Command::new(support::VDSO).args(["run", "--help"])).succeeded().quiet();
    for part in ["Examples:", "vdso run --at", "Exit code", "125", "126", "127"] {
        assert!(help.stdout.contains(part), "nothing of {part}: {}", help.stdout);
    }
}

#[test]
fn every_way_to_write_a_time_is_read() {
    let year = |options: &[&str]| {
        let run = finish(vdso_run(options).args(["date", "-u", "+%F %H"]).env("TZ", "UTC"));
        run.succeeded().quiet().stdout.trim_end().to_owned()
    };
    for (at, expected) in [
        ("2038-01-19T03:14:07Z", "2038-01-19 03"),
        ("2038-01-19T03:14:07+02:00", "2038-01-19 01"),
        ("2038-01-19 03:14:07", "2038-01-19 03"),
        ("2038-01-19T03:14", "2038-01-19 03"),
        ("2038-01-19", "2038-01-19 00"),
        ("2038-01-19T03:14:07[Europe/Paris]", "2038-01-19 02"),
        ("@2147483647", "2038-01-19 03"),
        ("@2147483647.999999999", "2038-01-19 03"),
        ("@0", "1970-01-01 00"),
        ("1900-02-28", "1900-02-28 00"),
        ("@-1", "1969-12-31 23"),
        ("@-0.5", "1969-12-31 23"),
    ] {
        assert_eq!(year(&["--freeze", "--at", at]), expected, "{at}");
    }
}

#[test]
fn every_way_to_write_a_duration_is_read() {
    const DAY_SEC: i64 = 86_400;
    for (offset, expected_sec) in [
        ("+30d", 30 * DAY_SEC..=30 * DAY_SEC),
        ("-2h30m", -9_000..=-9_000),
        ("90s", 90..=90),
        ("1h 1m 1s", 3_661..=3_661),
        ("P1DT2H", DAY_SEC + 7_200..=DAY_SEC + 7_200),
        ("1 week", 7 * DAY_SEC..=7 * DAY_SEC),
        ("2 days 1 hour ago", -2 * DAY_SEC - 3_600..=-2 * DAY_SEC - 3_600),
        ("-1000ms", -1..=-1),
        ("0s", 0..=0),
        // These depend on today.
        ("1mo", 28 * DAY_SEC..=31 * DAY_SEC),
        ("1y", 365 * DAY_SEC..=366 * DAY_SEC),
        ("-1y2mo", -428 * DAY_SEC..=-424 * DAY_SEC),
    ] {
        let run = finish(vdso_run(["-v", "--offset", offset]).arg("true")).succeeded();
        let told = run.stderr.lines().find_map(|line| line.strip_prefix("vdso: offset "));
        let told = told.unwrap_or_else(|| panic!("no offset in {run:#?}"));
        let (sec, rest) = told.split_once('.').expect("a number");
        assert_eq!(rest, "000000000 s", "{offset}: {told}");
        assert!(expected_sec.contains(&sec.parse().expect("a number")), "{offset}: {told}");
    }
}

#[test]
fn a_date_is_in_the_local_zone() {
    let run = |zone: &str| {
        let mut run = vdso_run(["--freeze", "--at", "2000-06-01 12:00"]);
        finish(run.args(["date", "-u", "+%H"]).env("TZ", zone)).succeeded().quiet().stdout
    };
    assert_eq!((run("UTC0").as_str(), run("XYZ-5").as_str()), ("12\n", "07\n"));
}

#[test]
fn monotonic_clocks_before_zero_are_refused() {
    for source in Source::all() {
        let options = source.and(&["--offset=-100y", "--clocks", "all"]);
        assert_usage(&options, &["--clocks", "--offset", "before zero"]);
    }
}

// ---------------------------------------------------------------------------------------------
// Commands that cannot be run: the codes of env(1)

#[test]
fn what_cannot_be_executed_gives_the_code_of_env_and_names_it() {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("data"), "data").expect("a file");
    fs::write(path("empty-name"), "").expect("a file");
    write_script(path("lost").as_ref(), "#!/no/such/interpreter\n");
    fs::write(path("broken"), b"\x7fELF broken").expect("a file");
    set_mode(path("broken").as_ref(), 0o755);
    std::os::unix::fs::symlink(path("loop"), path("loop")).expect("a link");
    let commands = [
        "/no/such/file".to_owned(),
        "no-such-command-in-the-path".to_owned(),
        String::new(),
        "/etc".to_owned(),
        ".".to_owned(),
        path("data"),
        path("data") + "/below",
        path("lost"),
        path("loop"),
        "x".repeat(300),
        path("broken"),
    ];
    for command in commands {
        let plain = finish(Command::new("env").arg("--").arg(&command).env_remove("LC_ALL"));
        for options in [[].as_slice(), &["--no-follow"], &["--source", "own"]] {
            let run = finish(vdso_run(options).arg(&command));
            assert_eq!(run.status.code(), plain.status.code(), "{command:?}: {run:#?} {plain:#?}");
            assert_eq!(run.stdout, "");
            if !command.ends_with("broken") {
                run.said(&["vdso: error: cannot run ", &command]);
            }
        }
    }
}

#[test]
fn an_argument_list_that_is_too_long_is_said_to_be() {
    // Larger than the kernel takes for a single argument, which no launcher can even be given; a
    // wrapper makes it.
    let script = r#"exec "$0" "$(head -c 140000 /dev/zero | tr '\0' x)""#;
    let run = finish(vdso_run(["--offset", "1y"]).args(["sh", "-c", script, "/bin/true"]));
    assert!([Some(126), Some(2)].contains(&run.status.code()), "{run:#?}");
    assert!(run.stderr.contains("Argument list too long"), "{run:#?}");
}
