//! A program under `vdso run` is as it would be without: it gets the same from whoever starts it,
//! its memory holds the same but for the image, and nothing of that can be written to.

mod support;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use support::processes::{Mapping, mappings_of, memory_of, program_of};
use support::shell::Shell;
use support::{Finished, Source, compile, copy_into, finish, helper, program, scratch, vdso_run};
use test_support::{Lacking, Program, skip};

// ---------------------------------------------------------------------------------------------
// What a program is started with

/// Runs the program `state` plain and under vdso after `prepare`, and compares.
#[track_caller]
fn check_state(options: &[&str], prepare: fn(&mut Command)) {
    let state = helper("state");
    let mut plain = Command::new(&state);
    prepare(plain.args(ARGUMENTS));
    let mut run = vdso_run(options);
    prepare(run.arg(&state).args(ARGUMENTS));
    assert_same(&finish(&mut plain), &finish(&mut run));
}

const ARGUMENTS: [&str; 5] = ["--at", "", "two words", "\u{e9}\n", "-v"];

#[track_caller]
fn assert_same(plain: &Finished, run: &Finished) {
    assert!(plain.status.success() && run.status.success(), "{plain:#?} {run:#?}");
    let (plain_text, run_text) = (plain.without_ids(), run.without_ids());
    for (plain_line, run_line) in plain_text.lines().zip(run_text.lines()) {
        assert_eq!(run_line, plain_line, "{}, and plain", run.command);
    }
    assert_eq!(run_text.lines().count(), plain_text.lines().count(), "{run_text}");
}

#[test]
fn a_program_starts_with_all_that_it_starts_with_in_a_plain_run() {
    for options in [[].as_slice(), &["--no-follow"], &["--source", "own", "--rate", "2"]] {
        check_state(options, |_| {});
    }
}

#[test]
fn every_kind_of_executable_finds_itself_laid_out_as_ever() {
    for (kind, flags) in [
        ("fixed", ["-O2", "-no-pie"].as_slice()),
        ("static", &["-O2", "-static"]),
        ("static-pie", &["-O2", "-static-pie"]),
        ("separate", &["-O2", "-Wl,-z,separate-code"]),
        ("together", &["-O2", "-Wl,-z,noseparate-code"]),
    ] {
        let state = compile("state.c", &format!("state-{kind}"), flags);
        let plain = finish(&mut Command::new(&state));
        for options in [[].as_slice(), &["--no-follow"]] {
            let run = finish(vdso_run(options).arg(&state));
            assert_same(&plain, &run);
            run.quiet();
        }
    }
}

#[test]
fn signals_blocked_and_ignored_stay_so() {
    check_state(&[], |command| {
        // SAFETY: all calls between fork and exec are system calls.
        unsafe { command.pre_exec(disturb_signals) };
    });
    check_state(&[], |command| {
        // SAFETY: as above.
        unsafe { command.pre_exec(|| Ok(SigSet::all().thread_block()?)) };
    });
}

fn disturb_signals() -> std::io::Result<()> {
    let mut mask = SigSet::empty();
    for blocked in [Signal::SIGUSR1, Signal::SIGTERM, Signal::SIGCONT, Signal::SIGWINCH] {
        mask.add(blocked);
    }
    mask.thread_block()?;
    for ignored in [Signal::SIGPIPE, Signal::SIGHUP, Signal::SIGUSR2, Signal::SIGTSTP] {
        // SAFETY: ignoring runs no code.
        unsafe { signal(ignored, SigHandler::SigIgn) }?;
    }
    Ok(())
}

#[test]
fn a_caller_that_ignores_its_children_gets_the_exit_code_as_ever() {
    let ignore_children = |command: &mut Command| {
        let ignore = || {
            // SAFETY: ignoring runs no code.
            unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
            Ok(())
        };
        // SAFETY: the closure makes one system call.
        unsafe { command.pre_exec(ignore) };
    };
    let mut run = vdso_run(["--source", "own"]);
    ignore_children(run.args(["sh", "-c", "exit 42"]));
    finish(&mut run).exited(42).quiet();
    check_state(&[], ignore_children);
}

#[test]
fn limits_priorities_masks_and_the_folder_stay_so() {
    check_state(&[], |command| {
        command.current_dir("/usr").env_clear().env("A", "b=c").env("", "");
        // SAFETY: all calls between fork and exec are system calls.
        unsafe { command.pre_exec(disturb_limits) };
    });
}

fn disturb_limits() -> std::io::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    use nix::sys::stat::{Mode, umask};
    umask(Mode::from_bits_truncate(0o027));
    for (resource, soft, hard) in [
        (Resource::RLIMIT_NOFILE, 200, 300),
        (Resource::RLIMIT_CORE, 0, 4096),
        (Resource::RLIMIT_STACK, 1 << 22, 1 << 23),
        (Resource::RLIMIT_MEMLOCK, 4096, 8192),
    ] {
        setrlimit(resource, soft, hard)?;
    }
    // SAFETY: takes numbers.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 5) };
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the structure is the one that the call takes.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &parameter) };
    // SAFETY: takes numbers.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 12_345) };
    Ok(())
}

#[test]
fn descriptors_stay_so_whatever_their_numbers() {
    check_state(&[], |command| {
        let file = File::open("/etc/passwd").expect("every system has it");
        // Out of the way of the numbers below.
        let file = fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(500)).expect("a descriptor");
        // SAFETY: the kernel has just made this descriptor for us.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        let open_many = move || {
            for number in [3, 5, 9, 99, 100, 101, 255] {
                // SAFETY: takes numbers.
                unsafe { libc::dup2(file.as_raw_fd(), number) };
                // SAFETY: takes numbers.
                unsafe { libc::lseek(number, 7, libc::SEEK_SET) };
            }
            Ok(())
        };
        // SAFETY: the closure makes system calls only.
        unsafe { command.pre_exec(open_many) };
    });
}

#[test]
fn closed_standard_streams_stay_closed() {
    for closed in [[0].as_slice(), &[2], &[0, 2]] {
        let closing = |command: &mut Command| {
            let close = move || {
                for &stream in closed {
                    // SAFETY: nobody uses it any more.
                    unsafe { libc::close(stream) };
                }
                Ok(())
            };
            // SAFETY: the closure makes system calls only.
            unsafe { command.pre_exec(close) };
        };
        let state = helper("state");
        let (mut plain, mut run) = (Command::new(&state), vdso_run(["--offset", "1y"]));
        closing(&mut plain);
        closing(run.arg(&state));
        assert_same(&finish(&mut plain), &finish(&mut run));
    }
}

#[test]
fn another_user_gets_the_same() {
    if !nix::unistd::geteuid().is_root() {
        return skip(Lacking::Privilege, "another_user_gets_the_same", "only root can be another");
    }
    let folder = scratch();
    let state = copy_into(folder.path(), &helper("state"), 0o755);
    let vdso = copy_into(folder.path(), Path::new(support::VDSO), 0o755);
    let run = |command: &mut Command| finish(command.uid(NOBODY).gid(NOBODY).current_dir("/"));
    let plain = run(&mut Command::new(&state));
    let under = run(Command::new(&vdso).args(["run", "--no-follow", "--"]).arg(&state));
    assert_same(&plain, &under);
    // Following takes no_new_privs from whoever has no privilege.
    let mut under = run(Command::new(&vdso).args(["run", "--"]).arg(&state));
    assert!(under.stdout.contains("NoNewPrivs:\t1\n"), "{under:#?}");
    under.stdout = under.stdout.replace("NoNewPrivs:\t1\n", "NoNewPrivs:\t0\n");
    assert_same(&plain, &under);
}

const NOBODY: u32 = 65534;

#[test]
fn any_bytes_may_be_arguments_and_environment() {
    let bytes: Vec<u8> = (1..=255).collect();
    let state = helper("state");
    let (mut plain, mut run) = (Command::new(&state), vdso_run(["--offset", "1y"]));
    for command in [&mut plain, run.arg(&state)] {
        command.arg(OsStr::from_bytes(&bytes)).env("BYTES", OsStr::from_bytes(&bytes));
    }
    assert_same(&finish(&mut plain), &finish(&mut run));
}

// ---------------------------------------------------------------------------------------------
// What a program's memory holds

/// A program that runs, past its start.
struct Running {
    _shell: Shell,
    pid: nix::unistd::Pid,
    mappings: Vec<Mapping>,
}

impl Running {
    #[track_caller]
    fn start(options: &[&str], path: &Path) -> Self {
        let mut command = vdso_run(options);
        let mut shell = Shell::start(command.arg(path).args(["loop", "1000000"]));
        shell.read_to("REALTIME ");
        let name = path.file_name().expect("a name").to_string_lossy();
        let pid = program_of(shell.pid(), &name[..name.len().min(15)]);
        Self { mappings: mappings_of(pid), pid, _shell: shell }
    }

    #[track_caller]
    fn plain(path: &Path) -> Self {
        let mut shell = Shell::start(Command::new(path).args(["loop", "1000000"]));
        shell.read_to("REALTIME ");
        let pid = shell.pid();
        Self { mappings: mappings_of(pid), pid, _shell: shell }
    }

    fn ours(&self) -> Vec<&Mapping> {
        self.mappings.iter().filter(|mapping| mapping.name.contains("/memfd:vdso-")).collect()
    }
}

fn builds() -> Vec<PathBuf> {
    let builds = Program::C.into_iter().filter(support::gets_clocks);
    builds.filter_map(program).collect()
}

#[test]
fn the_mapping_is_an_image_and_two_pages_and_nothing_else() {
    for path in builds() {
        let plain = Running::plain(&path);
        for source in Source::all() {
            let run = Running::start(source.options, &path);
            let ours = run.ours();
            let rights: Vec<&str> = ours.iter().map(|mapping| mapping.rights.as_str()).collect();
            assert_eq!(rights, ["r-xp", "r--s"], "{path:?} {source:?}");
            assert_eq!(ours[1].addrs.start, ours[0].addrs.end, "{ours:?}");
            // The process page follows; a mapping of its kind may be behind it.
            let process_page = run.mappings.iter().find(|m| m.addrs.start == ours[1].addrs.end);
            assert_eq!(process_page.expect("the process page").rights, "r--p");
            // The only mapping that is executable and not the program's or the kernel's.
            let names = |run: &Running| -> Vec<String> {
                let executable = run.mappings.iter().filter(|m| m.rights.contains('x'));
                executable.map(|m| m.name.clone()).filter(|n| !n.contains("memfd")).collect()
            };
            let sorted = |mut names: Vec<String>| {
                names.sort();
                names
            };
            assert_eq!(sorted(names(&run)), sorted(names(&plain)), "{path:?} {source:?}");
        }
    }
}

#[test]
fn nothing_is_writable_and_executable() {
    for path in builds() {
        for source in Source::all() {
            let run = Running::start(source.options, &path);
            let both =
                |mapping: &&Mapping| mapping.rights.contains('w') && mapping.rights.contains('x');
            assert_eq!(run.mappings.iter().find(both), None, "{path:?} {source:?}");
        }
    }
}

#[test]
fn the_kernels_vdso_stays_mapped() {
    for path in builds() {
        let run = Running::start(&[], &path);
        let kernels = run.mappings.iter().find(|mapping| mapping.name == "[vdso]");
        assert_eq!(kernels.expect("the kernel's vDSO").rights, "r-xp");
        assert!(run.mappings.iter().any(|mapping| mapping.name.starts_with("[vvar")));
    }
}

#[test]
fn the_programs_code_is_what_its_files_hold() {
    for path in builds() {
        let run = Running::start(&["--offset", "1y"], &path);
        let code = run.mappings.iter().filter(|mapping| {
            mapping.rights == "r-xp"
                && mapping.name.starts_with('/')
                && !mapping.name.contains("memfd")
        });
        let mut count = 0;
        for mapping in code {
            let file = File::open(&mapping.name).expect("the file is there");
            let mut bytes = vec![0; (mapping.addrs.end - mapping.addrs.start) as usize];
            let length = file.read_at(&mut bytes, mapping.offset).expect("it is readable");
            let memory = memory_of(run.pid, mapping.addrs.clone());
            assert!(memory[..length] == bytes[..length], "{path:?}: {mapping:?} has changed");
            assert_eq!(mapping.anonymous_bytes, 0, "{path:?}: {mapping:?} has a copy of a page");
            count += 1;
        }
        assert!(count > 0, "{path:?} has code");
    }
}

#[test]
fn a_program_may_start_anywhere_in_a_page() {
    // With pages for code alone; and with code that is writable, and no program headers in memory.
    let kinds = [("pure", "-Wl,-z,separate-code"), ("writable", "-Wl,-N")];
    let cases = kinds.iter().flat_map(|kind| ENTRIES.iter().map(move |at| (kind, *at)));
    let failures: Vec<String> =
        cases.filter_map(|(&(kind, flag), at)| start_at(at, kind, flag)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Offsets within a page. The stub is some hundred bytes long, a jump to it five.
const ENTRIES: [u64; 15] = [
    0x000, 0x001, 0x123, 0xc00, 0xc80, 0xd00, 0xd80, 0xe00, 0xf00, 0xff0, 0xffa, 0xffb, 0xffc,
    0xffd, 0xffe,
];

/// Runs a program that starts there; what is wrong, if something is.
#[track_caller]
fn start_at(offset: u64, kind: &str, flag: &str) -> Option<String> {
    let flags = ["-static", "-nostdlib", flag, &format!("-DOFFSET={offset:#x}")];
    let path = compile("edge.S", &format!("edge-{kind}-{offset:x}"), &flags);
    finish(&mut Command::new(&path)).succeeded();
    for options in [[].as_slice(), &["--no-follow"]] {
        let run = finish(vdso_run(options).arg(&path));
        if !run.status.success() || !run.stderr.is_empty() {
            return Some(format!("{kind} at {offset:#x}: {}, {}", run.status, run.stderr));
        }
    }
    None
}

#[test]
fn every_auxiliary_vector_names_our_image() {
    for path in builds() {
        let plain = finish(Command::new(&path).arg("auxv")).succeeded();
        let kinds = |run: &Finished| -> Vec<bool> {
            run.stdout.lines().map(|line| line.ends_with(" -")).collect()
        };
        for source in Source::all() {
            let run = finish(vdso_run(source.options).arg(&path).arg("auxv")).succeeded().quiet();
            assert_eq!(kinds(&run), kinds(&plain), "{path:?} {source:?}");
            let mut addrs: Vec<&str> =
                run.stdout.lines().filter_map(|line| line.split(' ').nth(2)).collect();
            addrs.retain(|addr| *addr != "-");
            assert!(addrs.iter().all(|addr| *addr == addrs[0]), "{path:?} {source:?}: {addrs:?}");
            let running = Running::start(source.options, &path);
            let announced = announced_image(&running);
            let image = running.ours()[0];
            assert_eq!(announced, image.addrs.start, "{path:?} {source:?}");
            assert_eq!(memory_of(running.pid, announced..announced + 4), b"\x7fELF");
        }
    }
}

/// AT_SYSINFO_EHDR of a process's own vector.
#[track_caller]
fn announced_image(run: &Running) -> u64 {
    let bytes = fs::read(format!("/proc/{}/auxv", run.pid)).expect("auxv");
    let program = fs::read(format!("/proc/{}/exe", run.pid)).expect("the program");
    // EI_CLASS
    let word_bytes = if program[4] == 1 { 4 } else { 8 };
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    let words: Vec<u64> = bytes.chunks_exact(word_bytes).map(word).collect();
    let entry = words.chunks_exact(2).find(|entry| entry[0] == libc::AT_SYSINFO_EHDR);
    entry.expect("the entry is there")[1]
}

#[test]
fn the_address_is_another_one_each_time() {
    let path = support::clocks();
    let mut addrs: Vec<u64> = Vec::new();
    for _ in 0..8 {
        addrs.push(announced_image(&Running::start(&[], &path)));
    }
    addrs.sort_unstable();
    addrs.dedup();
    // Two of eight may be equal once in many million times.
    assert_eq!(addrs.len(), 8, "{addrs:x?}");
    let mut fixed = vdso_run(["setarch", "-R"]);
    finish(fixed.arg(&path)).succeeded().quiet();
}

#[test]
fn nobody_can_write_to_the_shared_page() {
    for source in Source::all() {
        let run = finish(vdso_run(source.options).arg(helper("pages"))).succeeded().quiet();
        let expected = [
            "r-xp store: Segmentation fault",
            "r-xp file: EPERM",
            "r--s store: Segmentation fault",
            "r--s file: EPERM",
            "r--s mprotect: EACCES",
        ];
        assert_eq!(run.stdout.lines().collect::<Vec<&str>>(), expected, "{source:?}");
    }
}
