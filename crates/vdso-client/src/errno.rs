//! The kernel's error numbers.

use core::fmt;

/// An error number, as in errno(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(i32);

impl Errno {
    /// There is no such process or thread.
    pub const ESRCH: Self = Self(3);
    /// A signal came in between.
    pub const EINTR: Self = Self(4);
    /// Something is broken.
    pub const EIO: Self = Self(5);
    /// It would have to wait, and was asked not to.
    pub const EAGAIN: Self = Self(11);
    /// There is no memory left, or none where the address says.
    pub const ENOMEM: Self = Self(12);
    /// The address is not the program's.
    pub const EFAULT: Self = Self(14);
    /// Somebody has it already.
    pub const EBUSY: Self = Self(16);
    /// There is no such device, or a clock is turned off.
    pub const ENODEV: Self = Self(19);
    /// There is no such clock.
    pub const EINVAL: Self = Self(22);
    /// A seccomp filter does not allow the call, or the clock is not the program's.
    pub const EPERM: Self = Self(1);
    /// The kernel does not have the call.
    /// Source: `asm/errno.h`; mips has numbers of its own above 34.
    pub const ENOSYS: Self = Self(
        if cfg!(any(
            target_arch = "mips",
            target_arch = "mips64",
            target_arch = "mips32r6",
            target_arch = "mips64r6"
        )) {
            89
        } else {
            38
        },
    );

    /// The number as errno has it: positive.
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// From what a system call or a vDSO function returns: a value or a negative error number.
    #[inline(always)]
    pub(crate) const fn check(result: isize) -> Result<isize, Self> {
        if result < 0 { Err(Self((result as i32).wrapping_neg())) } else { Ok(result) }
    }

    const fn name(self) -> Option<&'static str> {
        match self {
            Self::EPERM => Some("EPERM"),
            Self::ESRCH => Some("ESRCH"),
            Self::EINTR => Some("EINTR"),
            Self::EIO => Some("EIO"),
            Self::EAGAIN => Some("EAGAIN"),
            Self::ENOMEM => Some("ENOMEM"),
            Self::EFAULT => Some("EFAULT"),
            Self::EBUSY => Some("EBUSY"),
            Self::ENODEV => Some("ENODEV"),
            Self::EINVAL => Some("EINVAL"),
            Self::ENOSYS => Some("ENOSYS"),
            _ => None,
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "errno {}", self.0),
        }
    }
}

impl core::error::Error for Errno {}
