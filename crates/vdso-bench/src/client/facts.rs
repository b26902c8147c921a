//! Ids, CPU and counts beside the kernel's own calls and an atomic instruction.

use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use vdso_client::rseq::{self, PerCpuCounter, Thread};
use vdso_client::{Cpu, cpu, getcpu, ids, system_call};
use vdso_host::Host;

use crate::reads::TURNS;
use crate::table::{Goal, print};
use vdso_measure::{Subject, measure};

/// Every row.
pub fn all(host: &Host) -> Result<()> {
    vdso_client::reset();
    process_and_thread();
    cpu_and_node(host)?;
    counts()
}

fn process_and_thread() {
    let goals = [Goal::ratio("ours", 0.02, 0.01)];
    let mut subjects = [
        again("system call", system_call::getpid),
        // SAFETY: it takes nothing.
        again("C library's", || unsafe { libc::getpid() }),
        again("ours", ids::process_id),
    ];
    print("the process's id", &measure(&mut subjects, TURNS, || {}), &goals);
    let mut subjects = [
        again("system call", system_call::gettid),
        // SAFETY: as above.
        again("C library's", || unsafe { libc::gettid() }),
        again("ours", ids::thread_id),
    ];
    print("the thread's id", &measure(&mut subjects, TURNS, || {}), &goals);
}

type Getcpu = unsafe extern "C" fn(*mut u32, *mut u32, *mut ()) -> i32;

fn cpu_and_node(host: &Host) -> Result<()> {
    let offset = host.function("__vdso_getcpu").context("the vDSO has no getcpu")?;
    // SAFETY: the address of a function of this type, which stays mapped.
    let kernels = unsafe { std::mem::transmute::<u64, Getcpu>(host.vdso_addr + offset) };
    let mut subjects = vec![
        again("kernel's vDSO, by pointer", || {
            let (mut cpu, mut node) = (0, 0);
            // SAFETY: a getcpu, and both words are ours.
            unsafe { kernels(&mut cpu, &mut node, ptr::null_mut()) };
            both(Cpu { cpu, node })
        }),
        again("system call", || system_call::getcpu().map(both)),
        // SAFETY: it takes nothing.
        again("C library's sched_getcpu", || unsafe { libc::sched_getcpu() }),
        again("ours, getcpu", || getcpu().map_or(0, both)),
        again("ours, cpu::current", || cpu::current().map_or(0, both)),
        again("ours, rseq, CPU", || Thread::of_libc().and_then(Thread::cpu).unwrap_or(0)),
    ];
    if Thread::of_libc().and_then(Thread::cpu_and_node).is_some() {
        let read = || Thread::of_libc().and_then(Thread::cpu_and_node).map_or(0, both);
        subjects.push(again("ours, rseq, CPU and node", read));
    }
    if rseq::concurrency_id().is_some() {
        subjects.push(again("ours, concurrency id", || rseq::concurrency_id().unwrap_or(0)));
    }
    let goals = [Goal::ratio("ours, cpu::current", 0.40, 0.25)];
    let title = format!("CPU and node, by {:?}", cpu::way());
    print(&title, &measure(&mut subjects, TURNS, || {}), &goals);
    Ok(())
}

/// One word, as whoever keeps an answer in a register has it: to load two words that were stored one by one would cost more
/// than the answer.
fn both(here: Cpu) -> u64 {
    u64::from(here.node) << u32::BITS | u64::from(here.cpu)
}

fn counts() -> Result<()> {
    let shared = AtomicU64::new(0);
    let by_cpu = PerCpuCounter::new().context("no memory for a counter")?;
    let mut subjects = [
        again("one atomic counter", || shared.fetch_add(1, Ordering::Relaxed)),
        again("ours, PerCpuCounter::add", || by_cpu.add(1)),
    ];
    let goals = [Goal::ratio("ours, PerCpuCounter::add", 0.60, 0.40)];
    print("a count, by one thread", &measure(&mut subjects, TURNS, || {}), &goals);
    Ok(())
}

/// The same call again and again.
fn again<'a, T>(name: &str, mut call: impl FnMut() -> T + 'a) -> Subject<'a> {
    Subject::new(name, move |times| (0..times).for_each(|_| _ = black_box(call())))
}
