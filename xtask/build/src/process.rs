//! Runs one process for a limited time, with all that it starts.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// What came of a command.
pub struct Finished {
    /// How it ended.
    pub end: End,
    /// All that it wrote.
    pub stdout: String,
    /// All that it complained of.
    pub stderr: String,
}

/// How a command ended.
#[derive(Debug)]
pub enum End {
    /// By itself.
    Status(ExitStatus),
    /// It was killed when its time was up.
    Hung(Duration),
    /// It never began.
    NotStarted(io::Error),
}

/// How often to see whether it has ended.
const POLL: Duration = Duration::from_millis(10);

impl Finished {
    /// Runs the command to its end, or kills it and its process group at the limit.
    pub fn of(command: &mut Command, limit: Duration) -> Self {
        let failed = |error| Self {
            end: End::NotStarted(error),
            stdout: String::new(),
            stderr: String::new(),
        };
        Self::try_of(command, limit).unwrap_or_else(failed)
    }

    fn try_of(command: &mut Command, limit: Duration) -> io::Result<Self> {
        // Files, not pipes: nobody has to read while it runs, and a grandchild that outlives it
        // keeps nobody waiting.
        let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
        let child = command.process_group(0).spawn()?;
        let end = wait(child, limit)?;
        Ok(Self { end, stdout: text(&mut stdout)?, stderr: text(&mut stderr)? })
    }
}

fn wait(mut child: Child, limit: Duration) -> io::Result<End> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(End::Status(status));
        }
        if start.elapsed() >= limit {
            // It is the leader of its group, and not reaped yet, so the group is its own.
            if let Some(group) = Pid::from_raw(child.id() as i32) {
                kill_process_group(group, Signal::KILL)?;
            }
            child.wait()?;
            return Ok(End::Hung(limit));
        }
        std::thread::sleep(POLL);
    }
}

fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// For a person who looks for the cause: how it ended, and the last of what it said.
impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LINES: usize = 30;
        match &self.end {
            End::Status(status) => writeln!(f, "  {status}")?,
            End::Hung(limit) => writeln!(f, "  killed after {} s", limit.as_secs())?,
            End::NotStarted(error) => writeln!(f, "  not started: {error}")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let lines: Vec<&str> = text.lines().collect();
            for line in &lines[lines.len().saturating_sub(LINES)..] {
                writeln!(f, "  {name}: {line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_gives_its_exit_code_and_output() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 4"]);
        let finished = Finished::of(&mut command, Duration::from_secs(60));
        assert!(matches!(finished.end, End::Status(status) if status.code() == Some(4)));
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn a_hanging_command_is_killed_with_its_children() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo $!; wait"]);
        let finished = Finished::of(&mut command, Duration::from_millis(500));
        assert!(matches!(finished.end, End::Hung(_)), "{finished}");
        let status = format!("/proc/{}/status", finished.stdout.trim());
        let lives =
            || std::fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ"));
        let start = Instant::now();
        while lives() {
            assert!(start.elapsed() < Duration::from_secs(60), "{status} is still there");
            std::thread::sleep(POLL);
        }
    }
}
