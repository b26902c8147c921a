//! The system calls of this program. Not through vdso-client, which is what is tested.

use syscalls::{Errno, Sysno};

/// Makes a system call.
///
/// # Safety
/// What the kernel does for it with these arguments must be sound.
pub unsafe fn call(number: Sysno, arguments: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    unsafe { raw(number.id() as usize, arguments) }
}

/// The same by its number.
///
/// # Safety
/// What the kernel does for it with these arguments must be sound.
#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "32")))]
pub unsafe fn raw(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    // SAFETY: the caller's promise.
    let value =
        unsafe { syscalls::raw::syscall6(number, first, second, third, fourth, fifth, sixth) };
    Errno::from_ret(value)
}

/// x32 has x86-64's numbers, marked by a bit, and full registers.
///
/// # Safety
/// As above.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
pub unsafe fn raw(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    const X32: u64 = 0x4000_0000;
    let [first, second, third, fourth, fifth, sixth] = arguments.map(|argument| argument as u64);
    let value: u64;
    // SAFETY: the system call convention; the caller answers for the call itself.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") X32 | number as u64 => value,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            in("r8") fifth,
            in("r9") sixth,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    Errno::from_ret(value as usize)
}

/// What `_start` was not told, as the first process has no parent to tell it.
pub fn is_first_process() -> bool {
    // SAFETY: it takes no arguments and changes nothing.
    let process = unsafe { call(Sysno::getpid, [0; 6]) };
    process == Ok(1)
}

/// Ends this process.
pub fn exit(code: usize) -> ! {
    loop {
        // SAFETY: it does not return.
        let _ = unsafe { call(Sysno::exit_group, [code, 0, 0, 0, 0, 0]) };
    }
}

/// The smallest page of memory that a kernel may have.
pub const PAGE_BYTES: usize = 4 << 10;

const CONSOLE: usize = 1;

/// Errors cannot be told to anyone.
pub fn write_to_console(bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let arguments = [CONSOLE, rest.as_ptr().expose_provenance(), rest.len(), 0, 0, 0];
        // SAFETY: it reads `rest`.
        match unsafe { call(Sysno::write, arguments) } {
            Ok(written) if written > 0 => rest = &rest[written.min(rest.len())..],
            _ => return,
        }
    }
}

/// A copy of this process: its PID, and `None` in the copy.
pub fn fork() -> Result<Option<usize>, Errno> {
    const SIGCHLD: usize =
        if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 18 } else { 17 };
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
    const TCSBRK: usize = if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
        0x5405
    } else if cfg!(target_arch = "powerpc64") {
        0x2000_741d
    } else {
        0x5409
    };
    // SAFETY: with a number other than 0, it only waits.
    let _ = unsafe { call(Sysno::ioctl, [CONSOLE, TCSBRK, 1, 0, 0, 0]) };
}
