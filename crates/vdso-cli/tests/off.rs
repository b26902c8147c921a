//! `--off` hides functions of the image: programs make system calls in their place, which strace counts, and read their own
//! clock by them.

mod support;

use support::{Source, VDSO, assert_realtime_shift, finish, program, scratch, vdso_run};
use test_support::Program;

/// Of each C library, linked in each way, and each runtime that looks functions up itself.
const PROGRAMS: [Program; 11] = [
    Program::CDynamic,
    Program::CStatic,
    Program::CStaticPie,
    Program::CMusl,
    Program::CMuslStatic,
    Program::CI386,
    Program::CX32,
    Program::Python,
    Program::Rust,
    Program::Go,
    Program::Java,
];

const DAY_NS: i128 = 86_400_000_000_000;

/// What `nm` finds in the image of a program that runs with these options.
fn functions(options: &[&str]) -> Vec<String> {
    let folder = scratch();
    let image = folder.path().join("image.so");
    let dump = [VDSO, "dump", "--output"];
    finish(vdso_run(options).args(dump).arg(&image)).succeeded();
    let mut nm = std::process::Command::new("nm");
    let nm = finish(nm.args(["-D", "--defined-only"]).arg(&image)).succeeded();
    let names = nm.stdout.lines().filter_map(|line| line.split_whitespace().nth(2));
    names.filter_map(|name| Some(name.split_once('@')?.0.to_owned())).collect()
}

#[test]
fn what_is_off_cannot_be_found_and_all_else_can() {
    let all = functions(&[]);
    let call_of = |name: &str| {
        let plain = name.trim_start_matches("__vdso_").trim_start_matches("__kernel_");
        vdso_launch::Call::ALL.into_iter().find(|call| call.name() == plain)
    };
    let without = |is_off: &dyn Fn(vdso_launch::Call) -> bool| -> Vec<String> {
        all.iter().filter(|name| !call_of(name).is_some_and(is_off)).cloned().collect()
    };
    assert!(all.iter().any(|name| name.ends_with("clock_gettime")), "{all:?}");
    assert_eq!(functions(&["--off"]), without(&|_| true));
    for source in Source::all() {
        let two = functions(&source.and(&["--off=clock_gettime,getcpu"]));
        assert_eq!(two, without(&|call| ["clock_gettime", "getcpu"].contains(&call.name())));
    }
}

#[test]
fn programs_of_every_kind_read_their_clock_by_system_calls() {
    for asked in PROGRAMS {
        let Some(path) = program(asked) else { continue };
        if !support::gets_clocks(&asked) {
            continue;
        }
        for (options, shift_ns) in
            [(&["--off"][..], 0), (&["--off", "--offset", "400d"], 400 * DAY_NS)]
        {
            // i386 programs ask the kernel for the host's clock.
            if shift_ns != 0 && asked == Program::CI386 {
                continue;
            }
            let run = finish(vdso_run(options).arg(&path)).succeeded().quiet();
            assert_realtime_shift(&run.readings(), shift_ns, 0);
        }
    }
}

#[test]
fn a_name_that_is_no_function_is_a_mistake_and_the_good_ones_are_listed() {
    for off in ["--off=no_such", "--off=clock_gettime,__vdso_time", "--off="] {
        let run = finish(vdso_run([off]).arg("true")).exited(2);
        let good = vdso_launch::Call::ALL.map(vdso_launch::Call::name);
        run.said(&good).said(&["all"]);
    }
}
