//! What differs between architectures, one folder each, with the same names in all of them:
//!
//! | name | what |
//! |---|---|
//! | `counter()` | reads the counter, ordered after every earlier instruction |
//! | `own_page()`, `process_page()` | where the linker script put the pages |
//! | `syscall_…` | the system calls behind the functions |
//! | `cpu_and_node(process)` | the kernel's per-CPU word by a register, if there is one |
//! | `exports.rs` | the names and version that programs look up |
//! | `enter.rs` | the last step of injection, and the image's ELF entry point |
//! | `image.ld` | the linker script |

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
