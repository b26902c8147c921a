//! The running kernel's own page and functions, found through the process page.
//!
//! Every dereference of an address that injection wrote down is in this file.

use core::ffi::{c_int, c_void};
use core::mem::{self, offset_of};

use vdso_data::arithmetic::Timespec;
use vdso_data::clock;
use vdso_data::linux::BASETIME_BYTES;
use vdso_data::process::ProcessPage;
use vdso_data::process::{Functions, KernelClock, RandomData};
use vdso_data::sync::{AtomicU32, AtomicU64, Ordering};

use crate::{arch, pages};
use crate::gettimeofday::Timeval;

/// The mode that says whether the counter may be used at all. Changes when the kernel gives up its
/// clocksource, or when this process enters a time namespace.
#[inline(always)]
pub fn counter_mode(process: &ProcessPage) -> u32 {
    word(load(&process.clock_mode_addr)).load(Ordering::Relaxed)
}

/// `seq` of a known clock.
#[inline(always)]
pub fn seq(clock: &KernelClock) -> &AtomicU32 {
    word(load(&clock.seq_addr))
}

/// `clock_mode` of a known clock.
#[inline(always)]
pub fn mode(clock: &KernelClock) -> u32 {
    word(load(&clock.seq_addr) + 4).load(Ordering::Relaxed)
}

/// Where one clock's words are in the kernel's page: loaded from the process page before the counter is
/// read, so that nothing which then waits for the counter waits for an address.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// The number of the page's sequence lock, odd while the kernel writes.
    pub seq: &'a AtomicU32,
    /// `clock_mode`, which says whether the counter is used; right behind `seq`.
    pub mode: &'a AtomicU32,
    cycle_last: &'a AtomicU64,
    max_cycles: u64,
    mult: &'a AtomicU32,
    shift: &'a AtomicU32,
    base_sec: &'a AtomicU64,
    base_nsec: &'a AtomicU64,
}

impl Places<'_> {
    /// Those of a clock `id` which `clock` knows.
    #[inline(always)]
    pub fn of(clock: &KernelClock, id: u32) -> Self {
        let (seq, mult) = (load(&clock.seq_addr), load(&clock.mult_addr));
        let base = load(&clock.basetime_addr) + u64::from(id) * BASETIME_BYTES as u64;
        Self {
            seq: word(seq),
            mode: word(seq + 4),
            cycle_last: double_word(load(&clock.cycle_last_addr)),
            max_cycles: load(&clock.max_cycles),
            mult: word(mult),
            shift: word(mult + 4),
            base_sec: double_word(base),
            base_nsec: double_word(base + 8),
        }
    }

    /// Cycles from the kernel's last update to the counter; `None` if arithmetic with them may overflow.
    #[inline(always)]
    pub fn delta_cycles(self, counter: u64) -> Option<u64> {
        let delta = counter.wrapping_sub(self.cycle_last.load(Ordering::Relaxed));
        (delta <= self.max_cycles).then_some(delta)
    }

    /// `mult` and `shift`: a cycle lasts `mult` / 2^`shift` nanoseconds.
    #[inline(always)]
    pub fn mult_and_shift(self) -> (u32, u32) {
        (self.mult.load(Ordering::Relaxed), self.shift.load(Ordering::Relaxed))
    }

    /// `basetime[id]`, as it stands: the nanoseconds of fine clocks are shifted left.
    #[inline(always)]
    pub fn base(self) -> Timespec {
        Timespec {
            sec: self.base_sec.load(Ordering::Relaxed) as i64,
            nsec: self.base_nsec.load(Ordering::Relaxed) as i64,
        }
    }
}

/// `basetime[id]` of a known clock that advances with the tick.
#[inline(always)]
pub fn basetime(clock: &KernelClock, id: u32) -> Timespec {
    Places::of(clock, id).base()
}

/// The seconds of REALTIME as of the last tick, which are one word and need no lock; zero if they are
/// elsewhere: in a time namespace the kernel's page has what is added to each clock in their place,
/// and to REALTIME nothing ever is.
#[inline(always)]
pub fn realtime_sec() -> i64 {
    const _: () = assert!(clock::REALTIME == 0);
    let addr = arch::process_page_u64::<{ offset_of!(ProcessPage, hres.basetime_addr) }>();
    if addr == 0 {
        return 0;
    }
    double_word(addr).load(Ordering::Relaxed) as i64
}

/// Where steering of the counter ends and by how much it has jumped; `None` where it is not steered.
#[inline(always)]
pub fn counter_steering(process: &ProcessPage) -> Option<(u64, i64)> {
    let end_addr = load(&process.steering.end_addr);
    if end_addr == 0 {
        return None;
    }
    let end = double_word(end_addr).load(Ordering::Relaxed);
    let delta = double_word(load(&process.steering.delta_addr)).load(Ordering::Relaxed);
    Some((end, delta as i64))
}

/// What says whether a key is still good: the kernel's word, and our page's.
#[derive(Clone, Copy)]
pub struct RandomSource(&'static RandomData);

impl RandomSource {
    /// `None` where the process page does not say which.
    #[inline(always)]
    pub fn find() -> Option<Self> {
        let addr = arch::process_page_u64::<{ offset_of!(ProcessPage, random_data_addr) }>();
        // SAFETY: injection writes only the address of such a structure that stays mapped, or zero.
        unsafe { (addr as *const RandomData).as_ref() }.map(Self)
    }

    /// Whether there is a seed at all.
    #[inline(always)]
    pub fn is_ready(self) -> bool {
        self.0.is_ready.load(Ordering::Relaxed) != 0 && self.generation() != 0
    }

    /// The generation of the kernel's seed and that of our page grow only, so their sum changes when one
    /// of them does.
    #[inline(always)]
    pub fn generation(self) -> u64 {
        // Acquire: what is read of a state, or asked of the kernel, afterwards is not older.
        let kernels = self.0.generation.load(Ordering::Acquire);
        kernels.wrapping_add(pages::random_generation())
    }
}

/// The kernel's vDSO functions, by their C types.
pub type ClockGettime = unsafe extern "C" fn(c_int, *mut Timespec) -> c_int;
/// As above.
pub type Gettimeofday = unsafe extern "C" fn(*mut Timeval, *mut c_void) -> c_int;
/// As above.
pub type Getcpu = unsafe extern "C" fn(*mut u32, *mut u32, *mut c_void) -> c_int;

/// As above.
pub type Getrandom = unsafe extern "C" fn(*mut u8, usize, u32, *mut c_void, usize) -> isize;

/// `clock_gettime` of the kernel's, with 64-bit times.
#[inline(always)]
pub fn clock_gettime(functions: &Functions) -> Option<ClockGettime> {
    // SAFETY: zero is `None`; any other value is the function's address, by injection's promise.
    unsafe { mem::transmute(load(&functions.clock_gettime) as usize) }
}

/// `gettimeofday` of the kernel's.
#[inline(always)]
pub fn gettimeofday(functions: &Functions) -> Option<Gettimeofday> {
    // SAFETY: as above.
    unsafe { mem::transmute(load(&functions.gettimeofday) as usize) }
}

/// `getcpu` of the kernel's.
#[inline(always)]
pub fn getcpu(functions: &Functions) -> Option<Getcpu> {
    // SAFETY: as above.
    unsafe { mem::transmute(load(&functions.getcpu) as usize) }
}

/// `getrandom` of the kernel's.
#[cfg(own_getrandom)]
#[inline(always)]
pub fn getrandom(functions: &Functions) -> Option<Getrandom> {
    const SLOT: usize = crate::forward::index("__vdso_getrandom");
    // SAFETY: as above.
    unsafe { mem::transmute(load(&functions.forwarded[SLOT]) as usize) }
}

#[inline(always)]
fn load(address: &AtomicU64) -> u64 {
    // Relaxed: the process page does not change while it can be read.
    address.load(Ordering::Relaxed)
}

#[inline(always)]
fn word(addr: u64) -> &'static AtomicU32 {
    // SAFETY: injection writes only addresses of aligned words that stay mapped: the kernel's pages
    // live as long as the process, and the process page as long as the image.
    unsafe { &*(addr as *const AtomicU32) }
}

#[inline(always)]
fn double_word(addr: u64) -> &'static AtomicU64 {
    // SAFETY: as above.
    unsafe { &*(addr as *const AtomicU64) }
}
