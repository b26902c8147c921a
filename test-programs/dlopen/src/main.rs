//! Has a C library load the image `/ARCHITECTURE-chain.so`, and look up every function that the table of
//! architectures promises, by its version where the C library can.
//!
//! Linked with glibc's `libc.so.6`, which musl's loader takes for itself, so one program serves both. Its
//! exit code says what failed: 1 the loading, 2 and more the function of that number less two.

#![no_std]
#![no_main]
#![cfg_attr(any(target_arch = "mips", target_arch = "mips64"), feature(asm_experimental_arch))]

use core::ffi::{c_char, c_int, c_void};
use core::mem;
use core::ptr;

use vdso_data::architecture::{Architecture, Export};

#[path = "../../kernel-init/src/arch/mod.rs"]
#[allow(dead_code, reason = "the name of the ABI is for others")]
mod arch;
#[path = "../../kernel-init/src/memory.rs"]
mod memory;

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
    fn strlen(text: *const c_char) -> usize;
    fn write(file: c_int, bytes: *const c_char, count: usize) -> isize;
    fn _exit(code: c_int) -> !;
}

/// `RTLD_LAZY`: functions are bound when they are called, for which some loaders prepare a library more.
const LAZY: c_int = 1;

/// Called by `_start`; the loader has started the C library.
extern "C" fn start(_stack: *const usize) -> ! {
    // SAFETY: it ends this process.
    unsafe { _exit(check()) }
}

fn check() -> c_int {
    let Some(architecture) = Architecture::CURRENT else { return 1 };
    let path = Text::of(&["/", architecture.name, "-chain.so"]);
    // SAFETY: a path with a zero at its end.
    let image = unsafe { dlopen(path.as_ptr(), LAZY) };
    if image.is_null() {
        say_why();
        return 1;
    }
    let is_found = |export: &Export| is_found(image, export.name, export.version);
    match architecture.exports.iter().position(|export| !is_found(export)) {
        Some(index) => 2 + index as c_int,
        None => 0,
    }
}

/// On standard error, for a person who looks at the console.
fn say_why() {
    // SAFETY: it takes no arguments.
    let reason = unsafe { dlerror() };
    if !reason.is_null() {
        // SAFETY: a text with a zero at its end.
        let bytes = unsafe { strlen(reason) };
        // SAFETY: as many bytes are there.
        unsafe { write(2, reason, bytes) };
    }
}

fn is_found(image: *mut c_void, name: &str, version: &str) -> bool {
    type Dlvsym = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> *mut c_void;
    let (name, version) = (Text::of(&[name]), Text::of(&[version]));
    // SAFETY: null stands for the whole program; musl has no such function.
    let dlvsym = unsafe { dlsym(ptr::null_mut(), c"dlvsym".as_ptr()) };
    // SAFETY: an image that is loaded.
    let plain = unsafe { dlsym(image, name.as_ptr()) };
    if dlvsym.is_null() {
        return !plain.is_null();
    }
    // SAFETY: the C library's function of this name has this type.
    let dlvsym: Dlvsym = unsafe { mem::transmute(dlvsym) };
    // SAFETY: an image that is loaded.
    let versioned = unsafe { dlvsym(image, name.as_ptr(), version.as_ptr()) };
    !versioned.is_null() && versioned == plain
}

/// A text with a zero at its end.
struct Text([u8; 64]);

impl Text {
    fn of(parts: &[&str]) -> Self {
        let mut text = Self([0; 64]);
        let bytes = parts.iter().flat_map(|part| part.bytes());
        // The last one stays zero.
        for (to, byte) in text.0[..63].iter_mut().zip(bytes) {
            *to = byte;
        }
        text
    }

    fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }
}

/// Named by the unwind tables of a `core` that comes compiled; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it ends this process.
    unsafe { _exit(101) }
}
