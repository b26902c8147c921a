//! What a command's own system calls say.

use super::Context;
use crate::doctor::command::Counts;
use crate::doctor::report::{Check, Status};

/// As many getrandom calls at the start of a program are for its allocator and hash tables.
const GETRANDOM_AT_START: u64 = 16;

/// System calls that the vDSO could have answered; none if they were not counted.
pub fn check(context: &Context<'_>) -> Option<Check> {
    let counts = context.counts?;
    let Counts { clocks_from_vdso, clocks_direct, .. } = *counts;
    let check = Check::ok(
        "command-calls",
        "the command's calls",
        format!("{} clock reads went to the kernel", clocks_from_vdso + clocks_direct),
    )
    .fact("system_calls", counts);
    Some(if clocks_from_vdso > 0 {
        check.because(
            Status::Fail,
            format!("the vDSO passed {clocks_from_vdso} clock reads on to the kernel"),
            "see the checks of the clocksource and of calls that fall back",
        )
    } else if clocks_direct > 0 {
        check.because(
            Status::Warn,
            format!("the program, or its C library, asked the kernel {clocks_direct} times itself"),
            "use clock_gettime of a C library that knows the vDSO, or the crate vdso-client",
        )
    } else if counts.getrandom_direct > GETRANDOM_AT_START && context.process.vdso_has("getrandom")
    {
        check.because(
            Status::Warn,
            format!("getrandom was a system call {} times", counts.getrandom_direct),
            "use glibc 2.41 or later, which asks the vDSO",
        )
    } else {
        check
    })
}
