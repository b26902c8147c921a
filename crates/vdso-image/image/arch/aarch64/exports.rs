//! The names of `arch/arm64/kernel/vdso/vdso.lds.S`.

use crate::arch::export::{export, pass_on};

export! {
    clock_gettime as __kernel_clock_gettime;
    gettimeofday as __kernel_gettimeofday;
    clock_getres as __kernel_clock_getres;
}

pass_on! {
    // X16 is free between a call and the function.
    ["adrp x16, process_page + {slot}", "ldr x16, [x16, :lo12:process_page + {slot}]", "br x16"]
    "__kernel_getrandom",
}
