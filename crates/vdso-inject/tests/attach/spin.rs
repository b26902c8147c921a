//! A program with threads that read clocks without a pause and compare them with what system calls say: `spin.c`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::unistd::Pid;
use vdso_data::arithmetic::{Timespec, Transform};
use vdso_data::clock;
use vdso_host::proc::{Stat, Status, maps};

/// By how much an image moves REALTIME.
pub const OFFSET_SEC: i64 = 1_000_000;

pub fn transforms() -> [Transform; clock::LINES] {
    let mut clocks = [Transform::IDENTITY; clock::LINES];
    for id in [clock::REALTIME, clock::REALTIME_COARSE] {
        clocks[id as usize].offset = Timespec { sec: OFFSET_SEC, nsec: 0 };
    }
    clocks
}

/// What has come of the reads so far.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub reads: u64,
    /// By how many REALTIME was ahead of the host's.
    pub ahead: u64,
}

/// Killed when dropped.
#[derive(Debug)]
pub struct Spinning {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Spinning {
    /// With so many threads that read clocks, and what else the letters say.
    #[track_caller]
    pub fn start(threads: usize, others: &str) -> Self {
        let mut command = Command::new(built("spin"));
        command.arg(threads.to_string()).arg(OFFSET_SEC.to_string()).arg(others);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it says something");
        assert_eq!(line, "ready\n");
        Self { child, output }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Until there are more reads than now.
    #[track_caller]
    pub fn reads_on(&mut self) -> Seen {
        let before = self.seen();
        loop {
            let now = self.seen();
            if now.reads > before.reads + 1000 {
                return now;
            }
        }
    }

    /// Nothing was wrong until now.
    #[track_caller]
    pub fn says(&mut self) {
        self.seen();
    }

    /// How many descriptors it has.
    pub fn files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it runs").count()
    }

    /// How many threads it has, and how many of them nobody traces and no signal is kept from.
    pub fn free_threads(&self) -> (usize, usize) {
        let tasks = format!("/proc/{}/task", self.pid());
        let tids: Vec<i32> = vdso_host::proc::numbers_in(tasks).expect("it runs").collect();
        let is_free = |tid: &&i32| {
            let status = Status::read(format_args!("{}/task/{tid}", self.pid())).expect("it runs");
            status.number("TracerPid") == Some(0) && status.set("SigBlk") == Some(0)
        };
        (tids.len(), tids.iter().filter(is_free).count())
    }

    #[track_caller]
    fn seen(&mut self) -> Seen {
        self.child.stdin.as_mut().expect("a pipe").write_all(b".").expect("it reads");
        self.line()
    }

    #[track_caller]
    fn line(&mut self) -> Seen {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it says something");
        let numbers: Vec<u64> =
            line.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        let &[reads, ahead, wrong] = &numbers[..] else { panic!("{line:?}: it has died") };
        assert_eq!(wrong, 0, "it has said what");
        Seen { reads, ahead }
    }

    /// Nothing was wrong to its end.
    #[track_caller]
    pub fn ends_well(mut self) {
        drop(self.child.stdin.take());
        self.line();
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }

    /// The bytes of the kernel's vDSO.
    #[track_caller]
    pub fn vdso(&self) -> Vec<u8> {
        let maps = maps::read(self.pid()).expect("it runs");
        let vdso = maps::kernels(&maps, "[vdso]").expect("it has one");
        let mut bytes = vec![0; vdso.bytes()];
        let memory = vdso_inject::exec::Memory::of(self.pid());
        memory.read(vdso.start, &mut bytes).expect("it can be read");
        bytes
    }

    /// `/proc/PID/maps`, but for what the program's allocator does meanwhile, and whether its own file is still there, which
    /// other tests build anew.
    pub fn maps(&self) -> Vec<String> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid())).expect("it runs");
        let lines = maps.lines().filter(|line| !line.ends_with("[heap]"));
        lines.map(|line| line.trim_end_matches(" (deleted)").to_owned()).collect()
    }

    pub fn signal(&self, signal: i32) {
        let signal = nix::sys::signal::Signal::try_from(signal).expect("there is one");
        nix::sys::signal::kill(self.pid(), signal).expect("it is there");
    }

    pub fn waits_for_state(&self, state: char) {
        let is_so = |tid: i32| {
            Stat::read(format_args!("{}/task/{tid}", self.pid()))
                .is_ok_and(|stat| stat.state() == Some(state))
        };
        loop {
            let tasks = format!("/proc/{}/task", self.pid());
            let mut tids = vdso_host::proc::numbers_in(tasks).expect("it is there");
            if tids.all(is_so) {
                return;
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of this folder, built once.
pub fn built(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("attach-{name}"));
    if built.contains(&path) {
        return path;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attach");
    // Renamed when done: another process of this test may be running it.
    let draft = path.with_extension(std::process::id().to_string());
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-Wall", "-Wextra", "-pthread"]).arg(folder.join(format!("{name}.c")));
    assert!(gcc.arg("-o").arg(&draft).status().expect("gcc is installed").success(), "{gcc:?}");
    fs::rename(&draft, &path).expect("both are in one folder");
    built.insert(path.clone());
    path
}
