//! The names of `arch/x86/entry/vdso/vdso.lds.S`; their version is in `image.ld`.

use core::arch::global_asm;
use core::ffi::{c_int, c_void};

use vdso_data::arithmetic::Timespec;
use vdso_data::gettimeofday::Timeval;

use crate::{clock_getres, clock_gettime, forward, getcpu, gettimeofday, time};

#[unsafe(no_mangle)]
unsafe extern "C" fn __vdso_clock_gettime(id: c_int, ts: *mut Timespec) -> c_int {
    // SAFETY: the caller's promise is passed on, here and below.
    unsafe { clock_gettime::clock_gettime(id, ts) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __vdso_gettimeofday(tv: *mut Timeval, tz: *mut c_void) -> c_int {
    // SAFETY: as above.
    unsafe { gettimeofday::gettimeofday(tv, tz) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __vdso_time(seconds: *mut i64) -> i64 {
    // SAFETY: as above.
    unsafe { time::time(seconds) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __vdso_clock_getres(id: c_int, res: *mut Timespec) -> c_int {
    // SAFETY: as above.
    unsafe { clock_getres::clock_getres(id, res) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __vdso_getcpu(cpu: *mut u32, node: *mut u32, _cache: *mut c_void) -> c_int {
    // SAFETY: as above.
    unsafe { getcpu::getcpu(cpu, node) }
}

/// A weak alias without the prefix, for callers that link against the names.
macro_rules! alias {
    ($($name:literal => $target:literal),* $(,)?) => {
        $(global_asm!(
            concat!(".weak ", $name),
            concat!(".type ", $name, ", @function"),
            concat!(".set ", $name, ", ", $target),
        );)*
    };
}

/// A function of the kernel's that is only passed on.
macro_rules! forward {
    ($($index:literal => $name:literal),* $(,)?) => {
        $(global_asm!(
            ".pushsection .text.forward,\"ax\",@progbits",
            ".p2align 4",
            concat!(".globl ", $name),
            concat!(".type ", $name, ", @function"),
            concat!($name, ":"),
            ".cfi_startproc",
            "jmp qword ptr [rip + process_page + {slot}]",
            ".cfi_endproc",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            slot = const forward::slot($index),
        );)*
    };
}

// Here until the image has a getrandom of its own: `getrandom.rs` beside `getcpu.rs`.
forward! {
    0 => "__vdso_getrandom",
    1 => "__vdso_sgx_enter_enclave",
    2 => "__vdso_futex_robust_list64_try_unlock",
    3 => "__vdso_futex_robust_list32_try_unlock",
}

alias! {
    "clock_gettime" => "__vdso_clock_gettime",
    "gettimeofday" => "__vdso_gettimeofday",
    "time" => "__vdso_time",
    "clock_getres" => "__vdso_clock_getres",
    "getcpu" => "__vdso_getcpu",
    "getrandom" => "__vdso_getrandom",
}
