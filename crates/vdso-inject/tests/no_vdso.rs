//! A program without any vDSO of the kernel's, as on a machine that was booted with `vdso=0`: there
//! is no entry in the auxiliary vector to change, so one is added, and no page or function of the
//! kernel's to fall back to.

use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::ptrace;
use nix::unistd::Pid;
use test_support::{Program, Readings};
use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::clock;
use vdso_data::process::Template;
use vdso_image::Source;
use vdso_inject::ProgramFile;
use vdso_inject::exec::{Announce, FileBy, Payload, inject};
use vdso_inject::ptrace::{Stopped, Told, wait_for};

const OFFSET_SEC: i64 = 1_000_000;

#[test]
fn an_entry_is_added_where_there_is_none() {
    let Ok(program) = test_support::build(Program::CDynamic) else {
        return test_support::build(Program::CDynamic).unwrap_err().report();
    };
    for source in [Source::Own, Source::Chain] {
        let output = run_without_vdso(Command::new(&program).arg("auxv"), source, true);
        let addresses: Vec<&str> = output
            .lines()
            .filter_map(|line| line.split(' ').nth(2))
            .filter(|a| *a != "-")
            .collect();
        assert!(addresses.len() >= 2, "{output}");
        assert!(addresses.iter().all(|address| *address == addresses[0]), "{output}");
        assert_ne!(addresses[0].trim_start_matches("0x").trim_start_matches('0'), "", "{output}");
    }
}

#[test]
fn its_clocks_are_moved() {
    for program in [Program::CDynamic, Program::CStatic, Program::CMusl] {
        let path = match test_support::build(program) {
            Ok(path) => path,
            Err(skip) => {
                skip.report();
                continue;
            }
        };
        for source in [Source::Own, Source::Chain] {
            let output = run_without_vdso(&mut Command::new(&path), source, true);
            let readings = Readings::parse(&output).expect("the program prints readings");
            for reading in readings.iter() {
                let expected = i128::from(OFFSET_SEC) * 1_000_000_000;
                test_support::assert_shift(reading, expected, reading.resolution_ns());
            }
        }
    }
}

#[test]
fn without_injection_the_program_has_none() {
    let Ok(program) = test_support::build(Program::CDynamic) else { return };
    let output = run_without_vdso(Command::new(&program).arg("auxv"), Source::Chain, false);
    assert!(output.contains("AUXV getauxval -\n"), "{output}");
}

/// Runs a program whose auxiliary vector names no vDSO.
fn run_without_vdso(command: &mut Command, source: Source, is_injected: bool) -> String {
    let image = vdso_image::tailor(source, &[]).bytes;
    let file = ProgramFile::create("vdso-test", &image).expect("a file in memory");
    let offset = Timespec { sec: OFFSET_SEC, nsec: 0 };
    let transform = Transform { offset, base: Timespec::default(), rate: Rate::ONE };
    vdso_host::initialise(file.page(), &[transform; clock::LINES]);
    let payload = Payload {
        file,
        template: Template::default(),
        padding: None,
        detours: vdso_inject::detour::Detours::default(),
        counts: None,
        companions: Vec::new(),
    };
    let inherited = fcntl(payload.file.as_fd(), FcntlArg::F_DUPFD(200)).expect("a descriptor");

    let (child, mut thread) = stopped_at_exec(command);
    hide_vdso(thread.tid());
    if is_injected {
        inject(&mut thread, &payload, FileBy::Inheritance(inherited), Announce::No, 0)
            .expect("injection");
    }
    thread.take_signal();
    drop(thread);
    let output = child.wait_with_output().expect("the program ends");
    // SAFETY: this test's own descriptor.
    unsafe { libc::close(inherited) };
    assert!(output.status.success(), "{}: {output:?}", source.name());
    String::from_utf8(output.stdout).expect("text")
}

fn stopped_at_exec(command: &mut Command) -> (Child, Stopped) {
    // SAFETY: makes one system call.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    let child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
    match wait_for(Pid::from_raw(child.id() as i32)) {
        Told::Stopped(thread) => (child, thread),
        other => panic!("{other:?}"),
    }
}

/// Turns the entry into one that is to be ignored, which is what a kernel without a vDSO lacks.
fn hide_vdso(pid: Pid) {
    const AT_IGNORE: i64 = 1;
    let word = |addr: u64| ptrace::read(pid, addr as *mut libc::c_void).expect("the stack");
    let mut addr = ptrace::getregs(pid).expect("registers").rsp;
    addr += 8 * (word(addr) as u64 + 2);
    while word(addr) != 0 {
        addr += 8;
    }
    addr += 8;
    while word(addr) as u64 != libc::AT_SYSINFO_EHDR {
        assert_ne!(word(addr), 0, "this kernel has no vDSO itself");
        addr += 16;
    }
    ptrace::write(pid, addr as *mut libc::c_void, AT_IGNORE).expect("a write");
}
