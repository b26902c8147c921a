//! A program without any vDSO of the kernel's, on kernels that give one: the entry in its auxiliary vector
//! is made one that nobody heeds. So there is none to change, and an entry is added; and no vDSO to put the
//! injected code behind, so it goes behind the program's own code.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::ptrace;
use nix::unistd::{Pid, dup};
use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::clock;
use vdso_data::process::Template;
use vdso_image::Source;
use vdso_inject::ProgramFile;
use vdso_inject::exec::{Announce, FileBy, Payload, inject};
use vdso_inject::ptrace::{Stopped, Told, wait_for};

use crate::report::Report;

const OFFSET_SEC: i64 = 1_000_000;
/// Of each clock.
const READS: &str = "1000";

pub fn run(report: &mut Report) {
    for source in [Source::Chain, Source::Own] {
        report.check(source.name(), clocks(source, Given::Image));
    }
    report.check("another-file", clocks(Source::Chain, Given::AnotherFile));
    report.check("no-file", clocks(Source::Chain, Given::Nothing));
}

/// What the program has where the image's file should be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    Image,
    /// Then it must begin untouched.
    AnotherFile,
    /// The same.
    Nothing,
}

/// Has a program without a vDSO read clocks.
fn clocks(source: Source, given: Given) -> Result<String> {
    let image = vdso_image::tailor(source, &[]).bytes;
    let file =
        ProgramFile::create("vdso-no-vdso", &image).context("cannot make a file in memory")?;
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
    let other = File::open("/init").context("cannot open a file")?;
    // Without the flag that closes it when a program is executed.
    let inherited = match given {
        Given::AnotherFile => dup(other.as_fd()),
        _ => dup(payload.file.as_fd()),
    };
    let inherited = inherited.context("cannot duplicate a descriptor")?;
    let number = inherited.as_raw_fd();
    // Nothing has so high a number.
    let number = if given == Given::Nothing { number + 100 } else { number };

    let offset_sec = if given == Given::Image { OFFSET_SEC } else { 0 };
    let offset = offset_sec.to_string();
    let (mut child, mut thread) =
        stopped_at_exec(Command::new("/init").args(["read", &offset, READS]))?;
    hide_vdso(thread.tid()).context("cannot hide the kernel's vDSO")?;
    inject(&mut thread, &payload, FileBy::Inheritance(number), Announce::No, 0)?;
    thread.take_signal();
    drop(thread);
    let status = child.wait()?;
    ensure!(status.success(), "the program's clocks are not {offset_sec} s ahead: {status}");
    Ok(format!("{offset_sec} s ahead, without a vDSO of the kernel's"))
}

fn stopped_at_exec(command: &mut Command) -> Result<(Child, Stopped)> {
    // SAFETY: makes one system call.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    let child = command.spawn().context("cannot start a program")?;
    match wait_for(Pid::from_raw(child.id() as i32)) {
        Told::Stopped(thread) => Ok((child, thread)),
        Told::Running(_) | Told::Ended(_) => bail!("the program has ended"),
    }
}

/// Turns the entry into one that is to be ignored. Source: getauxval(3).
fn hide_vdso(pid: Pid) -> Result<()> {
    const AT_IGNORE: i64 = 1;
    const WORD_BYTES: u64 = 8;
    let word = |addr: u64| ptrace::read(pid, addr as *mut libc::c_void);
    let mut addr = stack_pointer(&ptrace::getregs(pid)?);
    // The number of arguments, they, and a null; then the environment, and a null.
    addr += WORD_BYTES * (word(addr)? as u64 + 2);
    while word(addr)? != 0 {
        addr += WORD_BYTES;
    }
    addr += WORD_BYTES;
    while word(addr)? as u64 != libc::AT_SYSINFO_EHDR {
        ensure!(word(addr)? != 0, "this kernel has none");
        addr += 2 * WORD_BYTES;
    }
    Ok(ptrace::write(pid, addr as *mut libc::c_void, AT_IGNORE)?)
}

fn stack_pointer(registers: &libc::user_regs_struct) -> u64 {
    #[cfg(target_arch = "x86_64")]
    return registers.rsp;
    #[cfg(not(target_arch = "x86_64"))]
    return registers.sp;
}
