//! Programs that set the clock: they set their own, which all programs of the launch share, and never the host's.
//!
//! No program here may set the host's clock, whatever is broken: each has lost `CAP_SYS_TIME`, or has it in a user
//! namespace of its own alone, where the kernel does not let it.

#![cfg(target_arch = "x86_64")]

mod support;

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::processes::{child_of_ours, children_of, name_of};
use support::{Finished, Source, finish, helper, vdso_run};
use test_support::{Lacking, skip};

const CAP_SYS_TIME: libc::c_ulong = 25;

/// What is executed by this and below it can never set the host's clock.
fn harmless(command: &mut Command) -> &mut Command {
    let drop_privilege = || {
        // SAFETY: takes numbers. Who may not do so has no privilege to drop.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_TIME, 0, 0, 0) };
        // SAFETY: takes nothing.
        let is_root = unsafe { libc::geteuid() } == 0;
        // SAFETY: takes numbers.
        let has_it = unsafe { libc::prctl(libc::PR_CAPBSET_READ, CAP_SYS_TIME, 0, 0, 0) } != 0;
        if is_root && has_it {
            Err(io::Error::other("the host's clock could be set"))
        } else {
            Ok(())
        }
    };
    // SAFETY: makes system calls alone.
    unsafe { command.pre_exec(drop_privilege) }
}

fn run(options: &[&str], program: &[&str]) -> Finished {
    finish(harmless(vdso_run(options).args(program)))
}

fn sets(options: &[&str], arguments: &[&str]) -> Finished {
    let sets = helper("sets");
    let program = [&[sets.to_str().expect("a path of this build")], arguments].concat();
    run(options, &program)
}

fn settable(source: Source, arguments: &[&str]) -> String {
    sets(&source.and(&["--settable"]), arguments).succeeded().quiet().stdout
}

/// How far a time is from the host's, seconds.
fn from_host(seconds: f64) -> f64 {
    let host = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    seconds - host.as_secs_f64()
}

#[test]
fn date_sets_the_clock_of_all_programs_of_the_launch_and_not_the_hosts() {
    for source in Source::all() {
        let script =
            "date -s 2031-02-03T04:05:06Z >/dev/null && date -u +%F && (sleep 0.1; date -u +%F)";
        let run = run(&source.and(&["--settable"]), &["sh", "-c", script]).succeeded().quiet();
        assert_eq!(run.stdout, "2031-02-03\n2031-02-03\n", "{source:?}");
        let host = finish(Command::new("date").arg("+%s")).succeeded().stdout;
        assert!(from_host(host.trim().parse().expect("seconds")).abs() < 60.0, "{host}");
    }
}

/// What `sets refused` prints where nothing but an `adjtime` of no offset is refused.
const PERMITTED: &str = "clock_settime 0 0\nsettimeofday 0 0\nzone 0 0\nadjtimex 5 0\nclock_adjtime 5 0\nno_offset -1 22\nasks 1 0\n";

#[test]
fn without_privilege_no_clock_is_set() {
    let all = "clock_settime -1 1\nsettimeofday -1 1\nzone -1 1\nadjtimex -1 1\nclock_adjtime -1 1\nno_offset -1 22\nasks 1 0\n";
    assert_eq!(sets(&["--offset", "1d"], &["refused"]).succeeded().quiet().stdout, all);
}

/// Whether such programs have an image or not. With times of 32 bits by system calls, and of 64 by `stime`'s successor.
#[test]
fn an_i386_program_sets_its_own_clock_too() {
    if !support::runs_i386("setting by i386 programs") {
        return;
    }
    let flags = [&test_support::I386[..], &["-O2", "-pthread"]].concat();
    let sets = support::compile("sets.c", "sets-i386", &flags);
    let run = |mode: &str| {
        finish(harmless(vdso_run(["--settable"]).arg(&sets).arg(mode))).succeeded().stdout
    };
    assert_eq!(run("refused"), PERMITTED);
    assert_eq!(run("old"), "STIME 0 5 100\n");
}

/// In a user namespace of its own a program has all privileges, but not over the host's clock.
#[test]
fn with_privilege_a_moved_clock_is_set() {
    let sets = helper("sets");
    let in_namespace = |command: &mut Command| {
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--user", "--map-root-user"])
            .arg(command.get_program())
            .args(command.get_args());
        finish(harmless(&mut unshare))
    };
    if !in_namespace(&mut Command::new("true")).status.success() {
        return skip(Lacking::Privilege, "setting in a user namespace", "none can be made");
    }
    let refused = in_namespace(Command::new(&sets).arg("refused")).succeeded().stdout;
    assert!(refused.starts_with("clock_settime -1 1\n"), "{refused}");
    let run = in_namespace(vdso_run(["--offset", "1d"]).arg(&sets).arg("refused")).succeeded();
    assert_eq!(run.stdout, PERMITTED, "{}", run.stderr);
}

#[test]
fn times_that_are_none_are_refused() {
    for source in Source::all() {
        assert_eq!(settable(source, &["invalid"]), "22 22 22 22 22 22 22 22 14 14 14\n");
    }
}

#[test]
fn a_wait_until_a_time_to_which_the_clock_is_set_ends() {
    for source in [Source::AUTO, Source::OWN] {
        for call in ["nanosleep", "futex", "mq", "timerfd"] {
            let said = settable(source, &["wait", call, "3000"]);
            assert!(said.starts_with("WAITED ") && said.ends_with(" REACHED\n"), "{call}: {said}");
        }
    }
}

#[test]
fn a_wait_on_a_clock_that_is_set_back_is_longer() {
    for source in [Source::AUTO, Source::OWN] {
        for call in ["nanosleep", "futex", "mq", "timerfd"] {
            let said = settable(source, &["back", call]);
            let [_, seconds, reached] = said.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{said}");
            };
            assert_eq!(reached, "REACHED", "{call}");
            assert!(seconds.parse::<f64>().expect("seconds") >= 2.99, "{call}: {seconds}");
        }
    }
}

#[test]
fn a_timer_that_is_to_be_cancelled_goes_off() {
    for source in [Source::AUTO, Source::OWN] {
        assert_eq!(settable(source, &["cancel"]), "FIRED 1\n");
    }
}

#[test]
fn a_clock_is_disciplined() {
    for source in [Source::AUTO, Source::OWN] {
        let said = settable(source, &["adjust"]);
        let lines: Vec<&str> = said.lines().collect();
        let [before, set, tai, rate, step] = lines[..] else { panic!("{said}") };
        assert!(
            before.contains(" freq 0 tick 10000 ") && before.ends_with(" seconds 0"),
            "{before}"
        );
        let expected = "SET state 0 status 0 freq 6553600 tick 10100 tai 37 maxerror 0 seconds 0";
        assert_eq!((set, tai), (expected, "TAI 37"));
        let rate: f64 = rate.trim_start_matches("RATE ").parse().expect("a rate");
        assert!((1.009..1.0115).contains(&rate), "{rate}");
        let step: f64 = step.trim_start_matches("STEP ").parse().expect("seconds");
        assert!((-999.5..-969.5).contains(&step), "{step}");
    }
}

#[test]
fn adjtime_slews() {
    for source in [Source::AUTO, Source::OWN] {
        let said = settable(source, &["slew", "-900"]);
        let [_, slewed, _, left] = said.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{said}");
        };
        let [slewed, left] = [slewed, left].map(|us| us.parse::<i64>().expect("microseconds"));
        assert!((-900..=-600).contains(&slewed), "{said}");
        // A part of it may have been slewed between the two.
        assert!((-930..=-870).contains(&(slewed + left)), "{said}");
    }
}

/// Runs `sets` to its end while its launch's supervisors are killed, and gives what it has written.
fn while_supervisors_are_killed(source: Source, arguments: &[&str]) -> String {
    /// Fewer than after which the front gives up, where none of them gets anything done.
    const MOST_KILLED: u32 = 12;
    let mut command = vdso_run(source.and(&["--settable"]));
    command.arg(helper("sets")).args(arguments);
    let mut front = harmless(&mut command)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vdso runs");
    let pid = Pid::from_raw(front.id() as i32);
    let start = Instant::now();
    let mut killed = 0;
    while front.try_wait().expect("it is ours").is_none() {
        if start.elapsed() > support::LIMIT {
            let _ = front.kill();
            panic!("{arguments:?} did not end, of {source:?}; {killed} were killed");
        }
        std::thread::sleep(Duration::from_millis(15));
        // Not before there is a program: that would begin anew.
        let has_program =
            |&child: &Pid| children_of(child).into_iter().any(|it| name_of(it) == "sets");
        let supervisor = child_of_ours(pid).filter(|child| killed > 0 || has_program(child));
        if killed < MOST_KILLED
            && let Some(supervisor) = supervisor
        {
            killed += 1;
            let _ = kill(supervisor, Signal::SIGKILL);
        }
    }
    let output = front.wait_with_output().expect("it has ended");
    assert!(killed > 0 && output.status.success(), "{killed} were killed, {source:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whoever takes over makes no change a second time, and forgets none.
#[test]
fn each_step_is_made_once_whoever_is_killed_meanwhile() {
    for source in [Source::AUTO, Source::OWN] {
        let said = while_supervisors_are_killed(source, &["steps", "150"]);
        assert_eq!(said, "AHEAD 150\n", "{source:?}");
    }
}

#[test]
fn a_wait_ends_whoever_is_killed_meanwhile() {
    for source in [Source::AUTO, Source::OWN] {
        for call in ["nanosleep", "futex"] {
            let said = while_supervisors_are_killed(source, &["wait", call, "3000"]);
            assert!(said.ends_with(" REACHED\n"), "{call}, {source:?}: {said}");
        }
    }
}

#[test]
fn a_time_zone_is_the_programs_own() {
    for source in [Source::AUTO, Source::OWN] {
        assert_eq!(settable(source, &["zone"]), "ZONE 0 -120 1\n");
    }
}

/// A server on the host's clock, and one more that keeps the program's own as right, without any privilege.
#[test]
fn chronyd_keeps_a_clock_of_its_own_right() {
    let places = [Path::new("/usr/sbin/chronyd"), &target().join("chrony/usr/sbin/chronyd")];
    let Some(chronyd) = places.into_iter().find(|place| place.exists()) else {
        return skip(Lacking::Tool, "chronyd on a clock of its own", "no chronyd (Debian: chrony)");
    };
    let folder = support::scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("it is bound").port();
    drop(socket);
    let server = format!("port {port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\nlocal stratum 1\n");
    let client = format!(
        "server 127.0.0.1 port {port} iburst minpoll -3 maxpoll -2\nmakestep 0.1 2\nport 0\n"
    );
    for (name, text) in [("server", server), ("client", client)] {
        let common = format!("cmdport 0\nbindcmdaddress /\npidfile {}.pid\n", path(name));
        std::fs::write(path(name), text + &common).expect("it can be written");
    }
    let user = finish(Command::new("id").arg("-un")).succeeded().stdout;
    let options =
        |name: &str| ["-d", "-U", "-u", user.trim(), "-f", &path(name)].map(str::to_owned);
    let mut server = unprivileged(Command::new(chronyd).arg("-x").args(options("server")));
    let mut server = server.stderr(Stdio::null()).spawn().expect("it can be executed");
    // Until the clock is the host's, as far as file times tell; the limit of all programs here ends it otherwise.
    let script = r#"
        "$@" 2>&1 &
        while :; do
            : > "$0"
            ahead=$(($(date +%s) - $(stat -c %Y "$0")))
            [ $ahead -lt 2 ] && [ $ahead -gt -2 ] && break
            sleep 0.1
        done
        kill $!
        wait
        echo reached"#;
    let mut client = vdso_run(["--settable", "--offset", "1000s"]);
    client.args(["sh", "-c", script, &path("touched")]).arg(chronyd).args(options("client"));
    let client = finish(&mut unprivileged(&client));
    let _ = server.kill();
    let _ = server.wait();
    let client = client.succeeded();
    assert!(client.stdout.contains("System clock was stepped by -"), "{client:?}");
    assert!(client.stdout.ends_with("reached\n"), "{client:?}");
}

/// Where this build's results are, and `cargo xtask test --install` puts what is not to be installed.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in one").to_owned()
}

/// The same command without any privilege of root's.
fn unprivileged(command: &Command) -> Command {
    // SAFETY: takes nothing.
    let is_root = unsafe { libc::geteuid() } == 0;
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--bounding-set=-all", "--inh-caps=-all"].iter().filter(|_| is_root));
    setpriv.arg(command.get_program()).args(command.get_args());
    harmless(&mut setpriv);
    setpriv
}

/// It sets the clock to what it reads, among much else.
#[test]
fn cpythons_own_test_of_time_passes() {
    let has_tests = |python: &&str| {
        let probe = r#""$0" -c "import test.test_time" 2>/dev/null"#;
        finish(Command::new("sh").args(["-c", probe, python])).status.success()
    };
    let Some(python) = ["python3", "/usr/bin/python3"].iter().find(|it| has_tests(it)) else {
        let reason = "python3 has no tests of its own (Debian: libpython3-testsuite)";
        return skip(Lacking::Tool, "CPython's test_time", reason);
    };
    for options in [&["--settable"][..], &["--offset", "400d"], &["--settable", "--source", "own"]]
    {
        let run = run(options, &[python, "-m", "test", "test_time"]);
        assert!(run.succeeded().stdout.contains("SUCCESS"));
    }
}
