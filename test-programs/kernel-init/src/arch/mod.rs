//! `_start`, one file for each architecture: it aligns the stack and calls [`start`](crate::start)
//! with the stack pointer that the kernel gave, where `argc` is.
//!
//! Sources: the ABI of each architecture; the `ELF_PLAT_INIT` and `start_thread` of Linux 6.18 for
//! what registers hold.

macro_rules! architectures {
    ($($file:ident: $condition:meta;)*) => {$(
        #[cfg($condition)]
        mod $file;
    )*};
}

architectures! {
    x86_64: target_arch = "x86_64";
    x86: target_arch = "x86";
    aarch64: target_arch = "aarch64";
    arm: target_arch = "arm";
    riscv64: target_arch = "riscv64";
    loongarch64: target_arch = "loongarch64";
    powerpc64: target_arch = "powerpc64";
    s390x: target_arch = "s390x";
    mips: any(target_arch = "mips", target_arch = "mips64");
}

/// What Debian calls the ABI that this program is compiled for.
pub const ABI: &str = if cfg!(all(target_arch = "x86_64", target_pointer_width = "32")) {
    "x32"
} else if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "x86") {
    "i386"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else if cfg!(target_arch = "arm") {
    "armhf"
} else if cfg!(target_arch = "riscv64") {
    "riscv64"
} else if cfg!(target_arch = "loongarch64") {
    "loong64"
} else if cfg!(target_arch = "powerpc64") {
    "ppc64el"
} else if cfg!(target_arch = "s390x") {
    "s390x"
} else if cfg!(target_arch = "mips64") {
    "mips64el"
} else {
    "mipsel"
};
