//! The counter that lines are functions of: the same one that the image reads.
//!
//! What differs between architectures is in one file each, with the same names in all of them:
//!
//! | name | what |
//! |---|---|
//! | `read()` | reads it, ordered after every earlier instruction |
//! | `is_usable()` | whether it can be read in order |
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

pub use selected::{CLOCKSOURCE, image_flags, is_usable, read};
