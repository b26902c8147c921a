//! What taking an image away needs, kept on disk: it survives whoever has attached it.
//!
//! One file for each process, in a folder that its user alone can enter. Whoever works on the process holds the file
//! locked, for as long as the image is attached; a file that nobody has locked was left behind.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::Pid;
use vdso_host::proc::{self, Stat};
use vdso_map::Identity;

use super::changes;
use crate::error::{Error, Result};

/// The first line of a file.
const HEADER: &str = "vdso attached 1";

/// A process, by what no other has had since this machine was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// When it began, in the kernel's ticks: field 22 of `/proc/PID/stat`.
    start_ticks: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    boot_id: String,
    /// Device and inode of its program.
    program: (u64, u64),
}

impl Process {
    /// That which has this number now.
    pub fn read(pid: Pid) -> io::Result<Self> {
        Self::by_thread(pid, pid.as_raw())
    }

    /// The same by one of its threads: the first one may end before the others, and says nothing of the program then.
    fn by_thread(pid: Pid, tid: i32) -> io::Result<Self> {
        let program = fs::metadata(format!("/proc/{pid}/task/{tid}/exe"))?;
        Ok(Self {
            pid,
            start_ticks: Stat::read(pid)?.field(22).ok_or(io::ErrorKind::InvalidData)?,
            boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
            program: (program.dev(), program.ino()),
        })
    }

    /// Whether it still runs, and the same program.
    pub fn is_there(&self) -> bool {
        self.thread().is_some()
    }

    /// By which number its memory is found, if it still runs the same program: its own, or that of a thread that has
    /// outlived the first.
    pub fn thread(&self) -> Option<Pid> {
        let is_it = |&tid: &i32| Self::by_thread(self.pid, tid).is_ok_and(|now| now == *self);
        if is_it(&self.pid.as_raw()) {
            return Some(self.pid);
        }
        let tids = proc::numbers_in(format!("/proc/{}/task", self.pid));
        tids.ok()?.find(is_it).map(Pid::from_raw)
    }
}

/// What is written over a function of the kernel's vDSO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Where.
    pub addr: u64,
    /// The bytes that were there.
    pub original: Vec<u8>,
    /// Those that are there instead.
    pub written: Vec<u8>,
}

impl Patch {
    /// Addresses at which no thread may stand while it is written: within the instructions.
    pub fn within(&self) -> Range<u64> {
        self.addr + 1..self.addr + self.written.len() as u64
    }
}

/// What is changed in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// In which one.
    pub process: Process,
    /// Where its kernel's vDSO is.
    pub vdso_addr: u64,
    /// What is written over functions.
    pub patches: Vec<Patch>,
    /// What is used of the zeros behind the kernel's vDSO.
    pub room: Range<u64>,
    /// The image's file.
    pub file: Identity,
    /// The file in which it counts, if it does.
    pub counts: Option<Identity>,
    /// How long the mapping of all that is.
    pub mapping_bytes: u64,
}

impl Record {
    fn to_text(&self) -> String {
        let Self { process, vdso_addr, patches, room, file, counts, mapping_bytes } = self;
        let mut text = format!("{HEADER}\n");
        let mut line = |key: &str, words: std::fmt::Arguments<'_>| {
            writeln!(text, "{key} {words}").expect("a string takes all");
        };
        line("pid", format_args!("{}", process.pid));
        line("start-ticks", format_args!("{}", process.start_ticks));
        line("boot-id", format_args!("{}", process.boot_id));
        line("program", format_args!("{} {}", process.program.0, process.program.1));
        line("vdso-addr", format_args!("{vdso_addr}"));
        line("room", format_args!("{} {}", room.start, room.end));
        for (key, file) in [("file", Some(file)), ("counts", counts.as_ref())] {
            // No file is as long as nothing.
            let none = Identity { device: 0, inode: 0, bytes: 0 };
            let file = file.unwrap_or(&none);
            line(key, format_args!("{} {} {}", file.device, file.inode, file.bytes));
        }
        line("mapping-bytes", format_args!("{mapping_bytes}"));
        for patch in patches {
            let (original, written) = (hex(&patch.original), hex(&patch.written));
            line("patch", format_args!("{} {original} {written}", patch.addr));
        }
        // Without it the file is not whole.
        text.push_str("end\n");
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix("end\n")?.lines();
        if lines.next()? != HEADER {
            return None;
        }
        let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ');
        let pid = Pid::from_raw(value("pid")?.parse().ok().filter(|&pid: &i32| pid > 0)?);
        let start_ticks = value("start-ticks")?.parse().ok()?;
        let boot_id = value("boot-id")?.to_owned();
        let [device, inode] = numbers(value("program")?)?;
        let [vdso_addr] = numbers(value("vdso-addr")?)?;
        let [start, end] = numbers(value("room")?)?;
        let file = identity(value("file")?)?;
        let counts = identity(value("counts")?)?;
        let [mapping_bytes] = numbers(value("mapping-bytes")?)?;
        let patches = lines.map(|line| patch(line.strip_prefix("patch ")?));
        Some(Self {
            process: Process { pid, start_ticks, boot_id, program: (device, inode) },
            vdso_addr,
            patches: patches.collect::<Option<_>>()?,
            room: start..end,
            file,
            counts: Some(counts).filter(|counts| counts.bytes != 0),
            mapping_bytes,
        })
    }
}

fn patch(words: &str) -> Option<Patch> {
    let mut words = words.split(' ');
    let addr = words.next()?.parse().ok()?;
    let (original, written) = (unhex(words.next()?)?, unhex(words.next()?)?);
    let is_one = original.len() == written.len() && words.next().is_none();
    is_one.then_some(Patch { addr, original, written })
}

fn identity(words: &str) -> Option<Identity> {
    let [device, inode, bytes] = numbers(words)?;
    Some(Identity { device, inode, bytes })
}

fn numbers<const COUNT: usize>(words: &str) -> Option<[u64; COUNT]> {
    let numbers: Option<Vec<u64>> = words.split(' ').map(|word| word.parse().ok()).collect();
    numbers?.try_into().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// A record's file, locked.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    file: File,
}

/// What is there of a process.
#[derive(Debug)]
pub enum Found {
    /// No file.
    Nothing,
    /// Somebody has attached an image to it and still holds it.
    Held,
    /// Nobody does any more; what the file says, `None` if that is no record.
    LeftBehind(RecordFile, Option<Record>),
}

impl RecordFile {
    /// Writes a new one. Nothing may have been changed in the process before.
    pub fn create(record: &Record) -> Result<Self> {
        let folder = folder()?;
        forget_ended(&folder);
        let path = folder.join(record.process.pid.to_string());
        let create = || -> io::Result<Self> {
            // Locked under another name, so nobody finds one that is not whole.
            let draft = folder.join(format!("{}.{}", record.process.pid, std::process::id()));
            let _ = fs::remove_file(&draft);
            let options = OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
            let mut file = options.open(&draft)?;
            let made = file.try_lock().map_err(io::Error::from).and_then(|()| {
                file.write_all(record.to_text().as_bytes())?;
                file.sync_all()?;
                fs::hard_link(&draft, &path)
            });
            fs::remove_file(&draft)?;
            made.map(|()| Self { path: path.clone(), file })
        };
        create().map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::Attached { pid: record.process.pid },
            _ => Error::Record { path: path.clone(), error },
        })
    }

    /// What is kept of a process.
    pub fn find(pid: Pid) -> Result<Found> {
        Self::find_at(&folder()?.join(pid.to_string()))
    }

    fn find_at(path: &Path) -> Result<Found> {
        let failed = |error| Error::Record { path: path.to_owned(), error };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Found::Held),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Another one may have done its work, and removed it, since it was opened.
        if !fs::metadata(path).is_ok_and(|there| is_same(&there, &file)) {
            return Ok(Found::Nothing);
        }
        let mut text = String::new();
        let record = match file.read_to_string(&mut text) {
            Ok(_) => Record::parse(&text),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) => return Err(failed(error)),
        };
        Ok(Found::LeftBehind(Self { path: path.to_owned(), file }, record))
    }

    /// Removes it: the process is as it was.
    pub fn remove(self) -> Result<()> {
        let removed = fs::remove_file(&self.path);
        drop(self.file);
        removed.map_err(|error| Error::Record { path: self.path, error })
    }
}

fn is_same(there: &fs::Metadata, file: &File) -> bool {
    file.metadata().is_ok_and(|open| (open.dev(), open.ino()) == (there.dev(), there.ino()))
}

/// All records that were left behind and are still needed.
pub fn left_behind() -> Result<Vec<Record>> {
    let folder = folder()?;
    let pids = proc::numbers_in(&folder);
    let pids = pids.map_err(|error| Error::Record { path: folder.clone(), error })?;
    let mut records = Vec::new();
    for pid in pids {
        let found = RecordFile::find_at(&folder.join(pid.to_string()))?;
        if let Found::LeftBehind(_, Some(record)) = found
            && is_needed(&record)
        {
            records.push(record);
        }
    }
    Ok(records)
}

fn is_needed(record: &Record) -> bool {
    record.process.is_there() || !changes::forks(record).is_empty()
}

/// Removes what is kept of processes that have ended, and what their attachers had begun to write. An error is no matter.
fn forget_ended(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match name.split_once('.') {
            Some((_, writer)) if !Path::new("/proc").join(writer).exists() => {
                let _ = fs::remove_file(&path);
            }
            Some(_) => {}
            None => {
                if let Ok(Found::LeftBehind(file, Some(record))) = RecordFile::find_at(&path)
                    && !is_needed(&record)
                {
                    // Still locked: by now it would be another one's otherwise, of a process that has got this number.
                    let _ = file.remove();
                }
            }
        }
    }
}

/// Where records are: below `XDG_RUNTIME_DIR`, `/run/user/UID` or, where neither is, `/tmp`. All are emptied when the
/// machine starts, or that is seen by the records.
fn folder() -> Result<PathBuf> {
    let user = nix::unistd::geteuid();
    let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let session = session.filter(|path| path.is_absolute());
    let places = session.into_iter().chain([PathBuf::from(format!("/run/user/{user}"))]);
    let place = places.into_iter().find(|place| is_private(place, user.as_raw()));
    let folder = match place {
        Some(place) => place.join("vdso-attached"),
        None => PathBuf::from(format!("/tmp/vdso-attached-{user}")),
    };
    let made = match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        // It may be a stranger's, who could have anything written by it.
        _ if is_private(&folder, user.as_raw()) => Ok(folder.clone()),
        _ => Err(io::ErrorKind::PermissionDenied.into()),
    };
    made.map_err(|error| Error::Record { path: folder, error })
}

/// Whether it is a folder of this user's into which nobody else can write.
fn is_private(path: &Path, user: u32) -> bool {
    let there = fs::symlink_metadata(path);
    there.is_ok_and(|it| it.is_dir() && it.uid() == user && it.permissions().mode() & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let patch = |addr| Patch { addr, original: vec![0x55, 0, 255], written: vec![0xe9, 1, 2] };
        Record {
            process: Process::read(Pid::this()).expect("/proc is mounted"),
            vdso_addr: 0x7fff_0000_0000,
            patches: vec![patch(0x7fff_0000_0810), patch(0x7fff_0000_0af0)],
            room: 0x7fff_0000_1e00..0x7fff_0000_2000,
            file: Identity { device: 1, inode: 2059, bytes: 65536 },
            counts: None,
            mapping_bytes: 0x9000,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let counts = Some(Identity { device: 1, inode: 2060, bytes: 4096 });
        for record in [record(), Record { counts, ..record() }] {
            assert_eq!(Record::parse(&record.to_text()), Some(record));
        }
    }

    #[test]
    fn what_is_not_whole_is_none() {
        let text = record().to_text();
        for length in 0..text.len() {
            assert_eq!(Record::parse(&text[..length]), None, "{length}");
        }
        assert_eq!(Record::parse(&text.replace("attached 1", "attached 2")), None);
        assert_eq!(Record::parse(&text.replace("5500ff", "5500f")), None);
        assert_eq!(Record::parse(&text.replace("5500ff", "5500")), None);
        assert_eq!(Record::parse(&text.replacen("pid ", "pid -", 1)), None);
    }

    #[test]
    fn a_process_is_not_another_with_its_number() {
        let process = record().process;
        assert!(process.is_there());
        let of = |change: fn(&mut Process)| {
            let mut other = process.clone();
            change(&mut other);
            other.is_there()
        };
        assert!(!of(|it| it.start_ticks += 1));
        assert!(!of(|it| it.boot_id.push('0')));
        assert!(!of(|it| it.program.1 += 1));
        assert!(!of(|it| it.pid = Pid::from_raw(1)));
    }

    #[test]
    fn a_strangers_folder_is_not_used() {
        let user = nix::unistd::geteuid().as_raw();
        let folder = std::env::temp_dir().join(format!("vdso-private-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder).expect("a folder");
        assert!(is_private(&folder, user) && !is_private(&folder, user + 1));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("it is ours");
        assert!(!is_private(&folder, user));
        fs::remove_dir(&folder).expect("it is empty");
        let link = std::env::temp_dir().join(format!("vdso-link-{}", std::process::id()));
        std::os::unix::fs::symlink("/root", &link).expect("a link");
        assert!(!is_private(&link, user));
        fs::remove_file(&link).expect("it is there");
    }
}
