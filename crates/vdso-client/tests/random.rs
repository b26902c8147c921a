//! Random bytes: that they are there, that no two are the same where it counts, and that no system call
//! is made for them.

#![cfg(not(miri))]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use test_support::{Lacking, skip};
use vdso_client::random::{self, State};
use vdso_client::{Answer, Call, Capabilities};

type Block = [u8; 32];

fn block() -> Block {
    let mut block = [0; 32];
    random::fill(&mut block).expect("random bytes");
    block
}

/// Whether this kernel's vDSO has the function; says so if not.
fn has_function(test: &str) -> bool {
    let has = matches!(Capabilities::probe().answer(Call::Getrandom), Answer::Function { .. });
    if !has {
        skip(Lacking::Kernel, test, "its vDSO has no getrandom (Linux 6.11)");
    }
    has
}

/// Runs `body` in a forked child, which must end well.
#[track_caller]
fn in_child(body: impl FnOnce()) {
    let status = status_of_child(body);
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
}

/// How a forked child ends that runs `body`.
fn status_of_child(body: impl FnOnce()) -> WaitStatus {
    // SAFETY: the child makes no use of what other threads might have locked: it computes and ends.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            body();
            // SAFETY: ends at once, without what the test program would do.
            unsafe { libc::_exit(0) };
        }
        ForkResult::Parent { child } => waitpid(child, None).expect("it is our child"),
    }
}

#[test]
fn buffers_of_all_lengths_are_filled_to_their_ends_and_not_beyond() {
    for length in (0..600).chain([4096, 65_536, 1_000_003]) {
        let mut buffer = vec![0; length + 2];
        // Until every byte was something else than zero: one in 256 is not, each time.
        let mut seen = vec![false; length];
        for _ in 0..if length > 600 { 8 } else { 40 } {
            random::fill(&mut buffer[1..=length]).expect("random bytes");
            seen.iter_mut().zip(&buffer[1..]).for_each(|(seen, byte)| *seen |= *byte != 0);
        }
        assert!(length > 600 || seen.iter().all(|seen| *seen), "{length}");
        assert_eq!((buffer[0], buffer[length + 1]), (0, 0), "{length}");
    }
}

#[test]
fn what_was_not_initialised_is_afterwards() {
    let mut buffer = [MaybeUninit::uninit(); 40];
    let filled = random::fill_uninit(&mut buffer).expect("random bytes");
    assert_eq!(filled.len(), 40);
    assert_ne!(filled, [0; 40]);
}

#[test]
fn bits_are_set_as_often_as_not() {
    let mut buffer = vec![0; 1 << 20];
    random::fill(&mut buffer).expect("random bytes");
    let ones: u64 = buffer.iter().map(|byte| u64::from(byte.count_ones())).sum();
    let mean = (buffer.len() * 4) as u64;
    // Ten standard deviations of a fair coin.
    assert!(ones.abs_diff(mean) < 10 * (mean as f64 / 2.0).sqrt() as u64, "{ones} of {}", 2 * mean);
}

#[test]
fn threads_that_come_and_go_give_no_block_twice() {
    let blocks = Arc::new(Mutex::new(HashSet::new()));
    for _ in 0..40 {
        let threads: Vec<_> = (0..25)
            .map(|_| {
                let blocks = blocks.clone();
                std::thread::spawn(move || {
                    let own: Vec<Block> = (0..40).map(|_| block()).collect();
                    blocks.lock().unwrap().extend(own);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
    }
    assert_eq!(blocks.lock().unwrap().len(), 40 * 25 * 40);
}

/// The states of threads that have ended are used again: memory that is wiped on fork stays as much as
/// the threads of one moment need.
#[test]
fn ten_thousand_threads_need_no_more_memory_than_a_few() {
    if !has_function("ten_thousand_threads_need_no_more_memory_than_a_few") {
        return;
    }
    in_child(|| {
        let before = droppable_bytes();
        for _ in 0..10_000 {
            std::thread::spawn(block).join().expect("it ends");
        }
        let grown = droppable_bytes() - before;
        assert!(grown <= 8192, "{grown} bytes");
    });
}

/// Bytes of memory that the kernel may drop, by the flags of `/proc/self/smaps`.
fn droppable_bytes() -> usize {
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("smaps");
    let (mut bytes, mut size) = (0, 0);
    for line in smaps.lines() {
        if let Some(kib) = line.strip_prefix("Size:") {
            size = kib.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024;
        }
        if line
            .strip_prefix("VmFlags:")
            .is_some_and(|flags| flags.split(' ').any(|flag| flag == "dp"))
        {
            bytes += size;
        }
    }
    bytes
}

#[test]
fn a_child_gives_other_bytes_than_its_parent() {
    // Both have a state, and one that is held.
    let mut held = State::new();
    let mut before = [0; 32];
    held.fill(&mut before).expect("random bytes");
    block();
    let mut all = HashSet::from([before]);
    for _ in 0..20 {
        let (mut here, mut there) = UnixStream::pair().expect("a pair");
        in_child(|| {
            let mut own = [0; 32];
            held.fill(&mut own).expect("random bytes");
            let blocks =
                [own, block(), std::thread::spawn(block).join().expect("it ends"), block()];
            there.write_all(blocks.as_flattened()).expect("the parent reads");
        });
        let mut blocks = [[0; 32]; 4];
        here.read_exact(blocks.as_flattened_mut()).expect("the child has written");
        let mut own = [0; 32];
        held.fill(&mut own).expect("random bytes");
        for block in blocks.into_iter().chain([own, block()]) {
            assert!(all.insert(block), "the same bytes twice");
        }
    }
}

#[test]
fn children_of_threads_give_other_bytes_than_anybody() {
    let all = Arc::new(Mutex::new(HashSet::new()));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let all = all.clone();
            std::thread::spawn(move || {
                for _ in 0..10 {
                    let (mut here, mut there) = UnixStream::pair().expect("a pair");
                    in_child(|| there.write_all(&block()).expect("the parent reads"));
                    let mut theirs = [0; 32];
                    here.read_exact(&mut theirs).expect("the child has written");
                    let mut all = all.lock().unwrap();
                    assert!(all.insert(theirs) && all.insert(block()), "the same bytes twice");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no bytes twice"));
}

#[test]
fn held_states_are_each_their_own_and_go_from_thread_to_thread() {
    let mut states: Vec<State> = (0..100).map(|_| State::new()).collect();
    let mut all = HashSet::new();
    for _ in 0..3 {
        let filler = std::thread::spawn(move || {
            let filled = states.iter_mut().map(|state| {
                let mut block = [0_u8; 32];
                state.fill(&mut block).expect("random bytes");
                block
            });
            let filled: Vec<_> = filled.collect();
            (states, filled)
        });
        let (back, filled) = filler.join().expect("random bytes");
        states = back;
        all.extend(filled);
    }
    assert_eq!(all.len(), 300);
}

/// In a handler that interrupts a read again and again, each with blocks of its own.
#[test]
fn a_signal_handler_may_fill_while_its_thread_does() {
    static HANDLED: AtomicU32 = AtomicU32::new(0);
    static REPEATED: AtomicBool = AtomicBool::new(false);
    static LAST: [AtomicU32; 2] = [AtomicU32::new(0), AtomicU32::new(0)];
    extern "C" fn handler(_: libc::c_int) {
        let mut block = [0; 8];
        let filled = random::fill(&mut block).is_ok();
        let [first, second] =
            [0, 4].map(|at| u32::from_ne_bytes([0, 1, 2, 3].map(|i| block[at + i])));
        let same = LAST[0].swap(first, Ordering::Relaxed) == first
            && LAST[1].swap(second, Ordering::Relaxed) == second;
        REPEATED.fetch_or(!filled || same, Ordering::Relaxed);
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does what a handler may.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.expect("a handler");
    let done = Arc::new(AtomicBool::new(false));
    // SAFETY: it only gives a number.
    let target = unsafe { libc::pthread_self() };
    let sender = std::thread::spawn({
        let done = done.clone();
        move || {
            while !done.load(Ordering::Relaxed) {
                // SAFETY: the thread lives until this one has ended.
                unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
                std::thread::yield_now();
            }
        }
    });
    let mut all = HashSet::new();
    while HANDLED.load(Ordering::Relaxed) < 2_000 {
        let mut large = [[0; 32]; 64];
        random::fill(large.as_flattened_mut()).expect("random bytes");
        for block in large {
            assert!(all.insert(block), "the same bytes twice");
        }
    }
    done.store(true, Ordering::Relaxed);
    sender.join().expect("it ends");
    assert!(!REPEATED.load(Ordering::Relaxed));
}

/// A filter kills whoever makes the system call.
#[test]
fn after_the_first_no_system_call_is_made() {
    if !has_function("after_the_first_no_system_call_is_made") {
        return;
    }
    in_child(|| {
        let mut held = State::new();
        let mut bytes = [0; 64];
        held.fill(&mut bytes).expect("random bytes");
        block();
        forbid_getrandom();
        for _ in 0..1_000 {
            held.fill(&mut bytes).expect("random bytes");
            block();
        }
    });
}

/// The same filter, and no vDSO: the test above would notice.
#[test]
fn a_system_call_would_be_noticed() {
    let status = status_of_child(|| {
        vdso_client::without_vdso();
        forbid_getrandom();
        block();
    });
    assert!(matches!(status, WaitStatus::Signaled(_, Signal::SIGSYS, _)), "{status:?}");
}

/// The one system call that a program with random bytes must allow itself.
#[test]
fn after_preparation_getrandom_alone_is_called() {
    in_child(|| {
        random::prepare().expect("random bytes");
        let mut held = State::new();
        allow_getrandom_alone();
        for _ in 0..1_000 {
            held.fill(&mut [0; 8]).expect("random bytes");
            block();
        }
    });
}

/// The kernel takes memory back when it is short of it; and a program may look for its functions anew.
#[test]
fn what_is_called_after_memory_was_taken_back_is_as_documented() {
    if !has_function("what_is_called_after_memory_was_taken_back_is_as_documented") {
        return;
    }
    in_child(|| {
        let mut held = State::new();
        drop_states();
        vdso_client::reset();
        allow_getrandom_and(&[]);
        held.fill(&mut [0; 8]).expect("random bytes");
    });
    for lose in [drop_states, vdso_client::reset] {
        in_child(|| {
            random::prepare().expect("random bytes");
            lose();
            allow_getrandom_and(&[libc::SYS_gettid]);
            block();
        });
        let status = status_of_child(|| {
            random::prepare().expect("random bytes");
            lose();
            allow_getrandom_and(&[]);
            block();
        });
        assert!(matches!(status, WaitStatus::Signaled(_, Signal::SIGSYS, _)), "{status:?}");
    }
}

#[test]
fn without_preparation_the_first_fill_calls_more() {
    if !has_function("without_preparation_the_first_fill_calls_more") {
        return;
    }
    let status = status_of_child(|| {
        std::thread::spawn(|| {
            allow_getrandom_alone();
            block();
        })
        .join()
        .expect("it ends with the process");
    });
    assert!(matches!(status, WaitStatus::Signaled(_, Signal::SIGSYS, _)), "{status:?}");
}

/// No other call is spent on looking for what is not there.
#[test]
fn without_a_function_each_fill_is_one_system_call() {
    in_child(|| {
        vdso_client::without_vdso();
        let mut held = State::new();
        allow_getrandom_alone();
        for _ in 0..100 {
            block();
            held.fill(&mut [0; 8]).expect("random bytes");
        }
    });
}

fn forbid_getrandom() {
    filter(&[libc::SYS_getrandom], libc::SECCOMP_RET_KILL_PROCESS, libc::SECCOMP_RET_ALLOW);
}

/// And the end.
fn allow_getrandom_alone() {
    allow_getrandom_and(&[]);
}

fn allow_getrandom_and(others: &[libc::c_long]) {
    let allowed = [&[libc::SYS_getrandom, libc::SYS_exit_group], others].concat();
    filter(&allowed, libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_KILL_PROCESS);
}

/// What is to happen to these system calls, and to all others.
fn filter(numbers: &[libc::c_long], to_these: u32, to_others: u32) {
    const LOAD_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IS_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut filter = vec![step(LOAD_NUMBER, 0, 0, 0)];
    for &number in numbers {
        filter.push(step(IS_EQUAL, 0, 1, number as u32));
        filter.push(step(RETURN, 0, 0, to_these));
    }
    filter.push(step(RETURN, 0, 0, to_others));
    install(filter);
}

fn install(mut filter: Vec<libc::sock_filter>) {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: numbers alone.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: `program` is a filter for as long as the call takes.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &program) };
    assert_eq!(result, 0);
    // Not freed, which may make a system call.
    std::mem::forget(filter);
}

/// The kernel is short of memory and takes the states away: they begin anew.
#[test]
fn states_that_are_taken_away_begin_anew() {
    if !has_function("states_that_are_taken_away_begin_anew") {
        return;
    }
    in_child(|| {
        let mut held = State::new();
        let mut all = HashSet::new();
        for _ in 0..50 {
            let mut own = [0; 32];
            held.fill(&mut own).expect("random bytes");
            assert!(all.insert(own) && all.insert(block()));
            drop_states();
        }
    });
}

/// As reclaim does it.
fn drop_states() {
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("smaps");
    let mut range = (0, 0);
    let mut dropped = 0;
    for line in smaps.lines() {
        let first = line.split(' ').next().unwrap_or_default();
        if let Some((start, end)) = first.split_once('-')
            && let Ok(start) = usize::from_str_radix(start, 16)
            && let Ok(end) = usize::from_str_radix(end, 16)
        {
            range = (start, end);
        }
        if line
            .strip_prefix("VmFlags:")
            .is_some_and(|flags| flags.split(' ').any(|flag| flag == "dp"))
        {
            let address = std::ptr::with_exposed_provenance_mut(range.0);
            // SAFETY: pages that may go at any time, as those who use them know.
            let result = unsafe { libc::madvise(address, range.1 - range.0, libc::MADV_DONTNEED) };
            assert_eq!(result, 0);
            dropped += 1;
        }
    }
    assert!(dropped > 0, "there is such memory");
}

#[test]
fn numbers_are_not_repeated_and_have_all_their_bits() {
    let (mut all, mut seen_32, mut seen_64) = (HashSet::new(), 0, 0);
    for _ in 0..100 {
        let (small, large) = (random::u32().expect("bits"), random::u64().expect("bits"));
        assert!(all.insert(large), "the same number twice");
        seen_32 |= small;
        seen_64 |= large;
    }
    assert_eq!((seen_32, seen_64), (u32::MAX, u64::MAX));
}

#[test]
fn who_does_not_want_to_wait_is_told_when_that_is_needed() {
    let mut blocks = [[0; 32]; 2];
    blocks.iter_mut().for_each(|block| random::try_fill(block).expect("random bytes"));
    assert_ne!(blocks[0], blocks[1]);
    assert_ne!(blocks[0], [0; 32]);
    // As a kernel is that has just been booted: it would have to wait.
    in_child(|| {
        vdso_client::without_vdso();
        answer_eagain_to_who_does_not_wait();
        assert_eq!(random::try_fill(&mut [0; 8]), Err(vdso_client::Errno::EAGAIN));
        assert_eq!(random::fill(&mut [0; 8]), Ok(()));
    });
}

/// To getrandom with this flag; everything else goes on.
fn answer_eagain_to_who_does_not_wait() {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IS_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const FLAGS_AT: u32 = if cfg!(target_endian = "big") { 36 } else { 32 };
    let step = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    install(vec![
        step(LOAD, 0, 0),
        step(IS_EQUAL, 3, libc::SYS_getrandom as u32),
        step(LOAD, 0, FLAGS_AT),
        step(IS_EQUAL, 1, libc::GRND_NONBLOCK),
        step(RETURN, 0, libc::SECCOMP_RET_ERRNO | libc::EAGAIN as u32),
        step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
    ]);
}
