//! Reads that an update comes into after each of their instructions: the processor's trap flag has a
//! handler called there, which is the kernel or the timekeeper.
//!
//! The clock stands nearly still before the update and runs a thousand nanoseconds a cycle afterwards, as
//! no host's is slewed: so a counter value from before the update, on the line from after it, is a time
//! from long before the call, whatever the machine is busy with.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use vdso_data::arithmetic::Timespec;
use vdso_data::clock::{self, HIGH_RESOLUTION_IDS};
use vdso_data::latch;
use vdso_host::counter;
use vdso_image::Source;
use vdso_timekeeper::steering::{Kind, Line, continued};

use super::kernel_page::{FakeVvar, SHIFT, image_on, time_of};
use super::support::*;

/// Executes the next instruction and then traps. Source: Intel SDM, volume 1, 3.4.3.3.
const TRAP_FLAG: i64 = 1 << 8;

/// No image's code is longer, and nothing else is so near.
const CODE_BYTES: usize = 0x4000;

/// An update, called after one instruction of the image's.
type Update<'a> = Box<dyn FnMut() + 'a>;

static UPDATE: AtomicPtr<Update<'static>> = AtomicPtr::new(ptr::null_mut());
/// Where the image's function is.
static CODE: AtomicUsize = AtomicUsize::new(0);
/// How many instructions of it are still to come before the update.
static LEFT: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handle(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's, for this handler alone.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let registers = &mut context.uc_mcontext.gregs;
    let at = registers[libc::REG_RIP as usize] as usize;
    // The test's own instructions trap, too.
    if at.abs_diff(CODE.load(Ordering::Relaxed)) >= CODE_BYTES {
        return;
    }
    if LEFT.fetch_sub(1, Ordering::Relaxed) == 0 {
        // SAFETY: `read_with` has put it there, and waits.
        let update = unsafe { &mut *UPDATE.load(Ordering::Relaxed) };
        update();
        registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
    }
}

/// Reads a clock in nanoseconds, with the update behind so many instructions; whether it came. In a
/// process of its own: the handler is the whole process's.
fn read_with(
    functions: &Functions,
    read: impl Fn(&Functions) -> i128,
    instructions: usize,
    update: impl FnMut(),
) -> (i128, bool) {
    let mut was_updated = false;
    let mut update = update;
    let mut update: Update<'_> = Box::new(|| {
        update();
        was_updated = true;
    });
    CODE.store(functions.clock_gettime as usize, Ordering::Relaxed);
    LEFT.store(instructions, Ordering::Relaxed);
    UPDATE.store((&raw mut update).cast(), Ordering::Relaxed);
    let action = SigAction::new(SigHandler::SigAction(handle), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does what the test is about.
    unsafe { sigaction(Signal::SIGTRAP, &action) }.expect("a handler");
    // SAFETY: changes a flag that no compiled code looks at.
    unsafe { std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    let now = read(functions);
    // SAFETY: as above.
    unsafe { std::arch::asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
    drop(update);
    (now, was_updated)
}

/// Nanoseconds a cycle, afterwards.
const STEEP_NS: u32 = 1000;

/// As long as a trial may take: fewer cycles than the image's 64-bit arithmetic is good for.
const MOST_CYCLES: u64 = 1 << 31;

/// What a trial says: the clock before the update and when it came, the time that was read and the
/// latest that it may have been; `None` once the call ends before the update.
struct Trial {
    before_ns: i128,
    now_ns: i128,
    latest_ns: i128,
    was_updated: bool,
}

/// Tries each place of an update, until the call has no more instructions.
#[track_caller]
fn try_each(name: &str, trial: impl Fn(usize) -> Option<Trial>) {
    const MOST: usize = 1000;
    for instructions in 0..MOST {
        let it = loop {
            // On a machine that stands still for a second it is tried again.
            if let Some(it) = trial(instructions) {
                break it;
            }
        };
        if !it.was_updated {
            assert!(instructions > 20, "{name}: {instructions} instructions");
            return;
        }
        let behind = it.before_ns - it.now_ns;
        assert!(behind <= 0, "{name}, updated behind instruction {instructions}: {behind} ns back");
        let ahead = it.now_ns - it.latest_ns;
        assert!(ahead <= 0, "{name}, updated behind instruction {instructions}: {ahead} ns ahead");
    }
    panic!("{name}: the call does not end");
}

type Read = fn(&Functions) -> i128;

/// Each clock, by each function; rounded down to microseconds by one of them.
fn reads() -> Vec<(String, u32, Read, i128)> {
    const READS: [Read; HIGH_RESOLUTION_IDS.len()] = [
        |it| it.read_ns(clock::REALTIME),
        |it| it.read_ns(clock::MONOTONIC),
        |it| it.read_ns(clock::MONOTONIC_RAW),
        |it| it.read_ns(clock::BOOTTIME),
        |it| it.read_ns(clock::TAI),
    ];
    let mut all: Vec<(String, u32, Read, i128)> = Vec::new();
    for (id, read) in HIGH_RESOLUTION_IDS.into_iter().zip(READS) {
        all.push((format!("clock {id}"), id, read, 1));
    }
    all.push(("gettimeofday".into(), clock::REALTIME, |it| it.timeval().as_nanos(), 1000));
    all
}

/// The kernel updates its page while `host` reads it: its line is continued at the counter value of the
/// update, and described from an earlier one.
#[test]
fn an_update_of_the_kernels_after_any_instruction_sets_no_clock_back() {
    for (name, id, read, unit_ns) in reads() {
        let status = in_child(|| {
            try_each(&name, |instructions| {
                let vvar = FakeVvar::new();
                let start = counter::read();
                vvar.set_cycle_last(start);
                let mapped = image_on(&vvar, Source::Host, &offset_by(seconds(0)));
                let stood_at = time_of(id);
                let update = || {
                    let passed = counter::read() - start;
                    vvar.begin_update();
                    vvar.set_mult(STEEP_NS << SHIFT);
                    let back = i128::from(passed) * i128::from(STEEP_NS);
                    let base = Timespec::from_nanos(stood_at.as_nanos() - back);
                    vvar.set_time(id, base.expect("the seconds fit"));
                    vvar.end_update();
                };
                let (now_ns, was_updated) =
                    read_with(&mapped.functions(), read, instructions, update);
                let passed = counter::read() - start;
                let before_ns = stood_at.as_nanos() / unit_ns * unit_ns;
                let latest_ns = before_ns + i128::from(passed) * i128::from(STEEP_NS);
                (passed < MOST_CYCLES).then_some(Trial {
                    before_ns,
                    now_ns,
                    latest_ns,
                    was_updated,
                })
            });
        });
        assert_good(status);
    }
}

/// The timekeeper updates its page while `own` reads it. The counter is read before the page's number
/// there, and that is right, as a line begins where the counter was at its update.
#[test]
fn an_update_of_the_timekeepers_after_any_instruction_sets_no_clock_back() {
    for (name, id, read, unit_ns) in reads() {
        let status = in_child(|| {
            try_each(&name, |instructions| {
                // The counter counts, whatever the kernel here uses.
                let vvar = FakeVvar::new();
                let mapped = image_on(&vvar, Source::Own, &offset_by(seconds(0)));
                let page = mapped.page();
                let publish = |line: &Line| {
                    latch::write(&page.header.seq, |_, spare| {
                        page.copy(spare)[id as usize].store_counter_view(&line.view(1 << 45));
                    });
                };
                let old = Line {
                    cycles: counter::read(),
                    start: time_of(id).as_nanos() << 32,
                    slope: 1 << 44,
                };
                publish(&old);
                let slope = u128::from(STEEP_NS) << 64;
                let update = || {
                    let now = counter::read();
                    let reads = old.at(now);
                    publish(&continued(&old, (now, reads), slope, 1 << 30, Kind::NeverBack));
                };
                let before_ns = (old.at(counter::read()) >> 32) / unit_ns * unit_ns;
                let (now_ns, was_updated) =
                    read_with(&mapped.functions(), read, instructions, update);
                let passed = counter::read() - old.cycles;
                let latest_ns = before_ns + 1 + i128::from(passed) * i128::from(STEEP_NS);
                (passed < MOST_CYCLES).then_some(Trial {
                    before_ns,
                    now_ns,
                    latest_ns,
                    was_updated,
                })
            });
        });
        assert_good(status);
    }
}
