//! `--off` hides functions of the image: programs make system calls in their place, which strace counts, and read their own
//! clock by them.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Source, VDSO, assert_realtime_shift, compile, finish, program, scratch, vdso_run};
use test_support::{Lacking, Program, skip};

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
    let nm = finish(Command::new("nm").args(["-D", "--defined-only"]).arg(&image)).succeeded();
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

/// `helpers/known_calls.c` with each C library, in each way of linking.
fn known_calls() -> Vec<PathBuf> {
    const MUSL: &str = "/usr/lib/x86_64-linux-musl/musl-gcc.specs";
    let source = "known_calls.c";
    let mut programs = vec![
        compile(source, "known-calls", &["-O2"]),
        compile(source, "known-calls-static", &["-O2", "-static"]),
    ];
    if Path::new(MUSL).exists() {
        let flags = ["-O2", "-specs", MUSL];
        programs.push(compile(source, "known-calls-musl", &flags));
        programs.push(compile(
            source,
            "known-calls-musl-static",
            &[&flags[..], &["-static"]].concat(),
        ));
    } else {
        skip(
            Lacking::Tool,
            "calls of musl's that strace counts",
            "no musl-gcc (package musl-tools)",
        );
    }
    programs
}

/// How often the program that says `PID n` reads the time once it has begun, as strace has it, which writes a line for each
/// call to `log`, with the thread's number if it follows children.
fn counted(command: &mut Command, log: &Path) -> usize {
    let run = finish(command).succeeded().quiet();
    let pid = run.stdout.trim().strip_prefix("PID ").expect("it says who it is");
    let log = fs::read_to_string(log).expect("strace has written it");
    let calls = log.lines().filter_map(|line| match line.split_once(' ') {
        Some((thread, call)) if thread.parse::<u32>().is_ok() => {
            (thread == pid).then_some(call.trim_start())
        }
        _ => Some(line),
    });
    let calls: Vec<&str> = calls.collect();
    let begins = calls.iter().rposition(|call| call.starts_with("execve(")).unwrap_or(0);
    let reads = ["clock_gettime(", "gettimeofday(", "time("];
    let is_read = |call: &&&str| reads.iter().any(|name| call.starts_with(name));
    calls[begins..].iter().filter(is_read).count()
}

/// strace around a launch or below it, that follows children or does not.
fn traced(options: &[&str], log: &Path, program: &Path, count: usize) -> Vec<Command> {
    const TRACE: [&str; 2] = ["-e", "trace=execve,clock_gettime,gettimeofday,time"];
    let strace = |command: &mut Command, follows: &[&str]| {
        command.arg("-o").arg(log).args(TRACE).args(follows);
    };
    let mut commands = Vec::new();
    for follows in [&["-f"][..], &[]] {
        let mut below = vdso_run(options);
        strace(below.arg("strace"), follows);
        let mut around = Command::new("strace");
        strace(&mut around, follows);
        around.args([VDSO, "run"]).args(options).arg("--");
        commands.extend([below, around]);
    }
    for command in &mut commands {
        command.arg(program).arg(count.to_string());
    }
    commands
}

#[test]
#[cfg(target_arch = "x86_64")]
fn strace_counts_every_call_of_what_is_off() {
    const COUNT: usize = 333;
    if Command::new("strace").arg("-V").output().is_err() {
        return skip(Lacking::Tool, "calls that strace counts", "no strace (Debian: strace)");
    }
    let folder = scratch();
    let log = folder.path().join("log");
    for program in known_calls() {
        for (options, calls, expected) in [
            (&["--off"][..], COUNT, COUNT),
            (&["--off", "--offset", "400d"], COUNT, COUNT),
            // What else a C library may do at a program's start is nothing of these.
            (&["--off"], 0, 0),
            (&[], COUNT, 0),
        ] {
            for mut command in traced(options, &log, &program, calls) {
                assert_eq!(counted(&mut command, &log), expected, "{command:?}");
            }
        }
    }
}
