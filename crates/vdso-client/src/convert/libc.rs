//! `libc`'s types.

use crate::{Errno, Timespec};

impl From<libc::timespec> for Timespec {
    #[allow(clippy::useless_conversion, reason = "the fields are 32 bits wide on some targets")]
    fn from(time: libc::timespec) -> Self {
        Self { sec: i64::from(time.tv_sec), nsec: i64::from(time.tv_nsec) }
    }
}

/// Fails where the C library's seconds have 32 bits and these are more.
impl TryFrom<Timespec> for libc::timespec {
    type Error = core::num::TryFromIntError;

    fn try_from(time: Timespec) -> Result<Self, Self::Error> {
        // SAFETY: a structure of integers; some targets have padding among them, without a name.
        let mut converted = unsafe { core::mem::zeroed::<Self>() };
        converted.tv_sec = narrow(time.sec)?;
        converted.tv_nsec = narrow(time.nsec)?;
        Ok(converted)
    }
}

/// Through 128 bits, as from those a conversion can fail on every target, and so has one error.
fn narrow<T>(value: i64) -> Result<T, core::num::TryFromIntError>
where
    T: TryFrom<i128, Error = core::num::TryFromIntError>,
{
    T::try_from(i128::from(value))
}

impl Errno {
    /// As the C library has it in `errno`.
    pub const fn to_libc(self) -> libc::c_int {
        self.raw()
    }
}
