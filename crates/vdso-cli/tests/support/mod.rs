//! What the tests of `vdso run` share: the command, running it without ever waiting for ever, and
//! reading what came of it.
//!
//! - [`vdso_run`] makes the command and [`finish`] runs it to its end.
//! - [`Source`] lists the sources of time that this machine has.
//! - [`program`] and [`helper`] give programs to run: those of `test-programs/`, and those of the
//!   folder `helpers/` beside, which show one thing to one test.
//! - [`processes`] looks at processes from outside, [`shell`] talks to one that runs, and
//!   [`terminal`] does so through a terminal.
//!
//! No test depends on how long anything takes. [`LIMIT`] only keeps a hanging one from hanging all.

// Each test file is a program of its own and uses its part of this.
#![allow(dead_code)]

pub mod processes;
pub mod shell;
pub mod terminal;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use test_support::{Clock, Lacking, Program, Reading, Readings, assert_shift, skip};

/// After this long something hangs. Far more than anything takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The command's file.
pub const VDSO: &str = env!("CARGO_BIN_EXE_vdso");

/// `vdso run OPTIONS --`: the program and its arguments are to be added.
pub fn vdso_run<I: IntoIterator<Item: AsRef<OsStr>>>(options: I) -> Command {
    let mut command = Command::new(VDSO);
    command.arg("run").args(options).arg("--");
    command
}

/// What came of a command.
#[derive(Debug)]
pub struct Finished {
    /// What was run, for messages.
    pub command: String,
    /// The process, which led a process group of its own.
    pub pid: u32,
    /// How it ended.
    pub status: ExitStatus,
    /// All that it wrote.
    pub stdout: String,
    /// All that it complained of.
    pub stderr: String,
}

/// Runs a command to its end, and to the end of what it writes to.
///
/// # Panics
///
/// If that takes longer than [`LIMIT`]. It is killed then.
#[track_caller]
pub fn finish(command: &mut Command) -> Finished {
    finish_with_input(command, b"")
}

/// As [`finish`], with something to read on standard input.
#[track_caller]
pub fn finish_with_input(command: &mut Command, input: &'static [u8]) -> Finished {
    let text = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {text}: {error}"));
    let pid = child.id();
    let group = Pid::from_raw(pid as i32);
    let (sender, receiver) = channel::<io::Result<Output>>();
    std::thread::spawn(move || {
        // Whoever does not read its input is free to do so.
        let _ = child.stdin.take().expect("stdin is piped").write_all(input);
        let _ = sender.send(child.wait_with_output());
    });
    let output = match receiver.recv_timeout(LIMIT) {
        Ok(output) => output.unwrap_or_else(|error| panic!("{text}: {error}")),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let _ = killpg(group, Signal::SIGKILL);
            let rest = receiver.recv_timeout(Duration::from_secs(5));
            panic!("{text} did not end; killed, it gave {rest:?}");
        }
    };
    Finished {
        command: text,
        pid,
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Finished {
    /// It must have ended with 0.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "{self:#?}");
        self
    }

    /// It must have ended with `code`.
    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }

    /// It must not have said anything on standard error.
    #[track_caller]
    pub fn quiet(self) -> Self {
        assert_eq!(self.stderr, "", "{self:#?}");
        self
    }

    /// What it said on standard error must contain each of these.
    #[track_caller]
    pub fn said(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "nothing of {text:?} in {self:#?}");
        }
        self
    }

    /// What it wrote, with its process group's number replaced.
    pub fn without_ids(&self) -> String {
        self.stdout.replace(&format!("group {} ", self.pid), "group its-own ")
    }

    /// The exit code as a shell shows it.
    pub fn shell_code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// What it wrote, which must be clocks.
    #[track_caller]
    pub fn readings(&self) -> Readings {
        match Readings::parse(&self.stdout) {
            Ok(readings) => readings,
            Err(error) => panic!("{error} in {self:#?}"),
        }
    }
}

/// A source of time, or the choice of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// For messages.
    pub name: &'static str,
    /// To be given to `vdso run`.
    pub options: &'static [&'static str],
    /// How far it may be from the kernel's clocks, ns.
    pub tolerance_ns: i128,
}

impl Source {
    /// Chosen by `vdso run`.
    pub const AUTO: Source = Source { name: "auto", options: &[], tolerance_ns: 0 };
    /// The counter and our own page. It follows the host's clock, and is that far from it.
    pub const OWN: Source =
        Source { name: "own", options: &["--source", "own"], tolerance_ns: 1000 };
    /// The kernel's page.
    pub const HOST: Source =
        Source { name: "host", options: &["--source", "host"], tolerance_ns: 0 };
    /// The kernel's function.
    pub const CHAIN: Source =
        Source { name: "chain", options: &["--source", "chain"], tolerance_ns: 0 };

    /// Those that this machine has; the others are skipped by name.
    pub fn all() -> Vec<Source> {
        static ALL: OnceLock<Vec<Source>> = OnceLock::new();
        let all = [Source::AUTO, Source::OWN, Source::HOST, Source::CHAIN];
        ALL.get_or_init(|| all.into_iter().filter(Source::is_here).collect()).clone()
    }

    /// Those that know `--rate` and `--freeze`. With them the choice is `own`.
    pub fn with_rate() -> Vec<Source> {
        let known = Source::all().into_iter().filter(|source| *source != Source::HOST);
        known
            .map(|source| match source {
                Source::AUTO => Source { tolerance_ns: Source::OWN.tolerance_ns, ..source },
                other => other,
            })
            .collect()
    }

    fn is_here(&self) -> bool {
        let probe = finish(vdso_run(self.options).arg("true"));
        if probe.status.code() == Some(125) && probe.stderr.contains("cannot be used here") {
            let name = format!("source {}", self.name);
            test_support::skip(Lacking::Kernel, &name, probe.stderr.trim());
            return false;
        }
        probe.succeeded();
        true
    }

    /// `--source` and more options.
    pub fn and<'a>(&self, options: &[&'a str]) -> Vec<&'a str> {
        self.options.iter().chain(options).copied().collect()
    }
}

/// A program of `test-programs/`; `None` if it cannot be built here, which is reported.
#[track_caller]
pub fn program(program: Program) -> Option<PathBuf> {
    test_support::build(program).inspect_err(|skip| skip.report()).ok()
}

/// Whether this build can give a program of that kind a clock; if not, that is reported.
pub fn gets_clocks(program: &Program) -> bool {
    let (abi, target, has_image) = match program {
        Program::CI386 => ("i386", "i686-unknown-linux-gnu", vdso_image::companion().is_some()),
        Program::CX32 => (
            "x32",
            "x86_64-unknown-linux-gnux32",
            vdso_image::twin(vdso_image::Source::Chain).is_some(),
        ),
        _ => return true,
    };
    if !has_image {
        let reason = format!(
            "vdso was built without an image for {abi}: rustup target add {target}, or \
             VDSO_RUST_SRC for cargo xtask test"
        );
        skip(Lacking::Toolchain, &format!("clocks of {abi} programs"), &reason);
    }
    has_image
}

/// The dynamic C program, which most tests need.
#[track_caller]
pub fn clocks() -> PathBuf {
    program(Program::CDynamic).expect("without a C compiler there is nothing to test")
}

/// Compiles the program `NAME.c` of the folder `helpers/`, once in each test program.
#[track_caller]
pub fn helper(name: &str) -> PathBuf {
    compile(&format!("{name}.c"), name, &["-O2", "-pthread"])
}

/// How the times of an i386 program's calls lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// In words of 32 bits.
    Bits32,
    /// In words of 64.
    Bits64,
}

/// The same as an i386 program; `None` if there is no way to make or run one, or none with a clock of its own, which is reported.
#[track_caller]
pub fn i386_helper(name: &str, times: Times, flags: &[&str]) -> Option<PathBuf> {
    let what = format!("{name} as an i386 program");
    if !runs_i386(&what) || !gets_clocks(&Program::CI386) {
        return None;
    }
    let (suffix, time_flags): (_, &[&str]) = match times {
        Times::Bits32 => ("i386", &[]),
        Times::Bits64 => ("i386-time64", &["-D_TIME_BITS=64", "-D_FILE_OFFSET_BITS=64"]),
    };
    let flags = [&test_support::I386[..], &["-O2", "-pthread"], time_flags, flags].concat();
    Some(compile(&format!("{name}.c"), &format!("{name}-{suffix}"), &flags))
}

/// Whether i386 programs can be made and run here; if not, that is reported.
pub fn runs_i386(what: &str) -> bool {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let probe =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("links-{}", std::process::id()));
    if !test_support::links(Path::new("gcc"), &test_support::I386, &probe) {
        skip(Lacking::Tool, what, "gcc has no C library for 32-bit x86 programs");
        return false;
    }
    let runs = Command::new(&probe).status().is_ok_and(|status| status.success());
    let _ = fs::remove_file(&probe);
    if !runs {
        skip(Lacking::Kernel, what, "this machine does not run 32-bit x86 programs");
    }
    runs
}

/// Compiles a source of the folder `helpers/` with flags for gcc into a program of another name.
#[track_caller]
pub fn compile(source: &str, name: &str, flags: &[&str]) -> PathBuf {
    static BUILT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helpers");
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if built.contains(&output) {
        return output;
    }
    // Renamed when done: another test program may be running it.
    let draft = output.with_extension(std::process::id().to_string());
    let mut gcc = Command::new("gcc");
    gcc.args(["-Wall", "-Wextra", "-g"]).args(flags).arg(folder.join(source));
    gcc.arg("-I").arg(folder.join("../../../../test-programs")).arg("-o").arg(&draft);
    finish(&mut gcc).succeeded();
    fs::rename(&draft, &output).expect("both are in one folder");
    built.insert(output.clone());
    output
}

/// A folder that every user may look into, removed at the end.
pub fn scratch() -> TempDir {
    let folder = tempfile::Builder::new().prefix("vdso-test-").tempdir().expect("a folder in /tmp");
    set_mode(folder.path(), 0o755);
    folder
}

/// Copies a file into a folder. By cp(1): a file that this process has open for writing cannot be
/// executed, and a child forked by another thread would hold it open for a moment.
#[track_caller]
pub fn copy_into(folder: &Path, file: &Path, mode: u32) -> PathBuf {
    let copy = folder.join(file.file_name().expect("a file has a name"));
    finish(Command::new("cp").arg(file).arg(&copy)).succeeded();
    set_mode(&copy, mode);
    copy
}

/// Writes an executable script, by sh(1) for the reason above.
#[track_caller]
pub fn write_script(path: &Path, text: &str) {
    let mut sh = Command::new("sh");
    sh.args(["-c", r#"printf %s "$2" > "$1" && chmod 755 "$1""#, "sh"]).arg(path).arg(text);
    finish(&mut sh).succeeded();
}

/// chmod(1).
#[track_caller]
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("cannot chmod {}: {error}", path.display()));
}

/// Clocks that `--clocks` moves together, by the names it has for them.
pub fn group_of(clock: Clock) -> &'static str {
    match clock {
        Clock::Realtime
        | Clock::RealtimeCoarse
        | Clock::Tai
        | Clock::Gettimeofday
        | Clock::Time => "realtime",
        Clock::Monotonic | Clock::MonotonicRaw | Clock::MonotonicCoarse => "monotonic",
        Clock::Boottime => "boottime",
    }
}

/// Asserts that the real-time clocks, and no others, are shifted by exactly this.
#[track_caller]
pub fn assert_realtime_shift(readings: &Readings, shift_ns: i128, tolerance_ns: i128) {
    assert_group_shift(readings, "realtime", shift_ns, tolerance_ns);
}

/// Asserts that the clocks of these groups (`--clocks`), and no others, are shifted by this.
#[track_caller]
pub fn assert_group_shift(readings: &Readings, groups: &str, shift_ns: i128, tolerance_ns: i128) {
    for reading in readings {
        let is_moved = groups == "all" || groups.split(',').any(|g| g == group_of(reading.clock));
        let expected_ns = if is_moved { shift_ns } else { 0 };
        assert_shift(reading, expected_ns, resolution_ns(reading, expected_ns, tolerance_ns));
    }
}

/// What a reading's bounds are widened to.
///
/// A shift of whole seconds commutes with truncation to less: such readings are exact although
/// gettimeofday and time truncate, as their raw twins truncate, too. bash's raw twin of `TIME` is
/// the coarse clock's, what it prints itself the exact clock's.
pub fn resolution_ns(reading: &Reading, shift_ns: i128, tolerance_ns: i128) -> i128 {
    let is_truncated_twice = matches!(reading.clock, Clock::Gettimeofday | Clock::Time)
        && reading.function != "printf"
        && reading.function != "HiRes.gettimeofday";
    if is_truncated_twice && shift_ns % 1_000_000_000 == 0 && tolerance_ns == 0 {
        return 1;
    }
    reading.resolution_ns().max(tolerance_ns + 1)
}
