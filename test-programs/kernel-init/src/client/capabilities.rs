//! What the client says of itself, against what is measured: a call that is said to be a system call is
//! one, and one that is said to be answered by a function needs no kernel, as far as the function can do
//! without.

use core::fmt::{self, Display};

use vdso_client::{
    Answer, Call, Capabilities, ClockId, Errno, clock_getres, clock_gettime, getcpu, gettimeofday,
    time,
};

use super::clocks::Name;
use super::filter::{Measured, measure};
use crate::parameter;
use crate::report::Report;

pub fn run(report: &mut Report) {
    let clocksource = parameter::clocksource();
    let is_readable = clocksource.is_for_vdso();
    let what = if is_readable { "a vDSO can read it" } else { "no vDSO can read it" };
    report.ok("clocksource", format_args!("{}: {what}", clocksource.name()));

    let capabilities = Capabilities::probe();
    // What the filter measures; random bytes have tests of their own.
    for call in Call::ALL.into_iter().filter(|call| *call != Call::Getrandom) {
        let answer = capabilities.answer(call);
        let expected = expected(call, answer, is_readable);
        compare(call.name(), expected, by_call(call), answer, report);
    }
    let answer = capabilities.answer(Call::ClockGettime);
    for id in ClockId::OF_VDSO {
        let is_coarse = [ClockId::REALTIME_COARSE, ClockId::MONOTONIC_COARSE].contains(&id);
        let expected = expected(Call::ClockGettime, answer, is_readable || is_coarse);
        compare(Name(id), expected, measure(|| clock_gettime(id)), answer, report);
    }
    let id = ClockId::THREAD_CPUTIME;
    compare(Name(id), Measured::Kernel, measure(|| clock_gettime(id)), answer, report);
}

/// Who should answer a call of which the client says this.
fn expected(call: Call, answer: Answer, is_readable: bool) -> Measured {
    let needs_clocksource = matches!(call, Call::ClockGettime | Call::Gettimeofday);
    // There the function is a system call, as `arch/riscv/kernel/vdso/getcpu.S` has it.
    let is_stub = call == Call::Getcpu && cfg!(target_arch = "riscv64");
    match answer {
        Answer::SystemCall(_) => Measured::Kernel,
        Answer::Function { .. } if needs_clocksource && !is_readable || is_stub => Measured::Kernel,
        _ => Measured::UserSpace,
    }
}

/// Makes a call as a program would.
pub fn by_call(call: Call) -> Measured {
    match call {
        Call::ClockGettime => measure(|| clock_gettime(ClockId::MONOTONIC)),
        Call::ClockGetres => measure(|| clock_getres(ClockId::MONOTONIC)),
        Call::Gettimeofday => measure(gettimeofday),
        Call::Time => measure(time),
        Call::Getcpu => measure(getcpu),
        _ => measure(|| Err::<(), _>(Errno::ENOSYS)),
    }
}

fn compare(
    name: impl Display,
    expected: Measured,
    measured: Measured,
    answer: Answer,
    report: &mut Report,
) {
    let what = What { answer, measured };
    let result = if measured == expected { Ok(&what) } else { Err(&what) };
    report.check(format_args!("answered-{name}"), result);
}

struct What {
    answer: Answer,
    measured: Measured,
}

impl Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the client says: {}; answered {}", self.answer, self.measured)
    }
}
