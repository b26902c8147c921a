//! The counter as Linux and its programs know it.
//!
//! How it is read is [`vdso_timekeeper::counter`]'s. What Linux says of it is in one file for each
//! architecture, with the same names in all of them:
//!
//! | name | what |
//! |---|---|
//! | `CLOCKSOURCE` | what `/sys/devices/system/clocksource` calls it |
//! | `image_flags()` | `FLAG_` bits of a process page that tell an image how to read this CPU's registers |

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64.rs")]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")),
    path = "none.rs"
)]
mod selected;

pub use selected::{CLOCKSOURCE, image_flags};
pub use vdso_timekeeper::counter::{is_usable, read};
