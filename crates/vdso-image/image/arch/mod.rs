//! What differs between architectures, one folder each, with the same names in all of them:
//!
//! | name | what |
//! |---|---|
//! | `counter()`, `counter_halves()` | reads the counter, ordered after every earlier instruction |
//! | `own_page()`, `process_page()` | where the linker script put the pages |
//! | `own_page_u64()`, `process_page_u…()` | a field of them |
//! | `Long` | the word of times that have no fixed size |
//! | `syscall_…` | the system calls behind the functions |
//! | `call_…` | calls of the kernel's own vDSO functions |
//! | `cpu_and_node()`, `CPU_BITS` | the kernel's per-CPU word by a register, if there is one |
//! | `cpu_and_node_otherwise()` | the same in another way, if there is one |
//! | `exports.rs` | the functions that programs look up |
//! | `trampolines.rs` | the return from a signal handler, if it is the vDSO's |
//! | `enter.rs` | the last step of injection, and the image's ELF entry point, if there is injection |
//!
//! [`usual`] has what most of them do alike. Names, versions and all else that others must know is in
//! the tables of `vdso_arch` and `vdso_data::architecture`.

mod c_calls;
#[allow(unused_macros, unused_imports, reason = "PowerPC's functions are no C functions, and ARM passes on none")]
mod export;
mod usual;

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub use aarch64::*;

#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "riscv64")]
pub use riscv64::*;

#[cfg(target_arch = "s390x")]
mod s390x;
#[cfg(target_arch = "s390x")]
pub use s390x::*;

#[cfg(target_arch = "powerpc64")]
mod powerpc64;
#[cfg(target_arch = "powerpc64")]
pub use powerpc64::*;

#[cfg(target_arch = "loongarch64")]
mod loongarch64;
#[cfg(target_arch = "loongarch64")]
pub use loongarch64::*;

#[cfg(target_arch = "arm")]
mod arm;
#[cfg(target_arch = "arm")]
pub use arm::*;

#[cfg(target_arch = "x86")]
mod x86;
#[cfg(target_arch = "x86")]
pub use x86::*;

#[cfg(target_arch = "mips64")]
mod mips64;
#[cfg(target_arch = "mips64")]
pub use mips64::*;
