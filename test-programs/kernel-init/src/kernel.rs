//! What the kernel says of clocks: the reference, by system calls of this program's own.

use vdso_client::{ClockId, Cpu, Timespec};

use crate::system::{self, Errno, Sysno};

/// Where `long` has 32 bits, the calls with 64-bit times.
#[cfg(any(target_pointer_width = "64", target_arch = "x86_64"))]
mod number {
    use super::Sysno;

    pub const GETTIME: Sysno = Sysno::clock_gettime;
    pub const GETRES: Sysno = Sysno::clock_getres;
    pub const SETTIME: Sysno = Sysno::clock_settime;
}

#[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64")))]
mod number {
    use super::Sysno;

    pub const GETTIME: Sysno = Sysno::clock_gettime64;
    pub const GETRES: Sysno = Sysno::clock_getres_time64;
    pub const SETTIME: Sysno = Sysno::clock_settime64;
}

/// The time of a clock.
pub fn clock_gettime(id: ClockId) -> Result<Timespec, Errno> {
    by_clock(number::GETTIME, id)
}

/// The resolution of a clock.
pub fn clock_getres(id: ClockId) -> Result<Timespec, Errno> {
    by_clock(number::GETRES, id)
}

fn by_clock(number: Sysno, id: ClockId) -> Result<Timespec, Errno> {
    let mut written = Timespec::default();
    let arguments = [id.raw() as usize, (&raw mut written).expose_provenance(), 0, 0, 0, 0];
    // SAFETY: it writes a time with 64 bits to `written`.
    unsafe { system::call(number, arguments) }.map(|_| written)
}

/// Sets a clock.
pub fn clock_settime(id: ClockId, time: Timespec) -> Result<(), Errno> {
    let arguments = [id.raw() as usize, (&raw const time).expose_provenance(), 0, 0, 0, 0];
    // SAFETY: it reads `time`.
    unsafe { system::call(number::SETTIME, arguments) }.map(drop)
}

/// The CPU of this thread.
pub fn getcpu() -> Result<Cpu, Errno> {
    let (mut cpu, mut node) = (0u32, 0u32);
    let addresses = [(&raw mut cpu).expose_provenance(), (&raw mut node).expose_provenance()];
    // SAFETY: it writes these two words.
    unsafe { system::call(Sysno::getcpu, [addresses[0], addresses[1], 0, 0, 0, 0]) }
        .map(|_| Cpu { cpu, node })
}

/// Moves this process to one CPU, from the number of those that it may use at all.
pub fn move_to(cpu: usize) -> Result<(), Errno> {
    let mask = [1usize << cpu];
    let arguments = [0, size_of_val(&mask), mask.as_ptr().expose_provenance(), 0, 0, 0];
    // SAFETY: it reads `mask`.
    unsafe { system::call(Sysno::sched_setaffinity, arguments) }.map(drop)
}

/// The first two numbers of the kernel's version.
pub fn version() -> (u32, u32) {
    let names = system::uname();
    let mut numbers = names.release().split(['.', '-', '+']).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
