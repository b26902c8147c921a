//! What the kernel writes where a thread is registered, and counters for each CPU: exact, whatever interrupts an addition.

#![cfg(all(target_arch = "x86_64", not(miri)))]

mod support;

use std::ffi::{c_int, c_void};
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

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

/// Called with where the thread was interrupted; whether to go on stepping.
type Body<'a> = Box<dyn FnMut(&mut usize) -> bool + 'a>;
static BODY: AtomicPtr<Body<'static>> = AtomicPtr::new(ptr::null_mut());

extern "C" fn interrupted(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    let body = BODY.load(Ordering::Relaxed);
    if body.is_null() {
        return;
    }
    // SAFETY: the kernel's, for this handler alone.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let registers = &mut context.uc_mcontext.gregs;
    let mut at = registers[libc::REG_RIP as usize] as usize;
    // SAFETY: `with_handler` has put it there, and waits.
    let goes_on = unsafe { &mut *body }(&mut at);
    registers[libc::REG_RIP as usize] = at as i64;
    if !goes_on {
        registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
    }
}

/// Does something while traps come to `body`. In a process of its own: the handler is the whole process's.
fn with_handler(body: impl FnMut(&mut usize) -> bool, part: impl FnOnce()) {
    let mut body: Body<'_> = Box::new(body);
    let action =
        SigAction::new(SigHandler::SigAction(interrupted), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does what the test is about.
    unsafe { sigaction(Signal::SIGTRAP, &action) }.expect("a handler");
    BODY.store((&raw mut body).cast(), Ordering::Relaxed);
    part();
    BODY.store(ptr::null_mut(), Ordering::Relaxed);
}

/// Adds one, with a call of `body` after each instruction. All that the tests here interrupt is in this function.
#[inline(never)]
fn add_stepping(counter: &PerCpuCounter, body: impl FnMut(&mut usize) -> bool) {
    with_handler(body, || {
        // SAFETY: changes a flag that no compiled code looks at.
        unsafe { std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
        counter.add(1);
        // SAFETY: as above.
        unsafe { std::arch::asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
    });
}

/// How many instructions an addition has, at most.
const MOST: u32 = 10_000;

/// Whoever steps through all of it lets no sequence come to its end: the addition is made all the same, once.
#[test]
fn an_addition_that_is_stepped_through_is_made_once() {
    in_child(|| {
        let counter = PerCpuCounter::new().expect("memory");
        let steps = AtomicU32::new(0);
        add_stepping(&counter, |_| {
            assert!(steps.fetch_add(1, Ordering::Relaxed) < MOST, "the addition does not end");
            true
        });
        assert!(steps.into_inner() > 20);
        assert_eq!((counter.sum(), counter.rest()), (1, 1));
    });
}

#[test]
fn a_handler_that_adds_after_each_instruction_loses_nothing() {
    in_child(|| {
        let counter = PerCpuCounter::new().expect("memory");
        let mut steps = 0;
        add_stepping(&counter, |_| {
            counter.add(1);
            steps += 1;
            assert!(steps < u64::from(MOST), "the addition does not end");
            true
        });
        assert_eq!(counter.sum(), steps + 1);
    });
}

/// `struct rseq_cs`, as the sequences of this program have told it.
#[repr(C)]
struct Descriptor {
    version_and_flags: u64,
    start: usize,
    length: usize,
    abort: usize,
}

/// One for each place where the sequence was inlined.
fn descriptors() -> &'static [Descriptor] {
    unsafe extern "C" {
        #[link_name = "__start___rseq_cs"]
        static START: Descriptor;
        #[link_name = "__stop___rseq_cs"]
        static STOP: Descriptor;
    }
    let (start, stop) = (&raw const START, &raw const STOP);
    let count = (stop.addr() - start.addr()) / size_of::<Descriptor>();
    // SAFETY: the linker has put them there side by side.
    unsafe { std::slice::from_raw_parts(start, count) }
}

/// The CPUs of the tests below: one that a thread is moved from, and one to which.
fn two_cpus(test: &str) -> Option<[usize; 2]> {
    match allowed_cpus()[..] {
        [from, to, ..] if is_registered(test) => Some([from, to]),
        [_] => {
            skip(Lacking::Privilege, test, "this process may run on one CPU alone");
            None
        }
        _ => None,
    }
}

/// Moved behind each of the last instructions before the sequence, with the CPU of before in a register.
#[test]
fn a_move_before_the_sequence_leaves_the_old_cpus_part_alone() {
    let test = "a_move_before_the_sequence_leaves_the_old_cpus_part_alone";
    let Some([from, to]) = two_cpus(test) else { return };
    in_child(|| {
        let counter = PerCpuCounter::new().expect("memory");
        let mut moves = 0;
        for distance in 1..=24 {
            go_to(from);
            let sum = counter.sum();
            let left = part(&counter, from);
            let mut was_moved = false;
            add_stepping(&counter, |at| {
                let is_there =
                    descriptors().iter().any(|it| it.start.wrapping_sub(*at) == distance);
                if is_there {
                    was_moved = true;
                    go_to(to);
                }
                !is_there
            });
            assert_eq!(counter.sum(), sum + 1);
            assert!(!was_moved || part(&counter, from) == left, "moved {distance} bytes before");
            moves += u32::from(was_moved);
        }
        assert!(moves >= 2, "moved {moves} times");
    });
}

fn part(counter: &PerCpuCounter, cpu: usize) -> u64 {
    counter.by_cpu().nth(cpu).expect("a part")
}

/// Stopped by a breakpoint in place of each of its instructions, the last one, which adds, too: the handler adds itself, and
/// moves the thread. Steps would not come so far, as each ends the sequence.
#[test]
fn a_move_within_the_sequence_leaves_the_old_cpus_part_alone() {
    let test = "a_move_within_the_sequence_leaves_the_old_cpus_part_alone";
    let Some([from, to]) = two_cpus(test) else { return };
    in_child(|| {
        let counter = PerCpuCounter::new().expect("memory");
        let mut moves = 0;
        for instruction in descriptors().iter().flat_map(instructions) {
            go_to(from);
            let (sum, mut left) = (counter.sum(), None);
            let code = make_writable(instruction);
            let byte = code.swap(INT3, Ordering::Relaxed);
            let stopped = |at: &mut usize| {
                code.store(byte, Ordering::Relaxed);
                counter.add(1);
                left = Some(part(&counter, from));
                go_to(to);
                // Unless the kernel has said where to go on.
                if *at == instruction + 1 {
                    *at = instruction;
                }
                true
            };
            with_handler(stopped, || add_here(&counter));
            code.store(byte, Ordering::Relaxed);
            assert_eq!(counter.sum(), sum + 1 + u64::from(left.is_some()));
            assert!(left.is_none_or(|left| part(&counter, from) == left), "moved within");
            moves += u32::from(left.is_some());
        }
        assert_eq!(moves, 3, "the sequence of one addition has three instructions");
    });
}

/// One place that the sequence is inlined in, or calls it.
#[inline(never)]
fn add_here(counter: &PerCpuCounter) {
    counter.add(1);
}

/// `int3`.
const INT3: u8 = 0xcc;

/// Where the instructions of a sequence are: it compares what is 4 bytes behind a register, jumps, and adds.
fn instructions(sequence: &Descriptor) -> [usize; 3] {
    assert_eq!((sequence.version_and_flags, sequence.abort > 0), (0, true));
    let code = ptr::with_exposed_provenance::<u8>(sequence.start);
    // SAFETY: code of this program's.
    let code = unsafe { std::slice::from_raw_parts(code, sequence.length) };
    let jump = 1 + code.iter().position(|byte| *byte == 4).expect("the distance ends the first");
    // `jne`, near or far.
    let jump_bytes = if code[jump] == 0x75 { 2 } else { 6 };
    [0, jump, jump + jump_bytes].map(|at| sequence.start + at)
}

/// The byte there, which may be changed from now on: this process's alone.
fn make_writable(address: usize) -> &'static AtomicU8 {
    const PAGE_BYTES: usize = 4096;
    let page = ptr::with_exposed_provenance_mut(address & !(PAGE_BYTES - 1));
    let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    // SAFETY: pages of this program's code, which stay what they are.
    assert_eq!(unsafe { libc::mprotect(page, PAGE_BYTES, all) }, 0);
    // SAFETY: it may be read and written now, and nobody has another reference to it.
    unsafe { AtomicU8::from_ptr(ptr::with_exposed_provenance_mut(address)) }
}
