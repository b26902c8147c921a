//! The calls of a process that has given up its system calls, and memory for what they say.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_uint, c_void};
use std::{mem, ptr};

use vdso_data::arithmetic::Timespec;
use vdso_host::counter;

use crate::support::*;

/// Ids that no page has: of CPU time, of hardware, none at all.
pub const NO_CLOCKS: [c_int; 10] = [2, 3, 8, 9, 10, 12, 31, -1, c_int::MIN, c_int::MAX];

pub type Getrandom = unsafe extern "C" fn(*mut u8, usize, c_uint, *mut c_void, usize) -> isize;

/// One call's answer, between two looks at the counter.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub before: u64,
    pub after: u64,
    pub result: i64,
    pub time: Timespec,
}

impl Answered {
    pub fn of(call: impl FnOnce(&mut Timespec) -> i64) -> Self {
        let mut time = UNWRITTEN;
        let before = counter::read();
        let result = call(&mut time);
        Self { before, after: counter::read(), result, time }
    }
}

pub const RANDOM_LENGTHS: [usize; 8] = [0, 1, 7, 32, 480, 481, 4_000, 100_003];
pub const RANDOM_BYTES: usize = 100_003;

/// Everything that the process without system calls was told.
pub struct Answers {
    pub times: [Answered; PAGE_CLOCKS.len()],
    pub resolutions: [Answered; PAGE_CLOCKS.len()],
    pub no_resolution_written: [i64; PAGE_CLOCKS.len()],
    pub no_times: [Answered; NO_CLOCKS.len()],
    pub no_resolutions: [Answered; NO_CLOCKS.len()],
    pub timeval: Answered,
    pub timeval_and_zone: (Answered, Timezone),
    pub zone: (i64, Timezone),
    pub nothing: i64,
    pub seconds: Answered,
    pub seconds_written: Answered,
    pub cpu: (i64, u32, u32),
    pub random: [(isize, [u8; RANDOM_BYTES]); RANDOM_LENGTHS.len()],
    /// A signal handler's call, that of whoever has no state, and one that asks for what there is not.
    pub random_of_others: [(isize, [u8; 37]); 3],
}

/// Memory that a child process shares.
pub struct Shared<T>(*mut UnsafeCell<T>);

impl<T> Shared<T> {
    pub fn zeroed() -> Self {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: new memory at an address of the kernel's choice.
        let memory =
            unsafe { libc::mmap(ptr::null_mut(), mem::size_of::<T>(), protection, flags, -1, 0) };
        assert_ne!(memory, libc::MAP_FAILED);
        Self(memory.cast())
    }

    pub fn as_ptr(&self) -> *mut T {
        UnsafeCell::raw_get(self.0)
    }
}

pub fn page_of_memory() -> *mut u8 {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new memory at an address of the kernel's choice.
    let memory = unsafe { libc::mmap(ptr::null_mut(), 4096, protection, flags, -1, 0) };
    assert_ne!(memory, libc::MAP_FAILED);
    memory.cast()
}

/// From now on every system call but exit_group ends this process, if that can be had. Source: seccomp(2).
pub fn forbid_system_calls() -> bool {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const SAY: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let number = mem::offset_of!(libc::seccomp_data, nr) as u32;
    let mut steps = [
        step(LOAD, number, 0, 0),
        step(IS, libc::SYS_exit_group as u32, 0, 1),
        step(SAY, libc::SECCOMP_RET_ALLOW, 0, 0),
        step(SAY, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: changes only what this process may do.
    let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: as above; the program is read before the call returns.
    let filtered = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    given_up == 0 && filtered == 0
}

/// # Safety
/// The functions must be of these types and mapped, and `state` be a page of memory.
pub unsafe fn ask_everything(
    of: Functions,
    getrandom: Getrandom,
    state: *mut u8,
    answers: &mut Answers,
) {
    // SAFETY: functions of these types, here and below; what they write to is ours.
    let time = |id, ts: &mut Timespec| i64::from(unsafe { (of.clock_gettime)(id, ts) });
    // SAFETY: as above.
    let resolution = |id, ts: &mut Timespec| i64::from(unsafe { (of.clock_getres)(id, ts) });
    for (index, id) in PAGE_CLOCKS.into_iter().enumerate() {
        answers.times[index] = Answered::of(|ts| time(id as c_int, ts));
        answers.resolutions[index] = Answered::of(|ts| resolution(id as c_int, ts));
        // SAFETY: as above; null is allowed.
        let unwritten = unsafe { (of.clock_getres)(id as c_int, ptr::null_mut()) };
        answers.no_resolution_written[index] = i64::from(unwritten);
    }
    for (index, id) in NO_CLOCKS.into_iter().enumerate() {
        answers.no_times[index] = Answered::of(|ts| time(id, ts));
        answers.no_resolutions[index] = Answered::of(|ts| resolution(id, ts));
    }
    ask_for_days(of, answers);
    let (mut cpu, mut node) = (77, 77);
    // SAFETY: as above.
    let result = unsafe { (of.getcpu)(&mut cpu, &mut node, ptr::null_mut()) };
    answers.cpu = (i64::from(result), cpu, node);
    // SAFETY: the caller's promise.
    unsafe { ask_for_bytes(getrandom, state, answers) };
}

fn ask_for_days(of: Functions, answers: &mut Answers) {
    let unwritten = Timezone { minutes_west: 77, dst_time: 77 };
    let timeval = |tz: *mut Timezone, ts: &mut Timespec| {
        let mut now = Timeval::default();
        // SAFETY: a gettimeofday; what it writes to is ours.
        let result = unsafe { (of.gettimeofday)(&mut now, tz) };
        *ts = Timespec { sec: now.sec, nsec: now.usec * 1000 };
        i64::from(result)
    };
    answers.timeval = Answered::of(|ts| timeval(ptr::null_mut(), ts));
    let mut zone = unwritten;
    answers.timeval_and_zone.0 = Answered::of(|ts| timeval(&mut zone, ts));
    answers.timeval_and_zone.1 = zone;
    let mut zone = unwritten;
    // SAFETY: as above; null is allowed, here and below.
    let result = unsafe { (of.gettimeofday)(ptr::null_mut(), &mut zone) };
    answers.zone = (i64::from(result), zone);
    // SAFETY: as above.
    answers.nothing = i64::from(unsafe { (of.gettimeofday)(ptr::null_mut(), ptr::null_mut()) });
    answers.seconds = Answered::of(|ts| {
        ts.sec = of.seconds();
        0
    });
    // SAFETY: a time; what it writes to is ours.
    answers.seconds_written = Answered::of(|ts| unsafe { (of.time)(&mut ts.sec) });
}

/// # Safety
/// As for [`ask_everything`].
unsafe fn ask_for_bytes(getrandom: Getrandom, state: *mut u8, answers: &mut Answers) {
    let mut parameters = [0_u32; 16];
    // SAFETY: the question for parameters, for which there is room.
    let asked =
        unsafe { getrandom(ptr::null_mut(), 0, 0, parameters.as_mut_ptr().cast(), usize::MAX) };
    let state_bytes = if asked == 0 { parameters[0] as usize } else { 0 };
    for (length, (result, bytes)) in RANDOM_LENGTHS.into_iter().zip(&mut answers.random) {
        // SAFETY: the caller's promise; the buffer is large enough.
        *result = unsafe { getrandom(bytes.as_mut_ptr(), length, 0, state.cast(), state_bytes) };
    }
    // What the word says that a call has set while a signal handler interrupts it.
    const IN_USE: usize = 12;
    // SAFETY: within the page that is the state's.
    unsafe { state.wrapping_add(IN_USE).write(1) };
    let nobody = ptr::null_mut();
    let calls = [(0, state, state_bytes), (1, nobody, 0), (0x80, state, state_bytes)];
    for ((flags, state, state_bytes), (result, bytes)) in
        calls.into_iter().zip(&mut answers.random_of_others)
    {
        // SAFETY: as above.
        *result =
            unsafe { getrandom(bytes.as_mut_ptr(), bytes.len(), flags, state.cast(), state_bytes) };
    }
}
