//! A caller whose end cannot be watched, as before Linux 5.3. Alone in its process, which gets a filter.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vdso_launch::Command;

/// Has `pidfd_open` refused, as by a kernel that does not know it. Source: seccomp(2).
fn refuse_pidfd_open() {
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let refusal = libc::SECCOMP_RET_ERRNO | Errno::ENOSYS as u32;
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_pidfd_open as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, refusal),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    nix::sys::prctl::set_no_new_privs().unwrap();
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the kernel reads the filter, which lives as long as the call.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) }, 0);
}

/// It is a caller all the same: who continues the program does not know of a front that had stopped with it.
#[test]
fn a_program_that_was_stopped_ends() {
    refuse_pidfd_open();
    let mut command = Command::new("sh");
    command.args(["-c", "kill -STOP $$; exit 12"]).ahead(Duration::from_secs(9));
    let mut child = command.spawn().unwrap();
    let program = Pid::from_raw(child.id() as i32);
    let is_stopped = || {
        let stat = std::fs::read_to_string(format!("/proc/{program}/stat")).unwrap();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    };
    while !is_stopped() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // The front has heard of it, by now or later.
    std::thread::sleep(Duration::from_millis(100));
    kill(program, Signal::SIGCONT).unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(status.into_raw(), 12 << 8);
}
