//! Has the crate [getrandom](https://docs.rs/getrandom) take its bytes from the vDSO, and so all crates
//! that take their seeds from it.
//!
//! ```console
//! $ cd crates/vdso-client/examples/getrandom
//! $ cargo run
//! a key: 5f0c7e…, a seed: 91d2…
//! asked 2 times, for 40 bytes
//! ```
//!
//! What a program needs is this file's function, and the flag in `.cargo/config.toml`.

use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};

/// To show that it is this that is asked.
static TIMES: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// What getrandom asks, as its documentation says under "Custom backend".
///
/// # Safety
///
/// `buffer` must be writable for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(
    buffer: *mut u8,
    length: usize,
) -> Result<(), getrandom::Error> {
    TIMES.fetch_add(1, Ordering::Relaxed);
    BYTES.fetch_add(length, Ordering::Relaxed);
    // SAFETY: the caller's promise; nothing is read from what may not be initialised.
    let buffer = unsafe { slice::from_raw_parts_mut(buffer.cast(), length) };
    match vdso_client::random::fill_uninit(buffer) {
        Ok(_) => Ok(()),
        Err(_) => Err(getrandom::Error::UNSUPPORTED),
    }
}

fn main() -> Result<(), getrandom::Error> {
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;
    let seed = getrandom::u64()?;
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("a key: {key}, a seed: {seed:016x}");
    let [times, bytes] = [&TIMES, &BYTES].map(|count| count.load(Ordering::Relaxed));
    println!("asked {times} times, for {bytes} bytes");
    Ok(())
}
