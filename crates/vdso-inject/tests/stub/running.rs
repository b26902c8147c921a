//! Programs that have begun to run before they get the image: whatever they are at, they have its clock from
//! then on, and notice nothing else.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vdso_arch::abi::CallSet;
use vdso_inject::Error;
use vdso_inject::exec::{Memo, Payload, Repaired, inject_running};
use vdso_inject::kernel_calls::KernelCalls;
use vdso_inject::ptrace::{Detached, Seized, Stop, Stopped, Told, Until, wait_for};
use vdso_inject::stub::REQUEST_FILE;

/// Nobody takes over from these tests.
const FORGET: Memo<'static> = Memo { keep: &|_| {}, kept: None };

use crate::playing::{
    Answer, Child, Code, Kind, Listener, OFFSET_SEC, Play, Program, TOKEN, alone, at_exec, payload,
    payload_without,
};

/// With signals, and without: they hide what else would end a call.
fn steady() -> &'static [Program; 2] {
    static BUILT: OnceLock<[Program; 2]> = OnceLock::new();
    BUILT.get_or_init(|| {
        [("-DALARM_US=700", "steady"), ("-DALARM_US=0", "steady-quiet")]
            .map(|(define, name)| built("steady.c", name, define))
    })
}

fn built(source: &str, name: &str, flag: &str) -> Program {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stub");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-Wall", "-Wextra"]).arg(format!("-DOFFSET={OFFSET_SEC}"));
    gcc.arg(folder.join(source)).arg(flag).arg("-o").arg(&path);
    assert!(gcc.status().expect("gcc is installed").success(), "{gcc:?}");
    Program { path, kind: Kind::X86_64, code: Code::Plain }
}

/// Starts a program as if its tracer had been killed right after the exec.
fn begin(play: &Play<'_>) -> (Pid, Listener) {
    let null = std::fs::File::options().write(true).open("/dev/null").expect("it is there");
    let child = Child::fork(play, null.as_fd(), None);
    let pid = child.pid();
    let thread = Seized::seize(pid).expect("it can be traced");
    child.go();
    let listener = child.listener().expect("it is followed");
    let report = listener.receive().expect("it execs");
    listener.send(report.id, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32);
    let_go(at_exec(thread));
    (pid, listener)
}

fn stop(pid: Pid) -> Stopped {
    let mut thread = Seized::seize(pid).expect("it can be traced");
    thread.interrupt().expect("it can be stopped");
    loop {
        thread = match thread.wait() {
            Told::Stopped(thread) if thread.stop() == Stop::Interrupt => return thread,
            Told::Stopped(thread) => thread.resume(Until::Event),
            other => panic!("{other:?}"),
        }
    }
}

fn let_go(thread: Stopped) {
    let detached = thread.detach();
    assert!(matches!(detached, Detached::Free), "{detached:?}");
}

/// The status of a program that was killed while it stood still, or went on for a moment.
fn killed(thread: Stopped) -> i32 {
    let told = match thread.detach() {
        Detached::Dying(thread) => thread.wait(),
        Detached::Ended(status) => Told::Ended(status),
        Detached::Free => panic!("it lives"),
    };
    match told {
        Told::Ended(Some(status)) => status,
        other => panic!("{other:?}"),
    }
}

/// Answers a stub's request, if there is one now.
fn serve(play: &Play<'_>, payload: &Payload, listener: &Listener) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    if !matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1)) {
        return;
    }
    let Some(report) = listener.receive() else { return };
    let [_, request, number, token, ..] = report.data.args;
    assert_eq!((request, token), (REQUEST_FILE, TOKEN));
    match play.answer {
        Answer::Image => listener.put(report.id, payload.file.as_fd(), number as u32),
        Answer::File(file) => listener.put(report.id, file, number as u32),
        _ => {}
    }
    listener.send(report.id, 0, 0, 0);
}

/// Of a program that may still be traced.
fn code_of(pid: Pid) -> i32 {
    loop {
        match wait_for(pid) {
            Told::Ended(Some(status)) if libc::WIFEXITED(status) => {
                return libc::WEXITSTATUS(status);
            }
            Told::Stopped(thread) => {
                thread.resume(Until::Event);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_program_gets_the_clock_wherever_it_is() {
    let times = 1000;
    let payload = payload();
    for time in 0..times {
        let _alone = alone();
        let play = Play::of(&steady()[time as usize / 2 % 2]);
        let (pid, listener) = begin(&play);
        // From its first instruction, through its start, to its loop; to where just differs.
        std::thread::sleep(Duration::from_micros(time * 5));
        let mut thread = stop(pid);
        let mut serve = || serve(&play, &payload, &listener);
        let repaired =
            inject_running(&mut thread, &payload, TOKEN, &FORGET, &mut serve).expect("injection");
        assert_eq!(repaired, Repaired::Injected);
        let again = inject_running(&mut thread, &payload, TOKEN, &FORGET, &mut serve)
            .expect("nothing to do");
        assert_eq!(again, Repaired::WasInjected);
        // What is put back lasts without the end of tracing, too.
        match time % 2 {
            0 => let_go(thread),
            _ => {
                thread.resume(Until::Event);
            }
        }
        assert_eq!(code_of(pid), 0, "time {time}");
    }
}

/// Its C library may have the kernel's functions already, and there is none of the image's that they could jump to.
#[test]
fn what_is_off_is_off_in_a_running_program() {
    let kernel_calls = KernelCalls::here(CallSet::ALL).expect("there is room");
    let payload = payload_without(CallSet::ALL);
    let _alone = alone();
    let play = Play::of(&steady()[1]);
    let (pid, listener) = begin(&play);
    let mut thread = stop(pid);
    assert!(!kernel_calls.are_in(pid));
    let mut serve = || serve(&play, &payload, &listener);
    inject_running(&mut thread, &payload, TOKEN, &FORGET, &mut serve).expect("injection");
    assert!(kernel_calls.are_in(pid));
    kill(pid, Signal::SIGKILL).expect("it can be ended");
    assert_eq!(libc::WTERMSIG(killed(thread)), libc::SIGKILL);
}

#[test]
fn what_fails_leaves_a_running_program_as_it_was() {
    let payload = payload();
    let other = crate::playing::payload();
    let _alone = alone();
    let play = Play::of(&steady()[0]);
    let (pid, listener) = begin(&play);
    for (answer, words) in [
        (Answer::Nothing, "was given no descriptor of the image"),
        (Answer::File(other.file.as_fd()), "was given another file than the image"),
    ] {
        let mut thread = stop(pid);
        let wrong = Play { answer, ..Play::of(&steady()[0]) };
        let mut serve = || serve(&wrong, &payload, &listener);
        let error = inject_running(&mut thread, &payload, TOKEN, &FORGET, &mut serve)
            .expect_err("a wrong answer");
        assert!(error.to_string().contains(words), "{error}");
        let_go(thread);
    }
    let mut thread = stop(pid);
    let mut serve = || serve(&play, &payload, &listener);
    inject_running(&mut thread, &payload, TOKEN, &FORGET, &mut serve).expect("injection");
    let_go(thread);
    assert_eq!(code_of(pid), 0);
}

/// Of the requests that it makes for a moment none is answered: it is interrupted, and goes on.
#[test]
fn a_request_that_nobody_receives_does_not_last() {
    let payload = payload();
    let _alone = alone();
    let play = Play::of(&steady()[0]);
    let (pid, listener) = begin(&play);
    let mut thread = stop(pid);
    inject_running(&mut thread, &payload, TOKEN, &FORGET, &mut || {}).expect_err("no answer");
    let mut serve = || serve(&play, &payload, &listener);
    inject_running(&mut thread, &payload, TOKEN, &FORGET, &mut serve).expect("injection");
    let_go(thread);
    assert_eq!(code_of(pid), 0);
}

#[test]
fn a_program_with_several_threads_is_left_alone() {
    let payload = payload();
    let program = built("threads.c", "threads", "-pthread");
    let _alone = alone();
    let play = Play::of(&program);
    let (pid, _listener) = begin(&play);
    let threads = || std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").count();
    while threads() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut thread = stop(pid);
    let injected = inject_running(&mut thread, &payload, TOKEN, &FORGET, &mut || {});
    assert!(matches!(injected, Err(Error::ManyThreads { .. })), "{injected:?}");
    kill(pid, Signal::SIGKILL).expect("it can be ended");
    let ended = killed(thread);
    assert_eq!(libc::WTERMSIG(ended), libc::SIGKILL);
}

/// Its end is for whoever waits for it: nobody else hears of it.
#[test]
fn a_program_that_is_killed_in_the_middle_tells_its_end() {
    let payload = payload();
    let _alone = alone();
    let play = Play::of(&steady()[1]);
    let (pid, _listener) = begin(&play);
    let mut thread = stop(pid);
    let mut serve = || kill(pid, Signal::SIGKILL).unwrap_or_default();
    let injected = inject_running(&mut thread, &payload, TOKEN, &FORGET, &mut serve);
    assert!(matches!(injected, Err(Error::Gone { .. })), "{injected:?}");
    assert_eq!(libc::WTERMSIG(killed(thread)), libc::SIGKILL);
    assert!(matches!(wait_for(pid), Told::Ended(None)), "it was heard of once");
}
