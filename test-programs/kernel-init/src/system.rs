//! What this program asks of the kernel. Not through vdso-client, which is what is tested.
//!
//! [`process`]: other processes, and the machine's end; [`file`]: files; [`maps`]: mappings; [`signal`]:
//! handlers.

mod file;
mod maps;
#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
mod mips;
mod process;
mod signal;

use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicPtr, Ordering};

pub use file::{mount, read_file};
pub use maps::{make_writable, mapping};
#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
pub use mips::raw;
pub use process::{Instruction, execute, fork, is_first_process, power_off, set_filter, wait};
pub use signal::{Told, set_handler};
pub use syscalls::{Errno, Sysno};
use vdso_arch::system_call::{X32_BIT, numbers::X32};

/// Whether numbers of signals, errors and ioctls are those of mips.
const IS_MIPS: bool = cfg!(any(target_arch = "mips", target_arch = "mips64"));

/// 32-bit pointers on x86-64.
pub const IS_X32: bool = cfg!(all(target_arch = "x86_64", target_pointer_width = "32"));

/// Makes a system call.
///
/// # Safety
/// What the kernel does for it with these arguments must be sound.
pub unsafe fn call(number: Sysno, arguments: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    unsafe { raw(number_of(number), arguments) }
}

/// The number of a call: x32 has x86-64's, marked by a bit, but for calls with pointers in memory.
pub const fn number_of(number: Sysno) -> usize {
    match number {
        Sysno::execve if IS_X32 => X32.execve as usize,
        _ if IS_X32 => X32_BIT as usize | number.id() as usize,
        _ => number.id() as usize,
    }
}

/// A call by its number.
///
/// # Safety
/// What the kernel does for it with these arguments must be sound.
#[cfg(not(any(
    all(target_arch = "x86_64", target_pointer_width = "32"),
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "powerpc64"
)))]
pub unsafe fn raw(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    // SAFETY: the caller's promise.
    let value =
        unsafe { syscalls::raw::syscall6(number, first, second, third, fourth, fifth, sixth) };
    Errno::from_ret(value)
}

/// x32's arguments are full registers, and the crate `syscalls` 0.8 does not say that the kernel changes PowerPC's
/// CTR, in which the compiler counts loops, and XER.
///
/// # Safety
/// As above.
#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "32"), target_arch = "powerpc64"))]
pub unsafe fn raw(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    // SAFETY: the caller answers for the call itself.
    let value =
        unsafe { vdso_arch::system_call!(number, first, second, third, fourth, fifth, sixth) };
    Errno::from_ret(value as usize)
}

/// The stack that this program began with: `argc`, `argv`, the environment.
static STACK: AtomicPtr<usize> = AtomicPtr::new(core::ptr::null_mut());

/// Keeps the stack for [`argument`].
///
/// # Safety
/// It must be what the kernel gave `_start`, and stay as it is.
pub unsafe fn set_stack(stack: *const usize) {
    // Relaxed: there is one thread.
    STACK.store(stack.cast_mut(), Ordering::Relaxed);
}

/// One of the arguments; the first has number 1.
pub fn argument(number: usize) -> Option<&'static str> {
    c_argument(number)?.to_str().ok()
}

/// The same as C has it.
pub fn c_argument(number: usize) -> Option<&'static CStr> {
    let stack = STACK.load(Ordering::Relaxed);
    // SAFETY: `set_stack` was promised `argc` here.
    if number >= unsafe { stack.read() } {
        return None;
    }
    // SAFETY: as many pointers follow.
    let argument = unsafe { stack.add(1 + number) };
    // SAFETY: this is one of them.
    let argument = unsafe { argument.cast::<*const c_char>().read() };
    // SAFETY: each is that of a string, which stays there.
    Some(unsafe { CStr::from_ptr(argument) })
}

/// The value of this type in the auxiliary vector. Source: getauxval(3).
#[cfg(target_arch = "aarch64")]
pub fn auxiliary(kind: usize) -> Option<usize> {
    let stack = STACK.load(Ordering::Relaxed);
    // SAFETY: `set_stack` was promised `argc` here.
    let arguments = unsafe { stack.read() };
    let mut at = stack.wrapping_add(1 + arguments + 1);
    // SAFETY: the environment is behind the arguments and a null, and ends with one.
    while unsafe { at.read() } != 0 {
        at = at.wrapping_add(1);
    }
    at = at.wrapping_add(1);
    loop {
        // SAFETY: pairs follow, and the last has type 0.
        let pair = unsafe { at.cast::<[usize; 2]>().read() };
        match pair {
            [0, _] => return None,
            [found, value] if found == kind => return Some(value),
            _ => at = at.wrapping_add(2),
        }
    }
}

/// Ends this process.
pub fn exit(code: usize) -> ! {
    loop {
        // SAFETY: it does not return.
        let _ = unsafe { call(Sysno::exit_group, [code, 0, 0, 0, 0, 0]) };
    }
}

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

/// What uname(2) tells. Source: `include/uapi/linux/utsname.h`.
#[repr(C)]
pub struct Names {
    fields: [[u8; 65]; 6],
}

impl Names {
    /// The kernel's release.
    pub fn release(&self) -> &str {
        let release = CStr::from_bytes_until_nul(&self.fields[2]);
        release.ok().and_then(|release| release.to_str().ok()).unwrap_or("?")
    }
}

/// What this kernel is called.
pub fn uname() -> Names {
    let mut names = Names { fields: [[0; 65]; 6] };
    let address = (&raw mut names).expose_provenance();
    // SAFETY: it writes to `names`. It fails for no other address.
    let _ = unsafe { call(Sysno::uname, [address, 0, 0, 0, 0, 0]) };
    names
}
