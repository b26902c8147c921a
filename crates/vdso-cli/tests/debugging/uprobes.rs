//! Uprobes on the image's file: placed by hand, counted by the kernel and by perf; and placed by
//! bpftrace, by the function's name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};
use tempfile::TempDir;
use test_support::{Lacking, skip};

use super::support::processes::wait_for;
use super::support::shell::Shell;
use super::support::{finish, scratch};
use super::{CALLS, Watched, has_tool, sources};

/// What each function was counted to have been called.
type Counts = [(&'static str, u64); CALLS.len()];

#[test]
fn the_kernel_counts_every_call() {
    const TEST: &str = "the_kernel_counts_every_call";
    let Some(tracefs) = Tracefs::find(TEST) else { return };
    for source in sources() {
        let mut watched = Watched::start(source);
        let Some(probes) = Probes::define(&tracefs, &watched, TEST) else { return };
        // Not counted yet.
        watched.call_all();
        probes.enable();
        watched.call_all();
        assert_eq!(probes.hits(), CALLS, "{source:?}");
        drop(probes);
        watched.end_unharmed();
    }
}

#[test]
fn perf_counts_every_call() {
    const TEST: &str = "perf_counts_every_call";
    if !has_tool("perf", "linux-perf", TEST) {
        return;
    }
    let Some(tracefs) = Tracefs::find(TEST) else { return };
    for source in sources() {
        let mut watched = Watched::start(source);
        let Some(probes) = Probes::define(&tracefs, &watched, TEST) else { return };
        let counted = counted_by_perf(&mut watched, &probes);
        assert_eq!(counted, CALLS, "{source:?}");
        drop(probes);
        watched.end_unharmed();
    }
}

/// By name, which needs the file to begin with the image.
#[test]
fn bpftrace_counts_every_call_by_name() {
    const TEST: &str = "bpftrace_counts_every_call_by_name";
    /// `CLOCK_MONOTONIC_COARSE`: reads of it show that bpftrace is there, and are not counted.
    const MARK: i32 = 6;
    if !has_tool("bpftrace", "bpftrace", TEST) || !has_bpf(TEST) {
        return;
    }
    let (function, calls) = CALLS[0];
    for source in sources() {
        let mut watched = Watched::start(source);
        let program = format!(
            "uprobe:{}:{function} {{ \
             if (arg0 == {MARK}) {{ printf(\"attached\\n\"); }} else {{ @calls = count(); }} }}",
            image_path(&watched)
        );
        let mut bpftrace =
            Shell::start(Command::new("bpftrace").args(["-B", "line", "-e", &program]));
        watched.spin(MARK, |_| bpftrace.read_to("attached\n"));
        watched.call_all();
        kill(bpftrace.pid(), Signal::SIGINT).expect("bpftrace runs");
        let output = bpftrace.read_to_end();
        assert!(output.contains(&format!("@calls: {calls}\n")), "{source:?}: {output}");
        assert!(bpftrace.wait().success());
        watched.end_unharmed();
    }
}

/// A path by which root can open the image's file.
fn image_path(watched: &Watched) -> String {
    let addrs = &watched.image.addrs;
    format!("/proc/{}/map_files/{:x}-{:x}", watched.pid, addrs.start, addrs.end)
}

/// Counts from the moment that perf says that it does, until it is interrupted.
#[track_caller]
fn counted_by_perf(watched: &mut Watched, probes: &Probes<'_>) -> Counts {
    let folder = scratch();
    let [control, answer, table] =
        ["control", "answer", "table"].map(|name| folder.path().join(name));
    let (mut control_file, mut answer_file) = (open_fifo(&control), open_fifo(&answer));
    let events = CALLS.map(|(function, _)| probes.full_name(function)).join(",");
    let mut perf = probes.tracefs.perf();
    perf.args(["stat", "-x", ",", "-e", &events, "-p", &watched.pid.to_string()]);
    perf.args(["--delay", "-1", "--control"]);
    perf.arg(format!("fifo:{},{}", control.display(), answer.display())).arg("-o").arg(&table);
    let mut perf = Shell::start(&mut perf);
    control_file.write_all(b"enable\n").expect("the pipe has room");
    wait_for("perf to begin", || {
        let mut bytes = [0; 16];
        let length = answer_file.read(&mut bytes).ok()?;
        bytes[..length].starts_with(b"ack").then_some(())
    });
    watched.call_all();
    kill(perf.pid(), Signal::SIGINT).expect("perf runs");
    perf.wait();

    // Lines of `COUNT,UNIT,EVENT,...`.
    let table = fs::read_to_string(table).expect("perf has written it");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    CALLS.map(|(function, _)| {
        let event = probes.full_name(function);
        let row = rows.iter().find(|row| row.get(2) == Some(&event.as_str()));
        let count = row.and_then(|row| row[0].parse().ok());
        (function, count.unwrap_or_else(|| panic!("no count of {event} in\n{table}")))
    })
}

/// A new named pipe, opened so that nobody waits for the other end.
#[track_caller]
fn open_fifo(path: &Path) -> File {
    mkfifo(path, Mode::S_IRWXU).expect("the folder is ours");
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
    options.open(path).expect("it is ours")
}

/// Whether bpftrace may load programs here; if not, that is reported.
fn has_bpf(test: &str) -> bool {
    let probe = finish(Command::new("bpftrace").args(["-e", "BEGIN { exit(); }"]));
    if !probe.status.success() {
        let reason = format!("bpftrace cannot load programs: {}", probe.stderr.trim());
        skip(lacking_kernel_or_privilege(), test, &reason);
    }
    probe.status.success()
}

/// What is lacking where the kernel refuses something that root may do.
fn lacking_kernel_or_privilege() -> Lacking {
    if geteuid().is_root() { Lacking::Kernel } else { Lacking::Privilege }
}

/// The kernel's tracing files.
struct Tracefs {
    folder: PathBuf,
    /// Where this test has mounted it, if it had to.
    mounted: Option<TempDir>,
}

impl Tracefs {
    /// Finds it, or mounts it in a folder of its own; what is lacking is reported.
    fn find(test: &str) -> Option<Self> {
        let usual = Path::new("/sys/kernel/tracing");
        if usual.join("README").exists() {
            return Self { folder: usual.to_owned(), mounted: None }.with_uprobes(test);
        }
        let folder = scratch();
        let mut mount = Command::new("mount");
        let mount = finish(mount.args(["-t", "tracefs", "vdso-test"]).arg(folder.path()));
        if !mount.status.success() {
            let reason = format!("cannot mount tracefs: {}", mount.stderr.trim());
            skip(lacking_kernel_or_privilege(), test, &reason);
            return None;
        }
        Self { folder: folder.path().to_owned(), mounted: Some(folder) }.with_uprobes(test)
    }

    /// A perf that finds it at the usual place, be it in a mount namespace of its own.
    fn perf(&self) -> Command {
        const MOUNT_AND_EXEC: &str =
            r#"mount -t tracefs vdso-test /sys/kernel/tracing && exec "$@""#;
        if self.mounted.is_none() {
            return Command::new("perf");
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", MOUNT_AND_EXEC, "sh", "perf"]);
        command
    }

    fn with_uprobes(self, test: &str) -> Option<Self> {
        let has_them = self.folder.join("uprobe_events").exists();
        if !has_them {
            skip(Lacking::Kernel, test, "the kernel has no uprobes (CONFIG_UPROBE_EVENTS)");
        }
        has_them.then_some(self)
    }
}

impl Drop for Tracefs {
    fn drop(&mut self) {
        if let Some(folder) = &self.mounted {
            let _ = Command::new("umount").arg(folder.path()).status();
        }
    }
}

/// An event for each function of one program's image; gone when dropped.
struct Probes<'a> {
    tracefs: &'a Tracefs,
    /// The group, and the start of each event's name, as the kernel's counts do not name the group.
    group: String,
}

impl<'a> Probes<'a> {
    /// Defines them; what is lacking is reported.
    #[track_caller]
    fn define(tracefs: &'a Tracefs, watched: &Watched, test: &str) -> Option<Self> {
        let probes = Self { tracefs, group: format!("vdso_test_{}", watched.pid) };
        let path = image_path(watched);
        for (function, _) in CALLS {
            let addr = watched.functions[function];
            let offset = addr - watched.image.addrs.start + watched.image.offset;
            let event = format!("p:{}/{} {path}:{offset:#x}", probes.group, probes.name(function));
            match probes.append(&event) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    let reason = format!("the kernel refuses uprobes: {error}");
                    skip(lacking_kernel_or_privilege(), test, &reason);
                    return None;
                }
                Err(error) => panic!("cannot define '{event}': {error}"),
            }
        }
        Some(probes)
    }

    #[track_caller]
    fn enable(&self) {
        fs::write(self.folder().join("enable"), "1").expect("the kernel places the probes");
    }

    /// How often each was hit, by the kernel's own count.
    #[track_caller]
    fn hits(&self) -> Counts {
        // Lines of `FILE NAME HITS`.
        let profile = fs::read_to_string(self.tracefs.folder.join("uprobe_profile"))
            .expect("it is beside uprobe_events");
        let rows: Vec<Vec<&str>> =
            profile.lines().map(|line| line.split_whitespace().collect()).collect();
        CALLS.map(|(function, _)| {
            let name = self.name(function);
            let row = rows.iter().find(|row| row.get(1) == Some(&name.as_str()));
            let hits = row.and_then(|row| row.get(2)?.parse().ok());
            (function, hits.unwrap_or_else(|| panic!("no hits of {name} in\n{profile}")))
        })
    }

    fn name(&self, function: &str) -> String {
        format!("{}{function}", self.group)
    }

    fn full_name(&self, function: &str) -> String {
        format!("{}:{}", self.group, self.name(function))
    }

    fn folder(&self) -> PathBuf {
        self.tracefs.folder.join("events").join(&self.group)
    }

    fn append(&self, line: &str) -> io::Result<()> {
        let path = self.tracefs.folder.join("uprobe_events");
        OpenOptions::new().append(true).open(path)?.write_all(format!("{line}\n").as_bytes())
    }
}

impl Drop for Probes<'_> {
    fn drop(&mut self) {
        let _ = fs::write(self.folder().join("enable"), "0");
        for (function, _) in CALLS {
            let _ = self.append(&format!("-:{}/{}", self.group, self.name(function)));
        }
        let is_left = self.folder().exists() && !std::thread::panicking();
        assert!(!is_left, "{} is left behind", self.folder().display());
    }
}
