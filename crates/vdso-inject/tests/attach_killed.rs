//! Whoever attaches an image, or takes it away, is killed at each of his steps: the program goes on, and what is left
//! behind can be taken away.
//!
//! In a file of its own, as it waits for all that this process traces.

#![cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]

#[allow(dead_code, reason = "other tests use all of it")]
#[path = "attach/spin.rs"]
mod spin;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use spin::{OFFSET_SEC, Spinning};
use vdso_inject::Error;
use vdso_inject::attach;
use vdso_inject::ptrace::{Options, Stop, Told, Until, trace_me, wait_for, wait_traced};

/// What an attacher does to another process, and to what is kept of it.
const STEPS: [i64; 6] = [
    libc::SYS_ptrace,
    libc::SYS_pwrite64,
    libc::SYS_process_vm_writev,
    libc::SYS_linkat,
    libc::SYS_unlink,
    libc::SYS_write,
];

/// How an attacher ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Killed,
    /// It had no such step.
    Done,
}

/// The example of this crate attaches an image and takes it away again, and is killed before its step of that number.
fn attacher_killed_at(step: usize, program: &Spinning) -> End {
    let mut command = Command::new(test_support::example("attach"));
    command.arg(program.pid().to_string()).arg(OFFSET_SEC.to_string()).stdout(Stdio::piped());
    // SAFETY: makes one system call.
    unsafe { command.pre_exec(|| Ok(trace_me()?)) };
    let mut attacher = command.spawn().expect("it starts");
    let pid = Pid::from_raw(attacher.id() as i32);
    let Told::Stopped(mut first) = wait_for(pid) else { panic!("it has not started") };
    let options =
        Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL;
    first.set_options(options).expect("it is stopped");
    first.take_signal();
    drop_running(first.resume(Until::Call));
    let mut steps = 0;
    loop {
        let (tid, told) = wait_traced().expect("there is one");
        match told {
            Told::Stopped(mut thread) => {
                let call = match thread.stop() {
                    Stop::Call => thread.system_call().expect("it is stopped"),
                    // A new thread, which is traced, and its maker.
                    Stop::Interrupt | Stop::Other | Stop::Signal(libc::SIGSTOP) => {
                        thread.take_signal();
                        None
                    }
                    _ => None,
                };
                let number = call.map(|call| call.number.cast_signed());
                if number.is_some_and(|number| STEPS.contains(&number)) {
                    if steps == step {
                        kill(pid, Signal::SIGKILL).expect("it is there");
                    }
                    steps += 1;
                }
                // It waits for this once the image is attached.
                if number == Some(libc::SYS_rt_sigtimedwait) {
                    kill(pid, Signal::SIGINT).expect("it is there");
                }
                drop_running(thread.resume(Until::Call));
            }
            Told::Ended(_) if tid == pid => break,
            Told::Ended(_) | Told::Running(_) => {}
        }
    }
    // Somebody else has waited for it.
    let _ = attacher.wait();
    said(attacher);
    if steps > step { End::Killed } else { End::Done }
}

fn drop_running(thread: vdso_inject::ptrace::Seized) {
    // It goes on, and its news come to whoever waits for any.
    drop(thread);
}

fn said(mut attacher: Child) {
    for line in BufReader::new(attacher.stdout.take().expect("a pipe")).lines() {
        println!("{}", line.expect("text"));
    }
}

#[test]
fn the_program_goes_on_and_what_is_left_is_taken_away() {
    for others in ["", "s"] {
        // One that sleeps is made to work where there is no other.
        let mut program = Spinning::start(if others.is_empty() { 2 } else { 0 }, others);
        let (before, maps, files) = (program.vdso(), program.maps(), program.files());
        let mut step = 0;
        loop {
            let end = attacher_killed_at(step, &program);
            let left = program.files();
            match attach::detach(program.pid()) {
                Ok(_) => {}
                Err(Error::NotAttached { .. }) => assert_eq!(left, files, "step {step}"),
                Err(error) => panic!("step {step}: {error}"),
            }
            assert_eq!(program.vdso(), before, "{others}: step {step}");
            assert_eq!(program.maps(), maps, "{others}: step {step}");
            assert_eq!(program.files(), files, "{others}: step {step}");
            let (threads, free) = program.free_threads();
            assert_eq!(free, threads, "{others}: step {step}");
            if end == End::Done {
                break;
            }
            step += 1;
        }
        // As many as it takes to stop, to make calls and to let go, twice.
        assert!(step > 50, "{step}");
        println!("{step} steps");
        program.says();
        program.ends_well();
    }
}
