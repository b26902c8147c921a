//! A program whose stack has been written to before its tracer looks: what it says is believed for this
//! program at most.

use std::cell::RefCell;
use std::process::{Child, Command};
use std::rc::Rc;

use nix::sys::ptrace;
use nix::unistd::Pid;
use vdso_inject::Error;
use vdso_inject::exec::{Announce, Companion, CompanionFile, FileBy, KernelVdso, Payload, inject};
use vdso_inject::ptrace::{Stopped, Told, wait_for};

use crate::playing::{Code, Kind, payload, programs};

/// Where the linker puts an i386 program: its ELF header, and the beginning of a mapping.
const PROGRAM_ADDR: i32 = 0x0804_8000;

#[test]
fn what_is_known_of_the_kernels_vdso_for_i386_is_not_a_programs_word() {
    let mut programs = programs().iter();
    let is_usable = |kind, code| kind == Kind::I386 && code == Code::Plain;
    let Some(program) = programs.find(|program| is_usable(program.kind, program.code)) else {
        return;
    };
    let seen = Rc::new(RefCell::new(Vec::new()));
    let seen_by_companion = Rc::clone(&seen);
    let room = crate::playing::room();
    let file = CompanionFile::Own(room.clone());
    let make = Box::new(move |_: &'static _, kernel: &KernelVdso| {
        seen_by_companion.borrow_mut().push(kernel.image.clone());
        crate::playing::companion(&room, kernel)
    });
    let payload = Payload { companions: vec![Companion::new("i386", file, make)], ..payload() };

    let (liar, mut thread) = stopped_at_exec(&mut Command::new(&program.path));
    say_that_the_vdso_is_at(thread.tid(), PROGRAM_ADDR);
    let injected = inject(&mut thread, &payload, FileBy::Request, Announce::No, 0);
    assert!(matches!(injected, Err(Error::VdsoPlace { .. })), "{injected:?}");
    end(liar);

    let (honest, mut thread) = stopped_at_exec(&mut Command::new(&program.path));
    inject(&mut thread, &payload, FileBy::Request, Announce::No, 0).expect("injection");
    end(honest);
    for image in seen.borrow().iter() {
        let image = vdso_elf::Image::parse(image).expect("an image");
        assert!(image.lookup("__vdso_clock_gettime", None).is_some(), "the kernel's");
    }
}

fn stopped_at_exec(command: &mut Command) -> (Child, Stopped) {
    use std::os::unix::process::CommandExt;
    // SAFETY: makes one system call.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    let child = command.spawn().expect("the program starts");
    match wait_for(Pid::from_raw(child.id() as i32)) {
        Told::Stopped(thread) => (child, thread),
        other => panic!("{other:?}"),
    }
}

fn end(mut child: Child) {
    child.kill().expect("it has not ended");
    child.wait().expect("it ends");
}

/// Changes the value of the entry in the auxiliary vector.
fn say_that_the_vdso_is_at(pid: Pid, addr: i32) {
    const WORD_BYTES: u64 = 4;
    let pair = |at: u64| ptrace::read(pid, at as *mut libc::c_void).expect("the stack");
    let word = |at: u64| pair(at) as i32;
    let mut at = ptrace::getregs(pid).expect("registers").rsp;
    // The number of arguments, they, and a null; then the environment, and a null.
    at += WORD_BYTES * (word(at) as u64 + 2);
    while word(at) != 0 {
        at += WORD_BYTES;
    }
    at += WORD_BYTES;
    while word(at) != libc::AT_SYSINFO_EHDR as i32 {
        assert_ne!(word(at), 0, "this kernel has none");
        at += 2 * WORD_BYTES;
    }
    let changed = i64::from(addr) << 32 | i64::from(word(at));
    ptrace::write(pid, at as *mut libc::c_void, changed).expect("a write");
}
