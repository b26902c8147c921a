//! What differs between architectures: the code that the program executes before its first own
//! instruction, and the registers it starts with.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
