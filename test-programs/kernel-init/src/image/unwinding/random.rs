//! Calls of a `getrandom` of the image's own, which takes more arguments than other functions.

use core::mem;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use vdso_data::architecture::Export;
use vdso_data::process::{ProcessPage, RandomData};

use super::watch::{Watch, Wrong};

/// More than any image keeps for a caller, and aligned as it wants.
#[repr(C, align(4096))]
struct State([u64; 512]);

/// As the kernel's page says it once it has a seed.
static SEED: RandomData = RandomData {
    generation: AtomicU64::new(1),
    is_ready: AtomicU8::new(1),
    unused: [const { AtomicU8::new(0) }; 7],
};

/// Makes the image take random bytes by itself.
pub fn know(page: &ProcessPage) {
    let address = (&raw const SEED).expose_provenance() as u64;
    page.random_data_addr.store(address, Ordering::Relaxed);
}

/// Calls it until its bytes are used up, for too many at once, for none, and wrongly.
pub fn make(watch: &Watch<'_>, export: &Export) -> Result<(), Wrong> {
    /// With a state of this length, the function says what a state must be.
    const QUESTION: usize = usize::MAX;
    let mut state = State([0; 512]);
    let mut answer = [0_u32; 16];
    let mut bytes = [0_u8; 2048];
    let bytes = (&raw mut bytes).expose_provenance();
    let call = |to: usize, len: usize, flags: usize, state: usize, state_len: usize| {
        let make = |function: NonNull<()>| {
            type Function = unsafe extern "C" fn(usize, usize, usize, usize, usize) -> isize;
            // SAFETY: a `getrandom` of the vDSO's, of whose type this is.
            let function: Function = unsafe { mem::transmute(function) };
            // SAFETY: it writes to `bytes`, at most their number, and to the state.
            unsafe { function(to, len, flags, state, state_len) };
        };
        watch.call(export.name, make)
    };
    call(0, 0, 0, (&raw mut answer).expose_provenance(), QUESTION)?;
    // The size comes first, then how to map it.
    let state_len = answer[0] as usize;
    let state_addr = (&raw mut state).expose_provenance();
    for (len, flags) in [(32, 0), (200, 1), (2000, 0), (400, 0), (7, 0), (0, 0), (32, 0x100)] {
        call(bytes, len, flags, state_addr, state_len)?;
    }
    // The kernel has taken another seed.
    SEED.generation.fetch_add(1, Ordering::Relaxed);
    call(bytes, 32, 0, state_addr, state_len)?;
    call(bytes, 32, 0, state_addr, 1)
}
