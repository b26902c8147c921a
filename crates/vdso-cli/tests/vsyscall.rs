//! Programs that call the legacy vsyscall page: they live where the kernel would end them, and get their own clock.
//! A kernel with `vsyscall=none` is played by a filter that ends whoever makes a call from the page; real ones are booted by
//! `cargo xtask kernels --command`.

#![cfg(target_arch = "x86_64")]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Finished, Source, compile, finish, vdso_run};
use test_support::{Lacking, skip};

const CALLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers/vsyscall_calls.c");

/// As most programs of old are: where they are linked to, and without libraries.
fn static_program() -> PathBuf {
    compile("vsyscall.c", "vsyscall-static", &["-O2", "-static", "-no-pie", CALLS])
}

/// The same code where it is mapped anywhere.
fn movable_program() -> PathBuf {
    compile("vsyscall.c", "vsyscall-pie", &["-O2", "-pie", "-fPIE", CALLS])
}

/// The calls are a library's, as in the C libraries of that time.
fn program_of_library() -> PathBuf {
    let library = compile("vsyscall_calls.c", "libvsyscall.so", &["-O2", "-shared", "-fPIC"]);
    let library = library.to_str().expect("a path of this repository's");
    compile("vsyscall.c", "vsyscall-library", &["-O2", "-Wl,--no-as-needed", library])
}

/// As on a kernel with `vsyscall=none`.
fn on_none(options: &[&str], program: &Path, mode: &str) -> Finished {
    let options = ["--offset", "400d"].into_iter().chain(options.iter().copied());
    finish(vdso_run(options).arg(program).args(["none", mode]))
}

/// Who is to live has to die without help.
fn dies(finished: &Finished) -> bool {
    finished.status.signal() == Some(libc::SIGSYS)
}

const RIGHT: &str = "OLD 0 0 0 1 0 1\n";

#[test]
fn a_program_of_old_lives_where_the_page_is_gone() {
    for program in [static_program(), movable_program(), program_of_library()] {
        for mode in ["calls", "fork"] {
            let plain = finish(Command::new(&program).args(["none", mode]));
            assert!(!plain.status.success(), "{plain:?}");
            let run = on_none(&["--vsyscall"], &program, mode);
            assert_eq!(run.succeeded().quiet().stdout, RIGHT, "{program:?} {mode}");
        }
    }
}

#[test]
fn its_clock_is_its_own_from_each_source_and_in_what_it_executes() {
    for source in Source::all() {
        let options = source.and(&["--offset", "-400d", "--vsyscall"]);
        for program in [static_program(), program_of_library()] {
            let run = finish(vdso_run(options.clone()).arg(&program).args(["none", "calls"]));
            assert_eq!(run.succeeded().quiet().stdout, RIGHT, "{source:?} {program:?}");
            let script = format!("{} none calls; :", program.display());
            let run = finish(vdso_run(options.clone()).args(["sh", "-c", &script]));
            assert_eq!(run.succeeded().quiet().stdout, RIGHT, "{source:?} {program:?}");
        }
    }
}

#[test]
fn addresses_that_are_kept_are_sent_elsewhere_too() {
    let run = on_none(&["--vsyscall"], &static_program(), "kept");
    assert_eq!(run.succeeded().quiet().stdout, RIGHT);
}

#[test]
fn without_clocks_of_its_own_a_program_gets_the_hosts() {
    let run = finish(vdso_run(["--vsyscall"]).arg(static_program()).args(["none", "calls"]));
    assert_eq!(run.succeeded().quiet().stdout, RIGHT);
}

#[test]
fn a_program_is_left_as_it_is_where_that_is_asked_for_or_nothing_is_wrong() {
    let options: &[&[&str]] = match has_page() {
        true => &[&[], &["--no-patch"]],
        false => &[&["--no-patch"]],
    };
    for options in options {
        let run = on_none(options, &static_program(), "calls");
        assert!(!run.status.success(), "{run:?}");
        assert!(!has_page() || dies(&run), "{run:?}");
    }
}

#[test]
fn where_the_kernel_answers_the_clock_is_the_programs_own() {
    if !has_page() {
        return skip(Lacking::Kernel, "the kernel's answers", "this kernel has no vsyscall page");
    }
    for program in [static_program(), program_of_library()] {
        for mode in ["calls", "kept", "fork"] {
            let run = finish(vdso_run(["--offset", "400d"]).arg(&program).arg(mode));
            assert_eq!(run.succeeded().quiet().stdout, RIGHT, "{program:?} {mode}");
        }
    }
}

fn has_page() -> bool {
    std::fs::read_to_string("/proc/self/maps").expect("mappings").contains("[vsyscall]")
}
