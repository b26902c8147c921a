//! What the types of a traced thread promise: requests of one that was killed say so, whoever drops a stop lets
//! the thread go on, and nobody's end is lost.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use vdso_inject::arch::Registers;
use vdso_inject::ptrace::{Detached, FOLLOW_EXEC, Seized, Stop, Stopped, Told, Until, wait_for};
use vdso_inject::{Error, Result};

/// A program that ends well when its input does, and waits for that.
fn waiting() -> (Child, ChildStdin, Pid) {
    let mut cat = Command::new("cat");
    let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("cat");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(b"!").expect("it reads");
    // Then it is out of `execve`.
    child.stdout.as_mut().expect("a pipe").read_exact(&mut [0]).expect("it writes");
    let pid = Pid::from_raw(child.id() as i32);
    (child, input, pid)
}

fn seized(pid: Pid) -> Seized {
    Seized::seize(pid).expect("it may be traced")
}

fn stopped(pid: Pid) -> Stopped {
    let thread = seized(pid);
    thread.interrupt().expect("it lives");
    at_stop(thread)
}

fn at_stop(thread: Seized) -> Stopped {
    match thread.wait() {
        Told::Stopped(thread) => thread,
        other => panic!("{other:?}"),
    }
}

/// Kills a thread, and waits until that has happened without hearing of it.
fn kill_now(pid: Pid) {
    kill(pid, Signal::SIGKILL).expect("it is there");
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(pid), flags).expect("it ends");
}

fn is_gone<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Gone { .. }))
}

fn is_killed(told: Told) -> bool {
    let Told::Ended(Some(status)) = told else { return false };
    libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL
}

/// A request, of a thread that stands still.
type Request = (&'static str, fn(&mut Stopped, &Registers) -> bool);

const REQUESTS: [Request; 10] = [
    ("registers", |thread, _| is_gone(thread.registers())),
    ("set registers", |thread, registers| is_gone(thread.set_registers(registers))),
    ("blocked signals", |thread, _| is_gone(thread.blocked_signals())),
    ("set blocked signals", |thread, _| is_gone(thread.set_blocked_signals(0))),
    ("options", |thread, _| is_gone(thread.set_options(FOLLOW_EXEC))),
    ("rseq", |thread, _| is_gone(thread.rseq_addr())),
    ("system call", |thread, _| is_gone(thread.system_call())),
    ("memory", |thread, registers| is_gone(thread.memory().read(registers.stack_addr(), &mut [0]))),
    ("go on", |thread, _| is_gone(thread.go_on(Until::Event))),
    ("go on to a call", |thread, _| is_gone(thread.go_on(Until::Call))),
];

#[test]
fn each_request_of_a_killed_thread_says_that_it_is_gone() {
    for (name, says_gone) in REQUESTS {
        let (_child, _input, pid) = waiting();
        let mut thread = stopped(pid);
        let registers = thread.registers().expect("it stands still");
        kill_now(pid);
        assert!(says_gone(&mut thread, &registers), "{name}");
        let Detached::Dying(thread) = thread.detach() else { panic!("{name}: it was detached") };
        assert!(is_killed(thread.wait()), "{name}");
    }
}

#[test]
fn whoever_has_ended_cannot_be_seized() {
    let (mut child, input, pid) = waiting();
    drop(input);
    child.wait().expect("it ends");
    assert!(is_gone(Seized::seize(pid)));
}

/// The kernel takes an interrupt of one whose end nobody has heard of yet.
#[test]
fn a_thread_that_is_killed_before_it_stops_tells_its_end() {
    let (_child, _input, pid) = waiting();
    let thread = seized(pid);
    kill_now(pid);
    thread.interrupt().expect("it is a zombie");
    assert!(is_killed(thread.wait()));
}

#[test]
fn a_thread_that_is_killed_when_it_is_resumed_tells_its_end() {
    let (_child, _input, pid) = waiting();
    let thread = stopped(pid);
    kill_now(pid);
    assert!(is_killed(thread.resume(Until::Event).wait()));
}

/// The end is heard of inside, and must not be lost there.
#[test]
fn a_thread_that_ends_on_its_way_to_the_next_stop_has_its_status_in_the_end() {
    let (_child, input, pid) = waiting();
    let mut thread = stopped(pid);
    drop(input);
    assert!(is_gone(thread.go_on(Until::Event)));
    assert!(is_gone(thread.registers()), "another may have its number");
    assert!(is_gone(thread.go_on(Until::Event)));
    let detached = thread.detach();
    assert!(matches!(detached, Detached::Ended(Some(0))), "{detached:?}");
}

#[test]
fn a_stop_that_is_dropped_lets_the_thread_go_on_with_its_signal() {
    let (mut child, input, pid) = waiting();
    let thread = seized(pid);
    kill(pid, Signal::SIGTERM).expect("it lives");
    let thread = at_stop(thread);
    assert_eq!(thread.stop(), Stop::Signal(libc::SIGTERM));
    drop(thread);
    // Without the signal it would end well.
    drop(input);
    assert_eq!(child.wait().expect("it ends").signal(), Some(libc::SIGTERM));
}

#[test]
fn a_signal_that_was_taken_does_not_arrive() {
    let (mut child, input, pid) = waiting();
    let thread = seized(pid);
    kill(pid, Signal::SIGTERM).expect("it lives");
    let mut thread = at_stop(thread);
    assert_eq!(thread.take_signal(), Some(libc::SIGTERM));
    assert_eq!(thread.take_signal(), None);
    assert!(matches!(thread.detach(), Detached::Free));
    drop(input);
    assert!(child.wait().expect("it ends").success());
}

/// Its parent is another process, which hears of the end once the tracer has.
#[test]
fn the_parent_of_a_thread_that_was_killed_while_it_stood_hears_of_it() {
    // A background program of a shell has no input of its own.
    let script = "exec 3<&0; cat <&3 & echo $!; wait $!; echo $?";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.spawn().expect("sh");
    let mut said = BufReader::new(shell.stdout.take().expect("a pipe"));
    let pid = Pid::from_raw(number(&mut said));
    let thread = stopped(pid);
    kill(pid, Signal::SIGKILL).expect("it is there");
    let told = match thread.detach() {
        Detached::Dying(thread) => thread.wait(),
        other => panic!("{other:?}"),
    };
    assert!(is_killed(told));
    assert_eq!(number(&mut said), 128 + libc::SIGKILL);
    shell.wait().expect("it ends");
}

/// The next line.
fn number(text: &mut impl BufRead) -> i32 {
    let mut line = String::new();
    text.read_line(&mut line).expect("text");
    line.trim().parse().expect("a number")
}

/// As whoever changes code that several threads execute does it.
#[test]
fn all_threads_of_a_process_can_be_stopped_and_let_go() {
    let (mut child, pid) = with_threads();
    let tids = || -> Vec<Pid> {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
        let ids = tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok());
        ids.map(Pid::from_raw).collect()
    };
    while tids().len() < 2 {
        std::thread::yield_now();
    }
    for _ in 0..3 {
        let seized: Vec<Seized> = tids().into_iter().map(seized).collect();
        for thread in &seized {
            thread.interrupt().expect("it lives");
        }
        let stopped: Vec<Stopped> = seized.into_iter().map(at_stop).collect();
        assert_eq!(stopped.len(), 2);
        for mut thread in stopped {
            assert_eq!(thread.stop(), Stop::Interrupt);
            let registers = thread.registers().expect("it stands still");
            thread.set_registers(&registers).expect("it stands still");
            assert!(matches!(thread.detach(), Detached::Free));
        }
    }
    child.kill().expect("it lives");
    child.wait().expect("it ends");
}

fn with_threads() -> (Child, Pid) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stub/threads.c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("traced-threads");
    let mut gcc = Command::new("gcc");
    gcc.arg("-pthread").arg(source).arg("-o").arg(&program);
    assert!(gcc.status().expect("gcc is installed").success(), "{gcc:?}");
    let child = Command::new(program).spawn().expect("it starts");
    let pid = Pid::from_raw(child.id() as i32);
    (child, pid)
}

/// Of a thread that waits in the kernel the stop comes when the call is over.
#[test]
fn an_interrupt_does_not_wait_for_the_stop() {
    let (mut child, input, pid) = waiting();
    let thread = seized(pid);
    let Told::Running(thread) = thread.try_wait() else { panic!("nobody has stopped it") };
    thread.interrupt().expect("it lives");
    let mut thread = at_stop(thread);
    assert_eq!(thread.stop(), Stop::Interrupt);
    thread.interrupt().expect("it stands still");
    thread.go_on(Until::Event).expect("it lives");
    assert_eq!(thread.stop(), Stop::Interrupt, "the same without going far");
    drop((thread, input));
    assert!(matches!(wait_for(pid), Told::Ended(Some(0))));
    assert!(child.wait().is_err(), "it was heard of");
}
