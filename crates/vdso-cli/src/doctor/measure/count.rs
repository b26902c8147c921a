//! How many system calls come of a call: counted in a traced child.
//!
//! The child makes each call a few times, with a system call as a mark before. Its parent sees all
//! system calls and counts those between two marks. A clock that always goes to the kernel is among
//! the calls: if it does not show, the count is not believed.

use std::ffi::c_long;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, Pid, fork};

use vdso_inject::ptrace::{self, Options, Stop, Stopped, Told, Until};
use vdso_measure::{Function, calls};

use super::Fallback;
use super::calls::{Table, Through, name};

/// How often each call is made.
pub const CALLS: u32 = 16;

/// The mark: a system call that needs no arguments, with two that tell it from any other.
const MARK: c_long = libc::SYS_getppid;
const MARK_ARGUMENT: u64 = 0x7664_736f;

/// Exit codes of the child.
const DONE: i32 = 0;
const NOT_TRACED: i32 = 1;

/// Counts for each call, by the vDSO where it has the function, and through the C library.
pub fn count(table: &Table) -> Result<Vec<Fallback>, String> {
    let ways: Vec<Way> = calls::CALLS
        .into_iter()
        .flat_map(|(_, call)| {
            let by_vdso = table.get(call).map(|function| (Through::Vdso, function));
            [by_vdso, Some((Through::Libc, call.library()))]
        })
        .flatten()
        .collect();
    // SAFETY: the child makes system calls and calls that allocate nothing, and ends by `_exit`.
    let child = match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => child,
        Ok(ForkResult::Child) => make_all(&ways),
        Err(errno) => return Err(format!("cannot fork: {}", errno.desc())),
    };
    let counts = watch(child, ways.len())?;
    let is_control = |(_, function): &Way| function.answers().always_goes_to_the_kernel();
    let misses = ways.iter().zip(&counts).any(|(way, count)| is_control(way) && *count != CALLS);
    if misses {
        return Err("a clock that always asks the kernel did not show in the count".to_owned());
    }
    let fallback = |((through, function), system_calls): (Way, u32)| Fallback {
        call: name(function.answers()),
        through,
        always_goes_to_the_kernel: function.answers().always_goes_to_the_kernel(),
        calls: CALLS,
        system_calls: Some(system_calls),
    };
    Ok(ways.into_iter().zip(counts).map(fallback).collect())
}

/// How a call is made, and by what.
type Way = (Through, Function<'static>);

/// The child: makes all the calls, then ends.
fn make_all(ways: &[Way]) -> ! {
    if ptrace::trace_me().is_err() {
        leave(NOT_TRACED);
    }
    // SAFETY: stops this process until its tracer is ready.
    unsafe { libc::raise(libc::SIGSTOP) };
    for (index, (_, function)) in ways.iter().enumerate() {
        // The first may prepare something: a key, the address of a function.
        function.call();
        mark(index);
        for _ in 0..CALLS {
            function.call();
        }
        mark(ways.len());
    }
    leave(DONE)
}

fn mark(index: usize) {
    // SAFETY: the system call takes no arguments, and is free of effects.
    unsafe { libc::syscall(MARK, MARK_ARGUMENT, index) };
}

fn leave(code: i32) -> ! {
    // SAFETY: ends the process without running what belongs to its parent.
    unsafe { libc::_exit(code) }
}

/// The parent: follows the child from system call to system call until it ends.
fn watch(child: Pid, calls: usize) -> Result<Vec<u32>, String> {
    let mut counting = Counting { counts: vec![0; calls], current: calls };
    loop {
        match ptrace::wait_for(child) {
            Told::Stopped(mut thread) => {
                if let Err(reason) = counting.look(&mut thread) {
                    let _ = kill(child, Signal::SIGKILL);
                    drop(thread);
                    let _ = ptrace::wait_for(child);
                    return Err(reason);
                }
                // One that has ended tells so next.
                thread.take_signal();
                thread.resume(Until::Call);
            }
            Told::Running(_) => {}
            Told::Ended(None) => return Err("somebody else waits for this process's child".into()),
            Told::Ended(Some(status)) => return counting.ended(status),
        }
    }
}

struct Counting {
    counts: Vec<u32>,
    /// Index of the call that is being made; their number between two of them.
    current: usize,
}

impl Counting {
    fn look(&mut self, thread: &mut Stopped) -> Result<(), String> {
        let failed = |attempt: &str, error: &vdso_inject::Error| {
            format!("cannot {attempt}: {}", error.errno().unwrap_or(Errno::EIO).desc())
        };
        match thread.stop() {
            Stop::Signal(_) => {
                let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL;
                thread.set_options(options).map_err(|error| failed("trace", &error))
            }
            Stop::Call => {
                let attempt = "ask which system call a child makes";
                let call = thread.system_call().map_err(|error| failed(attempt, &error))?;
                match call {
                    Some(call)
                        if call.number == MARK as u64 && call.arguments[0] == MARK_ARGUMENT =>
                    {
                        self.current = call.arguments[1] as usize;
                    }
                    Some(_) => {
                        if let Some(count) = self.counts.get_mut(self.current) {
                            *count += 1;
                        }
                    }
                    None => {}
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn ended(self, status: i32) -> Result<Vec<u32>, String> {
        match ExitStatus::from_raw(status).code() {
            Some(DONE) => Ok(self.counts),
            Some(_) => Err("a child may not be traced here (it is traced already, or ptrace is \
                            denied)"
                .to_owned()),
            None => {
                let signal = Signal::try_from(libc::WTERMSIG(status));
                let signal = signal.map_or("a signal", Signal::as_str);
                Err(format!("the child that made the calls ended by {signal}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::{c_int, c_void};

    use test_support::{Lacking, skip};
    use vdso_elf::Image;
    use vdso_measure::Call;

    use super::*;
    use crate::doctor::measure::calls::image_of_this_process;

    const MONOTONIC: Call = Call::ClockGettime(libc::CLOCK_MONOTONIC as u32);

    /// As a vDSO's function on a machine whose clocksource only the kernel can read.
    extern "C" fn falls_back(clock: c_int, out: *mut c_void) -> c_int {
        // SAFETY: the caller gives room for a timespec.
        unsafe { libc::syscall(libc::SYS_clock_gettime, clock, out) as c_int }
    }

    extern "C" fn stays(_: c_int, _: *mut c_void) -> c_int {
        0
    }

    fn table_of(clock: Call, function: extern "C" fn(c_int, *mut c_void) -> c_int) -> Table {
        // SAFETY: it has the signature of clock_gettime.
        let function = unsafe { Function::of_vdso(clock, function as usize) };
        Table::of_functions(&function.into_iter().collect::<Vec<_>>())
    }

    fn by_vdso(fallbacks: &[Fallback], call: Call) -> Option<&Fallback> {
        let mut found = fallbacks.iter().filter(|fallback| fallback.through == Through::Vdso);
        found.find(|fallback| fallback.call == name(call))
    }

    /// Counts, or says that it cannot be done here.
    fn counted(table: &Table, test: &str) -> Option<Vec<Fallback>> {
        match count(table) {
            Ok(fallbacks) => Some(fallbacks),
            Err(reason) => {
                skip(Lacking::Privilege, test, &reason);
                None
            }
        }
    }

    #[test]
    fn a_function_that_asks_the_kernel_is_told_from_one_that_does_not() {
        let name = "a_function_that_asks_the_kernel_is_told_from_one_that_does_not";
        let functions =
            |function: extern "C" fn(c_int, *mut c_void) -> c_int| table_of(MONOTONIC, function);
        let Some(fallbacks) = counted(&functions(falls_back), name) else { return };
        let slow = by_vdso(&fallbacks, MONOTONIC).expect("it was measured");
        assert_eq!(slow.system_calls, Some(CALLS));
        assert!(slow.falls_back());
        let Some(fallbacks) = counted(&functions(stays), name) else { return };
        let fast = by_vdso(&fallbacks, MONOTONIC).expect("it was measured");
        assert_eq!(fast.system_calls, Some(0));
        assert!(!fast.falls_back());
    }

    #[test]
    fn a_clock_that_should_ask_the_kernel_and_does_not_spoils_the_count() {
        let clock = Call::ClockGettime(libc::CLOCK_PROCESS_CPUTIME_ID as u32);
        assert!(count(&table_of(clock, stays)).is_err());
    }

    #[test]
    fn a_function_that_an_image_lacks_is_not_called() {
        let name = "a_function_that_an_image_lacks_is_not_called";
        let Ok(whole) = Table::of_this_process() else {
            return skip(Lacking::Kernel, name, "this process has no vDSO");
        };
        if whole.get(Call::Time).is_none() {
            return skip(Lacking::Kernel, name, "this architecture's vDSO has no time");
        }
        let mapped = image_of_this_process().expect("it was read a moment ago");
        let (mut image, addr) = (mapped.to_vec(), mapped.as_ptr() as usize);
        for at in places_of(&image, "time") {
            image[at..at + 2].fill(0);
        }
        // SAFETY: but for the hidden symbol it is the image that is mapped there.
        let table = unsafe { Table::of_image(&image, addr) }.expect("an image");
        assert!(table.get(Call::Time).is_none());
        assert!(table.get(MONOTONIC).is_some());
        let Some(fallbacks) = counted(&table, name) else { return };
        assert!(by_vdso(&fallbacks, Call::Time).is_none());
        assert!(fallbacks.iter().any(|f| f.call == "time" && f.through == Through::Libc));
    }

    /// Where the section indices of all symbols of a function are: zero there hides them.
    fn places_of(image: &[u8], function: &str) -> Vec<usize> {
        let image = Image::parse(image).expect("an image");
        let names =
            [function.to_owned(), format!("__vdso_{function}"), format!("__kernel_{function}")];
        let symbols = image.symbols().flatten().filter(|s| names.iter().any(|name| s.name == name));
        symbols.map(|symbol| symbol.section_index_offset).collect()
    }
}
