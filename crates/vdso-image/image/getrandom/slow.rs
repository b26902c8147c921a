//! The whole of `getrandom`: a new batch, a new key, and whatever is unusual.

use vdso_data::process::FLAG_RDRAND;

use super::state::{self, GROUP_BYTES, Params, StatePointer, State};
use super::{FLAGS, MOST_BYTES};
use crate::kernel::{self, RandomSource};
use crate::{alone, arch, pages};

const EAGAIN: isize = 11;
const EFAULT: isize = 14;
const EINVAL: isize = alone::EINVAL as isize;
const ENOSYS: isize = alone::ENOSYS as isize;

const KEY_BYTES: usize = size_of::<[u32; 8]>();

/// A length of state that asks for [`Params`] instead of random bytes.
const ASKS_FOR_PARAMS: usize = usize::MAX;

/// # Safety
/// As for [`getrandom`](super::getrandom).
#[cold]
#[inline(never)]
pub unsafe fn getrandom(
    buffer: *mut u8,
    len: usize,
    flags: u32,
    state: *mut State,
    state_len: usize,
) -> isize {
    let asks_for_params =
        state_len == ASKS_FOR_PARAMS && buffer.is_null() && len == 0 && flags == 0;
    let Some(source) = RandomSource::find() else {
        return match kernel::getrandom(&pages::process().functions) {
            // SAFETY: the kernel's own function; the caller's promise is passed on.
            Some(function) => unsafe { function(buffer, len, flags, state.cast(), state_len) },
            None if asks_for_params => -ENOSYS,
            // SAFETY: the caller's promise is passed on.
            None => unsafe { ask(buffer, len, flags) },
        };
    };
    if asks_for_params {
        // SAFETY: that is what such a caller has there.
        unsafe { Params::write_to(state.cast()) };
        return 0;
    }
    if !state::is_in_one_page(state) {
        return -EFAULT;
    }
    let is_state = state_len == size_of::<State>() && state.addr().is_multiple_of(align_of::<State>());
    // Before the kernel is ready, the flags say whether to wait: even for no byte at all.
    if flags & !FLAGS == 0 && is_state && source.is_ready() {
        if len == 0 {
            return 0;
        }
        // SAFETY: aligned, and in one page.
        let pointer = unsafe { StatePointer::new(state) };
        if !pointer.is_in_use() {
            let len = len.min(MOST_BYTES);
            // SAFETY: the caller answers for `buffer`.
            let is_filled = unsafe { fill(buffer, len, pointer, source) };
            pointer.set_in_use(false);
            if is_filled {
                return len as isize;
            }
        }
    }
    // SAFETY: the caller's promise is passed on.
    unsafe { ask(buffer, len, flags) }
}

/// Random bytes of the kernel's, which checks the arguments, or of the processor's where there is none to ask.
///
/// # Safety
/// `buffer` must be writable for `len` bytes where no system call is made.
#[inline(always)]
unsafe fn ask(buffer: *mut u8, len: usize, flags: u32) -> isize {
    if !alone::has_no_system_calls() {
        // SAFETY: the kernel checks the arguments.
        return unsafe { arch::syscall_getrandom(buffer, len, flags) };
    }
    if flags & !FLAGS != 0 {
        return -EINVAL;
    }
    if !pages::has_flags(FLAG_RDRAND) {
        return -ENOSYS;
    }
    let len = len.min(MOST_BYTES);
    // SAFETY: the caller's promise, and the CPU has RDRAND.
    if unsafe { arch::fill_by_rdrand(buffer, len) } { len as isize } else { -EAGAIN }
}

/// Whether all of `buffer` could be filled with bytes of a key that is still good afterwards.
///
/// # Safety
/// `buffer` must be writable for `len` bytes.
#[inline(always)]
unsafe fn fill(buffer: *mut u8, len: usize, pointer: StatePointer, source: RandomSource) -> bool {
    // Once more if there was a fork, a new seed, or the memory was dropped: not for ever, as somebody
    // might do that all the time.
    for _ in 0..2 {
        pointer.set_in_use(true);
        let generation = source.generation();
        if pointer.generation() != generation && !renew_key(pointer, generation) {
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe { fill_once(buffer, len, pointer) };
        if pointer.is_kept(source.generation()) {
            return true;
        }
        // A child's handler may have used the state meanwhile: then what is there is of two keys.
        pointer.set_generation(0);
    }
    false
}

#[inline(always)]
fn renew_key(pointer: StatePointer, generation: u64) -> bool {
    // The generation first: after a fork between the two, both sides get keys of their own. The other
    // way round, they could have the same key and believe in it.
    pointer.set_generation(generation);
    arch::compiler_fence();
    let key = pointer.key_to_fill();
    // SAFETY: the key's memory; the kernel writes nothing else.
    let filled = unsafe { ask(key.cast(), KEY_BYTES, 0) };
    let is_filled = filled == KEY_BYTES as isize;
    if !is_filled {
        pointer.set_generation(0);
    }
    is_filled
}

#[inline(always)]
unsafe fn fill_once(mut buffer: *mut u8, mut len: usize, pointer: StatePointer) {
    loop {
        let remaining = pointer.remaining();
        let count = len.min(remaining);
        if count != 0 {
            // SAFETY: the caller's promise, and `count` is at most `remaining`.
            unsafe { pointer.move_to(buffer, count, remaining) };
            buffer = buffer.wrapping_add(count);
            len -= count;
        }
        if len == 0 {
            return;
        }
        let groups = len / GROUP_BYTES;
        if groups != 0 {
            // SAFETY: the caller's promise; the key is replaced right below.
            unsafe { pointer.generate(buffer, groups) };
            buffer = buffer.wrapping_add(groups * GROUP_BYTES);
            len -= groups * GROUP_BYTES;
        }
        pointer.refill(groups);
    }
}
