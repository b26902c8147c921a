//! The rows of the table, one for each architecture.

use vdso_arch::abi::{Abi, rows as kernel};

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

/// Room with a `getrandom` (several blocks at once, with two instruction sets, are some 4 KiB) and with what
/// makes system calls in a program's place.
const WITH_DETOUR: usize = 48 << 10;

/// The same on 32-bit architectures, where a product of 128 bits is many instructions.
const WITH_DETOUR_AND_WIDE_PRODUCTS: usize = 56 << 10;

/// What most rows have in common.
const USUAL: Architecture = Architecture {
    name: "",
    folder: "",
    target: "",
    compiler_flags: &[],
    abi: &kernel::X86_64,
    byte_order: ByteOrder::Little,
    hash_style: HashStyle::Both,
    page_bytes: 4 << 10,
    image_bytes: 8 << 10,
    names_address_table: false,
    counter: "",
    unwinding: Unwinding::Dwarf,
    enters_programs: false,
    detours: false,
    counts: false,
    companion: None,
    twin: None,
    exports: &[],
};

static X86_64: Architecture = Architecture {
    name: "x86-64",
    folder: "x86_64",
    target: "x86_64-unknown-linux-gnu",
    abi: &kernel::X86_64,
    compiler_flags: &["-Ctarget-cpu=generic"],
    image_bytes: WITH_DETOUR,
    counter: "time-stamp counter (rdtscp)",
    enters_programs: true,
    detours: true,
    counts: true,
    companion: Some("i386"),
    twin: Some("x32"),
    exports: &[
        own(&kernel::X86_64, "__vdso_clock_gettime"),
        own(&kernel::X86_64, "__vdso_gettimeofday"),
        own(&kernel::X86_64, "__vdso_time"),
        own(&kernel::X86_64, "__vdso_clock_getres"),
        own(&kernel::X86_64, "__vdso_getcpu"),
        own_or_passed_on(&kernel::X86_64, "__vdso_getrandom"),
        passed_on(&kernel::X86_64, "__vdso_sgx_enter_enclave"),
        passed_on(&kernel::X86_64, "__vdso_futex_robust_list64_try_unlock"),
        passed_on(&kernel::X86_64, "__vdso_futex_robust_list32_try_unlock"),
    ],
    ..USUAL
};

static X32: Architecture = Architecture {
    name: "x32",
    target: "x86_64-unknown-linux-gnux32",
    abi: &kernel::X32,
    counts: false,
    companion: None,
    twin: None,
    exports: &[
        own(&kernel::X32, "__vdso_clock_gettime"),
        own(&kernel::X32, "__vdso_gettimeofday"),
        own(&kernel::X32, "__vdso_time"),
        own(&kernel::X32, "__vdso_clock_getres"),
        own(&kernel::X32, "__vdso_getcpu"),
        passed_on(&kernel::X32, "__vdso_futex_robust_list64_try_unlock"),
        passed_on(&kernel::X32, "__vdso_futex_robust_list32_try_unlock"),
    ],
    ..X86_64
};

static ARM64: Architecture = Architecture {
    name: "arm64",
    folder: "aarch64",
    target: "aarch64-unknown-linux-gnu",
    abi: &kernel::ARM64,
    page_bytes: 64 << 10,
    image_bytes: 128 << 10,
    counter: "virtual counter (isb, mrs cntvct_el0; or cntvctss_el0)",
    enters_programs: true,
    detours: true,
    exports: &[
        own(&kernel::ARM64, "__kernel_clock_gettime"),
        own(&kernel::ARM64, "__kernel_gettimeofday"),
        own(&kernel::ARM64, "__kernel_clock_getres"),
        passed_on(&kernel::ARM64, "__kernel_getrandom"),
        trampoline(&kernel::ARM64, "__kernel_rt_sigreturn", Rules::ByInstructions),
    ],
    ..USUAL
};

static RISCV64: Architecture = Architecture {
    name: "riscv64",
    folder: "riscv64",
    target: "riscv64gc-unknown-linux-gnu",
    abi: &kernel::RISCV64,
    // Wide constants in instructions, not beside them.
    compiler_flags: &["-Cllvm-args=-riscv-max-build-ints-cost=10"],
    image_bytes: WITH_DETOUR,
    counter: "wall-clock counter (fence, rdtime, fence)",
    enters_programs: true,
    detours: true,
    exports: &[
        own(&kernel::RISCV64, "__vdso_clock_gettime"),
        own(&kernel::RISCV64, "__vdso_gettimeofday"),
        own(&kernel::RISCV64, "__vdso_clock_getres"),
        own(&kernel::RISCV64, "__vdso_getcpu"),
        passed_on(&kernel::RISCV64, "__vdso_getrandom"),
        passed_on(&kernel::RISCV64, "__vdso_flush_icache"),
        passed_on(&kernel::RISCV64, "__vdso_riscv_hwprobe"),
        trampoline(&kernel::RISCV64, "__vdso_rt_sigreturn", Rules::ByInstructions),
    ],
    ..USUAL
};

static S390X: Architecture = Architecture {
    name: "s390x",
    folder: "s390x",
    target: "s390x-unknown-linux-gnu",
    abi: &kernel::S390X,
    byte_order: ByteOrder::Big,
    // Numbers of 32 bits take long instructions, and the counter's steering is code.
    image_bytes: 16 << 10,
    // Words of DT_HASH have 64 bits there, and the linker writes 32.
    hash_style: HashStyle::Gnu,
    counter: "time-of-day clock (bcr, stckf, bcr), steered",
    exports: &[
        own(&kernel::S390X, "__kernel_clock_gettime"),
        own(&kernel::S390X, "__kernel_gettimeofday"),
        own(&kernel::S390X, "__kernel_clock_getres"),
        own(&kernel::S390X, "__kernel_getcpu"),
        own(&kernel::S390X, "__kernel_restart_syscall"),
        passed_on(&kernel::S390X, "__kernel_getrandom"),
        trampoline(&kernel::S390X, "__kernel_rt_sigreturn", Rules::ByInstructions),
        trampoline(&kernel::S390X, "__kernel_sigreturn", Rules::ByInstructions),
    ],
    ..USUAL
};

static PPC64LE: Architecture = Architecture {
    name: "ppc64le",
    folder: "powerpc64",
    target: "powerpc64le-unknown-linux-gnu",
    abi: &kernel::PPC64,
    page_bytes: 64 << 10,
    image_bytes: 128 << 10,
    counter: "time base (isync, mfspr 268, isync)",
    exports: &[
        own(&kernel::PPC64, "__kernel_clock_gettime"),
        own(&kernel::PPC64, "__kernel_gettimeofday"),
        own(&kernel::PPC64, "__kernel_time"),
        own(&kernel::PPC64, "__kernel_clock_getres"),
        own(&kernel::PPC64, "__kernel_getcpu"),
        passed_on(&kernel::PPC64, "__kernel_getrandom"),
        passed_on(&kernel::PPC64, "__kernel_get_syscall_map"),
        passed_on(&kernel::PPC64, "__kernel_get_tbfreq"),
        passed_on(&kernel::PPC64, "__kernel_sync_dicache"),
        trampoline(&kernel::PPC64, "__kernel_sigtramp_rt64", Rules::Written),
    ],
    ..USUAL
};

static LOONGARCH64: Architecture = Architecture {
    name: "loongarch64",
    folder: "loongarch64",
    target: "loongarch64-unknown-linux-gnu",
    abi: &kernel::LOONGARCH64,
    page_bytes: 64 << 10,
    image_bytes: 128 << 10,
    counter: "stable counter (dbar, rdtime.d, dbar)",
    exports: &[
        own(&kernel::LOONGARCH64, "__vdso_clock_gettime"),
        own(&kernel::LOONGARCH64, "__vdso_gettimeofday"),
        own(&kernel::LOONGARCH64, "__vdso_clock_getres"),
        own(&kernel::LOONGARCH64, "__vdso_getcpu"),
        passed_on(&kernel::LOONGARCH64, "__vdso_getrandom"),
        trampoline(&kernel::LOONGARCH64, "__vdso_rt_sigreturn", Rules::Written),
    ],
    ..USUAL
};

static ARM: Architecture = Architecture {
    name: "arm",
    folder: "arm",
    target: "armv7-unknown-linux-gnueabihf",
    abi: &kernel::ARM,
    // Those of 64-bit kernels, which run such programs as well.
    page_bytes: 64 << 10,
    image_bytes: 128 << 10,
    counter: "virtual counter (isb, mrrc)",
    unwinding: Unwinding::Nothing,
    exports: &[
        own(&kernel::ARM, "__vdso_clock_gettime64"),
        own(&kernel::ARM, "__vdso_clock_getres_time64"),
        own(&kernel::ARM, "__vdso_clock_gettime"),
        own(&kernel::ARM, "__vdso_clock_getres"),
        own(&kernel::ARM, "__vdso_gettimeofday"),
    ],
    ..USUAL
};

static I386: Architecture = Architecture {
    name: "i386",
    folder: "x86",
    target: "i686-unknown-linux-gnu",
    abi: &kernel::I386,
    // Position-independent code would compute the address of a table before every call. What else it
    // would be needed for, the linker refuses.
    compiler_flags: &["-Crelocation-model=static"],
    image_bytes: WITH_DETOUR_AND_WIDE_PRODUCTS,
    counter: "time-stamp counter (rdtscp)",
    enters_programs: true,
    detours: true,
    exports: &[
        own(&kernel::I386, "__vdso_clock_gettime64"),
        own(&kernel::I386, "__vdso_clock_getres_time64"),
        own(&kernel::I386, "__vdso_clock_gettime"),
        own(&kernel::I386, "__vdso_clock_getres"),
        own(&kernel::I386, "__vdso_gettimeofday"),
        own(&kernel::I386, "__vdso_time"),
        own(&kernel::I386, "__vdso_getcpu"),
        passed_on(&kernel::I386, "__vdso_futex_robust_list32_try_unlock"),
        passed_on(&kernel::I386, "__kernel_vsyscall"),
        trampoline(&kernel::I386, "__kernel_sigreturn", Rules::Written),
        trampoline(&kernel::I386, "__kernel_rt_sigreturn", Rules::Written),
    ],
    ..USUAL
};

static MIPS64EL: Architecture = Architecture {
    name: "mips64el",
    folder: "mips64",
    target: "mips64el-unknown-linux-gnuabi64",
    abi: &kernel::MIPS64,
    compiler_flags: &[
        // Not stable there yet.
        "-Zcrate-attr=feature(asm_experimental_arch)",
        // Calls would go through a table that needs relocation.
        "--cfg=inline_all",
        "-Cllvm-args=-inline-threshold=100000",
        "-Cllvm-args=-inlinecold-threshold=100000",
        "-Cllvm-args=-inline-cold-callsite-threshold=100000",
    ],
    // The linker has no other table there.
    hash_style: HashStyle::SystemV,
    page_bytes: 64 << 10,
    image_bytes: 128 << 10,
    names_address_table: true,
    counter: "MONOTONIC_RAW of the kernel's",
    exports: &[
        own(&kernel::MIPS64, "__vdso_clock_gettime"),
        own(&kernel::MIPS64, "__vdso_gettimeofday"),
        own(&kernel::MIPS64, "__vdso_clock_getres"),
    ],
    ..USUAL
};

const fn own(abi: &Abi, name: &str) -> Export {
    export(abi, name, Means::Own)
}

const fn passed_on(abi: &Abi, name: &str) -> Export {
    export(abi, name, Means::PassedOn)
}

const fn own_or_passed_on(abi: &Abi, name: &str) -> Export {
    export(abi, name, Means::OwnOrPassedOn)
}

const fn trampoline(abi: &Abi, name: &str, rules: Rules) -> Export {
    export(abi, name, Means::Trampoline(rules))
}

/// A name that the kernel's image does not have fails the build.
const fn export(abi: &Abi, name: &str, means: Means) -> Export {
    let function = abi.named(name).expect("the kernel's image has this function");
    let (name, version) = (function.name, function.version);
    Export { name, version, alias: abi.plain_alias(function), means }
}
