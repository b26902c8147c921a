//! What of `/proc/PID/status` more than one part of the command asks for.

use std::fs;
use std::io;
use std::str::FromStr;

use vdso_host::proc;

use super::Root;

/// What is in the file.
#[derive(Clone, Debug)]
pub struct Status(proc::Status);

impl Status {
    /// Of a process or a thread, by its number, or of `self`.
    pub fn read(root: &Root, process: &str) -> io::Result<Self> {
        let bytes = fs::read(root.path(&format!("/proc/{process}/status")))?;
        Ok(Self(proc::Status::parse(&bytes)))
    }

    /// What follows a name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.0.field(name)
    }

    /// The first number that follows a name.
    pub fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.0.number(name)
    }

    /// Whether it has ended, and its memory is gone.
    pub fn has_ended(&self) -> bool {
        self.field("State").is_some_and(|state| state.starts_with(['Z', 'X']))
    }

    /// Whether it is a thread of the kernel's: newer ones say so, and only what has memory has the
    /// other line.
    pub fn is_of_the_kernel(&self) -> bool {
        match self.field("Kthread") {
            Some(value) => value == "1",
            None => self.field("VmSize").is_none(),
        }
    }

    /// Real, effective and saved user.
    pub fn users(&self) -> Option<[u32; 3]> {
        let mut users = self.0.numbers("Uid");
        Some([users.next()?, users.next()?, users.next()?])
    }
}

/// A thread of a process that lives, when its first one has ended by pthread_exit(3): the process
/// looks like a zombie then, but its memory is there, and each thread's number leads to it.
pub fn living_thread(root: &Root, process: &str) -> Option<String> {
    let threads = proc::numbers_in(root.path(&format!("/proc/{process}/task"))).ok()?;
    let mut threads = threads.map(|thread| thread.to_string());
    threads.find(|thread| Status::read(root, thread).is_ok_and(|status| !status.has_ended()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Status {
        Status(proc::Status::parse(text.as_bytes()))
    }

    #[test]
    fn this_process_lives_and_is_not_of_the_kernel() {
        let root = Root::new(None);
        let status = Status::read(&root, "self").expect("/proc is there");
        assert!(!status.has_ended() && !status.is_of_the_kernel());
        assert_eq!(status.users().expect("users")[1], nix::unistd::geteuid().as_raw());
        assert!(living_thread(&root, "self").is_some());
    }

    #[test]
    fn older_kernels_do_not_name_their_threads() {
        assert!(status("State:\tS (sleeping)\n").is_of_the_kernel());
        assert!(status("Kthread:\t1\n").is_of_the_kernel());
        assert!(!status("Kthread:\t0\n").is_of_the_kernel(), "it is about to end");
        assert!(!status("VmSize:\t 1 kB\n").is_of_the_kernel());
        assert!(status("State:\tZ (zombie)\n").has_ended());
    }
}
