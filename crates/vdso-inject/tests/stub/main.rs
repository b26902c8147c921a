//! What a program does whose supervisor answers wrongly, or not at all, or dies in the middle: it executes
//! nothing but what it has checked, and starts all the same, as `execve` has left it.
//!
//! The tests play the supervisor. Their programs look at their own registers, stack and descriptors.

#![cfg(target_arch = "x86_64")]

mod detour;
mod lies;
mod playing;
mod running;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::unistd::Pid;
use playing::{Answer, Code, End, Kind, Place, Play, known_programs, programs};
use vdso_inject::stub::failure;

/// Told by a program that has found nothing wrong.
const STARTED: &str = "started\n";

#[track_caller]
fn assert_untouched(end: &End, play: &Play<'_>) {
    assert_eq!((end.code, end.output.as_str()), (Some(0), STARTED), "{play:?}: {end:?}");
    assert_eq!(end.announced, 0, "{play:?}: {end:?}");
}

#[track_caller]
fn assert_given_a_clock(end: &End, play: &Play<'_>) {
    assert_eq!((end.code, end.output.as_str()), (Some(0), STARTED), "{play:?}: {end:?}");
    assert_eq!((end.announced, end.reason), (1, None), "{play:?}: {end:?}");
}

fn words_of(reason: Option<u64>) -> String {
    failure(Pid::from_raw(7), reason.expect("the stub asks to be taken away")).to_string()
}

/// Machine code that ends a program with 99, wherever it is entered: at the end of each page.
fn foreign_code(kind: Kind) -> OwnedFd {
    let code: &[u8] = match kind {
        // mov edi, 99; mov eax, 60; syscall
        Kind::X86_64 => b"\xbf\x63\0\0\0\xb8\x3c\0\0\0\x0f\x05",
        // mov ebx, 99; mov eax, 1; int 0x80
        Kind::I386 => b"\xbb\x63\0\0\0\xb8\x01\0\0\0\xcd\x80",
    };
    let name = c"foreign";
    let fd = nix::sys::memfd::memfd_create(name, nix::sys::memfd::MFdFlags::MFD_CLOEXEC);
    let mut file = File::from(fd.expect("a file in memory"));
    let mut page = vec![0x90; vdso_data::PAGE_BYTES];
    let end = page.len() - code.len();
    page[end..].copy_from_slice(code);
    file.write_all(&page.repeat(32)).expect("a write");
    file.into()
}

#[test]
fn the_programs_find_nothing_wrong_in_a_plain_start() {
    for program in programs() {
        let mut command = Command::new(&program.path);
        // SAFETY: makes one system call.
        unsafe { command.pre_exec(playing::keep_standard_streams_alone) };
        let output = command.output().expect("it starts");
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), STARTED.as_bytes()));
    }
}

#[test]
fn a_right_answer_gives_a_clock_and_leaves_nothing() {
    for program in programs() {
        for place in Place::ALL {
            let play = Play { place, ..Play::of(program) };
            assert_given_a_clock(&play.run(), &play);
        }
    }
}

#[test]
fn an_answer_without_a_file_does_not_make_standard_input_one() {
    for program in programs() {
        for place in Place::ALL {
            let stdin = foreign_code(program.kind);
            let play = Play {
                place,
                answer: Answer::Nothing,
                stdin: Some(stdin.as_fd()),
                ..Play::of(program)
            };
            let end = play.run();
            assert_untouched(&end, &play);
            assert_eq!(words_of(end.reason), "process 7 was given no descriptor of the image");
        }
    }
}

#[test]
fn another_file_is_not_entered() {
    for program in programs() {
        let foreign = foreign_code(program.kind);
        let play = Play { answer: Answer::File(foreign.as_fd()), ..Play::of(program) };
        let end = play.run();
        assert_untouched(&end, &play);
        assert!(words_of(end.reason).contains("another file than the image"), "{end:?}");
    }
}

/// Of another launch: the same bytes, name and size.
#[test]
fn another_launchs_image_is_not_entered() {
    for program in programs() {
        let other = playing::payload();
        let play = Play { answer: Answer::File(other.file.as_fd()), ..Play::of(program) };
        let end = play.run();
        assert_untouched(&end, &play);
        assert!(words_of(end.reason).contains("another file than the image"), "{end:?}");
    }
}

#[test]
fn a_supervisor_that_is_gone_costs_nobody_his_life() {
    for program in programs() {
        for place in Place::ALL {
            let play = Play { place, answer: Answer::Gone, ..Play::of(program) };
            assert_untouched(&play.run(), &play);
        }
    }
}

#[test]
fn the_reason_is_the_true_one() {
    for program in programs() {
        for errno in [Errno::EMFILE, Errno::ENOMEM, Errno::EBADF] {
            let play = Play { answer: Answer::Error(errno), ..Play::of(program) };
            let end = play.run();
            assert_untouched(&end, &play);
            let words = words_of(end.reason);
            assert!(words.starts_with("cannot give the program a descriptor"), "{words}");
            assert!(words.ends_with(errno.desc()), "{words}");
        }
    }
}

#[test]
fn a_program_that_may_have_no_more_descriptors_says_so() {
    for program in programs() {
        let play = Play { descriptors: Some(3), ..Play::of(program) };
        let end = play.run();
        assert_untouched(&end, &play);
        let words = words_of(end.reason);
        assert!(words.starts_with("cannot make a descriptor"), "{words}");
        assert!(words.ends_with(Errno::EMFILE.desc()), "{words}");
    }
}

#[test]
fn a_program_whose_own_filter_refuses_what_cannot_be_done_without_starts_untouched() {
    for program in programs() {
        for place in Place::ALL {
            for call in ["eventfd2", "fstat", "mmap", "mprotect"] {
                // To run from elsewhere takes a mapping.
                if place == Place::Code && program.code != Code::Plain && call == "mmap" {
                    continue;
                }
                let play = Play { place, refused: Some(call), ..Play::of(program) };
                let end = play.run();
                assert_untouched(&end, &play);
                assert!(words_of(end.reason).contains(Errno::EPERM.desc()), "{end:?}");
            }
            // Nobody hears of that.
            let play = Play { place, refused: Some("prctl"), ..Play::of(program) };
            assert_untouched(&play.run(), &play);
        }
    }
}

#[test]
fn a_program_whose_own_filter_refuses_what_can_be_done_without_has_a_clock() {
    for program in programs() {
        for place in Place::ALL {
            for call in ["madvise", "brk", "munmap", "setmm"] {
                // That needs it.
                if call == "madvise" && place == Place::Code && program.code == Code::Filled {
                    continue;
                }
                let play = Play { place, refused: Some(call), ..Play::of(program) };
                assert_given_a_clock(&play.run(), &play);
            }
        }
    }
}

/// Where the stub lies over the program's own code, that can only be had back by these calls.
#[test]
fn a_program_that_cannot_be_had_back_ends() {
    for program in programs().iter().filter(|program| program.code == Code::Filled) {
        let play = Play { place: Place::Code, refused: Some("madvise"), ..Play::of(program) };
        let end = play.run();
        assert_eq!((end.code, end.output.as_str()), (Some(125), ""), "{play:?}: {end:?}");
        let words = words_of(end.reason);
        assert!(words.starts_with("cannot take the injected code away"), "{words}");
    }
}

#[test]
fn an_inherited_descriptor_is_looked_at_as_well() {
    for program in programs().iter().filter(|program| program.kind == Kind::X86_64) {
        for place in Place::ALL {
            let foreign = foreign_code(program.kind);
            for answer in [Answer::File(foreign.as_fd()), Answer::Gone] {
                let play = Play { place, answer, is_followed: false, ..Play::of(program) };
                assert_untouched(&play.run(), &play);
            }
        }
    }
}

/// Where the supervisor of the process that this test starts anew is to be killed, by itself.
const DIES_AT: &str = "VDSO_TEST_DIES_AT";
const PROGRAM: &str = "VDSO_TEST_PROGRAM";
/// Where the program's output goes.
const OUTPUT: i32 = 50;

#[test]
fn a_supervisor_may_be_killed_at_every_step() {
    for program in programs().iter().enumerate() {
        let mut steps = 0;
        while let Some(output) = output_with_supervisor_killed_at(steps, program.0) {
            assert_eq!(output, STARTED, "{:?}, step {steps}", program.1);
            steps += 1;
        }
        assert_eq!(steps, playing::STEPS, "{:?}", program.1);
    }
}

/// `None` if there is no such step.
fn output_with_supervisor_killed_at(step: usize, program: usize) -> Option<String> {
    let (read, write) = nix::unistd::pipe().expect("a pipe");
    let this = std::env::current_exe().expect("this file");
    let mut supervisor = Command::new(this);
    supervisor.args(["--exact", "play_supervisor", "--ignored", "--nocapture"]);
    supervisor.env(DIES_AT, step.to_string()).env(PROGRAM, program.to_string());
    supervisor.stdout(Stdio::null()).stderr(Stdio::null());
    let raw = write.as_raw_fd();
    // SAFETY: makes one system call.
    unsafe { supervisor.pre_exec(move || playing::duplicate(raw, OUTPUT)) };
    let status = supervisor.status().expect("it starts");
    drop((supervisor, write));
    let mut output = String::new();
    File::from(read).read_to_string(&mut output).expect("text");
    let is_killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(libc::SIGKILL);
    assert!(is_killed || status.success(), "{status}");
    is_killed.then_some(output)
}

#[test]
#[ignore = "a part of another test, in a process of its own"]
fn play_supervisor() {
    let number = |name| std::env::var(name).ok()?.parse::<usize>().ok();
    let (Some(step), Some(program)) = (number(DIES_AT), number(PROGRAM)) else { return };
    // SAFETY: whoever started this has made that descriptor for it.
    let output = unsafe { OwnedFd::from_raw_fd(OUTPUT) };
    let program = &known_programs()[program];
    let play = Play { output: Some(output), dies_at: Some(step), ..Play::of(program) };
    play.run();
}
