//! The names of `arch/x86/entry/vdso/vdso32/vdso32.lds.S`.

use crate::arch::export::{export, pass_on};

export! {
    clock_gettime as __vdso_clock_gettime64;
    clock_getres as __vdso_clock_getres_time64;
    old_clock_gettime as __vdso_clock_gettime;
    old_clock_getres as __vdso_clock_getres;
    gettimeofday as __vdso_gettimeofday;
    time as __vdso_time;
    getcpu as __vdso_getcpu;
}

pass_on! {
    // Every register may have an argument: the address goes by the stack. In the other syntax a
    // difference of symbols is no operand.
    [
        "pushl %eax",
        ".cfi_adjust_cfa_offset 4",
        "pushl %eax",
        ".cfi_adjust_cfa_offset 4",
        "call address_in_eax",
        "2: movl process_page + {slot} - 2b(%eax), %eax",
        "movl %eax, 4(%esp)",
        "popl %eax",
        ".cfi_adjust_cfa_offset -4",
        "ret",
    ]
    options(att_syntax)
    "__vdso_futex_robust_list32_try_unlock",
    // The kernel returns from a system call by SYSENTER into its own vDSO, so there it must be made.
    "__kernel_vsyscall",
}
