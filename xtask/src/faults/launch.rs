//! One `vdso run`, with somebody below it who starts programs.

use std::fs::{self, File};
use std::io::PipeWriter;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::input::Input;
use super::processes;
use super::records::{OFFSET, Records};
use super::setup::Setup;

/// After this long without a program that begins or ends, something hangs.
pub const HANG: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(1);

/// With what the storm's driver ends, so that it is seen whether that arrives.
pub const EXIT_DRIVEN: i32 = 7;

/// Who starts programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A program that starts itself.
    Itself,
    /// `sh`.
    Sh,
    /// `bash`.
    Bash,
}

impl Driver {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Itself, Self::Sh, Self::Bash];
}

/// As the program itself does, a few at a time. A shell's own words would otherwise be among vdso's, and
/// what it starts in the background would have nothing on standard input.
const LOOP: &str = r#"exec 2>/dev/null 3<&0; "$0" child 0; i=0
one() { "$0" child $1 || echo "CODE $1 0 $?"; }
while [ ! -e "$1" ] && [ $i -lt $2 ]; do
  for j in 1 2 3 4 5; do i=$((i+1)); one $i <&3 3<&- & done; wait
done
echo "END $i"; exit 7"#;

/// See the module. All that came from it is killed when dropped.
#[derive(Debug)]
pub struct Launch {
    /// The process that was started.
    pub front: Pid,
    files: Files,
    status: Option<WaitStatus>,
    _pipe: Option<PipeWriter>,
}

#[derive(Debug)]
struct Files {
    output: PathBuf,
    errors: PathBuf,
    /// Made to end the storm.
    until: PathBuf,
}

/// What is started.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Who starts programs.
    pub driver: Driver,
    /// Which program, of those of the setup.
    pub program: usize,
    /// What they have on standard input.
    pub input: Input,
    /// How many are started at most.
    pub most: u64,
}

impl Launch {
    /// Starts it; in a cgroup, if there is one.
    pub fn start(setup: &Setup, plan: Plan, cgroup: Option<&Path>) -> Result<Self> {
        let files = Files {
            output: setup.folder().join("output"),
            errors: setup.folder().join("errors"),
            until: setup.folder().join("until"),
        };
        let _ = fs::remove_file(&files.until);
        let (stdin, pipe) = setup.inputs.open(plan.input)?;
        let mut command = setup.vdso_run();
        command.args(["--offset", OFFSET, "--"]);
        let program = &setup.programs[plan.program];
        match plan.driver {
            Driver::Itself => command.arg(program).arg("drive"),
            Driver::Sh => command.args(["sh", "-c", LOOP]).arg(program),
            Driver::Bash => command.args(["bash", "-c", LOOP]).arg(program),
        };
        command.arg(&files.until).arg(plan.most.to_string());
        command.stdin(stdin).stdout(append_to(&files.output)?).stderr(append_to(&files.errors)?);
        command.process_group(0);
        if let Some(cgroup) = cgroup {
            born_in(&mut command, cgroup)?;
        }
        let child = command.spawn().context("cannot run the command")?;
        let front = Pid::from_raw(child.id() as i32);
        Ok(Self { front, files, status: None, _pipe: pipe })
    }

    /// How much the programs have written.
    pub fn written_bytes(&self) -> u64 {
        fs::metadata(&self.files.output).map_or(0, |data| data.len())
    }

    /// Waits until the programs have written so much more than before; `false` if that hangs.
    pub fn progresses(&mut self, before_bytes: u64, more_bytes: u64) -> bool {
        let mut last = (self.written_bytes(), Instant::now());
        while last.0 < before_bytes + more_bytes {
            std::thread::sleep(POLL);
            self.reap();
            match self.written_bytes() {
                now if now > last.0 => last = (now, Instant::now()),
                _ if last.1.elapsed() > HANG => return false,
                _ => {}
            }
        }
        true
    }

    /// Has no more programs started, and waits until all have ended; `false` if that hangs.
    pub fn finish(&mut self) -> Result<bool> {
        File::create(&self.files.until)?;
        Ok(self.ends())
    }

    /// Waits until all that came from the launch has ended; `false` if that hangs.
    pub fn ends(&mut self) -> bool {
        let mut last = (self.written_bytes(), Instant::now());
        loop {
            self.reap();
            if processes::all_from(self.front).is_empty() {
                // The last of them may have ended since.
                self.reap();
                return true;
            }
            match self.written_bytes() {
                now if now > last.0 => last = (now, Instant::now()),
                _ if last.1.elapsed() > HANG => return false,
                _ => {}
            }
            std::thread::sleep(POLL);
        }
    }

    /// Takes note of those that have ended, and so lets go of their ids.
    pub fn reap(&mut self) {
        let group = Pid::from_raw(-self.front.as_raw());
        while let Ok(status) = waitpid(group, Some(WaitPidFlag::WNOHANG)) {
            match status.pid() {
                None => return,
                Some(pid) if pid == self.front => self.status = Some(status),
                Some(_) => {}
            }
        }
    }

    /// The exit code of the process that was started; `None` if a signal has ended it.
    pub fn code(&self) -> Option<i32> {
        match self.status {
            Some(WaitStatus::Exited(_, code)) => Some(code),
            _ => None,
        }
    }

    /// The signal that has ended the process that was started, which may be the program's.
    pub fn signal(&self) -> Option<i32> {
        match self.status {
            Some(WaitStatus::Signaled(_, signal, _)) => Some(signal as i32),
            _ => None,
        }
    }

    /// What the programs and vdso have written.
    pub fn records(&self) -> Result<Records> {
        let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Records::of(&read(&self.files.output)?, &read(&self.files.errors)?))
    }

    /// The first of what vdso has said.
    pub fn complaint(&self) -> String {
        let text = fs::read(&self.files.errors).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().next().unwrap_or("nothing").to_owned()
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        // Until none is left: one that is being forked may have been missed.
        loop {
            self.reap();
            let all = processes::all_from(self.front);
            if all.is_empty() {
                return;
            }
            for pid in all {
                let _ = kill(pid, Signal::SIGKILL);
            }
            std::thread::sleep(POLL);
        }
    }
}

fn append_to(path: &Path) -> Result<Stdio> {
    let _ = fs::remove_file(path);
    let file = File::options().create(true).append(true).open(path);
    Ok(file.with_context(|| format!("cannot make {}", path.display()))?.into())
}

/// The kernel asks who has opened the file, which may be more than the command's user may do.
fn born_in(command: &mut Command, cgroup: &Path) -> Result<()> {
    let members = File::options().write(true).open(cgroup.join("cgroup.procs"))?;
    let join = move || {
        nix::unistd::write(members.as_fd(), b"0")?;
        Ok(())
    };
    // SAFETY: between fork and exec only write(2) is called, which signal-safety(7) allows.
    unsafe { command.pre_exec(join) };
    Ok(())
}
