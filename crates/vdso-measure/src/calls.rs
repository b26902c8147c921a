//! What is called: each function by address, the C library's twin, the system call; and the counter.

use std::hint::black_box;

use vdso_data::clock;
use vdso_inject::LocalImage;
use vdso_timekeeper::host::Host;

use crate::interleave::Subject;

/// Any of the functions, by what they have in common.
pub type Function = unsafe extern "C" fn(usize, usize, usize) -> i64;

/// A call that a vDSO may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// With a clock's id.
    ClockGettime(u32),
    /// With a clock's id.
    ClockGetres(u32),
    /// With a time, without a time zone.
    Gettimeofday,
    /// With a pointer.
    Time,
    /// The CPU, not its node.
    Getcpu,
}

/// The calls and clocks that are worth a row, by the name that a person gives them.
pub const CALLS: [(&str, Call); 11] = [
    ("clock_gettime(MONOTONIC)", Call::ClockGettime(clock::MONOTONIC)),
    ("clock_gettime(REALTIME)", Call::ClockGettime(clock::REALTIME)),
    ("clock_gettime(MONOTONIC_RAW)", Call::ClockGettime(clock::MONOTONIC_RAW)),
    ("clock_gettime(BOOTTIME)", Call::ClockGettime(clock::BOOTTIME)),
    ("clock_gettime(MONOTONIC_COARSE)", Call::ClockGettime(clock::MONOTONIC_COARSE)),
    ("clock_gettime(REALTIME_COARSE)", Call::ClockGettime(clock::REALTIME_COARSE)),
    (
        "clock_gettime(PROCESS_CPUTIME_ID)",
        Call::ClockGettime(libc::CLOCK_PROCESS_CPUTIME_ID as u32),
    ),
    ("gettimeofday", Call::Gettimeofday),
    ("time", Call::Time),
    ("clock_getres(MONOTONIC)", Call::ClockGetres(clock::MONOTONIC)),
    ("getcpu", Call::Getcpu),
];

impl Call {
    /// The function's name without a prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClockGettime(_) => "clock_gettime",
            Self::ClockGetres(_) => "clock_getres",
            Self::Gettimeofday => "gettimeofday",
            Self::Time => "time",
            Self::Getcpu => "getcpu",
        }
    }

    /// The first two arguments, given a buffer to write to. The others are null.
    const fn arguments(self, buffer: usize) -> (usize, usize) {
        match self {
            Self::ClockGettime(id) | Self::ClockGetres(id) => (id as usize, buffer),
            Self::Gettimeofday | Self::Time | Self::Getcpu => (buffer, 0),
        }
    }

    const fn number(self) -> libc::c_long {
        match self {
            Self::ClockGettime(_) => libc::SYS_clock_gettime,
            Self::ClockGetres(_) => libc::SYS_clock_getres,
            Self::Gettimeofday => libc::SYS_gettimeofday,
            Self::Time => TIME,
            Self::Getcpu => libc::SYS_getcpu,
        }
    }

    /// The C library's own function.
    pub fn library(self) -> Function {
        let address = match self {
            Self::ClockGettime(_) => libc::clock_gettime as *const (),
            Self::ClockGetres(_) => libc::clock_getres as *const (),
            Self::Gettimeofday => libc::gettimeofday as *const (),
            Self::Time => libc::time as *const (),
            Self::Getcpu => getcpu as *const (),
        };
        // SAFETY: a function that takes its arguments as below.
        unsafe { function(address as usize) }
    }

    /// The kernel's function, if its vDSO has it.
    pub fn kernels(self, host: &Host) -> Option<Function> {
        let offset = host.function_called(self.name())?;
        // SAFETY: the kernel's vDSO stays mapped, and has this function there.
        Some(unsafe { function(host.vdso_addr as usize + offset as usize) })
    }

    /// The function of an image of ours.
    pub fn ours(self, image: &LocalImage) -> Option<Function> {
        let export = vdso_data::architecture::Architecture::CURRENT?.export(self.name())?;
        let address = image.function(export.name)?;
        // SAFETY: the image is mapped there; whoever drops it does not call its functions any more.
        Some(unsafe { function(address) })
    }

    /// Calls a function by its address.
    pub fn subject(self, name: &str, function: Function) -> Subject<'static> {
        Subject::new(name, move |times| {
            let mut buffer = [0i64; 2];
            let (first, second) = self.arguments(buffer.as_mut_ptr() as usize);
            for _ in 0..times {
                // SAFETY: a function of this name, with arguments that it takes.
                unsafe { black_box(function)(first, second, 0) };
            }
        })
    }

    /// Makes the system call.
    pub fn system_call(self, name: &str) -> Subject<'static> {
        Subject::new(name, move |times| {
            let mut buffer = [0i64; 2];
            let (first, second) = self.arguments(buffer.as_mut_ptr() as usize);
            for _ in 0..times {
                // SAFETY: as above.
                unsafe { libc::syscall(self.number(), first, second, 0) };
            }
        })
    }

    /// Whether the system call works here: a sandbox may refuse it.
    pub fn is_answered(self) -> bool {
        let mut buffer = [0i64; 2];
        let (first, second) = self.arguments(buffer.as_mut_ptr() as usize);
        // SAFETY: as above.
        unsafe { libc::syscall(self.number(), first, second, 0) != -1 }
    }
}

#[cfg(target_arch = "x86_64")]
const TIME: libc::c_long = libc::SYS_time;
/// Newer architectures have no such call; this is none, and is not answered.
#[cfg(not(target_arch = "x86_64"))]
const TIME: libc::c_long = -1;

unsafe extern "C" {
    fn getcpu(cpu: *mut u32, node: *mut u32) -> i32;
}

/// # Safety
/// At `address` there is a function that stays there, and takes its arguments in the registers of three
/// integers.
unsafe fn function(address: usize) -> Function {
    // SAFETY: by the caller's promise; a function pointer is as large as an address.
    unsafe { std::mem::transmute(address) }
}

/// Ways to read the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// In the order in which the processor likes it: good for one thread's own measurements.
    Unordered,
    /// After everything before it: what a vDSO does.
    Ordered,
}

impl Counter {
    /// Reads it, and nothing else. `None` on an architecture whose counter is not known here.
    pub fn subject(self, name: &str) -> Option<Subject<'static>> {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{__rdtscp, _rdtsc};
            Some(match self {
                Self::Unordered => Subject::new(name, |times| {
                    for _ in 0..times {
                        // SAFETY: reads a counter that user mode may read, or the process is told so by
                        // a signal.
                        black_box(unsafe { _rdtsc() });
                    }
                }),
                Self::Ordered => Subject::new(name, |times| {
                    let mut cpu = 0;
                    for _ in 0..times {
                        // SAFETY: as above.
                        black_box(unsafe { __rdtscp(&mut cpu) });
                    }
                }),
            })
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = name;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_answered_by_its_name() {
        let host = Host::find().expect("/proc/self/maps is readable");
        for (name, call) in CALLS {
            assert!(name.starts_with(call.name()), "{name}");
            assert!(call.is_answered(), "{name}");
            (call.system_call(name).run)(3);
            (call.subject(name, call.library()).run)(3);
            if let Some(function) = call.kernels(&host) {
                (call.subject(name, function).run)(3);
            }
        }
    }

    #[test]
    fn an_answer_is_written() {
        let mut buffer = [0i64; 2];
        let call = Call::ClockGettime(clock::MONOTONIC);
        let (first, second) = call.arguments(buffer.as_mut_ptr() as usize);
        // SAFETY: the C library's clock_gettime, and a timespec of ours.
        assert_eq!(unsafe { call.library()(first, second, 0) } as i32, 0);
        assert!(buffer[0] > 0 || buffer[1] > 0);
    }
}
