//! A program with two threads that are not alike: `two.c`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::unistd::Pid;
use vdso_host::proc::{Stat, maps};
use vdso_image::Source;
use vdso_inject::Error;
use vdso_inject::attach;

use super::{Image, spin};

/// Killed when dropped.
struct Two {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Two {
    fn start(what: &str) -> Self {
        let mut command = Command::new(spin::built("two"));
        command.arg(what).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut program = Self { child, output };
        program.says("ready\n");
        program
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    #[track_caller]
    fn says(&mut self, what: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it says something");
        assert_eq!(line, what);
    }

    fn goes_on(&mut self) {
        self.child.stdin.as_mut().expect("a pipe").write_all(b"\n").expect("it reads");
        self.says("done\n");
    }

    #[track_caller]
    fn runs(&mut self) {
        assert!(self.child.try_wait().expect("it is a child").is_none());
    }
}

impl Drop for Two {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

#[test]
fn a_filter_of_any_thread_is_a_reason_to_refuse() {
    let mut program = Two::start("second");
    let image = Image::of(Source::Chain);
    let error =
        attach::attach(program.pid(), image.payload()).map(drop).expect_err("it is refused");
    assert!(matches!(error, Error::Filtered { .. }), "{error}");
    program.runs();
}

/// The functions are the kernel's again, and what nobody comes to stays.
#[test]
fn a_filter_that_came_later_ends_nobody() {
    let mut program = Two::start("both");
    let image = Image::of(Source::Chain);
    let attached = attach::attach(program.pid(), image.payload()).expect("it is attached");
    program.goes_on();
    let error = attached.detach().expect_err("it is refused");
    assert!(matches!(error, Error::Filtered { .. }), "{error}");
    program.runs();
    // Another test that looks whose records are over holds this one for a moment.
    let error = loop {
        match attach::detach(program.pid()).expect_err("it is refused") {
            Error::Attached { .. } => std::thread::yield_now(),
            error => break error,
        }
    };
    assert!(matches!(error, Error::Filtered { .. }), "{error}");
    program.runs();
}

#[test]
fn a_first_thread_that_ends_takes_no_image_with_it() {
    let mut program = Two::start("ends");
    let tids = vdso_host::proc::numbers_in(format!("/proc/{}/task", program.pid()));
    let second = tids.expect("it runs").find(|&tid| tid != program.pid().as_raw());
    let has_image = || {
        let maps = maps::read(second.expect("two threads")).expect("it runs");
        maps.windows(b"vdso-attached".len()).any(|name| name == b"vdso-attached")
    };
    let image = Image::of(Source::Chain);
    let attached = attach::attach(program.pid(), image.payload()).expect("it is attached");
    assert!(has_image());
    program.goes_on();
    while !Stat::read(program.pid()).expect("it is there").has_ended() {
        std::thread::yield_now();
    }
    attached.detach().expect("it is taken away");
    assert!(!has_image());
    program.runs();
}

/// Another thread makes the calls.
#[test]
fn a_thread_in_32_bit_code_is_left_alone() {
    let mut program = Two::start("32");
    let image = Image::of(Source::Chain);
    let attached = attach::attach(program.pid(), image.payload()).expect("it is attached");
    attached.detach().expect("it is taken away");
    program.runs();
}
