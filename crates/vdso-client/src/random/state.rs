//! A generator's state that somebody holds.

use core::mem::MaybeUninit;

use super::pool::{HELD, Place};
use super::{as_uninit, by_system_call, in_parts};
use crate::errno::Errno;

/// The state of a generator: for programs without the feature `std`, and for those that make a million
/// calls in a loop.
///
/// ```
/// use vdso_client::random::State;
///
/// let mut random = State::new();
/// let mut dice = [0; 4];
/// random.fill(&mut dice)?;
/// # Ok::<(), vdso_client::Errno>(())
/// ```
#[derive(Debug)]
pub struct State {
    /// None: the system call is made.
    place: Option<Place>,
}

impl State {
    /// A state of its own. Where there is no function, or no memory for it, the system call is made.
    #[must_use]
    pub fn new() -> Self {
        Self { place: Place::claim(HELD) }
    }

    /// Whether it spares the system call.
    pub fn is_by_function(&self) -> bool {
        self.place.is_some()
    }

    /// As [`fill`](super::fill).
    ///
    /// # Errors
    /// As there.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Errno> {
        self.fill_uninit(as_uninit(buffer)).map(|_| ())
    }

    /// As [`fill_uninit`](super::fill_uninit).
    ///
    /// # Errors
    /// As there.
    pub fn fill_uninit<'a>(
        &mut self,
        buffer: &'a mut [MaybeUninit<u8>],
    ) -> Result<&'a mut [u8], Errno> {
        match &self.place {
            Some(place) => in_parts(buffer, |part| place.fill(part, 0)),
            None => by_system_call(buffer, 0),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            place.give_back(HELD);
        }
    }
}
