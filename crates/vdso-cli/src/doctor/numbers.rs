//! Which system calls a vDSO could have answered, by number.
//!
//! Source: `arch/x86/entry/syscalls/syscall_32.tbl`; the others are the C library's.

use std::ffi::c_long;

use vdso_inject::ptrace::SystemCall;

/// `include/uapi/linux/audit.h`.
const AUDIT_ARCH_I386: u32 = 0x4000_0003;

/// What a system call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A clock that a vDSO can read.
    Clock,
    /// One that it cannot.
    KernelClock,
    Getcpu,
    Getrandom,
}

/// What it asks for, if a vDSO has anything to do with it.
pub fn kind(call: &SystemCall) -> Option<Kind> {
    let numbers = if call.architecture == AUDIT_ARCH_I386 { &I386 } else { &NATIVE };
    let number = c_long::try_from(call.number).ok()?;
    if numbers.by_id.contains(&number) {
        // A negative one names a process, a thread or a device.
        let id = call.arguments[0] as i32;
        return Some(if READABLE.contains(&id) { Kind::Clock } else { Kind::KernelClock });
    }
    if numbers.others.contains(&number) {
        return Some(Kind::Clock);
    }
    if number == numbers.getcpu {
        return Some(Kind::Getcpu);
    }
    (number == numbers.getrandom).then_some(Kind::Getrandom)
}

/// The clocks that every vDSO reads. CLOCK_*_ALARM and processor time are not among them.
const READABLE: [i32; 7] = [
    libc::CLOCK_REALTIME,
    libc::CLOCK_MONOTONIC,
    libc::CLOCK_MONOTONIC_RAW,
    libc::CLOCK_REALTIME_COARSE,
    libc::CLOCK_MONOTONIC_COARSE,
    libc::CLOCK_BOOTTIME,
    libc::CLOCK_TAI,
];

struct Numbers {
    /// Those whose first argument is a clock's id.
    by_id: &'static [c_long],
    /// Those of REALTIME.
    others: &'static [c_long],
    getcpu: c_long,
    getrandom: c_long,
}

const NATIVE: Numbers = Numbers {
    by_id: &[libc::SYS_clock_gettime, libc::SYS_clock_getres],
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    others: &[libc::SYS_gettimeofday, libc::SYS_time],
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    others: &[libc::SYS_gettimeofday],
    getcpu: libc::SYS_getcpu,
    getrandom: libc::SYS_getrandom,
};

/// Each of the first kind with 32-bit and with 64-bit time.
const I386: Numbers =
    Numbers { by_id: &[265, 403, 266, 406], others: &[78, 13], getcpu: 318, getrandom: 355 };

#[cfg(test)]
mod tests {
    use super::*;

    fn call(architecture: u32, number: c_long, argument: i32) -> SystemCall {
        SystemCall {
            architecture,
            number: number as u64,
            arguments: [argument as u64, 0, 0, 0, 0, 0],
            instruction_addr: 0,
            stack_addr: 0,
        }
    }

    #[test]
    fn clocks_that_only_the_kernel_knows_are_told_from_others() {
        let gettime = libc::SYS_clock_gettime;
        assert_eq!(kind(&call(0, gettime, libc::CLOCK_TAI)), Some(Kind::Clock));
        assert_eq!(kind(&call(0, gettime, libc::CLOCK_THREAD_CPUTIME_ID)), Some(Kind::KernelClock));
        // A device's clock: ~fd << 3 | 3.
        assert_eq!(kind(&call(0, gettime, -29)), Some(Kind::KernelClock));
        assert_eq!(kind(&call(0, libc::SYS_getppid, 1)), None);
        assert_eq!(kind(&call(AUDIT_ARCH_I386, 403, libc::CLOCK_REALTIME)), Some(Kind::Clock));
        assert_eq!(kind(&call(AUDIT_ARCH_I386, 355, 0)), Some(Kind::Getrandom));
    }
}
