//! One function after another taken away: the call that went to it is right all the same, and every
//! other goes where it went before.

use core::fmt::{self, Display};

use vdso_client::names::{Abi, Function, Purpose};
use vdso_client::{
    Answer, Call, Capabilities, ClockId, clock_getres, clock_gettime, getcpu, vdso, without_vdso,
};

use super::calls::{by_gettimeofday, by_time, coarse_seconds, microseconds};
use super::capabilities::by_call;
use super::compare::{Wrong, bracket, brackets};
use super::filter::Measured;
use super::patch;
use crate::report::Report;
use crate::{kernel, system};

pub fn run(report: &mut Report) {
    let mut names = [""; 16];
    let functions = Abi::CURRENT.map_or(&[][..], |abi| abi.functions);
    let mut count = 0;
    for function in functions.iter().filter(|function| is_exported(function)) {
        names[count] = function.name;
        count += 1;
        let name = format_args!("without-{}", function.name);
        report.check(name, in_a_copy(|| without(&[function.name])));
    }
    if count > 0 {
        report.check("without-any-function", in_a_copy(|| without(&names[..count])));
    }
    report.check("without-vdso", in_a_copy(turned_off));
}

/// Whether a call goes to it, or may.
fn is_exported(function: &Function) -> bool {
    let is_called = match function.purpose {
        Purpose::Call(Call::Getrandom) => false,
        Purpose::Call(_) | Purpose::Time64(_) => true,
        _ => false,
    };
    is_called
        && vdso().is_ok_and(|vdso| vdso.lookup(function.name, Some(function.version)).is_some())
}

/// What was found to be wrong; small numbers, as they are exit codes.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Fault {
    CannotHide = 1,
    StillSaid,
    OtherCallChanged,
    ClockGettime,
    ClockGetres,
    Gettimeofday,
    Time,
    Getcpu,
    NotMeasured,
}

impl Fault {
    const ALL: [Self; 9] = [
        Self::CannotHide,
        Self::StillSaid,
        Self::OtherCallChanged,
        Self::ClockGettime,
        Self::ClockGetres,
        Self::Gettimeofday,
        Self::Time,
        Self::Getcpu,
        Self::NotMeasured,
    ];

    const fn text(self) -> &'static str {
        match self {
            Self::CannotHide => "it cannot be taken away",
            Self::StillSaid => "the client still says that it answers",
            Self::OtherCallChanged => "another call goes elsewhere, too",
            Self::ClockGettime => "clock_gettime is wrong",
            Self::ClockGetres => "clock_getres is wrong",
            Self::Gettimeofday => "gettimeofday is wrong",
            Self::Time => "time is wrong",
            Self::Getcpu => "getcpu is wrong",
            Self::NotMeasured => "a call said to be a system call is none",
        }
    }
}

/// Runs this in a process of its own, as there is no way back.
fn in_a_copy(check: impl FnOnce() -> Result<(), Fault>) -> Result<&'static str, Ended> {
    let child = match system::fork() {
        Ok(Some(child)) => child,
        Ok(None) => system::exit(check().map_or_else(|fault| fault as usize, |()| 0)),
        Err(error) => return Err(Ended(error.into_raw())),
    };
    match system::wait(child) {
        Ok(0) => Ok("right all the same"),
        Ok(status) => Err(Ended(status)),
        Err(error) => Err(Ended(error.into_raw())),
    }
}

/// The status of a process that has found a fault, or died.
struct Ended(i32);

impl Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Fault::ALL.iter().find(|fault| (**fault as i32) << 8 == self.0) {
            Some(fault) => formatter.write_str(fault.text()),
            None => write!(formatter, "its process ended with status {:#x}", self.0),
        }
    }
}

fn without(names: &[&str]) -> Result<(), Fault> {
    let before = Capabilities::probe();
    let before = Call::ALL.map(|call| (call, before.answer(call)));
    patch::hide(names).map_err(|_| Fault::CannotHide)?;
    let now = Capabilities::probe();
    for (call, answer) in before {
        match answer {
            Answer::Function { symbol, .. } if names.contains(&symbol) => {
                let names_it =
                    |it| matches!(it, Answer::Function { symbol: it, .. } if it == symbol);
                if names_it(now.answer(call)) {
                    return Err(Fault::StillSaid);
                }
            }
            answer if now.answer(call) != answer && names.len() == 1 => {
                return Err(Fault::OtherCallChanged);
            }
            _ => {}
        }
    }
    every_call_is_right(&now)
}

fn turned_off() -> Result<(), Fault> {
    without_vdso();
    let now = Capabilities::probe();
    if Call::ALL.iter().any(|call| matches!(now.answer(*call), Answer::Function { .. })) {
        return Err(Fault::StillSaid);
    }
    every_call_is_right(&now)
}

fn every_call_is_right(capabilities: &Capabilities) -> Result<(), Fault> {
    const READS: u32 = 100;
    for id in ClockId::OF_VDSO.into_iter().chain([ClockId::from_raw(1000)]) {
        let kernel = || kernel::clock_gettime(id).map(|time| time.as_nanos());
        let client = || clock_gettime(id).map(|time| time.as_nanos());
        right(brackets(READS, kernel, client), Fault::ClockGettime)?;
        let kernel = || kernel::clock_getres(id).map(|time| time.as_nanos());
        let client = || clock_getres(id).map(|time| time.as_nanos());
        right(bracket(&kernel, &client), Fault::ClockGetres)?;
    }
    right(brackets(READS, microseconds, by_gettimeofday), Fault::Gettimeofday)?;
    right(brackets(READS, coarse_seconds, by_time), Fault::Time)?;
    let is_there = getcpu().ok() == kernel::getcpu().ok();
    is_there.then_some(()).ok_or(Fault::Getcpu)?;
    for call in Call::ALL.into_iter().filter(|call| *call != Call::Getrandom) {
        let is_said = matches!(capabilities.answer(call), Answer::SystemCall(_));
        if is_said && by_call(call) != Measured::Kernel {
            return Err(Fault::NotMeasured);
        }
    }
    Ok(())
}

fn right(result: Result<(), Wrong>, fault: Fault) -> Result<(), Fault> {
    result.map_err(|_| fault)
}
