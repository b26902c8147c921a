//! What the kernel writes where a thread is registered, and counters for each CPU: exact, whatever interrupts an addition.

#![cfg(all(target_arch = "x86_64", not(miri)))]

mod support;

use std::ffi::{c_int, c_void};
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;
use support::process::{in_child, is_so_in_sharing_child};
use test_support::{Lacking, skip};
use vdso_client::rseq::{NotRegistered, PerCpuCounter, Registration, Thread, concurrency_id};
use vdso_client::{Cpu, Errno, cpu, system_call};

/// Says so if no C library has registered this thread.
fn is_registered(test: &str) -> bool {
    let is_registered = Thread::of_libc().and_then(Thread::cpu).is_some();
    if !is_registered {
        skip(Lacking::Tool, test, "the C library registers no thread (glibc 2.35)");
    }
    is_registered
}

/// The CPUs that this thread may run on.
fn allowed_cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("a set");
    (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true)).collect()
}

fn go_to(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).expect("it is allowed");
    sched_setaffinity(Pid::from_raw(0), &set).expect("it is allowed");
}

/// What the kernel says, in a thread that does not move meanwhile.
fn asked() -> Cpu {
    system_call::getcpu().expect("an answer")
}

#[test]
fn each_way_says_what_the_kernel_says_on_each_cpu() {
    let thread = Thread::of_libc().filter(|thread| thread.cpu().is_some());
    for here in allowed_cpus() {
        go_to(here);
        assert_eq!(cpu::current(), Ok(asked()));
        assert_eq!(asked().cpu as usize, here);
        if let Some(thread) = thread {
            assert_eq!(thread.cpu(), Some(asked().cpu));
            assert!(thread.cpu_and_node().is_none_or(|it| it == asked()));
        }
    }
}

/// Threads that run at once have different ones, and none is as large as there are CPUs.
#[test]
fn concurrency_ids_are_below_the_number_of_cpus() {
    if concurrency_id().is_none() {
        return skip(Lacking::Kernel, "concurrency_ids_are_below_the_number_of_cpus", "Linux 6.3");
    }
    let cpus =
        std::thread::available_parallelism().expect("a number").get().max(allowed_cpus().len());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    let id = concurrency_id().expect("registered") as usize;
                    assert!(id < cpus, "{id} of {cpus}");
                    std::thread::yield_now();
                }
            });
        }
    });
}

/// As an allocator might do it. The thread is a child's: what comes after in this process is registered.
#[test]
fn a_registration_that_goes_away_is_not_read_any_more() {
    if !is_registered("a_registration_that_goes_away_is_not_read_any_more") {
        return;
    }
    in_child(|| {
        let counter = PerCpuCounter::new().expect("memory");
        let here = cpu::current();
        assert!(here.is_ok());
        unregister_libcs();
        let thread = Thread::of_libc().expect("glibc's variables stay");
        assert_eq!((thread.cpu(), thread.cpu_and_node()), (None, None));
        assert_eq!(concurrency_id(), None);
        assert!(cpu::current().is_ok());
        counter.add(5);
        assert_eq!((counter.sum(), counter.rest()), (5, 5));
        // Somebody else may now.
        own_registrations_count();
    });
}

/// By numbers of its own: glibc's area, as it has registered it.
fn unregister_libcs() {
    unsafe extern "C" {
        static __rseq_offset: isize;
        static __rseq_size: u32;
    }
    // SAFETY: glibc's constants.
    let offset = unsafe { __rseq_offset };
    // SAFETY: as above.
    let bytes = unsafe { __rseq_size }.max(32);
    let thread: usize;
    // SAFETY: the thread's own address.
    unsafe { std::arch::asm!("mov {}, fs:[0]", out(reg) thread) };
    let area = thread.wrapping_add_signed(offset);
    // SAFETY: takes a registration away that the test does without.
    let result = unsafe { libc::syscall(libc::SYS_rseq, area, bytes, 1, 0x5305_3053) };
    assert_eq!(result, 0);
}

/// In a thread that nobody has registered.
fn own_registrations_count() {
    let counter = PerCpuCounter::new().expect("memory");
    let registration = Registration::new().expect("nobody else has one");
    assert_eq!(Registration::new().unwrap_err(), NotRegistered::Taken);
    let thread = registration.thread();
    for here in allowed_cpus() {
        go_to(here);
        assert_eq!(thread.cpu(), Some(asked().cpu));
        assert!(thread.cpu_and_node().is_none_or(|it| it == asked()));
        counter.add_as(thread, 2);
        assert_eq!(counter.by_cpu().nth(here), Some(2));
    }
    assert_eq!(counter.rest(), 0);
    // A forked child has the registration, too.
    in_child(|| {
        assert_eq!(thread.cpu(), Some(asked().cpu));
        counter.add_as(thread, 1);
        assert_eq!(counter.rest(), 0);
    });
    drop(registration);
    // And again: nothing is left of the first.
    drop(Registration::new().expect("nobody else has one"));
}

#[test]
fn who_is_registered_by_the_c_library_is_not_registered_again() {
    if !is_registered("who_is_registered_by_the_c_library_is_not_registered_again") {
        return;
    }
    assert_eq!(Registration::new().unwrap_err(), NotRegistered::Taken);
}

/// What the kernel says to a length that no kernel takes, and to who comes second: nothing is registered by it.
#[test]
fn the_kernel_refuses_what_is_too_small_and_who_comes_second() {
    in_child(|| {
        if is_registered("the_kernel_refuses_what_is_too_small_and_who_comes_second") {
            unregister_libcs();
        }
        #[repr(align(64))]
        struct Area([u8; 64]);
        let mut area = Area([0; 64]);
        let address = area.0.as_mut_ptr();
        let register = |bytes: usize| {
            // SAFETY: the area stays until this process ends.
            let result = unsafe { libc::syscall(libc::SYS_rseq, address, bytes, 0, 0x5305_3053) };
            if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().raw_os_error()) }
        };
        assert_eq!(register(16), Err(Some(libc::EINVAL)));
        assert_eq!(register(32), Ok(()));
        assert_eq!(register(32), Err(Some(libc::EBUSY)));
        assert_eq!(Registration::new().unwrap_err(), NotRegistered::Taken, "another owner's");
    });
}

#[test]
fn a_filter_that_refuses_is_told() {
    in_child(|| {
        if is_registered("a_filter_that_refuses_is_told") {
            unregister_libcs();
        }
        support::process::answer(&[libc::SYS_rseq], libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
        let refused = NotRegistered::Refused(Errno::ENOSYS);
        assert_eq!(Registration::new().unwrap_err(), refused);
        assert_eq!(refused.to_string(), "rseq: ENOSYS");
    });
}

/// The first call may ask; a filter then kills whoever does.
#[test]
fn after_the_first_no_cpu_is_asked_for() {
    in_child(|| {
        let counter = PerCpuCounter::new().expect("memory");
        let (here, _) = (cpu::current().expect("a CPU"), concurrency_id());
        support::process::forbid(&[libc::SYS_getcpu, libc::SYS_rseq]);
        for _ in 0..1_000 {
            assert!(cpu::current().is_ok());
            concurrency_id();
            counter.add(1);
        }
        assert_eq!(counter.sum(), 1_000);
        let _ = here;
    });
}

#[test]
fn without_a_vdso_the_system_call_is_made() {
    in_child(|| {
        let _ = cpu::current();
        vdso_client::without_vdso();
        assert_eq!(cpu::way(), cpu::Way::Getcpu);
        support::process::answer(&[libc::SYS_getcpu], libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
        assert_eq!(cpu::current(), Err(Errno::EPERM));
        vdso_client::reset();
        // The kernel's answer is not to be had, so the instruction is not believed.
        assert_ne!(cpu::way(), cpu::Way::Rdpid);
        if Thread::of_libc().and_then(Thread::cpu_and_node).is_some() {
            assert_eq!(cpu::way(), cpu::Way::Rseq);
            assert!(cpu::current().is_ok());
        }
    });
}

/// This program again, with a C library that has been told not to register.
#[test]
fn without_the_c_librarys_registration_all_is_as_right() {
    let program = std::env::current_exe().expect("a path");
    let mut command = Command::new(program);
    command.args(["--exact", "part_without_the_c_librarys_registration", "--ignored"]);
    let output = command.env("GLIBC_TUNABLES", "glibc.pthread.rseq=0").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "a part of the test above"]
fn part_without_the_c_librarys_registration() {
    assert!(Thread::of_libc().is_none() && concurrency_id().is_none());
    assert!(cpu::current().is_ok());
    assert_ne!(cpu::way(), cpu::Way::Rseq);
    assert_eq!(vdso_client::ids::process_id(), system_call::getpid());
    let is_own = is_so_in_sharing_child(|| vdso_client::ids::thread_id() == system_call::gettid());
    assert!(is_own, "the thread has not asked yet");
    assert_eq!(vdso_client::ids::thread_id(), system_call::gettid());
    let counter = PerCpuCounter::new().expect("memory");
    counter.add(1);
    assert_eq!(counter.rest(), 1);
    own_registrations_count();
    // More threads than CPUs, each registered by itself.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let registration = Registration::new().expect("nobody else has one");
                for _ in 0..50_000 {
                    counter.add_as(registration.thread(), 1);
                }
            });
        }
    });
    assert_eq!(counter.sum(), 400_001);
}

/// More threads than CPUs, which yield, move and are interrupted by handlers that count, too.
#[test]
fn counts_are_exact_however_threads_move() {
    const THREADS: usize = 8;
    const ADDITIONS: u64 = 100_000;
    static COUNTER: AtomicPtr<PerCpuCounter> = AtomicPtr::new(ptr::null_mut());
    static HANDLED: AtomicU64 = AtomicU64::new(0);
    extern "C" fn count(_: c_int) {
        // SAFETY: put there below, before any signal.
        unsafe { &*COUNTER.load(Ordering::Relaxed) }.add(1);
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    let mut counter = PerCpuCounter::new().expect("memory");
    COUNTER.store(&mut counter, Ordering::Relaxed);
    let action = SigAction::new(SigHandler::Handler(count), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does what a handler may.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.expect("a handler");
    let cpus = allowed_cpus();
    let counter = &counter;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let cpus = &cpus;
            scope.spawn(move || {
                for addition in 0..ADDITIONS {
                    counter.add(1);
                    match addition % 1_000 {
                        500 => go_to(cpus[(thread + addition as usize / 1_000) % cpus.len()]),
                        250 | 750 => std::thread::yield_now(),
                        900 => nix::sys::signal::raise(Signal::SIGUSR1).expect("a signal"),
                        _ => {}
                    }
                }
            });
        }
    });
    let handled = HANDLED.load(Ordering::Relaxed);
    assert_eq!(handled, THREADS as u64 * ADDITIONS / 1_000);
    assert_eq!(counter.sum(), THREADS as u64 * ADDITIONS + handled);
}

/// Executes the next instruction and then traps. Source: Intel SDM, volume 1, 3.4.3.3.
const TRAP_FLAG: i64 = 1 << 8;

/// Called after an instruction of the addition; whether to go on stepping.
type Body<'a> = Box<dyn FnMut() -> bool + 'a>;
static BODY: AtomicPtr<Body<'static>> = AtomicPtr::new(ptr::null_mut());
static IS_STEPPING: AtomicBool = AtomicBool::new(false);

extern "C" fn step(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    if !IS_STEPPING.load(Ordering::Relaxed) {
        return;
    }
    // SAFETY: the kernel's, for this handler alone.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    // SAFETY: `add_stepping` has put it there, and waits.
    let body = unsafe { &mut *BODY.load(Ordering::Relaxed) };
    if !body() {
        context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
    }
}

/// Adds one, with a call of `body` after each instruction. In a process of its own: the handler is the whole process's.
fn add_stepping(counter: &PerCpuCounter, body: impl FnMut() -> bool) {
    let mut body: Body<'_> = Box::new(body);
    BODY.store((&raw mut body).cast(), Ordering::Relaxed);
    let action = SigAction::new(SigHandler::SigAction(step), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does what the test is about.
    unsafe { sigaction(Signal::SIGTRAP, &action) }.expect("a handler");
    IS_STEPPING.store(true, Ordering::Relaxed);
    // SAFETY: changes a flag that no compiled code looks at.
    unsafe { std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    counter.add(1);
    // SAFETY: as above.
    unsafe { std::arch::asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
    IS_STEPPING.store(false, Ordering::Relaxed);
}

/// How many instructions an addition has, at most.
const MOST: u32 = 10_000;

/// Whoever steps through all of it lets no sequence come to its end: the addition is made all the same, once.
#[test]
fn an_addition_that_is_stepped_through_is_made_once() {
    in_child(|| {
        let counter = PerCpuCounter::new().expect("memory");
        let steps = AtomicU32::new(0);
        add_stepping(&counter, || {
            steps.fetch_add(1, Ordering::Relaxed);
            true
        });
        assert!((20..MOST).contains(&steps.into_inner()));
        assert_eq!((counter.sum(), counter.rest()), (1, 1));
    });
}

/// Adds with a call of `body` after so many instructions; false once the addition has no more.
fn add_interrupted(counter: &PerCpuCounter, after: u32, mut body: impl FnMut()) -> bool {
    let mut left = after;
    let mut was_interrupted = false;
    add_stepping(counter, || {
        if left > 0 {
            left -= 1;
            return true;
        }
        body();
        was_interrupted = true;
        false
    });
    was_interrupted
}

#[test]
fn a_handler_that_adds_after_any_instruction_loses_nothing() {
    in_child(|| {
        let counter = PerCpuCounter::new().expect("memory");
        let mut after = 0;
        while add_interrupted(&counter, after, || counter.add(1)) {
            after += 1;
            assert!(after < MOST, "the addition does not end");
            assert_eq!(counter.sum(), 2 * u64::from(after));
        }
        assert!(after > 20, "{after} instructions");
    });
}

/// What the thread leaves behind on a CPU, it does not change from another one.
#[test]
fn a_move_after_any_instruction_leaves_the_old_cpus_part_alone() {
    const TEST: &str = "a_move_after_any_instruction_leaves_the_old_cpus_part_alone";
    let &[from, to, ..] = &allowed_cpus()[..] else {
        return skip(Lacking::Privilege, TEST, "this process may run on one CPU alone");
    };
    if !is_registered(TEST) {
        return;
    }
    in_child(|| {
        let counter = PerCpuCounter::new().expect("memory");
        let part = |cpu| counter.by_cpu().nth(cpu).expect("a part");
        let mut after = 0;
        let mut was_moved = true;
        while was_moved {
            go_to(from);
            let mut left = 0;
            was_moved = add_interrupted(&counter, after, || {
                left = part(from);
                go_to(to);
            });
            if was_moved {
                assert_eq!(part(from), left, "moved behind instruction {after}");
            }
            after += 1;
            assert!(after < MOST, "the addition does not end");
            assert_eq!(counter.sum(), u64::from(after));
        }
        assert!(after > 20 && part(to) > 0);
    });
}
