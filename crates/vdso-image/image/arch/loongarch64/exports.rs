//! The names of `arch/loongarch/vdso/vdso.lds.S`.

use crate::arch::export::{export, pass_on};

export! {
    clock_gettime as __vdso_clock_gettime;
    gettimeofday as __vdso_gettimeofday;
    clock_getres as __vdso_clock_getres;
    getcpu as __vdso_getcpu;
}

pass_on! {
    // T0 is free between a call and the function.
    ["la.pcrel $t0, process_page + {slot}", "ld.d $t0, $t0, 0", "jr $t0"]
    "__vdso_getrandom",
}
