//! A thread that waits in the kernel for an answer to its report is sent elsewhere: it is traced meanwhile, stops
//! behind its call, goes on with other registers, and is let go of.

use std::fs::File;
use std::os::fd::AsFd;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vdso_inject::ptrace::{Detached, Seized, Stop, Stopped, Told, wait_for};

use crate::playing::{Child, Listener, Play, alone, programs};

/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (Linux 5.19): nothing but a kill ends the wait.
const WAIT_KILLABLE: libc::c_ulong = 1 << 5;

/// A process that waits for the answer to its `execve`, which is refused while an interrupt waits for it.
fn stopped_behind_its_call() -> (Pid, Stopped, Listener) {
    let play = Play { listener_flags: WAIT_KILLABLE, ..Play::of(&programs()[0]) };
    let null = File::options().write(true).open("/dev/null").expect("it is there");
    let child = Child::fork(&play, null.as_fd(), None);
    child.go();
    let listener = child.listener().expect("it is followed");
    let report = listener.receive().expect("it execs");
    let thread = Seized::seize(child.pid()).expect("it may be traced");
    thread.interrupt().expect("it waits");
    let Told::Running(thread) = thread.try_wait() else { panic!("it waits for the answer") };
    listener.send(report.id, 0, -libc::EACCES, 0);
    let Told::Stopped(thread) = thread.wait() else { panic!("it lives") };
    assert_eq!(thread.stop(), Stop::Interrupt);
    (child.pid(), thread, listener)
}

#[test]
fn a_thread_that_waits_for_an_answer_is_sent_elsewhere() {
    const CALL_BYTES: u64 = b"\x0f\x05".len() as u64;
    let _alone = alone();
    let (pid, mut thread, _listener) = stopped_behind_its_call();
    let registers = thread.registers().expect("it stands still");
    assert_eq!(registers.result(), Err(libc::EACCES));
    let call_addr = registers.instruction_addr() - CALL_BYTES;
    let elsewhere = registers.for_call(call_addr, libc::SYS_exit_group, [77, 0, 0, 0, 0, 0]);
    thread.set_registers(&elsewhere.expect("on x86-64")).expect("it stands still");
    assert!(matches!(thread.detach(), Detached::Free));
    let told = wait_for(pid);
    assert!(
        matches!(told, Told::Ended(Some(status)) if libc::WEXITSTATUS(status) == 77),
        "{told:?}"
    );
}

#[test]
fn one_that_is_killed_meanwhile_tells_its_end() {
    let _alone = alone();
    let (pid, thread, _listener) = stopped_behind_its_call();
    kill(pid, Signal::SIGKILL).expect("it is there");
    let Detached::Dying(thread) = thread.detach() else { panic!("it was killed") };
    let told = thread.wait();
    assert!(matches!(told, Told::Ended(Some(status)) if libc::WTERMSIG(status) == libc::SIGKILL));
}
