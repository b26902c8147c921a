//! The names of `arch/powerpc/kernel/vdso/vdso64.lds.S`.

use core::arch::global_asm;
use core::ffi::{c_int, c_long, c_void};

use vdso_data::arithmetic::Timespec;

use crate::arch::export::pass_on;
use crate::gettimeofday::Timeval;

/// A function of the image's own: calls `$inner`, and reports a negative result as an error.
macro_rules! export {
    ($($name:literal => $inner:ident;)*) => {
        $(global_asm!(
            concat!(".pushsection .text.", $name, ",\"ax\",%progbits"),
            ".p2align 6",
            concat!(".globl ", $name),
            concat!(".type ", $name, ", %function"),
            concat!($name, ":"),
            ".cfi_startproc",
            "mflr 0",
            "std 0, 16(1)",
            "stdu 1, -32(1)",
            ".cfi_def_cfa_offset 32",
            ".cfi_offset 65, 16",
            "bl {inner}",
            "addi 1, 1, 32",
            ".cfi_def_cfa_offset 0",
            "ld 0, 16(1)",
            "mtlr 0",
            ".cfi_restore 65",
            "cmpdi 3, 0",
            // SO of field 0.
            "crclr 3",
            "bgelr",
            "neg 3, 3",
            "crset 3",
            "blr",
            ".cfi_endproc",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            inner = sym $inner,
        );)*
    };
}

export! {
    "__kernel_clock_gettime" => clock_gettime;
    "__kernel_gettimeofday" => gettimeofday;
    "__kernel_time" => time;
    "__kernel_clock_getres" => clock_getres;
    "__kernel_getcpu" => getcpu;
}

unsafe extern "C" fn clock_gettime(id: c_int, ts: *mut Timespec) -> c_long {
    // SAFETY: the caller's promise is passed on, here and below.
    c_long::from(unsafe { crate::clock_gettime::clock_gettime(id, ts) })
}

unsafe extern "C" fn gettimeofday(tv: *mut Timeval, tz: *mut c_void) -> c_long {
    // SAFETY: as above.
    c_long::from(unsafe { crate::gettimeofday::gettimeofday(tv, tz) })
}

unsafe extern "C" fn time(seconds: *mut c_long) -> c_long {
    // SAFETY: as above.
    unsafe { crate::time::time(seconds) }
}

unsafe extern "C" fn clock_getres(id: c_int, res: *mut Timespec) -> c_long {
    // SAFETY: as above.
    c_long::from(unsafe { crate::clock_getres::clock_getres(id, res) })
}

unsafe extern "C" fn getcpu(cpu: *mut u32, node: *mut u32, _cache: *mut c_void) -> c_long {
    // SAFETY: as above.
    c_long::from(unsafe { crate::getcpu::getcpu(cpu, node) })
}

pass_on! {
    // R0 and R12 are free between a call and the function, which finds its own address in R12.
    [
        "mflr 0",
        ".cfi_register 65, 0",
        "bcl 20, 31, 2f",
        "2: mflr 12",
        "mtlr 0",
        ".cfi_restore 65",
        "addis 12, 12, (process_page + {slot} - 2b)@ha",
        "addi 12, 12, (process_page + {slot} - 2b)@l",
        "ld 12, 0(12)",
        "mtctr 12",
        "bctr",
    ]
    "__kernel_getrandom",
    "__kernel_get_syscall_map",
    "__kernel_get_tbfreq",
    "__kernel_sync_dicache",
}
