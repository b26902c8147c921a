//! The names of `arch/arm/vdso/vdso.lds.S`.

use crate::arch::export::export;

export! {
    clock_gettime as __vdso_clock_gettime64;
    clock_getres as __vdso_clock_getres_time64;
    old_clock_gettime as __vdso_clock_gettime;
    old_clock_getres as __vdso_clock_getres;
    gettimeofday as __vdso_gettimeofday;
}
