//! `/proc/PID/status`, which everybody may read: proc_pid_status(5).

use std::fmt::Display;
use std::fs;
use std::io;
use std::str::FromStr;

/// The lines of the file, of a process or a thread.
#[derive(Clone, Debug)]
pub struct Status(String);

impl Status {
    /// Of the process whose folder is `/proc/PROCESS`: a number, `self`, `PID/task/TID`.
    pub fn read(process: impl Display) -> io::Result<Self> {
        Ok(Self::parse(&fs::read(format!("/proc/{process}/status"))?))
    }

    /// What the file's bytes say. A program's name may hold any bytes.
    pub fn parse(bytes: &[u8]) -> Self {
        Self(String::from_utf8_lossy(bytes).into_owned())
    }

    /// What follows a name: `TracerPid`.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim())
    }

    /// The first number that follows a name.
    pub fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.numbers(name).next()
    }

    /// The numbers that follow a name: of `Uid` the real, effective, saved and file system's one.
    pub fn numbers<T: FromStr>(&self, name: &str) -> impl Iterator<Item = T> {
        let words = self.field(name).unwrap_or_default().split_whitespace();
        words.map_while(|word| word.parse().ok())
    }

    /// A set of capabilities or signals, which is in hexadecimal digits.
    pub fn set(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.field(name)?, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_names() {
        let text = b"Name:\ta: \xff\nPid:\t17\nUid:\t1\t2\t3\t4\nCapBnd:\t000001ffffffffff\nVmSize:\t 9 kB\n";
        let status = Status::parse(text);
        assert_eq!(status.number("Pid"), Some(17));
        assert_eq!(status.number("VmSize"), Some(9));
        assert_eq!(status.numbers("Uid").collect::<Vec<u32>>(), [1, 2, 3, 4]);
        assert_eq!(status.set("CapBnd"), Some(0x1ff_ffff_ffff));
        assert_eq!(status.field("Name"), Some("a: \u{fffd}"));
        assert_eq!((status.field("pid"), status.number::<i32>("Name")), (None, None));
    }

    #[test]
    fn this_process_has_its_number() {
        let status = Status::read("self").expect("/proc is mounted");
        assert_eq!(status.number("Pid"), Some(std::process::id()));
        assert_eq!(status.field("NoSuchField"), None);
        assert!(Status::read("no-such-process").is_err());
    }
}
