//! What is left when the calling process ends.

use std::io::{BufRead, BufReader};
use std::process::{Command as Std, Stdio};
use std::time::{Duration, Instant};

use vdso_launch::Command;

/// Set for a process that is to be the caller.
const CALLER: &str = "VDSO_TEST_CALLER";

/// Set for one whose program ends before it does.
const DAEMON: &str = "VDSO_TEST_DAEMON";

/// Not a test by itself: what the tests start, and kill.
#[test]
fn caller() {
    if std::env::var_os(CALLER).is_none() {
        return;
    }
    if std::env::var_os(DAEMON).is_some() {
        // The program ends, and with it who stands for it; a child of its and a daemon live on.
        let script = "setsid sh -c 'sleep 1000 & echo $$ $!; sleep 1000' & sleep 1000 & echo $$ $!";
        let mut command = Command::new("sh");
        let mut child = command.args(["-c", script]).ahead(Duration::from_secs(9)).spawn().unwrap();
        assert!(child.wait().unwrap().success());
        println!("1 2");
        std::thread::sleep(Duration::from_secs(1000));
    }
    // One that stays, one that is a daemon, and one that starts others all the time.
    let script = "sleep 1000 & setsid sh -c 'sleep 1000 & echo $$ $!' & \
                  (while :; do sleep 0.001; done) & echo $$ $!; wait";
    let mut command = Command::new("sh");
    let mut child = command.args(["-c", script]).ahead(Duration::from_secs(9)).spawn().unwrap();
    child.wait().unwrap();
}

/// Every process whose environment says that it came from there.
fn descendants(mark: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let came_from_there = |entry: &std::fs::DirEntry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let name = |entry: std::fs::DirEntry| {
        std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default()
    };
    processes.filter(came_from_there).map(name).collect()
}

#[test]
fn nothing_is_left_of_a_caller_that_was_killed() {
    nothing_is_left(&[], 2, 5);
}

#[test]
fn nothing_is_left_of_what_outlives_the_program() {
    nothing_is_left(&[(DAEMON, "1")], 3, 4);
}

/// Of a caller that is killed when it and its programs have said that many lines, and so many processes live.
fn nothing_is_left(variables: &[(&str, &str)], lines_to_come: usize, least: usize) {
    let mark = format!("{}{}", std::process::id(), variables.len());
    let mut caller = Std::new(std::env::current_exe().unwrap())
        .args(["--exact", "caller", "--nocapture"])
        .envs(variables.iter().copied())
        .env(CALLER, &mark)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(caller.stdout.take().unwrap()).lines();
    // All lines have come: all of it is there.
    let numbers = |line: &String| line.split(' ').all(|word| word.parse::<u32>().is_ok());
    let said: Vec<_> = lines.map(Result::unwrap).filter(numbers).take(lines_to_come).collect();
    assert_eq!(said.len(), lines_to_come);
    let mark = format!("{CALLER}={mark}");
    assert!(descendants(&mark).len() >= least);
    caller.kill().unwrap();
    caller.wait().unwrap();
    let start = Instant::now();
    while !descendants(&mark).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", descendants(&mark));
        std::thread::sleep(Duration::from_millis(5));
    }
}
