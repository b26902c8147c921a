//! Times of files, `--file-times`: whatever a program reads of them is what its own clock would have stored, what it
//! sets it reads again, and programs that live by such times (make, git, tar, find, cp, Python) agree with themselves.

#![cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use support::{Finished, Source, finish, helper, scratch, vdso_run};
use test_support::{Lacking, skip};

const DAY: u64 = 86_400;

/// `vdso run` with times of files that are its clock's, in a folder.
fn with_clock(folder: &Path, options: &[&str]) -> Command {
    let mut command = vdso_run([options, &["--file-times", "clock"]].concat());
    command.current_dir(folder);
    command
}

/// What a shell under a clock of its own does in a folder; it must succeed and not complain.
#[track_caller]
fn shell(folder: &Path, options: &[&str], script: &str) -> Finished {
    let script = format!("set -e\n{script}");
    finish(with_clock(folder, options).args(["sh", "-c", &script])).succeeded().quiet()
}

fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        skip(Lacking::Tool, tool, "it is not installed");
    }
    found
}

#[test]
fn every_call_reads_what_every_call_has_set_and_now_is_now() {
    // With by how many nanoseconds a time that was set is read later, which is less than a host's nanosecond.
    let clocks: [(&[&str], &str); 9] = [
        (&["--offset", "400d"], "0"),
        (&["--offset", "-400d"], "0"),
        (&["--offset", "-2h30m", "--no-patch"], "0"),
        (&["--at", "2038-01-19T03:14:07.123456789Z"], "0"),
        (&["--offset", "1y", "--clocks", "all"], "0"),
        (&["--rate", "0.5"], "0"),
        (&["--rate", "3"], "3"),
        (&["--at", "1999-01-01T00:00:00.9Z", "--rate", "1000.5"], "1001"),
        (&[], "0"),
    ];
    let folder = scratch();
    for (options, later) in clocks {
        finish(with_clock(folder.path(), options).arg(helper("files")).arg(later))
            .succeeded()
            .quiet();
    }
}

#[test]
fn every_source_moves_the_times_of_files() {
    let folder = scratch();
    for source in Source::all() {
        let options = source.and(&["--offset", "400d"]);
        finish(with_clock(folder.path(), &options).arg(helper("files"))).succeeded().quiet();
    }
}

#[test]
fn what_is_stored_is_the_hosts_and_moved_only_if_asked() {
    let folder = scratch();
    let file = folder.path().join("file");
    let before = SystemTime::now() - Duration::from_secs(DAY);
    shell(folder.path(), &["--offset", "400d"], "touch file");
    let stored = fs::metadata(&file).unwrap().modified().unwrap();
    assert!(stored > before && stored < before + Duration::from_secs(2 * DAY), "{stored:?}");
    let seen = |options: &[&str]| -> u64 {
        let script = ["stat", "-c", "%Y", "file"];
        let run = finish(vdso_run(options).args(script).current_dir(folder.path()));
        run.succeeded().quiet().stdout.trim().parse().expect("seconds")
    };
    let stored = stored.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(seen(&["--offset", "400d"]), stored);
    assert_eq!(seen(&["--offset", "400d", "--file-times", "host"]), stored);
    assert_eq!(seen(&["--offset", "400d", "--file-times", "clock"]), stored + 400 * DAY);
    assert_eq!(seen(&["--file-times", "clock"]), stored);
}

#[test]
fn a_frozen_clock_leaves_older_files_their_ages() {
    let folder = scratch();
    let script = "touch -d '2020-01-01 00:00:00.123456789 UTC' old; stat -c %.9Y old
        touch new; test $(stat -c %Y new) = $(date +%s)";
    let run = shell(folder.path(), &["--freeze"], script);
    assert_eq!(run.stdout, "1577836800.123456789\n");
}

#[test]
fn make_behind_the_host_sees_no_clock_skew_and_builds_what_it_has_to() {
    if !has("make") {
        return;
    }
    let folder = scratch();
    fs::write(folder.path().join("Makefile"), "out: in\n\t@cp in out; echo built\n").unwrap();
    fs::write(folder.path().join("in"), "").unwrap();
    let script =
        "make; make -q; touch -d '-1 hour' out; make -q || echo stale; touch in; make; make -q";
    let run = shell(folder.path(), &["--offset", "-2h30m"], script);
    assert_eq!(run.stdout, "built\nstale\nbuilt\n", "{run:#?}");
}

#[test]
fn git_knows_what_has_changed() {
    if !has("git") {
        return;
    }
    let folder = scratch();
    let script = "git init -q .; git config user.email a@b; git config user.name a
        echo one > file; git add file; git commit -qm one
        git diff-files --quiet; git status --short
        echo two > file; git status --short; git commit -qam two; git diff-files --quiet
        echo $(($(git log -1 --format=%ct) - $(stat -c %Y file) < 3600))";
    for offset in ["400d", "-400d"] {
        let run = shell(folder.path(), &["--offset", offset], script);
        assert_eq!(run.stdout, " M file\n1\n", "{run:#?}");
        fs::remove_dir_all(folder.path().join(".git")).unwrap();
    }
}

#[test]
fn archives_and_copies_keep_times() {
    let folder = scratch();
    let script = "touch -d @1234567890.123456789 file; cp -p file copy
        tar --format=posix -cf archive.tar file; mkdir out; tar -xf archive.tar -C out
        stat -c %.9Y file copy out/file; tar --full-time --utc -tvf archive.tar
        tar -df archive.tar; touch new; cp -p new newer; test ! newer -nt new; test ! new -nt newer; rm -r out";
    for offset in ["400d", "-2h30m"] {
        let run = shell(folder.path(), &["--offset", offset], script);
        let seen = "1234567890.123456789\n";
        let listed = run.stdout.strip_prefix(&seen.repeat(3)).unwrap_or_else(|| panic!("{run:#?}"));
        assert!(listed.contains("2009-02-13 23:31:30"), "{run:#?}");
    }
}

#[test]
fn find_does_not_take_what_was_just_made_for_old() {
    let folder = scratch();
    let script =
        "touch new; touch -d '-40 days' old; find . -type f -mtime +30; find . -type f -mmin -5
        find . -type f -mtime +30 -delete; ls; touch -d '2030-05-06 UTC' other
        stat -c %Y other; date -u -d 2030-05-06 +%s; rm other";
    for offset in ["400d", "-400d"] {
        let run = shell(folder.path(), &["--offset", offset], script);
        assert_eq!(run.stdout, "./old\n./new\nnew\n1904256000\n1904256000\n", "{run:#?}");
    }
}

#[test]
fn python_compiles_a_module_once_and_again_when_it_has_changed() {
    if !has("python3") {
        return;
    }
    let folder = scratch();
    let script = "unset PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX
        echo 'x = 1' > module.py; touch -d '-1 hour' module.py; python3 -c 'import module'
        python3 -v -c 'import module' 2>&1 | grep -c 'matches.*module.py'
        echo 'x = 22' > module.py; python3 -c 'import module; print(module.x)'";
    let run = shell(folder.path(), &["--offset", "400d"], script);
    assert_eq!(run.stdout, "1\n22\n", "{run:#?}");
}

/// Their stacks have no room for a detour.
#[test]
fn goroutines_with_little_stack_are_not_written_over() {
    if !has("go") {
        return;
    }
    let folder = scratch();
    let program = folder.path().join("goroutines");
    // With nothing in its notes that tells of Go.
    let mut go = Command::new("go");
    go.args(["build", "-ldflags=-buildid= -s -w", "-o"])
        .arg(&program)
        .arg(helpers("goroutines.go"));
    finish(go.env("CGO_ENABLED", "0").current_dir(folder.path())).succeeded();
    assert_right_under_clocks(folder.path(), &program);
}

#[test]
fn goroutines_of_a_library_are_not_written_over() {
    if !has("go") {
        return;
    }
    let folder = scratch();
    let (library, program) = (folder.path().join("library.so"), folder.path().join("program"));
    let mut go = Command::new("go");
    go.args(["build", "-buildmode=c-shared", "-o"]).arg(&library);
    go.args(["goroutines.go", "goroutines_library.go"].map(helpers));
    finish(go.env("CGO_ENABLED", "1").current_dir(folder.path())).succeeded();
    let source = folder.path().join("program.c");
    fs::write(&source, "void goroutines(void);\nint main(void) { goroutines(); return 0; }\n")
        .unwrap();
    finish(Command::new("gcc").arg("-o").arg(&program).arg(&source).arg(&library)).succeeded();
    assert_right_under_clocks(folder.path(), &program);
}

fn helpers(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helpers").join(name)
}

#[track_caller]
fn assert_right_under_clocks(folder: &Path, program: &Path) {
    fs::write(folder.join("file"), "").unwrap();
    for options in
        [&["--offset", "400d"][..], &["--offset", "400d", "--no-patch"], &["--rate", "3"]]
    {
        let run = finish(with_clock(folder, options).arg(program).arg("file")).succeeded();
        assert_eq!(run.stdout, "right\n", "{run:#?}");
    }
}

#[test]
fn without_reports_there_are_no_such_times_and_that_is_said() {
    let options = ["--no-follow", "--file-times", "clock"];
    finish(vdso_run(options).arg("true")).exited(2).said(&["--file-times clock", "--no-follow"]);
}
