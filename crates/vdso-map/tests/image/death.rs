//! Publishers that are killed at any instruction, one after the other, while programs read their page.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use vdso_data::clock;
use vdso_host::Host;
use vdso_image::Source;
use vdso_timekeeper::Timekeeper;

use super::support::*;

const KILLS: u64 = 300;

/// Reads take nanoseconds: a reader that has not come back after this never will.
const HUNG: Duration = Duration::from_secs(60);

/// One reader's clocks, none of which goes back: nobody sets the host's meanwhile.
const CLOCKS: [u32; 4] = [clock::MONOTONIC, clock::MONOTONIC_RAW, clock::BOOTTIME, clock::REALTIME];

/// A process that publishes without a pause.
fn publisher(mapped: &Mapped, host: &Host, transforms: Transforms) -> Pid {
    let parent = std::process::id();
    // SAFETY: the child only computes, reads the kernel's page and writes ours; it ends by a signal.
    match unsafe { fork() }.expect("a process can be forked") {
        ForkResult::Child => {
            // Nor does it live on when the test ends early.
            // SAFETY: sets a number of this process's.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            assert_eq!(nix::unistd::getppid().as_raw() as u32, parent, "the test has ended");
            let mut timekeeper = Timekeeper::new(mapped.page(), host.sampler(), transforms);
            loop {
                timekeeper.update();
            }
        }
        ForkResult::Parent { child } => child,
    }
}

fn read_on(functions: &Functions, reads: &AtomicU64, is_done: &AtomicBool) {
    let mut last = CLOCKS.map(|_| i128::MIN);
    while !is_done.load(Ordering::Relaxed) {
        for (id, last) in CLOCKS.into_iter().zip(&mut last) {
            let now = functions.read_ns(id);
            assert!(*last <= now, "clock {id} goes back by {} ns", *last - now);
            *last = now;
        }
        reads.fetch_add(1, Ordering::Release);
    }
}

/// Lets the readers come around, whatever has happened to the page.
fn await_readers(readers: &[(&AtomicU64, thread::ScopedJoinHandle<'_, ()>)]) {
    let start = Instant::now();
    for (reads, thread) in readers {
        // Twice: the first may have begun before.
        let target = reads.load(Ordering::Acquire) + 2;
        while reads.load(Ordering::Acquire) < target && !thread.is_finished() {
            assert!(start.elapsed() < HUNG, "a reader hangs");
            thread::yield_now();
        }
    }
}

#[test]
fn no_reader_hangs_or_goes_back() {
    if !is_usable("no_reader_hangs_or_goes_back", Source::Own) {
        return;
    }
    let host = host();
    let start = Instant::now();
    let transforms = offset_by(seconds(12));
    let mapped = Mapped::new(Source::Own, &transforms);
    let functions = mapped.functions();
    let is_done = AtomicBool::new(false);
    let counts = [AtomicU64::new(0), AtomicU64::new(0)];
    let mut random = Random(std::process::id().into());
    let mut updates = 0u64;
    thread::scope(|scope| {
        let (functions, is_done) = (&functions, &is_done);
        let spawn = |reads| (reads, scope.spawn(move || read_on(functions, reads, is_done)));
        let readers: Vec<_> = counts.iter().map(spawn).collect();
        for _ in 0..KILLS {
            let before = mapped.page().header.seq.load(Ordering::Acquire);
            let child = publisher(&mapped, host, transforms);
            // At its first update, or anywhere within a millisecond.
            while mapped.page().header.seq.load(Ordering::Acquire) == before {
                thread::yield_now();
            }
            let spins = random.below(100_000);
            (0..spins).for_each(|_| std::hint::spin_loop());
            kill(child, Signal::SIGKILL).expect("the child is ours");
            let ended = waitpid(child, None).expect("the child is ours");
            assert!(matches!(ended, WaitStatus::Signaled(_, Signal::SIGKILL, _)), "{ended:?}");
            updates +=
                u64::from(mapped.page().header.seq.load(Ordering::Acquire).wrapping_sub(before));
            assert!(mapped.page().is_readable());
            await_readers(&readers);
        }
        is_done.store(true, Ordering::Relaxed);
        for (_, reader) in readers {
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    let reads: u64 = counts.into_iter().map(AtomicU64::into_inner).sum();
    println!("{KILLS} publishers killed after {updates} updates, {reads} rounds of reads");
    // What the last one left is the host's time still.
    for id in clock::HIGH_RESOLUTION_IDS {
        let moved =
            |time: vdso_data::arithmetic::Timespec| time.wrapping_add(seconds(12)).as_nanos();
        let (before, now, after) = (moved(kernels(id)), functions.read_ns(id), moved(kernels(id)));
        let close = 1_000_000 + slewed_ns(start.elapsed());
        assert!(
            (before - close..=after + close).contains(&now),
            "clock {id}: {before} {now} {after}"
        );
    }
}

/// Readers leave no trace in a page, and need none.
#[test]
fn a_page_of_a_dead_publisher_is_kept() {
    if !is_usable("a_page_of_a_dead_publisher_is_kept", Source::Own) {
        return;
    }
    let mapped = Mapped::new(Source::Own, &offset_by(seconds(0)));
    let host = host();
    let child = publisher(&mapped, host, offset_by(seconds(0)));
    while mapped.page().header.seq.load(Ordering::Acquire) < 10 {
        thread::yield_now();
    }
    kill(child, Signal::SIGKILL).expect("the child is ours");
    waitpid(child, None).expect("the child is ours");
    let seq = mapped.page().header.seq.load(Ordering::Acquire);
    let before = kernels(clock::MONOTONIC);
    for _ in 0..1000 {
        mapped.functions().read(clock::MONOTONIC);
    }
    assert_eq!(mapped.page().header.seq.load(Ordering::Acquire), seq, "readers write nothing");
    assert!(mapped.functions().read(clock::MONOTONIC) > before);
}
