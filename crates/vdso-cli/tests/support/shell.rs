//! A command that runs and that a test talks to by pipes: most often a shell.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::LIMIT;
use super::processes::wait_for;

/// See the module. Killed with its process group when dropped.
pub struct Shell {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    /// What was read and not yet looked at.
    unread: String,
}

impl Shell {
    /// Starts a command, in a process group of its own. Standard error is that of the test.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                let _ = sender.send(buffer[..length].to_vec());
            }
        });
        let stdin = child.stdin.take();
        Self { child, stdin, output, unread: String::new() }
    }

    /// The process that was started.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Writes a line for it.
    #[track_caller]
    pub fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("it reads its input");
    }

    /// Closes its input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Waits until it has written `mark`, and gives all that came before it.
    #[track_caller]
    pub fn read_to(&mut self, mark: &str) -> String {
        loop {
            if let Some((before, after)) = self.unread.split_once(mark) {
                let before = before.to_owned();
                self.unread = after.to_owned();
                return before;
            }
            match self.output.recv_timeout(LIMIT) {
                Ok(bytes) => self.unread += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("no {mark:?} in {:?}: {error}", self.unread),
            }
        }
    }

    /// Waits for the end of its output, and gives all of it.
    #[track_caller]
    pub fn read_to_end(&mut self) -> String {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        loop {
            match self.output.recv_timeout(LIMIT) {
                Ok(bytes) => self.unread += &String::from_utf8_lossy(&bytes),
                Err(Disconnected) => return std::mem::take(&mut self.unread),
                Err(Timeout) => panic!("no end after {:?}", self.unread),
            }
        }
    }

    /// Has a shell run a command, which must succeed, and gives what it wrote.
    #[track_caller]
    pub fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}; echo \"<<$?>>\""));
        let output = self.read_to("<<");
        let code = self.read_to(">>\n");
        assert_eq!(code, "0", "{command}: {output}");
        output
    }

    /// Waits for the end of the process that was started.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait_for("the end of the shell", || child.try_wait().expect("it is our child"))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
