//! What the kernel or the system keeps vdso from doing: programs that cannot be given a clock run
//! untouched, with a warning; system calls that are denied and file systems that are full,
//! read-only, `noexec` or missing are no obstacle, or are named.

mod support;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{
    Finished, Source, assert_realtime_shift, clocks, compile, copy_into, finish, program, scratch,
    set_mode, vdso_run,
};
use tempfile::TempDir;
use test_support::{Lacking, Program, skip};

const OFFSET: &str = "1234567s";
const SHIFT_NS: i128 = 1_234_567_000_000_000;
const NOBODY: u32 = 65534;

/// Whether this is root, without whom the test cannot set up what it needs.
fn is_root(test: &str) -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        skip(Lacking::Privilege, test, "it needs root to prepare users, files or mounts");
    }
    is_root
}

// ---------------------------------------------------------------------------------------------
// Programs that cannot be given a clock

/// Copies of vdso and of a program that every user can reach.
struct Shared {
    folder: TempDir,
    vdso: PathBuf,
    clocks: PathBuf,
}

impl Shared {
    #[track_caller]
    fn new() -> Self {
        let folder = scratch();
        let vdso = copy_into(folder.path(), Path::new(support::VDSO), 0o755);
        let clocks = copy_into(folder.path(), &clocks(), 0o755);
        Self { folder, vdso, clocks }
    }

    /// A second program, with such a mode.
    #[track_caller]
    fn add(&self, file: &Path, name: &str, mode: u32) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        set_mode(&folder, 0o755);
        copy_into(&folder, file, mode)
    }

    /// `vdso run` by nobody.
    fn run(&self, options: &[&str]) -> Command {
        let mut run = Command::new(&self.vdso);
        run.args(["run", "--offset", OFFSET]).args(options).arg("--");
        run.uid(NOBODY).gid(NOBODY).current_dir("/");
        run
    }
}

#[test]
fn another_user_has_a_clock_that_follows() {
    if !is_root("another_user_has_a_clock_that_follows") {
        return;
    }
    let shared = Shared::new();
    for source in Source::all() {
        let run = finish(shared.run(source.options).arg(&shared.clocks).args(["threads", "4"]));
        assert_realtime_shift(&run.succeeded().quiet().readings(), SHIFT_NS, source.tolerance_ns);
    }
}

#[test]
fn a_set_user_id_program_keeps_its_privilege_and_the_hosts_clock() {
    if !is_root("a_set_user_id_program_keeps_its_privilege_and_the_hosts_clock") {
        return;
    }
    let shared = Shared::new();
    for (name, mode) in [("user", 0o4755), ("group", 0o2755)] {
        let privileged = shared.add(Path::new("/usr/bin/id"), name, mode);
        let clocks = shared.add(&clocks(), &format!("clocks-{name}"), mode);
        let option = if name == "user" { "-u" } else { "-g" };
        let plain = finish(Command::new(&privileged).arg(option).uid(NOBODY).gid(NOBODY));
        assert_eq!(plain.stdout, "0\n", "{plain:#?}");
        let run = finish(shared.run(&[]).arg(&privileged).arg(option)).succeeded();
        assert_eq!(run.stdout, "0\n", "{run:#?}");
        run.said(&["warning", "set-", "kernel's own clocks"]);
        let run = finish(shared.run(&[]).arg(&clocks)).succeeded();
        assert_realtime_shift(&run.readings(), 0, 0);
    }
}

#[test]
fn a_child_that_loses_its_set_user_id_privilege_is_warned_about() {
    if !is_root("a_child_that_loses_its_set_user_id_privilege_is_warned_about") {
        return;
    }
    let shared = Shared::new();
    let privileged = shared.add(Path::new("/usr/bin/id"), "user", 0o4755);
    let script = format!("{} -u; {0} -u", privileged.display());
    let run = finish(shared.run(&[]).args(["sh", "-c", &script])).succeeded();
    // Following sets no_new_privs, which takes the privilege.
    assert_eq!(run.stdout, format!("{NOBODY}\n{NOBODY}\n"), "{run:#?}");
    run.said(&["warning", "set-user-ID", "--no-follow"]);
    // What the warning says, helps.
    let run = finish(shared.run(&["--no-follow"]).args(["sh", "-c", &script])).succeeded().quiet();
    assert_eq!(run.stdout, "0\n0\n");
}

#[test]
fn a_program_with_file_capabilities_keeps_them_and_the_hosts_clock() {
    let test = "a_program_with_file_capabilities_keeps_them_and_the_hosts_clock";
    if !is_root(test) {
        return;
    }
    let shared = Shared::new();
    let clocks = shared.add(&clocks(), "capable", 0o755);
    // What it has, on its standard output.
    let grep = shared.add(Path::new("/bin/grep"), "capable-grep", 0o755);
    if !give_capability(&clocks, test) || !give_capability(&grep, test) {
        return;
    }
    let shows = ["CapPrm", "/proc/self/status"];
    let plain = finish(Command::new(&grep).args(shows).uid(NOBODY).gid(NOBODY)).succeeded();
    assert!(!plain.stdout.contains("0000000000000000"), "{plain:#?}");
    for options in [[].as_slice(), &["--no-follow"]] {
        let run = finish(shared.run(options).arg(&grep).args(shows)).succeeded();
        assert_eq!(run.stdout, plain.stdout);
        run.said(&["warning", "file capabilities", "kernel's own clocks"]);
        let run = finish(shared.run(options).arg(&clocks)).succeeded();
        assert_realtime_shift(&run.readings(), 0, 0);
        let run = finish(shared.run(&[options, &["--strict"]].concat()).arg(&grep).args(shows));
        assert_eq!(run.stdout, "");
        run.exited(125).said(&["error", "file capabilities", "--strict"]);
    }
    // A script has its interpreter's, and nobody else's.
    let script = shared.folder.path().join("script");
    support::write_script(&script, &format!("#!{} CapPrm\n", grep.display()));
    finish(shared.run(&[]).arg(&script)).said(&["warning", "file capabilities"]);
    // A child loses them, and that is said; without being followed it does not.
    let line = format!("{} {}; :", grep.display(), shows.join(" "));
    let run = finish(shared.run(&[]).args(["sh", "-c", &line])).succeeded();
    assert!(run.stdout.contains("0000000000000000"), "{run:#?}");
    run.said(&["warning", "without its file capabilities", "--no-follow"]);
    let run = finish(shared.run(&["--no-follow"]).args(["sh", "-c", &line])).succeeded().quiet();
    assert_eq!(run.stdout, plain.stdout);
}

/// Whether a file could be given a capability, which needs a file system that has such.
fn give_capability(file: &Path, test: &str) -> bool {
    let given = Command::new("setcap").arg("cap_net_raw+ep").arg(file).status();
    let is_given = given.is_ok_and(|status| status.success());
    if !is_given {
        skip(
            Lacking::Kernel,
            test,
            "setcap(8) is not here, or the file system has no capabilities",
        );
    }
    is_given
}

#[test]
fn nobody_is_warned_of_privilege_that_a_plain_run_does_not_give_either() {
    if !is_root("nobody_is_warned_of_privilege_that_a_plain_run_does_not_give_either") {
        return;
    }
    let shared = Shared::new();
    let user = shared.add(&clocks(), "user", 0o4755);
    let run = |prepare: fn(&mut Command), run: &mut Command| {
        prepare(run);
        finish(run).succeeded().quiet()
    };
    let keeps_what_it_has = |command: &mut Command| {
        // SAFETY: the call may be made between fork and exec.
        unsafe {
            command.pre_exec(|| Ok(nix::sys::prctl::set_no_new_privs()?));
        }
    };
    let gains_nothing = run(keeps_what_it_has, shared.run(&[]).arg(&user));
    assert_realtime_shift(&gains_nothing.readings(), SHIFT_NS, 0);
    // Root may follow those who gain privilege.
    let line = format!("setpriv --reuid {NOBODY} --clear-groups {} >&2", user.display());
    let followed = finish(vdso_run(["--offset", OFFSET]).args(["sh", "-c", &line])).succeeded();
    assert!(!followed.stderr.contains("vdso:"), "{followed:#?}");
}

#[test]
fn strict_does_not_run_a_privileged_program() {
    if !is_root("strict_does_not_run_a_privileged_program") {
        return;
    }
    let shared = Shared::new();
    let privileged = shared.add(Path::new("/usr/bin/id"), "user", 0o4755);
    let run = finish(shared.run(&["--strict"]).arg(&privileged)).exited(125);
    assert_eq!(run.stdout, "");
    run.said(&["error", "set-user-ID", "--strict"]);
}

#[test]
fn a_foreign_name_forges_no_line_and_reaches_no_terminal() {
    if !is_root("a_foreign_name_forges_no_line_and_reaches_no_terminal") {
        return;
    }
    let shared = Shared::new();
    let folder = shared.folder.path().join("foreign");
    std::fs::create_dir(&folder).expect("a folder");
    set_mode(&folder, 0o755);
    let name = OsStr::from_bytes(b"a\x1b[2J\nvdso: 'b\xff\xe2\x80\xae");
    let foreign = folder.join(name);
    std::fs::copy(clocks(), &foreign).expect("a copy");
    let shown = r"a\u{1b}[2J\nvdso: \'b\xff\u{202e}";
    let is_one_line = |run: Finished, text: &str| {
        let run = run.said(&[text]);
        assert!(!run.stderr.contains(['\u{1b}', '\u{202e}']), "{run:#?}");
        for line in run.stderr.lines() {
            let is_ours = ["vdso: warning: '", "vdso: hint: ", "vdso: error: "];
            assert!(is_ours.iter().any(|start| line.starts_with(start)), "{line:?}");
        }
    };
    // By its file's name, by its path, and by what the process is called.
    set_mode(&foreign, 0o711);
    is_one_line(finish(shared.run(&[]).arg(&foreign)), shown);
    set_mode(&foreign, 0o4755);
    is_one_line(finish(shared.run(&[]).arg(&foreign)), shown);
    let child = finish(shared.run(&[]).args(["sh", "-c", r#""$0"; :"#]).arg(&foreign));
    is_one_line(child, "a\\u{1b}[2J\\nvdso: ");
    set_mode(&foreign, 0o600);
    is_one_line(finish(shared.run(&[]).arg(&foreign)), shown);
}

#[test]
fn root_has_nothing_to_gain_from_a_set_user_id_program_and_nothing_to_lose() {
    if !is_root("root_has_nothing_to_gain_from_a_set_user_id_program_and_nothing_to_lose") {
        return;
    }
    let shared = Shared::new();
    let privileged = shared.add(&clocks(), "user", 0o4755);
    let run = finish(vdso_run(["--offset", OFFSET]).arg(&privileged)).succeeded().quiet();
    assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
}

#[test]
fn a_program_that_may_be_executed_but_not_read_runs_untouched() {
    if !is_root("a_program_that_may_be_executed_but_not_read_runs_untouched") {
        return;
    }
    let shared = Shared::new();
    let secret = shared.add(&clocks(), "secret", 0o711);
    for options in [[].as_slice(), &["--no-follow"], &["--source", "chain"]] {
        let run = finish(shared.run(options).arg(&secret)).succeeded();
        let run = run.said(&["warning", "kernel's own clocks", "hint", "root"]);
        assert_realtime_shift(&run.readings(), 0, 0);
    }
    let script = format!("{} && exec {}", secret.display(), shared.clocks.display());
    let run = finish(shared.run(&[]).args(["sh", "-c", &script])).succeeded();
    let mut lines: Vec<&str> = run.stdout.lines().collect();
    let after = lines.split_off(lines.len() / 2).join("\n");
    let parse = |text: &str| test_support::Readings::parse(text).expect("clocks");
    assert_realtime_shift(&parse(&lines.join("\n")), 0, 0);
    assert_realtime_shift(&parse(&after), SHIFT_NS, 0);
    // Root may read it.
    let run = finish(vdso_run(["--offset", OFFSET]).arg(&secret)).succeeded().quiet();
    assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
}

/// A 32-bit program made without a 32-bit C library; `None` if the kernel does not run it.
fn tiny32(test: &str) -> Option<PathBuf> {
    let flags = ["-m32", "-static", "-nostdlib", "-no-pie"];
    let path = compile("tiny32.S", "tiny32", &flags);
    match Command::new(&path).status() {
        Ok(status) if status.code() == Some(7) => Some(path),
        _ => {
            skip(Lacking::Kernel, test, "this machine does not run 32-bit x86 programs");
            None
        }
    }
}

#[test]
fn a_32_bit_program_without_a_supervisor_or_an_image_runs_untouched() {
    let name = "a_32_bit_program_without_a_supervisor_or_an_image_runs_untouched";
    let Some(tiny) = tiny32(name) else { return };
    let has_image = vdso_image::companion().is_some();
    let untouched = ["warning", "'tiny32'", "kernel's own clocks", "32-bit", "hint"];
    finish(vdso_run(["--no-follow"]).arg(&tiny)).exited(7).said(&untouched);
    for options in [[].as_slice(), &["--source", "own"]] {
        let run = finish(vdso_run(options).arg(&tiny)).exited(7);
        if has_image {
            run.quiet()
        } else {
            run.said(&untouched)
        };
    }
    if let Some(path) = program(Program::CI386) {
        let options = ["--offset", OFFSET, "--no-follow"];
        let run = finish(vdso_run(options).arg(path)).succeeded().said(&["warning"]);
        assert_realtime_shift(&run.readings(), 0, 0);
    }
}

#[test]
fn what_a_32_bit_program_executes_has_the_clock() {
    let Some(tiny) = tiny32("what_a_32_bit_program_executes_has_the_clock") else { return };
    let run = finish(vdso_run(["--offset", OFFSET]).arg(&tiny).arg(clocks())).succeeded();
    assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
    let run = finish(vdso_run(["--offset", OFFSET]).arg(&tiny).arg(&tiny).arg(clocks()));
    assert_realtime_shift(&run.succeeded().readings(), SHIFT_NS, 0);
}

// ---------------------------------------------------------------------------------------------
// System calls denied, as by a container's seccomp profile

/// Has the kernel refuse a system call to the command and all below it.
fn deny(command: &mut Command, call: libc::c_long, errno: i32) -> &mut Command {
    let install = move || {
        const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
        const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        const ANSWER: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
        let refuse = libc::SECCOMP_RET_ERRNO | errno as u32;
        let mut filter = [
            libc::sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 },
            libc::sock_filter { code: EQUAL, jt: 0, jf: 1, k: call as u32 },
            libc::sock_filter { code: ANSWER, jt: 0, jf: 0, k: refuse },
            libc::sock_filter { code: ANSWER, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
        ];
        let filter = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
        nix::sys::prctl::set_no_new_privs()?;
        let mode = libc::SECCOMP_MODE_FILTER;
        // By prctl(2), as seccomp(2) may be what is refused to whoever comes after this.
        // SAFETY: the kernel copies the filter, which is valid for the call.
        match unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &filter) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes system calls only.
    unsafe { command.pre_exec(install) }
}

#[test]
fn without_seccomp_the_program_has_its_clock_and_children_do_not() {
    for errno in [libc::EPERM, libc::ENOSYS, libc::EACCES] {
        for source in Source::all() {
            let mut run = vdso_run(source.and(&["--offset", OFFSET]));
            let run = finish(deny(run.arg(clocks()), libc::SYS_seccomp, errno)).succeeded();
            let run = run.said(&["warning", "children", "seccomp", "refused"]);
            assert_realtime_shift(&run.readings(), SHIFT_NS, source.tolerance_ns);
            let mut run = vdso_run(source.and(&["--offset", OFFSET]));
            let run = run.arg(clocks()).arg("vfork");
            let run = finish(deny(run, libc::SYS_seccomp, errno)).succeeded();
            assert_realtime_shift(&run.readings(), 0, 0);
        }
    }
}

/// Each of its children would be on the kernel's clocks, and nobody would see them to end them.
#[test]
fn without_seccomp_nothing_is_started_if_nothing_may_run_on_the_hosts_clock() {
    for errno in [libc::EPERM, libc::ENOSYS, libc::EACCES] {
        let mut run = vdso_run(["--offset", OFFSET, "--strict"]);
        let run = finish(deny(run.arg(clocks()), libc::SYS_seccomp, errno)).exited(125);
        assert_eq!(run.stdout, "", "it has run: {run:#?}");
        run.said(&["vdso: error: ", "seccomp filter", "follow children"]);
        let mut run = vdso_run(["--offset", OFFSET, "--strict", "--no-follow"]);
        let run = finish(deny(run.arg(clocks()), libc::SYS_seccomp, errno)).succeeded().quiet();
        assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
    }
}

#[test]
fn without_ptrace_nothing_is_run_and_a_hint_is_given() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        for options in [[].as_slice(), &["--no-follow"], &["--source", "own"]] {
            let mut run = vdso_run(options);
            let run = finish(deny(run.args(["echo", "RAN"]), libc::SYS_ptrace, errno)).exited(125);
            assert_eq!(run.stdout, "", "{run:#?}");
            run.said(&["error", "cannot trace", "hint", "SYS_PTRACE", "ptrace_scope"]);
        }
    }
}

#[test]
fn without_a_file_in_memory_nothing_is_run_and_the_reason_is_given() {
    let mut run = vdso_run(["--offset", "1y"]);
    let run = deny(run.args(["echo", "RAN"]), libc::SYS_memfd_create, libc::ENOSYS);
    let run = finish(run).exited(125);
    assert_eq!(run.stdout, "", "{run:#?}");
    run.said(&["vdso: error: cannot create a file in memory"]);
}

/// Each of these has another way, or may be left out.
#[test]
fn calls_that_are_only_convenient_may_be_refused() {
    let mut failures = Vec::new();
    for (name, call) in [
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("process_vm_writev", libc::SYS_process_vm_writev),
        ("pidfd_open", libc::SYS_pidfd_open),
        ("kcmp", libc::SYS_kcmp),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("bpf", libc::SYS_bpf),
        ("setitimer", libc::SYS_setitimer),
        ("timer_create", libc::SYS_timer_create),
        ("sched_setaffinity", libc::SYS_sched_setaffinity),
        ("sched_getaffinity", libc::SYS_sched_getaffinity),
        ("mlock", libc::SYS_mlock),
        ("setpriority", libc::SYS_setpriority),
        ("sched_setscheduler", libc::SYS_sched_setscheduler),
    ] {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let mut run = vdso_run(["--offset", OFFSET]);
            let run = finish(deny(run.arg(clocks()).args(["threads", "2"]), call, errno));
            if !run.status.success() || !run.stderr.is_empty() {
                failures.push(format!("{name}: {}, {}", run.status, run.stderr));
                continue;
            }
            assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn processes_that_cannot_be_started_are_named() {
    if !is_root("processes_that_cannot_be_started_are_named") {
        return;
    }
    let shared = Shared::new();
    let limited = |processes: u64| {
        let mut run = Command::new("prlimit");
        run.arg(format!("--nproc={processes}:{processes}"));
        run.args(["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]);
        run.arg(&shared.vdso).args(["run", "--", "/bin/echo", "RAN"]);
        finish(&mut run)
    };
    let run = limited(1).exited(125);
    assert_eq!(run.stdout, "", "{run:#?}");
    run.said(&["vdso: error: cannot start a process"]);
    let run = limited(2);
    assert!(matches!(run.status.code(), Some(0 | 125)), "{run:#?}");
    // With room for a witness, and without.
    for processes in [4, 3] {
        assert_eq!(limited(processes).succeeded().stdout, "RAN\n");
    }
}

/// A search through `PATH` calls `execve` for one folder after another.
#[test]
fn a_process_that_cannot_be_traced_is_named_once() {
    if !is_root("a_process_that_cannot_be_traced_is_named_once") {
        return;
    }
    let mut run = Command::new("setpriv");
    run.args(["--bounding-set=-sys_ptrace", support::VDSO, "run", "--offset", OFFSET]);
    run.args(["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "true"]);
    run.env("PATH", "/no/such:/nor/this:/usr/bin:/bin");
    let run = finish(&mut run).succeeded();
    let named = run.stderr.matches("runs on the kernel's own clocks").count();
    assert_eq!(named, 1, "{run:#?}");
}

// ---------------------------------------------------------------------------------------------
// File systems

/// Runs `vdso run OPTIONS -- clocks` where `prepare` has changed the mounts; vdso and the program
/// are in /mnt then, whatever is mounted over their places.
#[track_caller]
fn mounted(prepare: &str, options: &[&str]) -> Finished {
    let copy = r#"mount -t tmpfs -o mode=755 none /mnt && cp "$VDSO" /mnt/vdso && cp "$CLOCKS" /mnt/clocks"#;
    // Where an earlier start has kept what the kernel's types say.
    let forget = "[ ! -d /run ] || mount -t tmpfs -o mode=755 none /run";
    let script = format!(
        r#"set -e; {copy}; {forget}; {prepare}; exec /mnt/vdso run "$@" -- /mnt/clocks threads 2"#
    );
    let mut run = Command::new("unshare");
    run.args(["-m", "sh", "-c", &script, "sh", "--offset", OFFSET]).args(options);
    run.env_remove("XDG_RUNTIME_DIR");
    finish(run.env("VDSO", support::VDSO).env("CLOCKS", clocks()).current_dir("/"))
}

#[test]
fn no_file_system_needs_room_or_rights() {
    if !is_root("no_file_system_needs_room_or_rights") {
        return;
    }
    let folders = "/tmp /var/tmp /dev/shm /run";
    for prepare in [
        // Full.
        format!("for f in {folders}; do mount -t tmpfs -o size=4k none $f; head -c 4096 /dev/zero >$f/full || true; done"),
        // Read-only.
        format!("for f in {folders}; do mount -t tmpfs -o ro none $f; done"),
        // Nothing on it is executable.
        format!("for f in {folders}; do mount -t tmpfs -o noexec none $f; done"),
        // Everything but /proc, /sys and /dev is read-only and not writable by root.
        "mount -o remount,ro,bind / / 2>/dev/null || { mount --bind / / && mount -o remount,ro,bind /; }".to_owned(),
    ] {
        for source in Source::all() {
            let run = mounted(&prepare, source.options).succeeded().quiet();
            assert_realtime_shift(&run.readings(), SHIFT_NS, source.tolerance_ns);
        }
    }
}

#[test]
fn without_sys_a_slower_source_is_right() {
    if !is_root("without_sys_a_slower_source_is_right") {
        return;
    }
    let run = mounted("mount -t tmpfs none /sys", &["-v"]).succeeded();
    let run = run.said(&["vdso: source chain: "]);
    assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
    // Forced, it is refused with the reason, or right.
    for source in [Source::OWN, Source::HOST] {
        let run = mounted("mount -t tmpfs none /sys", source.options);
        if run.status.code() == Some(125) {
            run.said(&["cannot be used here", "leave --source out"]);
        } else {
            assert_realtime_shift(&run.succeeded().readings(), SHIFT_NS, source.tolerance_ns);
        }
    }
    let run = mounted("mount -t tmpfs none /sys", &["--freeze"]).succeeded().quiet();
    let realtime = run.readings().of(test_support::Clock::Realtime).next().cloned();
    assert!(realtime.is_some());
}

#[test]
fn an_unreadable_btf_is_no_btf() {
    if !is_root("an_unreadable_btf_is_no_btf") || !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return;
    }
    for make in [
        ": >/mnt/btf",
        "head -c 100 /sys/kernel/btf/vmlinux >/mnt/btf",
        "head -c 100000 /sys/kernel/btf/vmlinux >/mnt/btf",
        "head -c 1000000 /dev/urandom >/mnt/btf",
        "cp /sys/kernel/btf/vmlinux /mnt/btf; head -c 4096 /dev/urandom | dd of=/mnt/btf conv=notrunc bs=1 seek=24 2>/dev/null",
    ] {
        let prepare = format!("{make}; mount --bind /mnt/btf /sys/kernel/btf/vmlinux");
        let run = mounted(&prepare, &["-v"]).succeeded();
        let run = run.said(&["vdso: source chain: "]);
        assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
    }
}

/// As in a container that has no `/sys`: what an earlier start has kept does.
#[test]
fn what_is_kept_of_the_types_is_enough_for_this_kernel_alone() {
    const NAME: &str = "what_is_kept_of_the_types_is_enough_for_this_kernel_alone";
    if !is_root(NAME) {
        return;
    }
    let learn = "/mnt/vdso run -- true; mount -t tmpfs none /sys";
    let mut spoil = String::from(learn);
    // Of another vDSO: one byte differs.
    spoil += "; [ ! -e /run/vdso-kernel-types ] || printf x | dd of=/run/vdso-kernel-types bs=1 seek=4000 conv=notrunc 2>/dev/null";
    let of = |prepare| {
        let run = mounted(prepare, &["-v"]).succeeded();
        assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
        run.stderr.lines().find(|line| line.contains("source ")).map(str::to_owned)
    };
    let plain = of("true");
    if !plain.as_ref().is_some_and(|line| line.contains("source host")) {
        return skip(Lacking::Kernel, NAME, "its page is not known");
    }
    assert_eq!(of(learn), plain);
    assert!(of(&spoil).is_some_and(|line| line.contains("source chain")));
}

#[test]
fn another_clocksource_is_believed() {
    if !is_root("another_clocksource_is_believed") {
        return;
    }
    let file = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    if !Path::new(file).exists() {
        return skip(
            Lacking::Kernel,
            "another_clocksource_is_believed",
            "there is no clocksource file",
        );
    }
    // Only with no known page is that file what tells: without BTF.
    let prepare = format!(
        "echo hpet >/mnt/source; mount --bind /mnt/source {file}; : >/mnt/btf; \
         [ ! -e /sys/kernel/btf/vmlinux ] || mount --bind /mnt/btf /sys/kernel/btf/vmlinux"
    );
    let run = mounted(&prepare, &["--source", "own"]).exited(125);
    run.said(&["'own' cannot be used here", "hpet", "leave --source out"]);
    let run = mounted(&prepare, &[]).succeeded().quiet();
    assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
}

#[test]
fn without_proc_the_reason_is_given() {
    if !is_root("without_proc_the_reason_is_given") {
        return;
    }
    let run = mounted("mount -t tmpfs none /proc", &[]);
    if run.status.code() == Some(125) {
        run.said(&["vdso: error: ", "/proc"]);
    } else {
        let run = run.succeeded();
        let is_untouched = run.stderr.contains("kernel's own clocks");
        assert_realtime_shift(&run.readings(), if is_untouched { 0 } else { SHIFT_NS }, 0);
    }
}
