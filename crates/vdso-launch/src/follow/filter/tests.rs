//! What the filter answers to calls, as the kernel would run it.

use vdso_arch::abi::{Call, CallSet};
use vdso_arch::system_call::X32_BIT;
use vdso_data::arithmetic::Transform;
use vdso_data::clock;
use vdso_inject::detour::{CallSites, Setting};

use super::*;

/// What the kernel would do: a few lines of classic BPF.
fn run_with(detours: &Detours, architecture: u32, number: u32, args: [u64; 6]) -> u32 {
    let program = program(detours);
    assert!(program.len() <= 4096, "the kernel takes no more");
    let mut accumulator = 0;
    let mut at = 0;
    loop {
        let instruction = program[at];
        at += 1;
        match u32::from(instruction.code) {
            code if code == BPF_LD | BPF_W | BPF_ABS => {
                accumulator = match instruction.k {
                    NUMBER => number,
                    ARCHITECTURE => architecture,
                    other => {
                        let words = args.map(|arg| arg.to_ne_bytes()).concat();
                        let at = (other - ARGUMENTS) as usize;
                        u32::from_ne_bytes(words[at..at + 4].try_into().unwrap())
                    }
                };
            }
            code if code == BPF_RET | BPF_K => return instruction.k,
            code if code == BPF_JMP | BPF_JA => at += instruction.k as usize,
            code if code == BPF_ALU | BPF_AND | BPF_K => accumulator &= instruction.k,
            code => {
                assert_eq!(code, BPF_JMP | BPF_JEQ | BPF_K);
                let is_true = accumulator == instruction.k;
                at += usize::from(if is_true { instruction.jt } else { instruction.jf });
            }
        }
    }
}

fn run(architecture: u32, number: u32, first_argument: u32) -> u32 {
    let args = [first_argument.into(), 0, 0, 0, 0, 0];
    run_with(&Detours::default(), architecture, number, args)
}

#[test]
fn reports_every_way_to_exec_the_stub_and_further_filters_and_nothing_else() {
    let mut reported = Vec::new();
    for abi in ABIS {
        let calls = abi.calls;
        for number in [calls.execve, calls.execveat] {
            assert_eq!(run(calls.audit_arch, number, 0), SECCOMP_RET_USER_NOTIF, "{abi:?}");
            assert_eq!(run(calls.audit_arch, number, 7), SECCOMP_RET_USER_NOTIF, "{abi:?}");
            reported.push((calls.audit_arch, number));
        }
        for option in [REQUEST, libc::PR_SET_SECCOMP as u32] {
            let answer = run(calls.audit_arch, calls.prctl, option);
            assert_eq!(answer, SECCOMP_RET_USER_NOTIF, "{abi:?}");
        }
        for operation in [libc::SECCOMP_SET_MODE_STRICT, libc::SECCOMP_SET_MODE_FILTER] {
            let answer = run(calls.audit_arch, calls.seccomp, operation);
            assert_eq!(answer, SECCOMP_RET_USER_NOTIF, "{abi:?}");
        }
    }
    assert!(!reported.is_empty());
    for abi in ABIS {
        let architecture = abi.calls.audit_arch;
        let bit = abi.calls.execve & X32_BIT;
        for number in (0..600).map(|number| number | bit) {
            if !reported.contains(&(architecture, number)) {
                // PR_SET_PDEATHSIG, or SECCOMP_GET_ACTION_AVAIL.
                for argument in [2, 3, 1000] {
                    let answer = run(architecture, number, argument);
                    assert_eq!(answer, SECCOMP_RET_ALLOW, "{number:#x}");
                }
            }
        }
    }
    assert_eq!(run(0x1234, reported[0].1, 0), SECCOMP_RET_ALLOW);
}

#[test]
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
fn the_start_of_programs_is_reported_where_code_is_searched() {
    const ARCH_SET_FS: u32 = 0x1002;
    let calls = ABIS[0].calls;
    for vsyscalls in [Vsyscalls::Kept, Vsyscalls::OfPrograms, Vsyscalls::OfLibraries] {
        let detours = Detours { vsyscalls, ..Detours::default() };
        let answer = |first: u32| {
            let args = [first.into(), 1, 0, 0, 0, 0];
            run_with(&detours, calls.audit_arch, libc::SYS_arch_prctl as u32, args)
        };
        let is_searched = vsyscalls != Vsyscalls::Kept;
        assert_eq!(answer(ARCH_SET_FS) == SECCOMP_RET_USER_NOTIF, is_searched);
        // ARCH_GET_FS.
        assert_eq!(answer(0x1003), SECCOMP_RET_ALLOW);
    }
}

/// Of a launch that moves these clocks.
fn detours(moved: &[u32]) -> Detours {
    let mut transforms = [Transform::IDENTITY; clock::LINES];
    for &id in moved {
        transforms[id as usize].offset.sec = 7;
    }
    Detours::of(&transforms, Setting::Privileged, CallSites::Kept, 0x1234_5678)
}

#[test]
#[cfg(target_arch = "x86_64")]
fn clocks_are_asked_for_as_ever_where_they_are_the_hosts() {
    let realtime = detours(&[clock::REALTIME]);
    let boottime = detours(&[clock::BOOTTIME]);
    let answer = |detours: &Detours, number: i64, first: u64, third: u64| {
        let args = [first, 1, third, 0, 0, 0];
        run_with(detours, ABIS[0].calls.audit_arch, number as u32, args)
    };
    let (yes, no) = (SECCOMP_RET_USER_NOTIF, SECCOMP_RET_ALLOW);
    for (id, by_realtime, by_boottime) in [
        (clock::REALTIME, yes, yes),
        (clock::TAI, yes, yes),
        (clock::REALTIME_COARSE, yes, yes),
        (clock::REALTIME_ALARM, yes, yes),
        (clock::MONOTONIC, no, no),
        (clock::BOOTTIME, no, yes),
        (clock::BOOTTIME_ALARM, no, yes),
        // Of CPU time.
        (2, no, no),
        (u32::MAX, no, no),
    ] {
        let asked =
            |detours: &Detours, mark| answer(detours, libc::SYS_clock_gettime, id.into(), mark);
        assert_eq!((asked(&realtime, 0), asked(&boottime, 0)), (by_realtime, by_boottime), "{id}");
        assert_eq!(asked(&Detours::default(), 0), no);
        assert_eq!(asked(&realtime, 0x1234_5678), no, "the image's own");
    }
    assert_eq!(answer(&realtime, libc::SYS_gettimeofday, 1, 0), yes);
    assert_eq!(answer(&realtime, libc::SYS_sysinfo, 1, 0), no);
    assert_eq!(answer(&boottime, libc::SYS_sysinfo, 1, 0), yes);
    assert_eq!(answer(&realtime, libc::SYS_times, 1, 0), no);
}

/// Whichever clock is the program's own, and whoever knows the mark.
#[test]
#[cfg(target_arch = "x86_64")]
fn no_program_with_a_clock_of_its_own_sets_the_hosts() {
    for detours in [detours(&[clock::REALTIME]), detours(&[clock::MONOTONIC])] {
        for third in [0, 0x1234_5678] {
            for (number, first) in [
                (libc::SYS_clock_settime, clock::REALTIME.into()),
                (libc::SYS_clock_adjtime, clock::REALTIME.into()),
                (libc::SYS_settimeofday, 5),
                (libc::SYS_adjtimex, 5),
            ] {
                let args = [first, 1, third, 0, 0, 0];
                let set = run_with(&detours, ABIS[0].calls.audit_arch, number as u32, args);
                assert_eq!(set, SECCOMP_RET_USER_NOTIF, "{number}");
            }
        }
    }
}

#[test]
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
fn file_times_are_reported_where_they_are_those_of_a_clock_of_its_own() {
    use vdso_data::arithmetic::{Timespec, Transform};
    use vdso_data::clock;
    use vdso_inject::detour::{CallSites, FileTimes, Setting};

    const MARK: u32 = 0x1234_5678;
    let ahead = |sec, file_times| {
        let mut transforms = [Transform::IDENTITY; clock::LINES];
        transforms[clock::REALTIME as usize].offset = Timespec { sec, nsec: 0 };
        let detours = Detours::of(&transforms, Setting::default(), CallSites::default(), MARK);
        Detours { file_times, ..detours }
    };
    let is_reported = |detours: &Detours, number: libc::c_long, args| {
        let architecture = ABIS[0].calls.audit_arch;
        run_with(detours, architecture, number as u32, args) == SECCOMP_RET_USER_NOTIF
    };
    let with_clock = ahead(1, FileTimes::Clock);
    let reading =
        [libc::SYS_stat, libc::SYS_lstat, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx];
    let setting = [
        (libc::SYS_utimensat, 2),
        (libc::SYS_utimes, 1),
        (libc::SYS_utime, 1),
        (libc::SYS_futimesat, 2),
    ];
    for number in reading {
        assert!(is_reported(&with_clock, number, [0; 6]), "{number}");
        assert!(!is_reported(&with_clock, number, [0, 0, 0, 0, 0, MARK.into()]), "{number}");
    }
    for (number, place) in setting {
        let mut args = [0; 6];
        assert!(!is_reported(&with_clock, number, args), "{number}: now");
        args[place] = 1 << 40;
        assert!(is_reported(&with_clock, number, args), "{number}");
        args[5] = MARK.into();
        assert!(!is_reported(&with_clock, number, args), "{number}");
    }
    for number in reading.into_iter().chain(setting.map(|(number, _)| number)) {
        for of_host in [ahead(1, FileTimes::Host), ahead(0, FileTimes::Clock)] {
            assert!(!is_reported(&of_host, number, [1; 6]), "{number}");
        }
    }
}

/// Else such a program would read the host's.
#[test]
fn no_clock_is_hidden_from_programs_whose_calls_for_it_are_not_reported() {
    let moved = Detours { off: CallSet::ALL, ..detours(&[clock::REALTIME]) };
    for abi in ABIS {
        let unmoved = Detours { off: CallSet::ALL, ..Detours::default() };
        assert_eq!(unmoved.hidden_from(abi), CallSet::ALL, "{}", abi.name);
        let hidden = moved.hidden_from(abi);
        assert!(hidden.contains(Call::Getcpu), "{}", abi.name);
        if !hidden.contains(Call::ClockGettime) {
            continue;
        }
        let kernels = vdso_arch::abi::ABIS.iter().find(|row| row.name == abi.name);
        let numbers = kernels.and_then(|row| row.numbers).expect("a table");
        for number in [numbers.clock_gettime, numbers.clock_gettime64, numbers.gettimeofday] {
            let Some(number) = number else { continue };
            let args = [clock::REALTIME.into(), TIME, 0, 0, 0, 0];
            let answer = run_with(&moved, abi.calls.audit_arch, number, args);
            assert_eq!(answer, SECCOMP_RET_USER_NOTIF, "{} {number}", abi.name);
        }
    }
}

/// An unmoved clock with all functions costs no program a report more.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_start_is_reported_where_the_kernels_functions_will_not_do() {
    let calls = ABIS[0].calls;
    let is_reported = |detours: &Detours, first: u64| {
        let number = libc::SYS_arch_prctl as u32;
        let answer = run_with(detours, calls.audit_arch, number, [first, 7, 0, 0, 0, 0]);
        answer == SECCOMP_RET_USER_NOTIF
    };
    const SET_FS: u64 = 0x1002;
    const GET_FS: u64 = 0x1003;
    let off = Detours { off: CallSet::ALL, ..Detours::default() };
    for detours in [off, detours(&[clock::REALTIME])] {
        assert!(is_reported(&detours, SET_FS));
        assert!(!is_reported(&detours, GET_FS));
    }
    assert!(!is_reported(&Detours::default(), SET_FS));
}

#[test]
fn the_numbers_are_those_of_this_architecture() {
    let numbers = [libc::SYS_execve, libc::SYS_execveat, libc::SYS_prctl, libc::SYS_seccomp];
    let calls = ABIS[0].calls;
    let ours = [calls.execve, calls.execveat, calls.prctl, calls.seccomp];
    assert_eq!(ours, numbers.map(|call| call as u32));
}

const MARK: u32 = 0x6d61_726b;

/// A call of x86-64's by its name, with these arguments.
#[cfg(target_arch = "x86_64")]
fn is_reported(detours: &Detours, name: &str, args: [u64; 6]) -> bool {
    is_reported_by(ABIS[0], detours, name, args)
}

/// The same of another kind of program's.
#[cfg(target_arch = "x86_64")]
fn is_reported_by(abi: &Abi, detours: &Detours, name: &str, args: [u64; 6]) -> bool {
    let calls = abi.calls;
    let call = calls.timed.iter().find(|call| call.name == name).expect("a row");
    let answer = run_with(detours, calls.audit_arch, call.number, args);
    let mut marked = args;
    let mark = u64::from(detours.mark);
    match call.mark {
        Mark::Low(place) => marked[usize::from(place)] = mark,
        Mark::High(place) => {
            let place = usize::from(place);
            marked[place] = marked[place] & u64::from(u32::MAX) | mark << 32;
        }
        Mark::Address(place) => {
            let addr = &mut marked[usize::from(place)];
            *addr = *addr & !0xff | u64::from(Mark::last_byte(detours.mark));
        }
    }
    if detours.is_any() {
        let of_image = run_with(detours, calls.audit_arch, call.number, marked);
        assert_eq!(of_image, SECCOMP_RET_ALLOW, "{name} of the image");
    }
    answer == SECCOMP_RET_USER_NOTIF
}

const TIME: u64 = 0x7ffd_0000_1000;

/// A day ahead, as `--offset 1d` has it.
fn ahead() -> Detours {
    let deadlines = 1 << clock::REALTIME | 1 << clock::TAI;
    Detours { deadlines, mark: MARK, ..Detours::default() }
}

/// All clocks faster.
fn faster() -> Detours {
    let deadlines = clock::HIGH_RESOLUTION | clock::COARSE;
    Detours { deadlines, spans: true, rates: true, mark: MARK, ..Detours::default() }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn deadlines_are_reported_on_moved_clocks_and_spans_where_they_last_otherwise() {
    const ABSOLUTE: u64 = 1;
    let bitset = (libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG) as u64;
    let on_realtime = bitset | libc::FUTEX_CLOCK_REALTIME as u64;
    let lock = libc::FUTEX_LOCK_PI as u64;
    let wait = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as u64;
    let wake = libc::FUTEX_WAKE as u64;
    let [realtime, monotonic, tai, cpu] = [0, 1, 11, 2];
    let minus_one = u64::from(u32::MAX);
    for (name, args, is_ahead, is_faster) in [
        ("futex", [1, on_realtime, 0, TIME, 0, 0], true, true),
        ("futex", [1, on_realtime, 0, TIME << 32, 0, 0], true, true),
        ("futex", [1, on_realtime, 0, 0, 0, 0], false, false),
        ("futex", [1, bitset, 0, TIME, 0, 0], false, true),
        ("futex", [1, lock, 0, TIME, 0, 0], true, true),
        ("futex", [1, wait, 0, TIME, 0, 0], false, true),
        ("futex", [1, wake, 1, TIME, 0, 0], false, false),
        ("clock_nanosleep", [realtime, ABSOLUTE, TIME, 0, 0, 0], true, true),
        ("clock_nanosleep", [tai, ABSOLUTE, TIME, 0, 0, 0], true, true),
        ("clock_nanosleep", [8, ABSOLUTE, TIME, 0, 0, 0], true, true),
        ("clock_nanosleep", [monotonic, ABSOLUTE, TIME, 0, 0, 0], false, true),
        ("clock_nanosleep", [realtime, 0, TIME, 0, 0, 0], false, true),
        ("clock_nanosleep", [cpu, 0, TIME, 0, 0, 0], false, false),
        ("clock_nanosleep", [cpu, ABSOLUTE, TIME, 0, 0, 0], false, false),
        ("nanosleep", [TIME, 0, 0, 0, 0, 0], false, true),
        ("poll", [0, 0, 1000, 0, 0, 0], false, true),
        ("poll", [0, 0, 0, 0, 0, 0], false, false),
        ("poll", [0, 0, minus_one, 0, 0, 0], false, false),
        ("select", [0, 0, 0, 0, 0, 0], false, false),
        ("pselect6", [0, 0, 0, 0, TIME, 0], false, true),
        ("epoll_pwait2", [0, 0, 0, TIME, 0, 0], false, true),
        ("futex_waitv", [TIME, 1, 0, TIME, realtime, 0], true, true),
        ("futex_waitv", [TIME, 1, 0, TIME, monotonic, 0], false, true),
        ("futex_wait", [TIME, 1, 1, 2, TIME, realtime], true, true),
        ("mq_timedsend", [1, TIME, 1, 1, TIME, 0], true, true),
        ("mq_timedreceive", [1, TIME, 1, 0, 0, 0], false, false),
        ("timerfd_settime", [3, 0, TIME, 0, 0, 0], false, true),
        ("timerfd_settime", [3, ABSOLUTE, TIME, 0, 0, 0], true, true),
        ("timer_gettime", [0, TIME, 0, 0, 0, 0], false, true),
        ("setitimer", [0, TIME, 0, 0, 0, 0], false, true),
        ("setitimer", [1, TIME, 0, 0, 0, 0], false, false),
        ("alarm", [0, 0, 0, 0, 0, 0], false, true),
        ("setsockopt", [3, 1, 20, TIME, 16, 0], false, true),
        ("setsockopt", [3, 1, 2, TIME, 4, 0], false, false),
        ("io_uring_enter", [3, 0, 1, 9, TIME, 24], false, true),
        ("io_uring_enter", [3, 0, 1, 1, TIME, 8], false, false),
    ] {
        assert!(!is_reported(&Detours::default(), name, args), "{name} {args:x?} unmoved");
        assert_eq!(is_reported(&ahead(), name, args), is_ahead, "{name} {args:x?} ahead");
        assert_eq!(is_reported(&faster(), name, args), is_faster, "{name} {args:x?} faster");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_i386_programs_are_reported_alike() {
    const I386_TIME: u64 = 0xffa0_1000;
    let abi = ABIS.iter().find(|abi| abi.name == "i386").expect("it is one of this machine's");
    let on_realtime = (libc::FUTEX_WAIT_BITSET | libc::FUTEX_CLOCK_REALTIME) as u64;
    for (name, args, is_ahead, is_faster) in [
        ("futex", [1, on_realtime, 0, I386_TIME, 0, 0], true, true),
        ("futex_time64", [1, on_realtime, 0, I386_TIME, 0, 0], true, true),
        ("futex_time64", [1, on_realtime, 0, 0, 0, 0], false, false),
        ("clock_nanosleep", [0, 1, I386_TIME, 0, 0, 0], true, true),
        ("clock_nanosleep_time64", [1, 1, I386_TIME, 0, 0, 0], false, true),
        ("clock_gettime64", [0, I386_TIME, 0, 0, 0, 0], true, true),
        ("pselect6_time64", [0, 0, 0, 0, I386_TIME, 7], false, true),
        ("epoll_pwait", [3, I386_TIME, 1, 5, I386_TIME, 8], false, true),
        ("select", [I386_TIME, 0, 0, 0, 0, 0], false, true),
        ("socketcall", [14, I386_TIME, 0, 0, 0, 0], false, true),
        ("socketcall", [3, I386_TIME, 0, 0, 0, 0], false, false),
        ("ipc", [4, 1, 1, 0, I386_TIME, I386_TIME], false, true),
        ("ipc", [1, 1, 1, 0, I386_TIME, I386_TIME], false, false),
        ("io_uring_enter", [3, 0, 1, 9, I386_TIME, 24], false, true),
    ] {
        let reported = |detours| is_reported_by(abi, &detours, name, args);
        assert!(!reported(Detours::default()), "{name} {args:x?} unmoved");
        assert_eq!(reported(ahead()), is_ahead, "{name} {args:x?} ahead");
        assert_eq!(reported(faster()), is_faster, "{name} {args:x?} faster");
    }
}

/// The kernel keeps a filter's answer to a number by itself only where no argument is looked at.
#[test]
fn numbers_of_no_rule_are_allowed_at_any_arguments() {
    for abi in ABIS {
        let calls = abi.calls;
        let has_rule = |number: u32| {
            [calls.execve, calls.execveat, calls.prctl, calls.seccomp].contains(&number)
                || calls.start.is_some_and(|start| start.number == number)
                || calls.timed.iter().any(|call| call.number == number)
        };
        let bit = calls.execve & X32_BIT;
        for number in (0..600).map(|number| number | bit).filter(|&number| !has_rule(number)) {
            // x86-64 and x32 share a table, and so each other's rules.
            let is_of_other = ABIS.iter().any(|other| {
                other.calls.audit_arch == calls.audit_arch
                    && other.calls.timed.iter().any(|call| call.number == number)
            });
            if !is_of_other {
                let answer = run_with(&faster(), calls.audit_arch, number, [u64::MAX; 6]);
                assert_eq!(answer, SECCOMP_RET_ALLOW, "{number:#x}");
            }
        }
    }
}
