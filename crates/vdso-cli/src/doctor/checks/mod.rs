//! The checks, one file for each group. Each looks at what was read and measured, and says what it
//! means and what to do.

mod clocksource;
mod command;
mod counter;
mod fallbacks;
mod libc;
mod modes;
mod process;
mod vdso;

use super::command::Counts;
use super::measure::Measurements;
use super::measure::calls::Through;
use super::read::process::Process;
use super::report::Check;
use crate::system::machine::Machine;

/// What the checks look at.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub machine: &'a Machine,
    pub process: &'a Process,
    pub measurements: &'a Measurements,
    /// Of a command that has run.
    pub counts: Option<&'a Counts>,
}

impl Context<'_> {
    /// Whether the vDSO's clocks go to the kernel, if that was measured. The coarse ones never do:
    /// they need no counter.
    fn clocks_fall_back(&self) -> Option<bool> {
        let monotonic = self.measurements.fallbacks.iter().find(|fallback| {
            fallback.through == Through::Vdso && fallback.call == "clock_gettime(CLOCK_MONOTONIC)"
        })?;
        monotonic.system_calls.map(|_| monotonic.falls_back())
    }
}

/// All that apply to this machine and process, in the order in which one looks for a cause.
pub fn all(context: &Context<'_>) -> Vec<Check> {
    let checks = [
        Some(process::sandbox(context)),
        Some(clocksource::check(context)),
        counter::check(context),
        modes::vdso_parameter(context),
        Some(vdso::presence(context)),
        vdso::functions(context),
        Some(fallbacks::measured(context)),
        command::check(context),
        fallbacks::cost(context),
        modes::vsyscall(context),
        Some(process::time_namespace(context)),
        Some(process::seccomp(context)),
        Some(process::tracer(context)),
        Some(libc::check(context)),
        process::preloaded(context),
    ];
    checks.into_iter().flatten().collect()
}
