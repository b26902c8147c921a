//! Whom no image is attached to: nothing happens to him, and the reason is said.

use std::process::{Child, Command, Stdio};

use nix::sys::prctl;
use nix::unistd::Pid;
use vdso_image::Source;
use vdso_inject::Error;
use vdso_inject::attach;
use vdso_inject::ptrace::Seized;

use super::Image;
use super::spin::Spinning;

#[track_caller]
fn refused(pid: Pid) -> Error {
    let image = Image::of(Source::Chain);
    attach::attach(pid, image.payload()).map(drop).expect_err("it is refused")
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id() as i32)
}

#[test]
fn one_that_is_gone() {
    let mut child = Command::new("true").spawn().expect("it starts");
    child.wait().expect("it ends");
    assert!(matches!(refused(pid_of(&child)), Error::Gone { .. }));
}

#[test]
fn one_that_has_ended_and_waits_to_be_waited_for() {
    let mut child = Command::new("true").stdout(Stdio::null()).spawn().expect("it starts");
    let id = nix::sys::wait::Id::Pid(pid_of(&child));
    let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
    nix::sys::wait::waitid(id, flags).expect("it ends");
    assert!(matches!(refused(pid_of(&child)), Error::Gone { .. }));
    child.wait().expect("it has ended");
}

#[test]
fn a_thread_that_is_not_the_first() {
    let program = Spinning::start(1, "");
    let tids = vdso_host::proc::numbers_in(format!("/proc/{}/task", program.pid()));
    let other = tids.expect("it runs").find(|&tid| tid != program.pid().as_raw());
    assert!(matches!(refused(Pid::from_raw(other.expect("two threads"))), Error::Gone { .. }));
    program.ends_well();
}

#[test]
fn one_of_the_kernels() {
    const KTHREADD: i32 = 2;
    let name = std::fs::read_to_string("/proc/2/comm").unwrap_or_default();
    if name != "kthreadd\n" {
        let reason = "no kernel threads are seen here";
        return test_support::skip(test_support::Lacking::Kernel, "attach/kthreadd", reason);
    }
    assert!(matches!(refused(Pid::from_raw(KTHREADD)), Error::KernelThread { .. }));
}

#[test]
fn one_that_is_traced() {
    let program = Spinning::start(1, "");
    let traced = Seized::seize(program.pid()).expect("it can be traced");
    match refused(program.pid()) {
        Error::Traced { tracer, .. } => assert_eq!(tracer, nix::unistd::gettid()),
        error => panic!("{error}"),
    }
    traced.interrupt().expect("it runs");
    drop(traced.wait());
    program.ends_well();
}

#[test]
fn one_with_a_filter() {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("sleep");
    command.arg("1000");
    // SAFETY: makes system calls alone.
    unsafe { command.pre_exec(allow_all) };
    let mut child = command.spawn().expect("it starts");
    assert!(matches!(refused(pid_of(&child)), Error::Filtered { .. }));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

/// Installs a filter that refuses nothing.
fn allow_all() -> std::io::Result<()> {
    prctl::set_no_new_privs()?;
    let mut code = libc::sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let program = libc::sock_fprog { len: 1, filter: &raw mut code };
    // SAFETY: the program is as long as it says.
    let result =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    nix::errno::Errno::result(result)?;
    Ok(())
}

/// A child that has borrowed its parent's memory executes the same code, and is no thread of it.
#[test]
fn one_that_shares_its_memory() {
    extern "C" fn wait(_: *mut libc::c_void) -> libc::c_int {
        loop {
            // SAFETY: waits for a signal.
            unsafe { libc::pause() };
        }
    }
    let mut stack = vec![0_u64; 8192];
    let end = stack.as_mut_ptr_range().end.cast();
    // SAFETY: the child has a stack of its own, and does nothing but wait.
    let other = unsafe { libc::clone(wait, end, libc::CLONE_VM, std::ptr::null_mut()) };
    assert!(other > 0);
    let error = refused(Pid::from_raw(other));
    match error {
        Error::SharedMemory { other, .. } => assert_eq!(other, nix::unistd::getpid()),
        error => panic!("{error}"),
    }
    nix::sys::signal::kill(Pid::from_raw(other), nix::sys::signal::Signal::SIGKILL)
        .expect("it is there");
    let _ =
        nix::sys::wait::waitpid(Pid::from_raw(other), Some(nix::sys::wait::WaitPidFlag::__WALL));
}

#[test]
fn one_of_32_bits() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attach/wait32.S");
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("attach-wait32");
    let mut gcc = Command::new("gcc");
    gcc.args(["-m32", "-nostdlib", "-static", "-no-pie", source, "-o"]).arg(&path);
    assert!(gcc.status().expect("gcc is installed").success(), "{gcc:?}");
    let mut child = Command::new(&path).spawn().expect("it starts");
    match refused(pid_of(&child)) {
        Error::Foreign { abi, .. } => assert_eq!(abi, "i386"),
        // Where the kernel was told to give such programs none.
        Error::WithoutVdso { .. } => {}
        error => panic!("{error}"),
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

/// Two at once would write over each other's.
#[test]
fn one_that_has_an_image_attached() {
    let image = Image::of(Source::Chain);
    let program = Spinning::start(1, "");
    let attached = attach::attach(program.pid(), image.payload()).expect("it is attached");
    assert!(matches!(refused(program.pid()), Error::Attached { .. }));
    assert!(matches!(attach::detach(program.pid()), Err(Error::Attached { .. })));
    attached.detach().map(drop).expect("it is taken away");
    program.ends_well();
}
