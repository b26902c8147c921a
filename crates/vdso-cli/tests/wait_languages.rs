//! Waits of languages' own libraries go by the program's clock, in each mode: none is early, and none takes longer than a
//! plain one would have to.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{compile, finish, vdso_run};
use test_support::{Lacking, skip};

/// Options, and how long each wait is, seconds of the program's.
const MODES: [(&[&str], &str); 5] = [
    (&["--offset", "+400d"], ".1"),
    (&["--offset", "-400d"], ".1"),
    (&["--offset", "+400d", "--clocks", "all"], ".1"),
    (&["--rate", ".5", "--clocks", "all"], ".1"),
    (&["--rate", "1000", "--clocks", "all"], "50"),
];

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helpers/languages").join(name)
}

/// Whether there is such a tool; if not, that is reported.
fn has(tool: &str, version: &str, package: &str) -> bool {
    let is_here =
        Command::new(tool).arg(version).output().is_ok_and(|tried| tried.status.success());
    if !is_here {
        let reason = format!("there is no {tool} (package {package})");
        skip(Lacking::Tool, &format!("waits of {tool}"), &reason);
    }
    is_here
}

/// Runs a program plain and in each mode: each of its waits must have lasted.
#[track_caller]
fn assert_waits(program: &[&str]) {
    let plain = finish(Command::new(program[0]).args(&program[1..]).arg(".05")).succeeded();
    let names = |text: &str| {
        text.lines()
            .filter_map(|line| line.split_once(' ')?.0.to_owned().into())
            .collect::<Vec<String>>()
    };
    assert!(names(&plain.stdout).len() > 2, "{plain:#?}");
    for (options, span) in MODES {
        let run = finish(vdso_run(options).args(program).arg(span)).succeeded().quiet();
        assert_eq!(names(&run.stdout), names(&plain.stdout), "{run:#?}");
        assert!(run.stdout.lines().all(|line| line.ends_with(" waited")), "{run:#?}");
    }
}

#[track_caller]
fn assert_script_waits(tool: &str, package: &str, script: &str) {
    if has(tool, "--version", package) {
        assert_waits(&[tool, source(script).to_str().expect("it is UTF-8")]);
    }
}

#[test]
fn waits_of_cplusplus() {
    let flags = ["-std=c++17", "-O2", "-pthread", "-Wl,--no-as-needed", "-lstdc++"];
    let program = compile("languages/waits.cc", "waits-cc", &flags);
    assert_waits(&[program.to_str().expect("it is UTF-8")]);
}

#[test]
fn waits_of_rust() {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("waits-rs");
    let mut rustc = Command::new("rustc");
    finish(rustc.args(["--edition=2024", "-o"]).arg(&output).arg(source("waits.rs"))).succeeded();
    assert_waits(&[output.to_str().expect("it is UTF-8")]);
}

#[test]
fn waits_of_go() {
    if has("go", "version", "golang") {
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("waits-go");
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(&output).arg("waits.go").current_dir(source(""));
        finish(&mut go).succeeded();
        assert_waits(&[output.to_str().expect("it is UTF-8")]);
    }
}

#[test]
fn waits_of_java() {
    assert_script_waits("java", "default-jdk-headless", "Waits.java");
}

#[test]
fn waits_of_node() {
    assert_script_waits("node", "nodejs", "waits.js");
}

#[test]
fn waits_of_perl() {
    assert_script_waits("perl", "perl", "waits.pl");
}

#[test]
fn waits_of_ruby() {
    assert_script_waits("ruby", "ruby", "waits.rb");
}

#[test]
fn waits_of_python() {
    assert_script_waits("python3", "python3", "waits.py");
    // Others, as pyenv(1) keeps them.
    let versions = std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv/versions"));
    let folder = versions.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten();
    let pythons = folder.map(|entry| entry.expect("the folder can be read").path());
    std::thread::scope(|scope| {
        for python in pythons.filter(|path| is_supported(path)) {
            scope.spawn(move || {
                let python = python.join("bin/python3");
                let [python, script] = [python, source("waits.py")];
                let text = |path: &Path| path.to_str().expect("it is UTF-8").to_owned();
                assert_waits(&[&text(&python), &text(&script)]);
            });
        }
    });
}

/// Whether a folder is that of one of Python's versions that its makers still mend, or did until lately.
fn is_supported(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.strip_prefix("3.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok()) >= Some(9)
}
