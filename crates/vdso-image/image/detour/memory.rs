//! The program's memory, which may not be there: the kernel is asked to read or to write where it would say
//! `EFAULT`, so that nothing here faults.

use vdso_data::arithmetic::{NSEC_PER_SEC, Timespec};

use crate::arch::{self, number};

/// `EFAULT` of `include/uapi/asm-generic/errno-base.h`. Anything else that is said, by a filter of the program's own as well,
/// is taken for a yes: a wait that is not translated may never end, and bad addresses are rare.
const EFAULT: i64 = 14;

/// Bytes of a set of signals.
const SET_BYTES: u64 = 8;

/// How a time lies in memory: seconds, and nanoseconds or microseconds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Two words of 64 bits.
    Time64,
    /// Two signed words of 32 bits.
    #[cfg(target_arch = "x86")]
    Time32,
}

impl Form {
    /// That of calls which have no sibling with another form.
    #[cfg(not(target_arch = "x86"))]
    pub const OLD: Self = Self::Time64;
    /// That of calls which have no sibling with another form.
    #[cfg(target_arch = "x86")]
    pub const OLD: Self = Self::Time32;

    /// How long a time is, bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Time64 => 16,
            #[cfg(target_arch = "x86")]
            Self::Time32 => 8,
        }
    }

    /// The words of a time as the kernel reads it. What does not fit is cut off.
    pub const fn packed(self, words: [u64; 2]) -> [u64; 2] {
        match self {
            Self::Time64 => words,
            #[cfg(target_arch = "x86")]
            Self::Time32 => [words[0] as u32 as u64 | words[1] << 32, 0],
        }
    }

    /// The words of a time from what the kernel has written.
    pub const fn unpacked(self, words: [u64; 2]) -> [u64; 2] {
        match self {
            Self::Time64 => words,
            #[cfg(target_arch = "x86")]
            Self::Time32 => {
                let both = words[0] as i64;
                [both as i32 as i64 as u64, (both >> 32) as u64]
            }
        }
    }

    /// The words of two times, one behind the other, as the kernel reads them.
    pub fn packed_pair(self, [first, second]: [[u64; 2]; 2]) -> [[u64; 2]; 2] {
        match self {
            Self::Time64 => [first, second],
            #[cfg(target_arch = "x86")]
            Self::Time32 => [[self.packed(first)[0], self.packed(second)[0]], [0; 2]],
        }
    }

    /// Two times from what the kernel has written, one behind the other.
    pub fn unpacked_pair(self, pair: [[u64; 2]; 2]) -> [[u64; 2]; 2] {
        match self {
            Self::Time64 => pair,
            #[cfg(target_arch = "x86")]
            Self::Time32 => pair[0].map(|both| self.unpacked([both, 0])),
        }
    }

    /// A span, or the longest that fits.
    pub const fn fitting(self, words: [u64; 2]) -> [u64; 2] {
        match self {
            Self::Time64 => words,
            #[cfg(target_arch = "x86")]
            Self::Time32 if words[0] > i32::MAX as u64 => [i32::MAX as u64, words[1]],
            #[cfg(target_arch = "x86")]
            Self::Time32 => words,
        }
    }
}

/// The words of the time at `addr`; `None` if they cannot be read.
#[inline(never)]
pub fn read(form: Form, addr: u64) -> Option<[u64; 2]> {
    is_readable(addr).then_some(())?;
    match form {
        Form::Time64 => {
            is_readable(addr.wrapping_add(SET_BYTES)).then_some(())?;
            // SAFETY: the kernel has just read them. Memory that another thread unmaps meanwhile is its mistake.
            Some(unsafe { load(addr) })
        }
        #[cfg(target_arch = "x86")]
        Form::Time32 => {
            // SAFETY: as above.
            Some(form.unpacked([unsafe { (addr as *const u64).read_unaligned() }, 0]))
        }
    }
}

/// The two words at `addr`, one by one: both at once would be a call of `memcpy` where a processor may not load from any
/// address.
///
/// # Safety
/// They can be read.
#[inline(always)]
pub unsafe fn load(addr: u64) -> [u64; 2] {
    let second_addr = addr.wrapping_add(8);
    // SAFETY: the caller says so.
    let first = unsafe { (addr as *const u64).read_unaligned() };
    // SAFETY: as above.
    let second = unsafe { (second_addr as *const u64).read_unaligned() };
    [first, second]
}

/// Writes two words to `addr`, likewise.
///
/// # Safety
/// They can be written, and nobody minds.
#[inline(always)]
pub unsafe fn store(addr: u64, [first, second]: [u64; 2]) {
    let second_addr = addr.wrapping_add(8);
    // SAFETY: the caller says so.
    unsafe { (addr as *mut u64).write_unaligned(first) };
    // SAFETY: as above.
    unsafe { (second_addr as *mut u64).write_unaligned(second) };
}

/// Two such times, one behind the other.
pub fn read_pair(form: Form, addr: u64) -> Option<[[u64; 2]; 2]> {
    Some([read(form, addr)?, read(form, addr.wrapping_add(form.bytes()))?])
}

/// The two words of 32 bits at `addr`; `None` if they cannot be read.
#[cfg(target_arch = "x86")]
pub fn read_halves(addr: u64) -> Option<[u32; 2]> {
    is_readable(addr).then_some(())?;
    // SAFETY: as above.
    Some(unsafe { (addr as *const [u32; 2]).read_unaligned() })
}

/// The 32 bits at `addr`; `None` if they cannot be read, or if those behind them cannot.
pub fn read_u32(addr: u64) -> Option<u32> {
    is_readable(addr).then_some(())?;
    // SAFETY: as above.
    Some(unsafe { (addr as *const u32).read_unaligned() })
}

/// Whether the eight bytes there can be read: the kernel copies a set of signals with which, as there is no such
/// operation, nothing is to be done.
#[inline(never)]
fn is_readable(addr: u64) -> bool {
    const NO_OPERATION: u64 = u32::MAX as u64;
    let args = [NO_OPERATION, addr, 0, SET_BYTES, 0, 0];
    // SAFETY: the kernel reads what it is given, if it can, and changes nothing.
    addr != NULL && unsafe { arch::syscall_6(number::RT_SIGPROCMASK, &args) != -EFAULT }
}

/// A set of signals that is not there.
const NULL: u64 = 0;

/// Writes a span to `addr`, or the longest that fits, if it can be written; says whether.
#[inline(never)]
pub fn write(form: Form, addr: u64, words: [u64; 2]) -> bool {
    let can_be_written =
        is_writable(addr) && (form.bytes() == SET_BYTES || is_writable(addr.wrapping_add(SET_BYTES)));
    if can_be_written {
        // SAFETY: the program has told the kernel to write there, which has just done so or would have.
        unsafe { overwrite(form, addr, form.fitting(words)) };
    }
    can_be_written
}

/// Writes a time to `addr`; what does not fit is cut off, as the kernel does it.
///
/// # Safety
/// It must be writable.
#[inline(always)]
pub unsafe fn overwrite(form: Form, addr: u64, words: [u64; 2]) {
    let packed = form.packed(words);
    match form {
        // SAFETY: the caller says so.
        Form::Time64 => unsafe { store(addr, packed) },
        #[cfg(target_arch = "x86")]
        // SAFETY: the caller says so.
        Form::Time32 => unsafe { (addr as *mut u64).write_unaligned(packed[0]) },
    }
}

/// Whether eight bytes can be written there, which are others then: the kernel says which signals are blocked.
#[inline(never)]
pub fn is_writable(addr: u64) -> bool {
    let args = [0, 0, addr, SET_BYTES, 0, 0];
    // SAFETY: the kernel writes where the program has told it to, if it can, and changes nothing else.
    addr != NULL && unsafe { arch::syscall_6(number::RT_SIGPROCMASK, &args) != -EFAULT }
}

/// Seconds and nanoseconds: `None` if they cannot be read, or if the kernel would not take them.
#[inline(never)]
pub fn read_timespec(form: Form, addr: u64) -> Option<Timespec> {
    valid(looked_at(form, read(form, addr)?))
}

/// What the kernel looks at: not at the upper half of the nanoseconds that a program with words of 32 bits gives.
pub const fn looked_at(form: Form, [sec, nsec]: [u64; 2]) -> [u64; 2] {
    match form {
        Form::Time64 if cfg!(target_arch = "x86") => [sec, nsec & u32::MAX as u64],
        _ => [sec, nsec],
    }
}

/// A time that the kernel takes.
pub fn valid([sec, nsec]: [u64; 2]) -> Option<Timespec> {
    (sec as i64 >= 0 && nsec < NSEC_PER_SEC)
        .then_some(Timespec { sec: sec as i64, nsec: nsec as i64 })
}

/// A time with any number of nanoseconds, which a few calls take.
pub fn of_unchecked_timespec([sec, nsec]: [u64; 2]) -> Option<Timespec> {
    let (more_sec, nsec) = carried(nsec as i64);
    let sec = (sec as i64).checked_add(more_sec)?;
    (sec >= 0).then_some(Timespec { sec, nsec })
}

/// Whole seconds, rounded down, and what is left.
#[cfg(not(target_arch = "x86"))]
const fn carried(nsec: i64) -> (i64, i64) {
    (nsec.div_euclid(NSEC_PER_SEC as i64), nsec.rem_euclid(NSEC_PER_SEC as i64))
}

/// The same of what a form has: 32 bits with a sign, or without.
#[cfg(target_arch = "x86")]
const fn carried(nsec: i64) -> (i64, i64) {
    /// More than any that are negative, and few enough to fit.
    const MORE_SEC: i64 = 3;
    const PER_SEC: u32 = NSEC_PER_SEC as u32;
    let (lifted, sec) = match nsec {
        0.. => (nsec as u32, 0),
        _ => (nsec.wrapping_add(MORE_SEC * NSEC_PER_SEC as i64) as u32, -MORE_SEC),
    };
    ((lifted / PER_SEC) as i64 + sec, (lifted % PER_SEC) as i64)
}

/// As the kernel reads it.
pub fn words(time: Timespec) -> [u64; 2] {
    [time.sec as u64, time.nsec as u64]
}

const USEC_PER_SEC: u32 = 1_000_000;
const NSEC_PER_USEC: u32 = 1_000;

/// A `struct timeval`'s words, which `select` takes with any number of microseconds.
#[inline(never)]
pub fn of_timeval([sec, usec]: [u64; 2]) -> Option<Timespec> {
    let is_valid = sec as i64 >= 0 && usec as i64 >= 0;
    let (more_sec, usec) = match Form::OLD {
        Form::Time64 => (usec / u64::from(USEC_PER_SEC), (usec % u64::from(USEC_PER_SEC)) as u32),
        // It fits, and a division of 64 bits would be a call.
        #[cfg(target_arch = "x86")]
        Form::Time32 => (u64::from(usec as u32 / USEC_PER_SEC), usec as u32 % USEC_PER_SEC),
    };
    let sec = (sec as i64).checked_add(more_sec as i64)?;
    is_valid.then_some(Timespec { sec, nsec: i64::from(usec * NSEC_PER_USEC) })
}

/// A `struct timeval` of less than a second's microseconds, as timers and sockets take it.
#[inline(never)]
pub fn valid_timeval(words: [u64; 2]) -> Option<Timespec> {
    let [_, usec] = words;
    (usec < u64::from(USEC_PER_SEC)).then(|| of_timeval(words)).flatten()
}

/// The words of a `struct timeval`, rounded up: a timer that is set must not become one that is not.
#[inline(never)]
pub fn timeval(time: Timespec) -> [u64; 2] {
    let usec = (time.nsec as u32).div_ceil(NSEC_PER_USEC);
    let (more_sec, usec) = (usec / USEC_PER_SEC, usec % USEC_PER_SEC);
    [(time.sec as u64).wrapping_add(more_sec.into()), usec.into()]
}
