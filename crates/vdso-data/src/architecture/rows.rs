//! The rows of the table, one for each architecture.

use super::{Architecture, ByteOrder, Export, HashStyle, Means, Rules, Unwinding};

/// Every architecture that there is an image for.
pub static ALL: &[&Architecture] =
    &[&X86_64, &ARM64, &RISCV64, &S390X, &PPC64LE, &LOONGARCH64, &ARM, &I386, &X32, &MIPS64EL];

pub(super) const fn current() -> Option<&'static Architecture> {
    Some(if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
        &X86_64
    } else if cfg!(all(target_arch = "x86_64", target_pointer_width = "32")) {
        &X32
    } else if cfg!(all(
        target_arch = "aarch64",
        target_pointer_width = "64",
        target_endian = "little"
    )) {
        &ARM64
    } else if cfg!(target_arch = "riscv64") {
        &RISCV64
    } else if cfg!(target_arch = "s390x") {
        &S390X
    } else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
        &PPC64LE
    } else if cfg!(target_arch = "loongarch64") {
        &LOONGARCH64
    } else if cfg!(target_arch = "arm") {
        &ARM
    } else if cfg!(target_arch = "x86") {
        &I386
    } else if cfg!(all(target_arch = "mips64", target_endian = "little")) {
        &MIPS64EL
    } else {
        return None;
    })
}

const V2_5: &str = "LINUX_2.5";
const V2_6: &str = "LINUX_2.6";
const V2_6_15: &str = "LINUX_2.6.15";
const V2_6_29: &str = "LINUX_2.6.29";
const V2_6_39: &str = "LINUX_2.6.39";
const V4_15: &str = "LINUX_4.15";
const V5_10: &str = "LINUX_5.10";

/// Room on 32-bit architectures, where a product of 128 bits is many instructions.
const WITH_WIDE_PRODUCTS: usize = 16 << 10;

/// Room with a `getrandom` (several blocks at once, with two instruction sets, are some 4 KiB) and with what
/// makes system calls in a program's place.
const WITH_DETOUR: usize = 32 << 10;

/// What most rows have in common.
const USUAL: Architecture = Architecture {
    name: "",
    folder: "",
    target: "",
    compiler_flags: &[],
    machine: 0,
    bits: 64,
    byte_order: ByteOrder::Little,
    soname: "linux-vdso.so.1",
    hash_style: HashStyle::Both,
    page_bytes: 4 << 10,
    image_bytes: 8 << 10,
    names_address_table: false,
    counter: "",
    unwinding: Unwinding::Dwarf,
    enters_programs: false,
    detours: false,
    companion: None,
    twin: None,
    exports: &[],
};

static X86_64: Architecture = Architecture {
    name: "x86-64",
    folder: "x86_64",
    target: "x86_64-unknown-linux-gnu",
    compiler_flags: &["-Ctarget-cpu=generic"],
    machine: 62,
    image_bytes: WITH_DETOUR,
    counter: "time-stamp counter (rdtscp)",
    enters_programs: true,
    detours: true,
    companion: Some("i386"),
    twin: Some("x32"),
    exports: &[
        own("__vdso_clock_gettime", V2_6).also("clock_gettime"),
        own("__vdso_gettimeofday", V2_6).also("gettimeofday"),
        own("__vdso_time", V2_6).also("time"),
        own("__vdso_clock_getres", V2_6).also("clock_getres"),
        own("__vdso_getcpu", V2_6).also("getcpu"),
        own_or_passed_on("__vdso_getrandom", V2_6).also("getrandom"),
        passed_on("__vdso_sgx_enter_enclave", V2_6),
        passed_on("__vdso_futex_robust_list64_try_unlock", V2_6),
        passed_on("__vdso_futex_robust_list32_try_unlock", V2_6),
    ],
    ..USUAL
};

static X32: Architecture = Architecture {
    name: "x32",
    target: "x86_64-unknown-linux-gnux32",
    bits: 32,
    companion: None,
    twin: None,
    exports: &[
        own("__vdso_clock_gettime", V2_6),
        own("__vdso_gettimeofday", V2_6),
        own("__vdso_time", V2_6),
        own("__vdso_clock_getres", V2_6),
        own("__vdso_getcpu", V2_6),
        passed_on("__vdso_futex_robust_list64_try_unlock", V2_6),
        passed_on("__vdso_futex_robust_list32_try_unlock", V2_6),
    ],
    ..X86_64
};

static ARM64: Architecture = Architecture {
    name: "arm64",
    folder: "aarch64",
    target: "aarch64-unknown-linux-gnu",
    machine: 183,
    page_bytes: 64 << 10,
    image_bytes: 128 << 10,
    counter: "virtual counter (isb, mrs cntvct_el0; or cntvctss_el0)",
    enters_programs: true,
    exports: &[
        own("__kernel_clock_gettime", V2_6_39),
        own("__kernel_gettimeofday", V2_6_39),
        own("__kernel_clock_getres", V2_6_39),
        passed_on("__kernel_getrandom", V2_6_39),
        trampoline("__kernel_rt_sigreturn", V2_6_39, Rules::ByInstructions),
    ],
    ..USUAL
};

static RISCV64: Architecture = Architecture {
    name: "riscv64",
    folder: "riscv64",
    target: "riscv64gc-unknown-linux-gnu",
    // Wide constants in instructions, not beside them.
    compiler_flags: &["-Cllvm-args=-riscv-max-build-ints-cost=10"],
    machine: 243,
    counter: "wall-clock counter (fence, rdtime, fence)",
    enters_programs: true,
    exports: &[
        own("__vdso_clock_gettime", V4_15),
        own("__vdso_gettimeofday", V4_15),
        own("__vdso_clock_getres", V4_15),
        own("__vdso_getcpu", V4_15),
        passed_on("__vdso_getrandom", V4_15),
        passed_on("__vdso_flush_icache", V4_15),
        passed_on("__vdso_riscv_hwprobe", V4_15),
        trampoline("__vdso_rt_sigreturn", V4_15, Rules::ByInstructions),
    ],
    ..USUAL
};

static S390X: Architecture = Architecture {
    name: "s390x",
    folder: "s390x",
    target: "s390x-unknown-linux-gnu",
    machine: 22,
    byte_order: ByteOrder::Big,
    // Numbers of 32 bits take long instructions, and the counter's steering is code.
    image_bytes: 16 << 10,
    // Words of DT_HASH have 64 bits there, and the linker writes 32.
    hash_style: HashStyle::Gnu,
    counter: "time-of-day clock (bcr, stckf, bcr), steered",
    exports: &[
        own("__kernel_clock_gettime", V2_6_29),
        own("__kernel_gettimeofday", V2_6_29),
        own("__kernel_clock_getres", V2_6_29),
        own("__kernel_getcpu", V2_6_29),
        own("__kernel_restart_syscall", V2_6_29),
        passed_on("__kernel_getrandom", V2_6_29),
        trampoline("__kernel_rt_sigreturn", V2_6_29, Rules::ByInstructions),
        trampoline("__kernel_sigreturn", V2_6_29, Rules::ByInstructions),
    ],
    ..USUAL
};

static PPC64LE: Architecture = Architecture {
    name: "ppc64le",
    folder: "powerpc64",
    target: "powerpc64le-unknown-linux-gnu",
    machine: 21,
    soname: "linux-vdso64.so.1",
    page_bytes: 64 << 10,
    image_bytes: 128 << 10,
    counter: "time base (isync, mfspr 268, isync)",
    exports: &[
        own("__kernel_clock_gettime", V2_6_15),
        own("__kernel_gettimeofday", V2_6_15),
        own("__kernel_time", V2_6_15),
        own("__kernel_clock_getres", V2_6_15),
        own("__kernel_getcpu", V2_6_15),
        passed_on("__kernel_getrandom", V2_6_15),
        passed_on("__kernel_get_syscall_map", V2_6_15),
        passed_on("__kernel_get_tbfreq", V2_6_15),
        passed_on("__kernel_sync_dicache", V2_6_15),
        trampoline("__kernel_sigtramp_rt64", V2_6_15, Rules::Written),
    ],
    ..USUAL
};

static LOONGARCH64: Architecture = Architecture {
    name: "loongarch64",
    folder: "loongarch64",
    target: "loongarch64-unknown-linux-gnu",
    machine: 258,
    page_bytes: 64 << 10,
    image_bytes: 128 << 10,
    counter: "stable counter (dbar, rdtime.d, dbar)",
    exports: &[
        own("__vdso_clock_gettime", V5_10),
        own("__vdso_gettimeofday", V5_10),
        own("__vdso_clock_getres", V5_10),
        own("__vdso_getcpu", V5_10),
        passed_on("__vdso_getrandom", V5_10),
        trampoline("__vdso_rt_sigreturn", V5_10, Rules::Written),
    ],
    ..USUAL
};

static ARM: Architecture = Architecture {
    name: "arm",
    folder: "arm",
    target: "armv7-unknown-linux-gnueabihf",
    machine: 40,
    bits: 32,
    // Those of 64-bit kernels, which run such programs as well.
    page_bytes: 64 << 10,
    image_bytes: 128 << 10,
    counter: "virtual counter (isb, mrrc)",
    unwinding: Unwinding::Nothing,
    exports: &[
        own("__vdso_clock_gettime64", V2_6),
        own("__vdso_clock_getres_time64", V2_6),
        own("__vdso_clock_gettime", V2_6),
        own("__vdso_clock_getres", V2_6),
        own("__vdso_gettimeofday", V2_6),
    ],
    ..USUAL
};

static I386: Architecture = Architecture {
    name: "i386",
    folder: "x86",
    target: "i686-unknown-linux-gnu",
    // Position-independent code would compute the address of a table before every call. What else it
    // would be needed for, the linker refuses.
    compiler_flags: &["-Crelocation-model=static"],
    machine: 3,
    bits: 32,
    image_bytes: WITH_WIDE_PRODUCTS,
    soname: "linux-gate.so.1",
    counter: "time-stamp counter (rdtscp)",
    enters_programs: true,
    exports: &[
        own("__vdso_clock_gettime64", V2_6),
        own("__vdso_clock_getres_time64", V2_6),
        own("__vdso_clock_gettime", V2_6),
        own("__vdso_clock_getres", V2_6),
        own("__vdso_gettimeofday", V2_6),
        own("__vdso_time", V2_6),
        own("__vdso_getcpu", V2_6),
        passed_on("__vdso_futex_robust_list32_try_unlock", V2_6),
        passed_on("__kernel_vsyscall", V2_5),
        trampoline("__kernel_sigreturn", V2_5, Rules::Written),
        trampoline("__kernel_rt_sigreturn", V2_5, Rules::Written),
    ],
    ..USUAL
};

static MIPS64EL: Architecture = Architecture {
    name: "mips64el",
    folder: "mips64",
    target: "mips64el-unknown-linux-gnuabi64",
    compiler_flags: &[
        // Not stable there yet.
        "-Zcrate-attr=feature(asm_experimental_arch)",
        // Calls would go through a table that needs relocation.
        "--cfg=inline_all",
        "-Cllvm-args=-inline-threshold=100000",
        "-Cllvm-args=-inlinecold-threshold=100000",
        "-Cllvm-args=-inline-cold-callsite-threshold=100000",
    ],
    machine: 8,
    // The linker has no other table there.
    hash_style: HashStyle::SystemV,
    page_bytes: 64 << 10,
    image_bytes: 128 << 10,
    names_address_table: true,
    counter: "MONOTONIC_RAW of the kernel's",
    exports: &[
        own("__vdso_clock_gettime", V2_6),
        own("__vdso_gettimeofday", V2_6),
        own("__vdso_clock_getres", V2_6),
    ],
    ..USUAL
};

const fn own(name: &'static str, version: &'static str) -> Export {
    Export { name, version, alias: None, means: Means::Own }
}

const fn passed_on(name: &'static str, version: &'static str) -> Export {
    Export { name, version, alias: None, means: Means::PassedOn }
}

const fn own_or_passed_on(name: &'static str, version: &'static str) -> Export {
    Export { name, version, alias: None, means: Means::OwnOrPassedOn }
}

const fn trampoline(name: &'static str, version: &'static str, rules: Rules) -> Export {
    Export { name, version, alias: None, means: Means::Trampoline(rules) }
}

impl Export {
    const fn also(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }
}
