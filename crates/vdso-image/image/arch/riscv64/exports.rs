//! The names of `arch/riscv/kernel/vdso/vdso.lds.S`.

use crate::arch::export::{export, pass_on};

export! {
    clock_gettime as __vdso_clock_gettime;
    gettimeofday as __vdso_gettimeofday;
    clock_getres as __vdso_clock_getres;
    getcpu as __vdso_getcpu;
}

pass_on! {
    // T1 is free between a call and the function.
    ["2: auipc t1, %pcrel_hi(process_page + {slot})", "ld t1, %pcrel_lo(2b)(t1)", "jr t1"]
    "__vdso_getrandom",
    "__vdso_flush_icache",
    "__vdso_riscv_hwprobe",
}
