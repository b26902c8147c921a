//! What a launch leaves of the calling process as it was. Alone in its process: it looks at all of it.

use std::collections::BTreeSet;
use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use vdso_launch::{Command, Stdio};

/// Signals, timers, threads, descriptors, memory of other files, folder, children.
fn state() -> Vec<String> {
    let read = |name: &str| fs::read_to_string(format!("/proc/thread-self/{name}")).unwrap();
    let names = |name: &str| -> BTreeSet<_> {
        let entries = fs::read_dir(format!("/proc/self/{name}")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    let status = read("status");
    let masks = ["SigBlk", "SigIgn", "SigCgt"];
    let is_mask = |line: &&str| masks.iter().any(|mask| line.starts_with(mask));
    let signals = status.lines().filter(is_mask).collect::<String>();
    let maps = read("maps");
    let images = maps.lines().filter(|line| line.contains("memfd:vdso")).count();
    let folder = fs::read_link("/proc/self/cwd").unwrap();
    // SAFETY: all zeros is a valid value.
    let mut timer: libc::itimerval = unsafe { std::mem::zeroed() };
    // SAFETY: only asks; the structure is ours.
    unsafe { libc::getitimer(libc::ITIMER_REAL, &mut timer) };
    vec![
        signals,
        format!("{:?}", names("fd").len()),
        format!("{:?}", names("task")),
        format!("{images} images"),
        format!("{folder:?}"),
        format!("{} {}", timer.it_value.tv_sec, timer.it_value.tv_usec),
        read("comm"),
        format!("{:?}", waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG))),
    ]
}

extern "C" fn handler(_: libc::c_int) {}

#[test]
fn the_caller_is_as_it_was() {
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    let blocked = SigSet::from(Signal::SIGUSR2);
    let mask = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK).unwrap();
    let before = state();
    let mut script = Command::new("sh");
    script.args(["-c", "grep SigBlk /proc/self/status; kill -USR2 $$; echo lives"]);
    let output =
        script.stdout(Stdio::piped()).ahead(std::time::Duration::from_secs(9)).output().unwrap();
    // What std gives a program: nothing blocked.
    assert_eq!(output.stdout, b"SigBlk:\t0000000000000000\n", "{output:?}");
    assert!(Command::new("no-such-program").spawn().is_err());
    assert!(Command::new("true").current_dir("/no/such/folder").spawn().is_err());
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(child);
    assert_eq!(state(), before);
    assert_eq!(waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD));
    mask.thread_set_mask().unwrap();
}
