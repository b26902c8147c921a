//! Waits for a program's own clock, beside plain ones: in programs under `vdso run`, in turns with the same ones without.

use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr::null;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::programs::{median, vdso_binary, verdict};

/// How often each measurement is repeated.
const ROUNDS: usize = 15;

/// What a program does again and again.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Doing {
    /// `getppid`, which is not reported.
    Unreported,
    /// A `futex` with a deadline of REALTIME, which ends at once as its word has another value.
    Wait,
    /// `clock_gettime` of REALTIME by a system call.
    Direct,
    /// `fstat`, which may be reported.
    Status,
    /// A turn of two threads that wake each other by `pthread_cond_timedwait`.
    Turn,
}

/// Every row.
pub fn all() -> Result<()> {
    println!("\nprograms one day ahead, to plain ones");
    let patched = ["--offset", "1d"];
    let (_, ratio) = compare(Doing::Unreported, &patched)?;
    row("getppid, ratio", ratio, 1.25, 1.20);
    let (added, _) = compare(Doing::Wait, &["--offset", "1d", "--no-patch"])?;
    row("a reported wait adds, us", added / 1e3, 25.0, 15.0);
    let (added, _) = compare(Doing::Wait, &patched)?;
    row("one at a rewritten site adds, us", added / 1e3, 25.0, 3.0);
    let (added, _) = compare(Doing::Direct, &["--offset", "1d", "--no-patch"])?;
    row("a direct clock_gettime adds, us", added / 1e3, 12.0, 2.0);
    let (added, _) = compare(Doing::Direct, &patched)?;
    row("one at a rewritten site adds, us", added / 1e3, 12.0, 2.0);
    let (_, ratio) = compare(Doing::Turn, &patched)?;
    row("a turn of two threads, ratio", ratio, 4.0, 1.2);
    Ok(())
}

fn row(name: &str, value: f64, must: f64, aim: f64) {
    println!("  {name:<34} {value:>8.3}  {}", verdict(value, must, aim));
}

/// Nanoseconds that it takes longer, and how many times as long; medians of pairs.
pub fn compare(doing: Doing, options: &[&str]) -> Result<(f64, f64)> {
    let vdso = vdso_binary()?;
    let (mut added, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let plain = measure(doing, None, &[])?;
        let moved = measure(doing, Some(&vdso), options)?;
        added.push(moved - plain);
        ratios.push(moved / plain);
    }
    Ok((median(added), median(ratios)))
}

fn measure(doing: Doing, vdso: Option<&Path>, options: &[&str]) -> Result<f64> {
    let program = std::env::current_exe()?;
    let mut command = match vdso {
        None => Command::new(&program),
        Some(vdso) => {
            let mut command = Command::new(vdso);
            command.arg("run").args(options).arg("--").arg(&program);
            command
        }
    };
    let name = doing.to_possible_value().context("it has a name")?;
    let output = command.args(["wait", name.get_name()]).stderr(Stdio::inherit()).output()?;
    String::from_utf8(output.stdout)?.trim().parse().context("the program printed no time")
}

/// The hidden part that [`measure`] starts: prints what it takes once, in nanoseconds.
pub fn run(doing: Doing) {
    let (times, work): (u32, fn(u32)) = match doing {
        Doing::Unreported => (200_000, unreported),
        Doing::Wait => (5_000, wait),
        Doing::Direct => (5_000, direct),
        Doing::Status => (200_000, status),
        Doing::Turn => (10_000, turns),
    };
    // Call sites are rewritten after a few calls.
    work(times / 100);
    let start = Instant::now();
    work(times);
    println!("{}", start.elapsed().as_nanos() as f64 / f64::from(times));
}

fn unreported(times: u32) {
    for _ in 0..times {
        // SAFETY: takes nothing.
        unsafe { libc::syscall(libc::SYS_getppid) };
    }
}

fn direct(times: u32) {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    for _ in 0..times {
        // SAFETY: it is ours, and the kernel does not look at a third argument.
        unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_REALTIME, &raw mut now, 0) };
    }
}

fn status(times: u32) {
    // SAFETY: made of integers.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    for _ in 0..times {
        // SAFETY: it is ours.
        unsafe { libc::fstat(0, &mut status) };
    }
}

fn wait(times: u32) {
    let word = 0u32;
    let deadline = libc::timespec { tv_sec: 4_000_000_000, tv_nsec: 0 };
    let operation = libc::FUTEX_WAIT_BITSET | libc::FUTEX_CLOCK_REALTIME | libc::FUTEX_PRIVATE_FLAG;
    for _ in 0..times {
        // SAFETY: the word and the deadline are there; the word is not the value, so nothing waits.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                &raw const word,
                operation,
                1,
                &raw const deadline,
                null::<u32>(),
                u32::MAX,
            );
        }
    }
}

/// Whose turn it is, by the calls of the C library.
struct Turn {
    mutex: libc::pthread_mutex_t,
    condition: libc::pthread_cond_t,
    whose: AtomicU32,
}

/// A pointer that two threads have.
#[derive(Clone, Copy)]
struct Shared(*mut Turn);

// SAFETY: all access is under the mutex, and the turn outlives both threads.
unsafe impl Send for Shared {}

fn turns(times: u32) {
    let mut turn = Turn {
        mutex: libc::PTHREAD_MUTEX_INITIALIZER,
        condition: libc::PTHREAD_COND_INITIALIZER,
        whose: AtomicU32::new(0),
    };
    let shared = Shared(&raw mut turn);
    let threads = [0, 1].map(|me| thread::spawn(move || take_turns(shared, me, times / 2)));
    for thread in threads {
        let _ = thread.join();
    }
}

fn take_turns(shared: Shared, me: u32, times: u32) {
    let Shared(turn) = shared;
    // SAFETY: the turn outlives the threads, and only its mutex and its condition are changed by others.
    let mutex = unsafe { &raw mut (*turn).mutex };
    // SAFETY: as above.
    let condition = unsafe { &raw mut (*turn).condition };
    // SAFETY: as above.
    let whose = unsafe { &(*turn).whose };
    for _ in 0..times {
        // SAFETY: initialised, and this thread does not have it.
        unsafe { libc::pthread_mutex_lock(mutex) };
        // Relaxed: under the mutex.
        while whose.load(Relaxed) != me {
            let mut deadline = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: it is ours.
            unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut deadline) };
            deadline.tv_sec += 10;
            // SAFETY: initialised, and this thread has the mutex.
            unsafe { libc::pthread_cond_timedwait(condition, mutex, &deadline) };
        }
        whose.store(1 - me, Relaxed);
        // SAFETY: initialised, and this thread has the mutex.
        unsafe { libc::pthread_cond_signal(condition) };
        // SAFETY: this thread has it.
        unsafe { libc::pthread_mutex_unlock(mutex) };
    }
}
