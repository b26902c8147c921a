//! The names of `arch/mips/vdso/vdso.lds.S`.

use crate::arch::export::export;

export! {
    clock_gettime as __vdso_clock_gettime;
    gettimeofday as __vdso_gettimeofday;
    clock_getres as __vdso_clock_getres;
}
