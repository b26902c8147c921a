//! The names of `arch/x86/entry/vdso/vdso.lds.S`.

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

#[cfg(not(own_getrandom))]
pass_on! {
    ["jmp qword ptr [rip + process_page + {slot}]"]
    "__vdso_getrandom",
}

pass_on! {
    ["jmp qword ptr [rip + process_page + {slot}]"]
    "__vdso_sgx_enter_enclave",
    "__vdso_futex_robust_list64_try_unlock",
    "__vdso_futex_robust_list32_try_unlock",
}

alias! {
    "clock_gettime" => "__vdso_clock_gettime",
    "gettimeofday" => "__vdso_gettimeofday",
    "time" => "__vdso_time",
    "clock_getres" => "__vdso_clock_getres",
    "getcpu" => "__vdso_getcpu",
    "getrandom" => "__vdso_getrandom",
}
