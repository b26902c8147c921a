//! Other processes, and the machine's end.

use core::ffi::{CStr, c_char};
use core::ptr;

use super::{CONSOLE, Errno, IS_MIPS, Sysno, call, exit};

/// Whether this is the first process, which nobody waits for.
pub fn is_first_process() -> bool {
    // SAFETY: it takes no arguments and changes nothing.
    let process = unsafe { call(Sysno::getpid, [0; 6]) };
    process == Ok(1)
}

/// A copy of this process: its PID, and `None` in the copy.
///
/// A function: to its caller vector registers are lost, of which a copy on LoongArch has the lower halves alone,
/// but not to an instruction in the caller's own code.
#[inline(never)]
pub fn fork() -> Result<Option<usize>, Errno> {
    const SIGCHLD: usize = if IS_MIPS { 18 } else { 17 };
    // The stack goes first on IBM Z. Source: clone(2).
    let arguments = if cfg!(target_arch = "s390x") {
        [0, SIGCHLD, 0, 0, 0, 0]
    } else {
        [SIGCHLD, 0, 0, 0, 0, 0]
    };
    // SAFETY: without flags, the copy has a copy of the memory.
    let child = unsafe { call(Sysno::clone, arguments) }?;
    Ok(if child == 0 { None } else { Some(child) })
}

/// Waits for a process; its status as in wait(2), 0 if it ended well.
pub fn wait(child: usize) -> Result<i32, Errno> {
    let mut status = 0i32;
    let arguments = [child, (&raw mut status).expose_provenance(), 0, 0, 0, 0];
    // SAFETY: it writes to `status`.
    unsafe { call(Sysno::wait4, arguments) }.map(|_| status)
}

/// Goes on as another program, with one argument at most; returns only if that fails.
pub fn execute(program: &CStr, argument: Option<&CStr>) -> Errno {
    let argument = argument.map_or(ptr::null(), CStr::as_ptr);
    let arguments: [*const c_char; 3] = [program.as_ptr(), argument, ptr::null()];
    let environment: [*const c_char; 1] = [ptr::null()];
    let addresses = [
        program.as_ptr().expose_provenance(),
        arguments.as_ptr().expose_provenance(),
        environment.as_ptr().expose_provenance(),
    ];
    // SAFETY: a path, and two lists that end with a null.
    let result =
        unsafe { call(Sysno::execve, [addresses[0], addresses[1], addresses[2], 0, 0, 0]) };
    result.err().unwrap_or(Errno::EINVAL)
}

/// Turns the machine off; where it cannot be, an emulator without reboots ends as well by a reboot.
pub fn power_off() -> ! {
    /// Source: `include/uapi/linux/reboot.h`.
    const MAGIC: [usize; 2] = [0xfee1_dead, 672_274_793];
    const POWER_OFF: usize = 0x4321_fedc;
    const RESTART: usize = 0x0123_4567;
    drain_console();
    for what in [POWER_OFF, RESTART] {
        // SAFETY: nobody is left who could miss anything.
        let _ = unsafe { call(Sysno::reboot, [MAGIC[0], MAGIC[1], what, 0, 0, 0]) };
    }
    exit(1)
}

/// tcdrain(3): waits until the last line is out.
fn drain_console() {
    /// Source: `asm/ioctls.h` of each.
    const TCSBRK: usize = if IS_MIPS {
        0x5405
    } else if cfg!(target_arch = "powerpc64") {
        0x2000_741d
    } else {
        0x5409
    };
    // SAFETY: with a number other than 0, it only waits.
    let _ = unsafe { call(Sysno::ioctl, [CONSOLE, TCSBRK, 1, 0, 0, 0]) };
}

/// An instruction of a filter: `struct sock_filter`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Instruction {
    pub code: u16,
    pub if_true: u8,
    pub if_false: u8,
    pub value: u32,
}

/// Has the kernel ask this filter about each system call of this process.
pub fn set_filter(instructions: &[Instruction]) -> Result<(), Errno> {
    /// Source: `include/uapi/linux/{prctl,seccomp}.h`.
    const PR_SET_NO_NEW_PRIVS: usize = 38;
    const PR_SET_SECCOMP: usize = 22;
    const SECCOMP_MODE_FILTER: usize = 2;
    /// `struct sock_fprog`.
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const Instruction,
    }
    let length = u16::try_from(instructions.len()).map_err(|_| Errno::EINVAL)?;
    let program = Program { length, instructions: instructions.as_ptr() };
    let address = (&raw const program).expose_provenance();
    // SAFETY: it changes only what later programs may do.
    unsafe { call(Sysno::prctl, [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0]) }?;
    // SAFETY: it reads a program of this length.
    unsafe { call(Sysno::prctl, [PR_SET_SECCOMP, SECCOMP_MODE_FILTER, address, 0, 0, 0]) }.map(drop)
}
