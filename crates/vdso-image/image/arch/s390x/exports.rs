//! The names of `arch/s390/kernel/vdso/vdso.lds.S`.

use crate::arch::export::{export, pass_on};

export! {
    clock_gettime as __kernel_clock_gettime;
    gettimeofday as __kernel_gettimeofday;
    clock_getres as __kernel_clock_getres;
    getcpu as __kernel_getcpu;
}

pass_on! {
    // R1 is free between a call and the function.
    ["lgrl %r1, process_page + {slot}", "br %r1"]
    "__kernel_getrandom",
}
