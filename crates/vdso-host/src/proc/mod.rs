//! What `/proc` says of processes: one reader for all who ask. It reads bytes, so a file from elsewhere, or of a
//! test, is read as well.
//!
//! - [`maps`]: what is mapped where.
//! - [`Stat`], [`Status`]: the two lists of what else is known.
//! - [`numbers_in`]: folders of processes, threads and descriptors.
//!
//! Of `procfs`, the crate, this would be a small part, at a price: names need not be UTF-8, a list is not read
//! to its end where one line is looked for, and what is read need not be below `/proc`.

pub mod maps;
mod stat;
mod status;

use std::fs::{read_dir, read_link};
use std::io;
use std::path::Path;

pub use stat::Stat;
pub use status::Status;

/// Whether `/proc` has the ids that this process sees. It may be that of another pid namespace, and then tells of
/// other processes.
pub fn is_ours() -> bool {
    read_link("/proc/self")
        .is_ok_and(|id| id.to_str().and_then(|id| id.parse().ok()) == Some(std::process::id()))
}

/// The numbers that are names in a folder: processes in `/proc`, threads in `/proc/PID/task`, descriptors in
/// `/proc/PID/fd`.
pub fn numbers_in(folder: impl AsRef<Path>) -> io::Result<impl Iterator<Item = i32>> {
    let entries = read_dir(folder)?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, at: usize, name in "[ -~]{0,20}") {
            let mut text = b"17 (cat) S 1 2\nUid:\t1 2\n1000-2000 r-xp 0 00:00 0  [vdso]\n".to_vec();
            let at = at % (text.len() + 1);
            text.splice(at..at, bytes);
            let _ = (maps::lines(&text).count(), maps::kernels(&text, &name));
            let _ = Stat::parse(&text).map(|stat| (stat.state(), stat.field::<u64>(at)));
            let status = Status::parse(&text);
            let _ = (status.number::<u64>(&name), status.set("Uid"));
        }
    }

    #[test]
    fn this_process_is_where_numbers_are() {
        let id = std::process::id() as i32;
        assert!(is_ours());
        assert!(numbers_in("/proc").unwrap().any(|number| number == id));
        assert!(numbers_in("/proc/self/task").unwrap().any(|number| number == id));
        assert!(numbers_in("/proc/no-such-process").is_err());
    }
}
