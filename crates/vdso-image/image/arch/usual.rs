//! What most architectures do alike, on what theirs has under the same names: `own_page`,
//! `process_page`, `counter`.

use core::ffi::{c_int, c_void};

use vdso_arch::system_call;
use vdso_arch::system_call::Numbers;
#[cfg(detours)]
pub use vdso_arch::system_call::timed::current as number;
use vdso_data::arithmetic::Timespec;
use vdso_data::own::Halves;
use vdso_data::sync::{AtomicU32, AtomicU64, Ordering};

use super::{counter, own_page, process_page};
use crate::gettimeofday::Timeval;
use crate::pages;

/// What the kernel calls `__kernel_long_t`: the word of its times, where they are not 64 bits in any case.
pub type Long = core::ffi::c_long;

/// The counter, in halves.
#[inline(always)]
pub fn counter_halves() -> Halves {
    let cycles = counter();
    Halves { low: cycles as u32, high: (cycles >> 32) as u32 }
}

/// The field at `OFFSET` in the page of clocks.
#[inline(always)]
pub fn own_page_u64<const OFFSET: usize>() -> u64 {
    let field = own_page().wrapping_add(OFFSET).cast::<AtomicU64>();
    // SAFETY: whoever maps the image maps this page, readable, for as long; the field is aligned.
    unsafe { &*field }.load(Ordering::Relaxed)
}

/// The field at `OFFSET` in the process page.
#[inline(always)]
pub fn process_page_u64<const OFFSET: usize>() -> u64 {
    let field = process_page().wrapping_add(OFFSET).cast::<AtomicU64>();
    // SAFETY: as above.
    unsafe { &*field }.load(Ordering::Relaxed)
}

/// The field at `OFFSET` in the process page.
#[inline(always)]
pub fn process_page_u32<const OFFSET: usize>() -> u32 {
    let field = process_page().wrapping_add(OFFSET).cast::<AtomicU32>();
    // SAFETY: as above.
    unsafe { &*field }.load(Ordering::Relaxed)
}

/// The numbers of the architecture's system calls.
pub const NUMBERS: &Numbers = Numbers::CURRENT.expect("each architecture here has a table");

/// With 64-bit times everywhere.
const CLOCK_GETTIME: u32 = one_of(NUMBERS.clock_gettime64, NUMBERS.clock_gettime);
const CLOCK_GETRES: u32 = one_of(NUMBERS.clock_getres_time64, NUMBERS.clock_getres);
const GETTIMEOFDAY: u32 = NUMBERS.gettimeofday.expect("each architecture here has the call");

const fn one_of(time64: Option<u32>, usual: Option<u32>) -> u32 {
    match time64 {
        Some(number) => number,
        None => usual.expect("each architecture here has the call"),
    }
}

/// A call of the image's own, which means the host's clocks: it is marked behind its arguments
/// ([`vdso_data::detour`]), so that nobody who moves a program's calls moves it.
///
/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline(always)]
unsafe fn syscall(number: u32, first: usize, second: usize) -> c_int {
    // SAFETY: the caller answers for the call itself.
    unsafe { system_call!(number, first, second, pages::call_mark()) as c_int }
}

/// # Safety
/// `ts` may be anything: the kernel checks it.
#[inline(always)]
pub unsafe fn syscall_clock_gettime(id: c_int, ts: *mut Timespec) -> c_int {
    // SAFETY: the kernel writes a timespec to `ts` and nothing else.
    unsafe { syscall(CLOCK_GETTIME, id as usize, ts.addr()) }
}

/// # Safety
/// `res` may be anything: the kernel checks it.
#[inline(always)]
pub unsafe fn syscall_clock_getres(id: c_int, res: *mut Timespec) -> c_int {
    // SAFETY: as above.
    unsafe { syscall(CLOCK_GETRES, id as usize, res.addr()) }
}

/// # Safety
/// Both may be anything: the kernel checks them.
#[inline(always)]
pub unsafe fn syscall_gettimeofday(tv: *mut Timeval, tz: *mut c_void) -> c_int {
    // SAFETY: the kernel writes to what is not null and nothing else.
    unsafe { syscall(GETTIMEOFDAY, tv.addr(), tz.addr()) }
}

/// # Safety
/// Both may be anything: the kernel checks them.
#[inline(always)]
pub unsafe fn syscall_getcpu(cpu: *mut u32, node: *mut u32) -> c_int {
    // SAFETY: as above. The third argument is ignored since Linux 2.6.24.
    unsafe { syscall(NUMBERS.getcpu, cpu.addr(), node.addr()) }
}

/// A call of the image's own, which means the host's clocks: it is marked behind its arguments
/// ([`vdso_data::detour`]), so that nobody who moves a program's calls moves it.
///
/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[cfg(detours)]
#[inline(always)]
pub unsafe fn syscall_6(number: u32, args: &[u64; 6]) -> i64 {
    let [first, second, third, fourth, fifth, sixth] = *args;
    // SAFETY: the caller answers for the call itself.
    unsafe { system_call!(number, first, second, third, fourth, fifth, sixth) as i64 }
}

/// No register tells the CPU.
pub mod no_cpu_register {
    /// Bits of the kernel's per-CPU word that are the CPU's number.
    pub const CPU_BITS: u32 = 16;

    /// No register tells.
    #[inline(always)]
    pub fn cpu_and_node() -> Option<u32> {
        None
    }
}

/// There is no other way.
#[inline(always)]
pub fn cpu_and_node_otherwise() -> Option<u32> {
    None
}
