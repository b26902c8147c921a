//! Processes, seen from outside: through `/proc`.

use std::fs;
use std::ops::Range;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::LIMIT;

/// Waits until something is so.
///
/// # Panics
///
/// If it is not so for [`LIMIT`].
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_for(what, || is_so().then_some(()));
}

/// Waits until there is something.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The children of a process's first thread.
pub fn children_of(pid: Pid) -> Vec<Pid> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).map(Pid::from_raw).collect()
}

/// The process's name.
pub fn name_of(pid: Pid) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// The letter for a process's state, from `/proc/PID/stat`; `None` if there is no such process.
pub fn state_of(pid: Pid) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}

/// Whether it lives: a zombie does not.
pub fn is_alive(pid: Pid) -> bool {
    state_of(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// The supervisor of a front. The program is the front's child, too, once a supervisor was killed.
#[track_caller]
pub fn supervisor_of(front: Pid) -> Pid {
    wait_for("the supervisor", || child_of_ours(front))
}

/// A living child that executes vdso.
pub fn child_of_ours(parent: Pid) -> Option<Pid> {
    children_of(parent).into_iter().find(|&child| name_of(child) == "vdso" && is_alive(child))
}

/// The program of a front, once it goes by `name`.
#[track_caller]
pub fn program_of(front: Pid, name: &str) -> Pid {
    wait_for(&format!("the program {name}"), || {
        let supervisors = children_of(front);
        let mut programs = supervisors.iter().flat_map(|&supervisor| children_of(supervisor));
        programs.find(|&pid| name_of(pid) == name)
    })
}

/// Ends a process at once.
pub fn kill_hard(pid: Pid) {
    let _ = kill(pid, Signal::SIGKILL);
}

/// A line of `/proc/PID/maps`, with what `/proc/PID/smaps` adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Where.
    pub addrs: Range<u64>,
    /// As the kernel writes them: `r-xp`.
    pub rights: String,
    /// From the start of the file, bytes.
    pub offset: u64,
    /// The file or the kernel's name.
    pub name: String,
    /// Memory of its own, not the file's, bytes.
    pub anonymous_bytes: u64,
}

/// All mappings of a process.
#[track_caller]
pub fn mappings_of(pid: Pid) -> Vec<Mapping> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).expect("smaps");
    parse_mappings(&text)
}

/// Reads `/proc/PID/smaps` or `/proc/PID/maps`.
pub fn parse_mappings(text: &str) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in text.lines() {
        if let Some(mapping) = parse_mapping(line) {
            mappings.push(mapping);
        } else if let Some(kib) = line.strip_prefix("Anonymous:")
            && let Some(mapping) = mappings.last_mut()
        {
            let kib: u64 = kib.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
            mapping.anonymous_bytes = kib * 1024;
        }
    }
    mappings
}

fn parse_mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let addrs = number(start)?..number(end)?;
    let rights = fields.next()?.to_owned();
    let offset = number(fields.next()?)?;
    let name = fields.skip(2).collect::<Vec<&str>>().join(" ");
    Some(Mapping { addrs, rights, offset, name, anonymous_bytes: 0 })
}

/// What a process has at some addresses.
#[track_caller]
pub fn memory_of(pid: Pid, addrs: Range<u64>) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let file = fs::File::open(format!("/proc/{pid}/mem")).expect("mem");
    let mut bytes = vec![0; (addrs.end - addrs.start) as usize];
    file.read_exact_at(&mut bytes, addrs.start).expect("the mapping is readable");
    bytes
}
