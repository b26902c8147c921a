//! Programs started from a process that does other things, too: many threads, streams, children.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write, pipe};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_support::Program;
use vdso_launch::{
    ClockError, Clocks, Command, Error, FileTimes, Notices, Source, SourceError, Stdio,
};

/// 2038-01-19, 03:14:07 UTC.
const IN_2038: Duration = Duration::from_secs(i32::MAX as u64);

/// A shell's script; all that it starts is followed as well.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[track_caller]
fn said(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_program_and_what_it_starts_has_the_clock() {
    let output = shell("date -u +%Y-%m-%d; sh -c 'exec date -u +%H:%M'")
        .at(UNIX_EPOCH + IN_2038)
        .freeze()
        .output()
        .unwrap();
    assert_eq!(said(output), "2038-01-19\n03:14\n");
}

/// One command, several clocks one after another.
#[test]
fn the_last_of_what_contradicts_counts() {
    let mut date = Command::new("date");
    date.args(["-u", "+%Y"]).at(UNIX_EPOCH + IN_2038);
    let year = |date: &mut Command| said(date.output().unwrap()).trim().parse::<u32>().unwrap();
    assert_eq!(year(&mut date), 2038);
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let far = year(date.ahead(days(36_525)));
    let past = year(date.behind(days(0)));
    assert_eq!(far - past, 100);
}

#[test]
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
fn files_have_the_times_of_the_clock_if_that_is_asked_for() {
    let mut stat = Command::new("stat");
    stat.args(["-c", "%Y", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .ahead(Duration::from_secs(86_400));
    let mut seen = |file_times| -> u64 {
        said(stat.file_times(file_times).output().unwrap()).trim().parse().expect("seconds")
    };
    let stored = seen(FileTimes::Host);
    assert_eq!(seen(FileTimes::Clock), stored + 86_400);
}

#[test]
fn a_rate_is_that_of_the_program() {
    // Elsewhere waits are the host's.
    let pause_sec = if cfg!(target_arch = "x86_64") { "10000" } else { "0.1" };
    let script = &format!("date +%s; sleep {pause_sec}; date +%s");
    for source in [None, Some(Source::Own), Some(Source::Chain)] {
        let mut command = shell(script);
        if let Some(source) = source {
            command.source(source);
        }
        let output = match command.rate(100_000).clocks(Clocks::All).output() {
            Err(Error::Source(SourceError::Refused { .. })) => continue,
            output => said(output.unwrap()),
        };
        let seconds: Vec<i64> = output.lines().map(|line| line.parse().unwrap()).collect();
        assert!(seconds[1] - seconds[0] >= 9_999, "{source:?}: {seconds:?}");
    }
}

#[test]
fn streams_environment_folder_and_arguments_are_as_of_std() {
    let script = "cat; pwd; printf '%s|' \"$A\" \"${B-none}\" \"$0\" \"$1\"; echo to errors >&2";
    let mut command = shell(script);
    command.args(["zero", "one two"]).env("A", "a=b").env("B", "b").env_remove("B");
    command.current_dir("/usr").stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().expect("piped").write_all(b"input\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"input\n/usr\na=b|none|zero|one two|");
    assert_eq!(output.stderr, b"to errors\n");
    let mut command = Command::new("/usr/bin/env");
    assert_eq!(
        said(command.env_clear().envs([("X", "1"), ("Y", "2")]).output().unwrap()),
        "X=1\nY=2\n"
    );
    // What is not given leads nowhere.
    assert_eq!(said(shell("cat").output().unwrap()), "");
}

#[test]
fn streams_can_be_files_and_other_programs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("written");
    let mut first = shell("echo from the first").stdout(Stdio::piped()).spawn().unwrap();
    let stdin = first.stdout.take().expect("piped");
    let status = Command::new("tr")
        .args(["a-z", "A-Z"])
        .stdin(stdin)
        .stdout(File::create(&file).unwrap())
        .status()
        .unwrap();
    assert!(status.success() && first.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(file).unwrap(), "FROM THE FIRST\n");
}

#[test]
fn a_command_of_std_can_be_given_a_clock() {
    let mut std = std::process::Command::new("sh");
    std.args(["-c", "date -u +%Y; echo $A; pwd"]).env("A", "a").current_dir("/usr");
    let output = Command::from(&std).at(UNIX_EPOCH + IN_2038).output().unwrap();
    assert_eq!(said(output), "2038\na\n/usr\n");
}

#[test]
fn it_ends_as_the_program_ends() {
    assert_eq!(shell("exit 7").status().unwrap().code(), Some(7));
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGPIPE] {
        let status = shell(&format!("kill -{} $$", signal as i32)).status().unwrap();
        assert_eq!(status.signal(), Some(signal as i32));
    }
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    let name = std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap();
    assert_eq!(name, "sleep\n");
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!(child.try_wait().unwrap().and_then(|status| status.signal()), Some(9));
    child.kill().unwrap();
}

/// The one child of this thread's process whose child or grandchild is `program`.
fn front_of(program: u32) -> Pid {
    let parent = |pid: String| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
        line.trim().to_owned()
    };
    let front = parent(parent(program.to_string()));
    assert_eq!(parent(front.clone()), std::process::id().to_string());
    Pid::from_raw(front.parse().unwrap())
}

/// How the program ended is not how its front did.
#[test]
fn a_front_that_was_killed_is_no_end_of_the_program() {
    let mut child =
        shell("cat; sleep 1000").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    kill(front_of(child.id()), Signal::SIGKILL).unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..2 {
        let error = child.wait().unwrap_err();
        assert!(matches!(error, Error::Lost { .. }), "{error}");
    }
    // It lives, and can be ended.
    stdin.write_all(b"alive").unwrap();
    stdout.read_exact(&mut [0; 5]).unwrap();
    child.kill().unwrap();
    drop(stdin);
    assert_eq!(stdout.read(&mut [0; 1]).unwrap(), 0);
}

/// Some wait for any child of their process.
#[test]
fn a_front_that_somebody_else_has_waited_for_has_told_how_the_program_ended() {
    let mut child = shell("read line; exit 7").stdin(Stdio::piped()).spawn().unwrap();
    let front = front_of(child.id());
    drop(child.stdin.take());
    nix::sys::wait::waitpid(front, None).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

/// A caller that stops the program knows that it has.
#[test]
fn a_program_that_was_stopped_goes_on() {
    let mut child =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let program = Pid::from_raw(child.id() as i32);
    kill(program, Signal::SIGSTOP).unwrap();
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{program}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    };
    while state() != 'T' {
        std::thread::yield_now();
    }
    // The supervisor has heard of it, and the front, by now or later.
    std::thread::sleep(Duration::from_millis(50));
    kill(program, Signal::SIGCONT).unwrap();
    child.stdin.take().unwrap().write_all(b"on").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"on");
}

#[test]
fn what_cannot_be_started_is_an_error_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    let kind = |command: &mut Command| match command.spawn() {
        Err(error @ Error::NotExecuted { .. }) => {
            let text = error.to_string();
            assert!(text.starts_with("cannot run '"), "{text}");
            std::io::Error::from(error).kind()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(&mut Command::new("no-such-program")), ErrorKind::NotFound);
    assert_eq!(kind(&mut Command::new(folder.path())), ErrorKind::PermissionDenied);
    assert_eq!(kind(&mut Command::new(&script)), ErrorKind::PermissionDenied);
    assert_eq!(kind(Command::new("true").current_dir("/no/such/folder")), ErrorKind::NotFound);
    assert_eq!(kind(Command::new("ls").env("PATH", "/no/such/folder")), ErrorKind::NotFound);
    let error = Command::new("echo").arg("a\0b").spawn().unwrap_err();
    assert!(matches!(error, Error::ZeroByte { .. }), "{error}");
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_clock_that_cannot_be_is_an_error() {
    let error = |command: &mut Command| command.spawn().unwrap_err();
    let too_fast = error(Command::new("true").rate(1e7));
    assert!(matches!(too_fast, Error::Clock(ClockError::Rate { .. })), "{too_fast}");
    let century = Duration::from_secs(100 * 365 * 86_400);
    let early = error(Command::new("true").behind(century).clocks(Clocks::All));
    assert!(matches!(early, Error::Clock(ClockError::BeforeZero { .. })), "{early}");
    let no_rate = error(Command::new("true").rate(2).source(Source::Host));
    assert!(matches!(no_rate, Error::Source(SourceError::NoRate)), "{no_rate}");
}

/// From any thread, at once, each on its own clock.
#[test]
fn many_threads_start_programs_on_as_many_clocks() {
    std::thread::scope(|scope| {
        for year in 2001..2021_u64 {
            scope.spawn(move || {
                // Whole days suffice, and leap days before that.
                let days = (year - 1970) * 365 + (year - 1969) / 4;
                let start = UNIX_EPOCH + Duration::from_secs(days * 86_400);
                for _ in 0..3 {
                    let mut command = shell("date -u +%Y-%m-%d; sh -c 'date -u +%Y'");
                    let output = said(command.at(start).rate(0.5).output().unwrap());
                    assert_eq!(output, format!("{year}-01-01\n{year}\n"));
                }
            });
        }
    });
}

/// Whoever reads from a pipe sees its end when the writer has closed it, whoever was started meanwhile.
#[test]
fn a_launch_keeps_nothing_open_of_the_callers() {
    let (mut reader, writer) = pipe().unwrap();
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    drop(writer);
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_program_inherits_what_is_to_be_inherited() {
    let (mut reader, writer) = pipe().unwrap();
    let number = writer.as_raw_fd();
    // SAFETY: the descriptor is ours, and its flag is read by nobody else.
    assert_eq!(unsafe { libc::fcntl(number, libc::F_SETFD, 0) }, 0);
    let mut child = shell(&format!("echo inherited >&{number}; exec sleep 1000")).spawn().unwrap();
    drop(writer);
    let mut bytes = [0; 10];
    reader.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"inherited\n");
    // Nobody has it any more when the program has ended.
    child.kill().unwrap();
    assert_eq!(reader.read(&mut bytes).unwrap(), 0);
    child.wait().unwrap();
}

#[test]
fn strict_ends_a_program_that_would_run_on_the_hosts_clock() {
    // It maps no code of its own.
    let program = match test_support::build(Program::NoLibc) {
        Ok(program) => program,
        Err(skip) => return skip.report(),
    };
    let mut command = Command::new(filters());
    command.args(["refuse", "mmap-exec", "eperm"]).arg(program).ahead(IN_2038);
    command.notices(Notices::Silent).stdout(Stdio::null());
    assert!(command.status().unwrap().success());
    let mut child = command.strict().spawn().unwrap();
    for _ in 0..2 {
        let error = child.wait().unwrap_err();
        assert!(matches!(error, Error::OnHostClock { .. }), "{error}");
    }
}

/// A program that refuses calls to what it starts, which the command's tests have.
fn filters() -> OsString {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vdso-cli/tests/helpers/filters.c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("filters");
    let compiled = std::process::Command::new("gcc")
        .args(["-O2", "-pthread", "-o"])
        .args([&program, &source])
        .args(["-I", concat!(env!("CARGO_MANIFEST_DIR"), "/../../test-programs")])
        .status();
    assert!(compiled.expect("gcc").success());
    program.into()
}
