//! A caller whose standard streams are closed. Alone in its process, which may be short of nothing else.

use std::time::{Duration, UNIX_EPOCH};

use vdso_launch::{Command, Notices, Stdio};

/// What a launch opens must not get a stream's number: the program would find it there, and lack it elsewhere.
#[test]
fn what_a_launch_opens_is_no_standard_stream() {
    // SAFETY: nothing in this process reads from it.
    assert_eq!(unsafe { libc::close(0) }, 0);
    let mut script = Command::new("sh");
    script.args(["-c", "date -u +%Y; readlink /proc/self/fd/0"]).notices(Notices::Silent);
    let start = UNIX_EPOCH + Duration::from_secs(i32::MAX as u64);
    let output = script.at(start).stdin(Stdio::inherit()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2038\n/dev/null\n", "{output:?}");
    // It is closed as before.
    // SAFETY: only asks.
    assert_eq!(unsafe { libc::fcntl(0, libc::F_GETFD) }, -1);
}
