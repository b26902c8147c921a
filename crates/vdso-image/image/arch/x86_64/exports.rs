//! The names of `arch/x86/entry/vdso/vdso.lds.S`, and of `vdsox32.lds.S`, which has fewer.

#[cfg(target_pointer_width = "64")]
use core::arch::global_asm;

use crate::arch::export::{export, pass_on};

export! {
    clock_gettime as __vdso_clock_gettime;
    gettimeofday as __vdso_gettimeofday;
    time as __vdso_time;
    clock_getres as __vdso_clock_getres;
    getcpu as __vdso_getcpu;
}

/// A weak alias without the prefix, for callers that link against the names.
#[cfg(target_pointer_width = "64")]
macro_rules! alias {
    ($($name:literal => $target:literal),* $(,)?) => {
        $(global_asm!(
            concat!(".weak ", $name),
            concat!(".type ", $name, ", @function"),
            concat!(".set ", $name, ", ", $target),
        );)*
    };
}

#[cfg(own_getrandom)]
export! {
    getrandom as __vdso_getrandom;
}

#[cfg(all(target_pointer_width = "64", not(own_getrandom)))]
pass_on! {
    ["jmp qword ptr [rip + process_page + {slot}]"]
    "__vdso_getrandom",
}

#[cfg(target_pointer_width = "64")]
pass_on! {
    ["jmp qword ptr [rip + process_page + {slot}]"]
    "__vdso_sgx_enter_enclave",
}

pass_on! {
    ["jmp qword ptr [rip + process_page + {slot}]"]
    "__vdso_futex_robust_list64_try_unlock",
    "__vdso_futex_robust_list32_try_unlock",
}

#[cfg(target_pointer_width = "64")]
alias! {
    "clock_gettime" => "__vdso_clock_gettime",
    "gettimeofday" => "__vdso_gettimeofday",
    "time" => "__vdso_time",
    "clock_getres" => "__vdso_clock_getres",
    "getcpu" => "__vdso_getcpu",
    "getrandom" => "__vdso_getrandom",
}
