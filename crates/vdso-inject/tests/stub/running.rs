//! Programs that have begun to run before they get the image: whatever they are at, they have its clock from
//! then on, and notice nothing else.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use vdso_inject::Error;
use vdso_inject::exec::{Memo, Payload, Repaired, inject_running};
use vdso_inject::stub::REQUEST_FILE;

/// Nobody takes over from these tests.
const FORGET: Memo<'static> = Memo { keep: &|_| {}, kept: None };

use crate::playing::{
    Answer, Child, Code, Kind, Listener, OFFSET_SEC, Play, Program, TOKEN, alone, payload,
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
    ptrace::seize(pid, ptrace::Options::PTRACE_O_TRACEEXEC).expect("it can be traced");
    child.go();
    let listener = child.listener().expect("it is followed");
    let report = listener.receive().expect("it execs");
    listener.send(report.id, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32);
    let stopped = waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
    assert!(
        matches!(stopped, WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC)),
        "{stopped:?}"
    );
    ptrace::detach(pid, None).expect("it can be let go");
    (pid, listener)
}

fn stop(pid: Pid) {
    ptrace::seize(pid, ptrace::Options::PTRACE_O_TRACEEXEC).expect("it can be traced");
    ptrace::interrupt(pid).expect("it can be stopped");
    loop {
        match waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops") {
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_STOP) => return,
            WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal).expect("it goes on"),
            other => panic!("{other:?}"),
        }
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
        match waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it ends") {
            WaitStatus::Exited(_, code) => return code,
            WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal).expect("it goes on"),
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
        stop(pid);
        let mut serve = || serve(&play, &payload, &listener);
        let repaired =
            inject_running(pid, &payload, TOKEN, &FORGET, &mut serve).expect("injection");
        assert_eq!(repaired, Repaired::Injected);
        let again =
            inject_running(pid, &payload, TOKEN, &FORGET, &mut serve).expect("nothing to do");
        assert_eq!(again, Repaired::WasInjected);
        // What is put back lasts without the end of tracing, too.
        match time % 2 {
            0 => ptrace::detach(pid, None).expect("it can be let go"),
            _ => ptrace::cont(pid, None).expect("it goes on"),
        }
        assert_eq!(code_of(pid), 0, "time {time}");
    }
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
        stop(pid);
        let wrong = Play { answer, ..Play::of(&steady()[0]) };
        let mut serve = || serve(&wrong, &payload, &listener);
        let error =
            inject_running(pid, &payload, TOKEN, &FORGET, &mut serve).expect_err("a wrong answer");
        assert!(error.to_string().contains(words), "{error}");
        ptrace::detach(pid, None).expect("it can be let go");
    }
    stop(pid);
    let mut serve = || serve(&play, &payload, &listener);
    inject_running(pid, &payload, TOKEN, &FORGET, &mut serve).expect("injection");
    ptrace::detach(pid, None).expect("it can be let go");
    assert_eq!(code_of(pid), 0);
}

/// Of the requests that it makes for a moment none is answered: it is interrupted, and goes on.
#[test]
fn a_request_that_nobody_receives_does_not_last() {
    let payload = payload();
    let _alone = alone();
    let play = Play::of(&steady()[0]);
    let (pid, listener) = begin(&play);
    stop(pid);
    inject_running(pid, &payload, TOKEN, &FORGET, &mut || {}).expect_err("no answer");
    let mut serve = || serve(&play, &payload, &listener);
    inject_running(pid, &payload, TOKEN, &FORGET, &mut serve).expect("injection");
    ptrace::detach(pid, None).expect("it can be let go");
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
    stop(pid);
    let injected = inject_running(pid, &payload, TOKEN, &FORGET, &mut || {});
    assert!(matches!(injected, Err(Error::ManyThreads { .. })), "{injected:?}");
    ptrace::kill(pid).expect("it can be ended");
    let ended = waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it ends");
    assert!(matches!(ended, WaitStatus::Signaled(..)), "{ended:?}");
}
