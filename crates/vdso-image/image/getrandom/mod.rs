//! `getrandom(2)`: random bytes of ChaCha20, whose keys are the kernel's random bytes.
//!
//! A caller keeps a [`State`] for each thread. A key makes 480 bytes and the next key, so what was given
//! out cannot be computed from what remains; and a key is thrown away when the kernel takes a new seed.
//! What follows is the interface of the kernel's `__vdso_getrandom`: a call that cannot be answered here
//! is the system call.

mod slow;
mod state;

use vdso_data::counts::Counter;

use state::{StatePointer, State};

use crate::kernel::RandomSource;
use crate::{arch, counts};

/// `GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE`: none changes anything once the kernel is ready.
const FLAGS: u32 = 0x1 | 0x2 | 0x4;

/// The largest number of bytes in one call: `MAX_RW_COUNT`.
const MOST_BYTES: usize = i32::MAX as usize & !(arch::PAGE_BYTES - 1);

/// Fills `buffer`.
///
/// # Safety
/// `buffer` must be writable for `len` bytes, and `state` be as for [`StatePointer::new`], unless the call is
/// one that the kernel's function answers with an error.
#[inline(always)]
pub unsafe fn getrandom(
    buffer: *mut u8,
    len: usize,
    flags: u32,
    state: *mut State,
    state_len: usize,
) -> isize {
    if let Some(source) = RandomSource::find()
        && state_len == size_of::<State>()
        && flags & !FLAGS == 0
        && state.addr().is_multiple_of(align_of::<State>())
        && state::is_in_one_page(state)
    {
        // SAFETY: aligned, and in one page.
        let pointer = unsafe { StatePointer::new(state) };
        if len != 0 && !pointer.is_in_use() && source.is_ready() {
            // Nothing is read of the state before: a signal handler may take from it until here.
            pointer.set_in_use(true);
            let remaining = pointer.remaining();
            let is_at_hand = len <= remaining && pointer.generation() == source.generation();
            if is_at_hand {
                // SAFETY: `len` is at most `remaining`; the caller answers for `buffer`.
                unsafe { pointer.move_to(buffer, len, remaining) };
                if pointer.is_kept(source.generation()) {
                    pointer.set_in_use(false);
                    counts::count_rarely(Counter::Getrandom as usize, ());
                    return len as isize;
                }
                // A child's handler may have used the state meanwhile: then what is there is of two keys.
                pointer.set_generation(0);
            }
            pointer.set_in_use(false);
        }
    }
    counts::count_rarely(Counter::Getrandom as usize, ());
    // SAFETY: the caller's promise is passed on.
    unsafe { slow::getrandom(buffer, len, flags, state, state_len) }
}
