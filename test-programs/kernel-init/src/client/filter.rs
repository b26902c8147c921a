//! Who answers a call: found by a seccomp filter under which the kernel answers no clock.
//!
//! Source: seccomp(2); `include/uapi/linux/{filter,seccomp}.h`.

use core::fmt;

use vdso_client::Errno;

use crate::system::{self, IS_X32, Instruction, Sysno};

/// Who answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// Code of this process alone.
    UserSpace,
    /// A system call.
    Kernel,
    /// It cannot be told: the status of the process that tried.
    Unknown(i32),
}

impl fmt::Display for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserSpace => formatter.write_str("without the kernel"),
            Self::Kernel => formatter.write_str("by a system call"),
            Self::Unknown(status) => write!(formatter, "by nobody (status {status:#x})"),
        }
    }
}

/// Makes a call in a process in which the kernel answers no clock.
pub fn measure<T>(call: impl FnOnce() -> Result<T, Errno>) -> Measured {
    const USER_SPACE: usize = 0;
    const KERNEL: usize = 1;
    const OTHER: usize = 2;
    let child = match system::fork() {
        Ok(Some(child)) => child,
        Ok(None) => {
            if install().is_err() {
                system::exit(OTHER);
            }
            system::exit(match call() {
                Ok(_) => USER_SPACE,
                Err(error) if error == MARK => KERNEL,
                Err(_) => OTHER,
            })
        }
        Err(error) => return Measured::Unknown(error.into_raw()),
    };
    match system::wait(child) {
        Ok(0) => Measured::UserSpace,
        Ok(status) if status == (KERNEL as i32) << 8 => Measured::Kernel,
        Ok(status) => Measured::Unknown(status),
        Err(error) => Measured::Unknown(error.into_raw()),
    }
}

/// An error that no clock gives.
const MARK: Errno = Errno::from_raw(77);

const fn instruction(code: u16, if_true: u8, value: u32) -> Instruction {
    Instruction { code, if_true, if_false: 0, value }
}

/// Every call that tells a clock, a resolution or a CPU.
const CALLS: &[Sysno] = &[
    Sysno::clock_gettime,
    Sysno::clock_getres,
    Sysno::gettimeofday,
    Sysno::getcpu,
    #[cfg(any(target_arch = "x86_64", target_arch = "x86", target_arch = "powerpc64"))]
    Sysno::time,
    #[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64")))]
    Sysno::clock_gettime64,
    #[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64")))]
    Sysno::clock_getres_time64,
];

fn install() -> Result<(), system::Errno> {
    /// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K`.
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const FAIL: u32 = 0x0005_0000;
    /// Where `struct seccomp_data` has the call's number.
    const NUMBER: u32 = 0;
    /// x32's vDSO has x86-64's code, which makes calls without the mark of x32.
    const UNMARKED: usize = if IS_X32 { CALLS.len() } else { 0 };
    const JUMPS: usize = CALLS.len() + UNMARKED;
    const LENGTH: usize = JUMPS + 3;

    let mut instructions = [instruction(RETURN, 0, FAIL | MARK.raw() as u32); LENGTH];
    instructions[0] = instruction(LOAD, 0, NUMBER);
    for index in 0..JUMPS {
        let call = CALLS[index % CALLS.len()];
        let is_marked = index < CALLS.len();
        let number = if is_marked { system::number_of(call) } else { call.id() as usize };
        // Over the rest and what allows, to the last.
        let over = (JUMPS - index) as u8;
        instructions[1 + index] = instruction(JUMP_IF_EQUAL, over, number as u32);
    }
    instructions[LENGTH - 2] = instruction(RETURN, 0, ALLOW);
    system::set_filter(&instructions)
}
