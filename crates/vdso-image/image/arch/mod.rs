//! What differs between architectures, one folder each, with the same names in all of them:
//!
//! | name | what |
//! |---|---|
//! | `counter()`, `counter_halves()` | reads the counter, ordered after every earlier instruction |
//! | `own_page()`, `process_page()` | where the linker script put the pages |
//! | `own_page_u64()`, `process_page_u…()` | a field of them |
//! | `syscall_…` | the system calls behind the functions |
//! | `call_…` | calls of the kernel's own vDSO functions |
//! | `cpu_and_node()`, `CPU_BITS` | the kernel's per-CPU word by a register, if there is one |
//! | `cpu_and_node_otherwise()` | the same in another way, if there is one |
//! | `exports.rs` | the functions that programs look up |
//! | `trampolines.rs` | the return from a signal handler, if it is the vDSO's |
//! | `enter.rs` | the last step of injection, and the image's ELF entry point, if there is injection |
//!
//! [`usual`] has what most of them do alike. Names, versions and all else that others must know is in
//! the table of `vdso_data::architecture`.

mod c_calls;
#[allow(unused_macros, unused_imports, reason = "PowerPC's functions are no C functions, and ARM passes on none")]
mod export;
mod usual;

macro_rules! architectures {
    ($($folder:ident: $name:literal;)*) => {$(
        #[cfg(target_arch = $name)]
        mod $folder;
        #[cfg(target_arch = $name)]
        pub use $folder::*;
    )*};
}

architectures! {
    x86_64: "x86_64";
    aarch64: "aarch64";
    riscv64: "riscv64";
    s390x: "s390x";
    powerpc64: "powerpc64";
    loongarch64: "loongarch64";
    arm: "arm";
    x86: "x86";
    mips64: "mips64";
}
