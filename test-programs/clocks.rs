//! Prints the clocks that Rust's standard library and the C library below it read, each between two
//! raw system calls for the same clock. Needs no crate: `rustc clocks.rs` builds it.
//!
//! Sources: std::time, clock_gettime(2), syscall(2).

use std::ffi::{c_int, c_long};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[cfg(target_arch = "x86_64")]
const SYS_CLOCK_GETTIME: c_long = 228;
#[cfg(target_arch = "aarch64")]
const SYS_CLOCK_GETTIME: c_long = 113;

/// Name and clock id, from linux/time.h.
const CLOCKS: [(&str, c_int); 7] = [
    ("REALTIME", 0),
    ("MONOTONIC", 1),
    ("MONOTONIC_RAW", 4),
    ("REALTIME_COARSE", 5),
    ("MONOTONIC_COARSE", 6),
    ("BOOTTIME", 7),
    ("TAI", 11),
];

#[repr(C)]
#[derive(Default)]
struct Timespec {
    seconds: i64,
    ns: i64,
}

impl Timespec {
    fn total_ns(&self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.ns)
    }
}

unsafe extern "C" {
    fn clock_gettime(clock: c_int, now: *mut Timespec) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    fn getauxval(kind: c_long) -> usize;
}

/// What marks a system call that gives the host's clock: see `host_clock.h`.
fn host_clock_mark() -> c_long {
    const AT_SYSINFO_EHDR: c_long = 33;
    const MAGIC: u64 = u64::from_be_bytes(*b"vdsoproc");
    // SAFETY: it only looks.
    let mut page = unsafe { getauxval(AT_SYSINFO_EHDR) };
    // SAFETY: an ELF header, if it is not null; the kernel's own image has no entry point.
    if cfg!(not(target_arch = "x86_64"))
        || page == 0
        || unsafe { *((page + 24) as *const u64) } == 0
    {
        return 0;
    }
    // SAFETY: the pages are behind the image.
    while unsafe { *(page as *const u64) } != MAGIC {
        page += 4096;
    }
    // SAFETY: in the page that was found.
    c_long::from(unsafe { *((page + 36) as *const u32) })
}

fn raw_ns(clock: c_int) -> i128 {
    let mut now = Timespec::default();
    // SAFETY: the kernel writes one timespec, which `now` is.
    let result = unsafe { syscall(SYS_CLOCK_GETTIME, c_long::from(clock), &raw mut now, host_clock_mark()) };
    assert_eq!(result, 0, "the clock_gettime system call failed for clock {clock}");
    now.total_ns()
}

fn libc_ns(clock: c_int) -> i128 {
    let mut now = Timespec::default();
    // SAFETY: the C library writes one timespec, which `now` is.
    let result = unsafe { clock_gettime(clock, &raw mut now) };
    assert_eq!(result, 0, "clock_gettime failed for clock {clock}");
    now.total_ns()
}

fn system_time_ns() -> i128 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

/// An `Instant` has no public value, but its Debug form shows both of its fields.
fn instant_ns(instant: Instant) -> i128 {
    let text = format!("{instant:?}");
    let fields = text.split(|c: char| !c.is_ascii_digit()).filter(|field| !field.is_empty());
    let numbers: Vec<i128> = fields.map(|field| field.parse().expect("digits")).collect();
    let [seconds, ns] = numbers[..] else { panic!("an Instant no longer prints as {text}") };
    seconds * 1_000_000_000 + ns
}

fn print_line<T>(name: &str, clock: c_int, read: impl Fn() -> T, to_ns: impl Fn(T) -> i128) {
    let before = raw_ns(clock);
    let library = read();
    let after = raw_ns(clock);
    println!("{name} {before} {} {after}", to_ns(library));
}

fn main() {
    for (name, clock) in CLOCKS {
        print_line(name, clock, || libc_ns(clock), |ns| ns);
    }
    print_line("REALTIME:SystemTime", 0, system_time_ns, |ns| ns);
    print_line("MONOTONIC:Instant", 1, Instant::now, instant_ns);
}
