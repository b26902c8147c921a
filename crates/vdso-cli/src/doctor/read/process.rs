//! One process: what is mapped, who watches it, which namespace its clocks are in.
//!
//! Sources: proc_pid_status(5), proc_pid_maps(5), time_namespaces(7).

use std::fs::{self, File};
use std::io::{self, Read};

use anyhow::{Result, bail};
use vdso_elf::Class;

use super::image::Vdso;
use super::libc::{self, Libc};
use super::vsyscall::{self, Caller};
use crate::subject::refusal;
use crate::system::Root;
use crate::system::auxv::{self, NATIVE};
use crate::system::maps::{self, Mapping};
use crate::system::status::{self, Status};

/// The inode of the time namespace that a system starts with. `include/linux/proc_ns.h`.
const INITIAL_TIME_NAMESPACE: u64 = 0xefff_fffa;

/// What holds for one process. An `Err` says why something could not be looked at.
#[derive(Debug)]
pub struct Process {
    pub pid: u32,
    pub name: Option<String>,
    pub executable: Option<String>,
    pub mappings: Result<Vec<Mapping>, String>,
    /// `None` if none is announced.
    pub vdso: Result<Option<Vdso>, String>,
    pub libc: Result<Libc, String>,
    /// What it has mapped that calls the legacy vsyscall page.
    pub vsyscall_callers: Vec<Caller>,
    pub is_64_bit: bool,
    pub seccomp: Option<Seccomp>,
    pub tracer: Option<Tracer>,
    pub time_namespace: Result<Option<TimeNamespace>, String>,
}

/// `Seccomp:` and what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seccomp {
    Off,
    /// Only `read`, `write`, `_exit` and `sigreturn`.
    Strict,
    /// Filters; how many, where the kernel says it (Linux 5.9).
    Filters(Option<u32>),
}

/// Who traces the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracer {
    pub pid: u32,
    pub name: Option<String>,
}

/// A time namespace that is not the first one.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeNamespace {
    /// Clocks and by what they are moved, s.
    pub offsets: Vec<(String, f64)>,
}

impl Process {
    /// Reads what there is of `process`, a number or `self`.
    pub fn read(root: &Root, process: &str) -> Result<Self> {
        let status = match Status::read(root, process) {
            Ok(status) => status,
            Err(error) if error.kind() == io::ErrorKind::NotFound && process == "self" => {
                return Err(refusal::without_proc("cannot look at this process").into());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(refusal::gone(root, process).into());
            }
            Err(error) => bail!("cannot look at process {process}: {error}"),
        };
        let pid = status.number("Pid").unwrap_or(0);
        let name = root.line(&format!("/proc/{process}/comm"));
        let other = status.has_ended().then(|| status::living_thread(root, process)).flatten();
        let status = match &other {
            Some(thread) => Status::read(root, thread).unwrap_or(status),
            None => status,
        };
        refuse_what_has_no_program(pid, name.as_deref(), &status)?;
        let process = other.as_deref().unwrap_or(process);
        let mappings = root.text(&format!("/proc/{process}/maps")).map(|text| maps::parse(&text));
        let mappings = mappings.map_err(|error| in_words("its mappings", &error));
        let is_64_bit = is_64_bit(root, process, mappings.as_deref().unwrap_or_default());
        let known = mappings.as_ref().map_err(Clone::clone);
        Ok(Self {
            pid,
            name,
            executable: executable(root, process),
            vdso: known.clone().and_then(|maps| vdso(root, process, is_64_bit, maps)),
            libc: known.and_then(|maps| libc::find(root, process, maps)),
            vsyscall_callers: vsyscall::callers(
                root,
                process,
                mappings.as_deref().unwrap_or_default(),
            ),
            mappings,
            is_64_bit,
            seccomp: seccomp(&status),
            tracer: tracer(root, &status),
            time_namespace: time_namespace(root, process),
        })
    }

    /// The mapping that the kernel gives this name.
    pub fn mapping(&self, name: &str) -> Option<&Mapping> {
        self.mappings.as_ref().ok()?.iter().find(|mapping| mapping.is_kernels(name))
    }

    /// Whether its vDSO is known to answer a call.
    pub fn vdso_has(&self, call: &str) -> bool {
        let Ok(Some(Vdso { content: Ok(content), .. })) = &self.vdso else {
            return false;
        };
        let name =
            |symbol: &String| symbol.strip_prefix("__").map(|s| s.ends_with(&format!("_{call}")));
        content.functions.iter().any(|symbol| name(symbol) == Some(true))
    }
}

fn refuse_what_has_no_program(pid: u32, name: Option<&str>, status: &Status) -> Result<()> {
    let name = name.unwrap_or("?");
    if status.has_ended() {
        return Err(refusal::zombie(pid, name).into());
    }
    if status.is_of_the_kernel() {
        return Err(refusal::kernel_thread(pid, name).into());
    }
    Ok(())
}

fn in_words(what: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{what} may be read only by its user, with leave to trace it, or by root")
        }
        _ => format!("{what} cannot be read: {error}"),
    }
}

fn executable(root: &Root, process: &str) -> Option<String> {
    let link = fs::read_link(root.path(&format!("/proc/{process}/exe"))).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// From the executable's ELF header; where that may not be read, from where things are mapped.
fn is_64_bit(root: &Root, process: &str, mappings: &[Mapping]) -> bool {
    const CLASS: usize = 4;
    const ELFCLASS64: u8 = 2;
    let mut header = [0; CLASS + 1];
    let exe = File::open(root.path(&format!("/proc/{process}/exe")));
    match exe.and_then(|mut exe| exe.read_exact(&mut header)) {
        Ok(()) => header[CLASS] == ELFCLASS64,
        // Where that may not be read either, it is most likely of this machine's own kind.
        Err(_) if mappings.is_empty() => cfg!(target_pointer_width = "64"),
        Err(_) => mappings.iter().any(|mapping| mapping.addrs.start > u64::from(u32::MAX)),
    }
}

fn vdso(
    root: &Root,
    process: &str,
    is_64_bit: bool,
    mappings: &[Mapping],
) -> Result<Option<Vdso>, String> {
    let auxv = fs::read(root.path(&format!("/proc/{process}/auxv")))
        .map_err(|error| in_words("its auxiliary vector", &error))?;
    let class = if is_64_bit { Class::Elf64 } else { Class::Elf32 };
    let addr = auxv::vdso_addr(&auxv, class, NATIVE);
    Ok(addr.map(|addr| Vdso::read(root, process, addr, mappings)))
}

fn seccomp(status: &Status) -> Option<Seccomp> {
    match status.field("Seccomp")? {
        "0" => Some(Seccomp::Off),
        "1" => Some(Seccomp::Strict),
        _ => Some(Seccomp::Filters(status.number("Seccomp_filters"))),
    }
}

fn tracer(root: &Root, status: &Status) -> Option<Tracer> {
    let pid = status.number("TracerPid").filter(|pid| *pid != 0)?;
    Some(Tracer { pid, name: root.line(&format!("/proc/{pid}/comm")) })
}

fn time_namespace(root: &Root, process: &str) -> Result<Option<TimeNamespace>, String> {
    let link = match fs::read_link(root.path(&format!("/proc/{process}/ns/time"))) {
        Ok(link) => link,
        // Before Linux 5.6 there are none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(in_words("its time namespace", &error)),
    };
    if link.to_string_lossy() == format!("time:[{INITIAL_TIME_NAMESPACE}]") {
        return Ok(None);
    }
    let offsets = root.text(&format!("/proc/{process}/timens_offsets")).unwrap_or_default();
    Ok(Some(TimeNamespace { offsets: offsets.lines().filter_map(offset).collect() }))
}

/// `monotonic 1000 0`: clock, seconds, nanoseconds. Kernels before 5.7 write a number for the clock.
fn offset(line: &str) -> Option<(String, f64)> {
    let mut words = line.split_whitespace();
    let clock = words.next()?;
    let seconds: f64 = words.next()?.parse().ok()?;
    let nanoseconds: f64 = words.next()?.parse().ok()?;
    Some((clock.to_owned(), seconds + nanoseconds * 1e-9))
}
