//! Code that a signal handler has interrupted goes on later: it must not find other bytes then, or none.

use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use vdso_host::proc::maps;
use vdso_image::Source;
use vdso_inject::Error;
use vdso_inject::attach;

use super::Image;
use super::spin::built;

/// `interrupted.c`, killed when dropped.
struct Reading {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Reading {
    fn start() -> Self {
        let mut command = Command::new(built("interrupted"));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut reading = Self { child, output };
        reading.says("ready\n");
        reading
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    #[track_caller]
    fn says(&mut self, words: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it says something");
        assert_eq!(line, words);
    }

    /// Has it interrupted by its signal handler as soon as it is there.
    fn interrupt_within(&mut self, addrs: &Range<u64>) {
        let pid = self.pid();
        ptrace::attach(pid).expect("it can be traced");
        self.waits_for(Signal::SIGSTOP);
        while !addrs.contains(&ptrace::getregs(pid).expect("it is stopped").rip) {
            ptrace::step(pid, None).expect("it is stopped");
            self.waits_for(Signal::SIGTRAP);
        }
        ptrace::detach(pid, Signal::SIGUSR1).expect("it is stopped");
        self.says("in\n");
    }

    fn waits_for(&self, signal: Signal) {
        let stopped = waitpid(self.pid(), Some(WaitPidFlag::__WALL)).expect("it is traced");
        assert_eq!(stopped, WaitStatus::Stopped(self.pid(), signal));
    }

    fn lets_handler_return(&mut self) {
        self.child.stdin.as_mut().expect("a pipe").write_all(b".").expect("it reads");
    }

    /// Where a mapping is whose name ends so.
    fn mapped(&self, name: &str) -> Option<Range<u64>> {
        let maps = maps::read(self.pid()).expect("it runs");
        let line = maps::lines(&maps).find(|line| line.name.ends_with(name.as_bytes()))?;
        Some(line.addrs.start..line.addrs.end)
    }

    /// Within the first instructions of the function that it calls.
    fn function(&self) -> Range<u64> {
        let offset =
            vdso_host::Host::find().expect("/proc is mounted").function("__vdso_clock_gettime");
        let start = self.mapped("[vdso]").expect("it has one").start + offset.expect("a function");
        let mut code = [0; 4];
        vdso_inject::exec::Memory::of(self.pid()).read(start, &mut code).expect("it runs");
        // Where indirect branches may arrive (`endbr64`), the first instruction stays.
        let start = if code == [0xf3, 0x0f, 0x1e, 0xfa] { start + 4 } else { start };
        start + 1..start + 5
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn nothing_is_written_over_what_was_interrupted() {
    let image = Image::of(Source::Chain);
    let mut program = Reading::start();
    program.interrupt_within(&program.function());
    match attach::attach(program.pid(), image.payload()) {
        Err(Error::Busy { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(program.mapped("(deleted)"), None);
    program.lets_handler_return();
    let attached = attach::attach(program.pid(), image.payload()).expect("it is attached");
    attached.detach().map(drop).expect("it is taken away");
}

#[test]
fn nothing_is_unmapped_that_was_interrupted() {
    let image = Image::of(Source::Chain);
    let mut program = Reading::start();
    let attached = attach::attach(program.pid(), image.payload()).expect("it is attached");
    let code = program.mapped("/memfd:vdso-attached (deleted)").expect("it is mapped");
    program.interrupt_within(&code);
    assert!(matches!(attached.detach(), Err(Error::Busy { .. })));
    assert!(program.mapped("/memfd:vdso-attached (deleted)").is_some());
    program.lets_handler_return();
    // What was left of it is taken away now.
    attach::detach(program.pid()).map(drop).expect("it goes on");
    assert_eq!(program.mapped("/memfd:vdso-attached (deleted)"), None);
    // Still there to be interrupted.
    program.interrupt_within(&program.mapped("[vdso]").expect("it has one"));
}
