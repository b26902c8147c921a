//! `/proc/PID/stat`: proc_pid_stat(5).

use std::fmt::Display;
use std::fs;
use std::io;
use std::str::FromStr;

/// What is in the file, of a process or a thread.
#[derive(Clone, Debug)]
pub struct Stat {
    /// From the third field on.
    fields: String,
}

impl Stat {
    /// Of the process whose folder is `/proc/PROCESS`: a number, `self`, `PID/task/TID`.
    pub fn read(process: impl Display) -> io::Result<Self> {
        let bytes = fs::read(format!("/proc/{process}/stat"))?;
        Self::parse(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// What the file's bytes say; `None` if they are another file's.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        // The second field is the program's name in parentheses, which may hold any bytes.
        let name_end = bytes.windows(2).rposition(|pair| pair == b") ")?;
        let fields = String::from_utf8_lossy(&bytes[name_end + 2..]).into_owned();
        Some(Self { fields })
    }

    /// Field 3: `R`, `S`, `T` ...
    pub fn state(&self) -> Option<char> {
        self.fields.chars().next()
    }

    /// Whether it has ended, and is there because nobody has waited for it.
    pub fn has_ended(&self) -> bool {
        matches!(self.state(), Some('Z' | 'X'))
    }

    /// A field from the third on, by its number in the manual page.
    pub fn field<T: FromStr>(&self, number: usize) -> Option<T> {
        self.fields.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_anything() {
        for name in [&b"cat"[..], b"a) R 1", b"\xff) ", b""] {
            let bytes = [b"17 (", name, b") S 4 5 -1 7\n"].concat();
            let stat = Stat::parse(&bytes).expect("a process");
            assert_eq!(stat.state(), Some('S'));
            assert!(!stat.has_ended());
            assert_eq!((stat.field(4), stat.field(6), stat.field(7)), (Some(4), Some(-1), Some(7)));
            assert_eq!(stat.field::<u64>(6), None, "negative");
            assert_eq!([0, 2, 8].map(|number| stat.field::<u64>(number)), [None; 3]);
        }
    }

    #[test]
    fn what_is_none_is_none() {
        assert!(Stat::parse(b"").is_none());
        assert!(Stat::parse(b"17 (cat)").is_none());
        assert!(Stat::parse(b"1 (a) Z").is_some_and(|stat| stat.has_ended()));
        assert!(Stat::read("no-such-process").is_err());
    }

    #[test]
    fn this_process_has_a_state_and_a_stack() {
        let stat = Stat::read("self").expect("/proc is mounted");
        assert!(stat.state().is_some_and(char::is_alphabetic));
        assert!(stat.field::<u64>(28).is_some_and(|start_stack| start_stack != 0));
    }
}
