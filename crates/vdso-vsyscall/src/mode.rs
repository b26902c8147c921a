//! How a kernel was told to treat the page.

use core::fmt;
use core::str::FromStr;

/// The value of the kernel's parameter `vsyscall=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Calls are answered, and the page's bytes can be read.
    Emulate,
    /// Calls are answered; reading is a fault. Linux's default.
    Xonly,
    /// There is no page: every access is a fault.
    None,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Emulate, Self::Xonly, Self::None];

    /// What `/proc/PID/maps` says of the mapping `[vsyscall]`; [`Mode::None`] has no such line.
    #[must_use]
    pub const fn permissions(self) -> Option<&'static str> {
        match self {
            Self::Emulate => Some("r-xp"),
            Self::Xonly => Some("--xp"),
            Self::None => None,
        }
    }

    /// The mode of a kernel whose `/proc/PID/maps` has these permissions for `[vsyscall]`, or no such line. Other
    /// permissions are no mode that is known.
    #[must_use]
    pub fn of_permissions(permissions: Option<&str>) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.permissions() == permissions)
    }

    /// Whether a call of the page's functions is answered.
    #[must_use]
    pub const fn answers(self) -> bool {
        matches!(self, Self::Emulate | Self::Xonly)
    }
}

/// As the parameter has it.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Emulate => "emulate",
            Self::Xonly => "xonly",
            Self::None => "none",
        })
    }
}

/// A value of the parameter that stands for no mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMode;

impl fmt::Display for UnknownMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither emulate, xonly nor none")
    }
}

impl core::error::Error for UnknownMode {}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "emulate" => Ok(Self::Emulate),
            "xonly" => Ok(Self::Xonly),
            "none" => Ok(Self::None),
            _ => Err(UnknownMode),
        }
    }
}
