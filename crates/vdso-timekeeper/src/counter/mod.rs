//! The processor's counter, as the images read it.
//!
//! A [`Reference`](crate::Reference) may run on another one, if its readers do, too. What differs between
//! architectures is in one file each, with the same names in all of them:
//!
//! | name | what |
//! |---|---|
//! | `read()` | reads it, ordered after every earlier instruction |
//! | `is_usable()` | whether it can be read in order |

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64.rs")]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")),
    path = "none.rs"
)]
mod selected;

pub use selected::{is_usable, read};
