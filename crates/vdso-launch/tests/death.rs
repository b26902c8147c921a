//! What is left when the calling process ends.

use std::io::{BufRead, BufReader};
use std::process::{Command as Std, Stdio};
use std::time::{Duration, Instant};

use vdso_launch::Command;

/// Set for a process that is to be the caller.
const CALLER: &str = "VDSO_TEST_CALLER";

/// Not a test by itself: what the tests start, and kill.
#[test]
fn caller() {
    if std::env::var_os(CALLER).is_none() {
        return;
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
    let mark = std::process::id().to_string();
    let mut caller = Std::new(std::env::current_exe().unwrap())
        .args(["--exact", "caller", "--nocapture"])
        .env(CALLER, &mark)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(caller.stdout.take().unwrap()).lines();
    // Both lines of the script's have come: all of it is there.
    let numbers = |line: &String| line.split(' ').all(|word| word.parse::<u32>().is_ok());
    let said: Vec<_> = lines.map(Result::unwrap).filter(numbers).take(2).collect();
    assert_eq!(said.len(), 2);
    let mark = format!("{CALLER}={mark}");
    assert!(descendants(&mark).len() >= 5);
    caller.kill().unwrap();
    caller.wait().unwrap();
    let start = Instant::now();
    while !descendants(&mark).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", descendants(&mark));
        std::thread::sleep(Duration::from_millis(5));
    }
}
