//! As a generator of the crate rand_core's.

use rand_core::{TryCryptoRng, TryRng};

use super::fill;
use crate::errno::Errno;

/// [`fill`] as a generator: for whoever takes one.
///
/// ```
/// use rand_core::TryRng;
/// use vdso_client::random::Random;
///
/// let dice = Random.try_next_u32()? % 6 + 1;
/// assert!((1..=6).contains(&dice));
/// # Ok::<(), vdso_client::Errno>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl TryRng for Random {
    type Error = Errno;

    fn try_next_u32(&mut self) -> Result<u32, Errno> {
        let mut bytes = [0; 4];
        fill(&mut bytes)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Errno> {
        let mut bytes = [0; 8];
        fill(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Errno> {
        fill(buffer)
    }
}

impl TryCryptoRng for Random {}
