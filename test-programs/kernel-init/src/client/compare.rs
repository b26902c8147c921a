//! Whether what the client answers lies between two answers of the kernel's.

use core::fmt::{self, Display};

use vdso_client::Errno;

use crate::system;

/// How often each clock is read.
pub const READS: u32 = 10_000;

/// What is wrong with an answer.
pub enum Wrong {
    Before { by: i128 },
    After { by: i128 },
    OtherError { client: Result<i128, Errno>, kernel: Result<i128, i32> },
}

/// One answer between two of the kernel's, in nanoseconds or whatever the unit is. If the kernel gives
/// an error, the client must give the same.
pub fn bracket(
    kernel: &impl Fn() -> Result<i128, system::Errno>,
    client: &impl Fn() -> Result<i128, Errno>,
) -> Result<(), Wrong> {
    let before = kernel().map_err(system::Errno::into_raw);
    let answer = client();
    let after = kernel().map_err(system::Errno::into_raw);
    match (before, answer, after) {
        (Ok(before), Ok(answer), Ok(_)) if answer < before => {
            Err(Wrong::Before { by: before - answer })
        }
        (Ok(_), Ok(answer), Ok(after)) if answer > after => {
            Err(Wrong::After { by: answer - after })
        }
        (Ok(_), Ok(_), Ok(_)) => Ok(()),
        (Err(expected), Err(error), Err(_)) if expected == error.raw() => Ok(()),
        (kernel, client, _) => Err(Wrong::OtherError { client, kernel }),
    }
}

/// So for `reads` reads; the error is the first.
pub fn brackets(
    reads: u32,
    kernel: impl Fn() -> Result<i128, system::Errno>,
    client: impl Fn() -> Result<i128, Errno>,
) -> Result<(), Wrong> {
    (0..reads).try_for_each(|_| bracket(&kernel, &client))
}

impl Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before { by } => write!(formatter, "{by} before the kernel's answer"),
            Self::After { by } => write!(formatter, "{by} after the kernel's answer"),
            Self::OtherError { client, kernel } => {
                write!(formatter, "the client says {client:?}, the kernel {kernel:?}")
            }
        }
    }
}
