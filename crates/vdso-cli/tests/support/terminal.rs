//! A command in a terminal of its own, as a person has it: a pseudo-terminal whose other end is the
//! test's. Sources: pty(7), credentials(7), ioctl_tty(2).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::unistd::Pid;

use super::processes::{kill_hard, wait_for};
use super::{LIMIT, VDSO};

/// For a bash that is the same on every machine.
pub const BASH_OPTIONS: [&str; 4] = ["--norc", "--noprofile", "--noediting", "-i"];

/// ^C.
pub const INTERRUPT: &str = "\x03";
/// ^Z.
pub const SUSPEND: &str = "\x1a";
/// ^\.
pub const QUIT: &str = "\x1c";
/// ^D.
pub const END: &str = "\x04";

/// See the module. Hung up when dropped.
pub struct Terminal {
    child: Child,
    /// The only one that lasts; the reading thread has it for moments.
    master: Option<Arc<File>>,
    output: Receiver<Vec<u8>>,
    unread: String,
    /// All that ever appeared, for messages.
    transcript: String,
}

impl Terminal {
    /// Starts a command as a terminal's session leader.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("pty");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname_r(&master).expect("ptsname");
        let mut options = File::options();
        let slave = options.read(true).write(true).custom_flags(libc::O_NOCTTY).open(name);
        let slave = slave.expect("the terminal's other end");
        let stream = || Stdio::from(slave.try_clone().expect("a descriptor"));
        command.stdin(stream()).stdout(stream()).stderr(stream());
        command.env("TERM", "dumb").env("PS1", "$ ").env_remove("PROMPT_COMMAND");
        // SAFETY: between fork and exec only these two calls are made, which signal-safety(7)
        // allows.
        unsafe { command.pre_exec(take_terminal) };
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        drop(slave);
        let master = Arc::new(File::from(OwnedFd::from(master)));
        let (sender, output) = channel();
        let from = Arc::downgrade(&master);
        std::thread::spawn(move || read_all(&from, &sender));
        let master = Some(master);
        Self { child, master, output, unread: String::new(), transcript: String::new() }
    }

    /// Starts an interactive bash, which does job control, at its prompt. `$V` is `vdso run`.
    #[track_caller]
    pub fn bash() -> Self {
        let mut bash = Command::new("bash");
        bash.args(BASH_OPTIONS).env("V", format!("{VDSO} run --offset 1234567s --"));
        let mut terminal = Self::start(&mut bash);
        terminal.expect("$ ");
        terminal
    }

    /// The process that was started.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Types something.
    #[track_caller]
    pub fn keys(&mut self, keys: &str) {
        let mut master = self.master.as_deref().expect("it is not hung up");
        master.write_all(keys.as_bytes()).expect("the terminal takes it");
    }

    /// Types a line. The terminal echoes it, so what is expected must not be part of it.
    #[track_caller]
    pub fn line(&mut self, line: &str) {
        self.keys(&format!("{line}\n"));
    }

    /// Suspends a program that reads the terminal, and waits for the shell's prompt.
    #[track_caller]
    pub fn suspend_reader(&mut self, prompt: &str) {
        self.keys(SUSPEND);
        self.expect("Stopped");
        self.expect(prompt);
        // A reader that has not run since the key takes one line more before it stops.
        self.line("");
    }

    /// Waits for something to appear, and gives what came before it.
    #[track_caller]
    pub fn expect(&mut self, mark: &str) -> String {
        loop {
            if let Some((before, after)) = self.unread.split_once(mark) {
                let before = before.to_owned();
                self.unread = after.to_owned();
                return before;
            }
            match self.output.recv_timeout(LIMIT) {
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&bytes);
                    self.unread += &text;
                    self.transcript += &text;
                }
                Err(error) => panic!("no {mark:?} ({error}) in:\n{}", self.transcript),
            }
        }
    }

    /// Types a command for a shell and waits for its exit code, which it has the shell print.
    #[track_caller]
    pub fn code_of(&mut self, command: &str) -> i32 {
        self.line(&format!(r#"{command}; printf '\n<%s>\n' "$?""#));
        self.code()
    }

    /// The exit code of a shell's last command.
    #[track_caller]
    pub fn last_code(&mut self) -> i32 {
        self.line(r#"printf '\n<%s>\n' "$?""#);
        self.code()
    }

    #[track_caller]
    fn code(&mut self) -> i32 {
        self.expect("\n<");
        self.expect(">").parse().expect("a number")
    }

    /// Changes the terminal's size.
    #[track_caller]
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let master = self.master.as_ref().expect("it is not hung up").as_raw_fd();
        // SAFETY: the structure is the one that the request takes.
        let result = unsafe { libc::ioctl(master, libc::TIOCSWINSZ, &size) };
        assert_eq!(result, 0);
    }

    /// Takes the terminal away from all in it.
    pub fn hang_up(&mut self) {
        self.master = None;
    }

    /// Waits for the end of the process that was started.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait_for("the end of the session", || child.try_wait().expect("it is our child"))
    }
}

/// Passes on what appears, for as long as the terminal exists.
fn read_all(master: &Weak<File>, sender: &Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Some(master) = master.upgrade() {
        let mut fds = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        // Briefly, so that a terminal that is hung up does not stay for this.
        if poll(&mut fds, PollTimeout::from(20_u8)) == Ok(0) {
            continue;
        }
        // A terminal that nobody has open any more gives an error.
        let Ok(length @ 1..) = (&*master).read(&mut buffer) else { return };
        let _ = sender.send(buffer[..length].to_vec());
    }
}

/// Becomes a session leader with its standard input as terminal.
fn take_terminal() -> std::io::Result<()> {
    nix::unistd::setsid()?;
    // SAFETY: the request takes a number.
    match unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The death of a session leader hangs the terminal up, for all in it.
        kill_hard(self.pid());
        let _ = self.child.wait();
    }
}
