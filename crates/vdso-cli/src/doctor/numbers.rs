//! Which system calls a vDSO could have answered, by number.

use vdso_arch::ByteOrder;
use vdso_arch::abi::rows;
use vdso_arch::system_call::{Numbers, numbers};

use vdso_inject::ptrace::SystemCall;

/// Whose numbers an i386 program's calls have.
const AUDIT_ARCH_I386: u32 = rows::I386.audit_arch(ByteOrder::Little);

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
    let is_i386 = call.architecture == AUDIT_ARCH_I386;
    let numbers: &Numbers = if is_i386 { &numbers::I386 } else { Numbers::CURRENT? };
    let number = u32::try_from(call.number).ok()?;
    // Each with 32-bit and with 64-bit time.
    let by_id = [
        numbers.clock_gettime,
        numbers.clock_gettime64,
        numbers.clock_getres,
        numbers.clock_getres_time64,
    ];
    if by_id.contains(&Some(number)) {
        // A negative one names a process, a thread or a device.
        let id = call.arguments[0] as i32;
        return Some(if READABLE.contains(&id) { Kind::Clock } else { Kind::KernelClock });
    }
    if [numbers.gettimeofday, numbers.time].contains(&Some(number)) {
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

#[cfg(test)]
mod tests {
    use std::ffi::c_long;

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
