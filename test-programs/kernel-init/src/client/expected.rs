//! What the kernels of the matrix export, known before and apart from vdso-client's own table.
//!
//! Source: the images of Debian's kernels 6.1, 6.12, 7.2 and 7.3.

/// A function of a vDSO.
pub struct Export {
    /// The symbol.
    pub name: &'static str,
    /// The first kernel of the matrix that has it.
    pub since: (u32, u32),
    /// Its version, where it is not that of the others.
    pub version: Option<&'static str>,
}

/// What an ABI's vDSO exports.
pub struct Exports {
    /// The ABI as Debian calls it.
    pub abi: &'static str,
    /// The version of the symbols.
    pub version: &'static str,
    /// The symbols, but for aliases without a prefix.
    pub symbols: &'static [Export],
}

impl Exports {
    /// Those of this program's ABI.
    pub fn current() -> Option<&'static Self> {
        EXPORTS.iter().find(|exports| exports.abi == crate::arch::ABI)
    }
}

const FIRST: (u32, u32) = (6, 1);

const fn export(name: &'static str) -> Export {
    Export { name, since: FIRST, version: None }
}

const fn since(name: &'static str, major: u32, minor: u32) -> Export {
    Export { name, since: (major, minor), version: None }
}

const fn versioned(name: &'static str, version: &'static str) -> Export {
    Export { name, since: FIRST, version: Some(version) }
}

const ARM: &[Export] = &[
    export("__vdso_clock_gettime"),
    export("__vdso_clock_gettime64"),
    export("__vdso_gettimeofday"),
    export("__vdso_clock_getres"),
    since("__vdso_clock_getres_time64", 7, 2),
];

static EXPORTS: &[Exports] = &[
    Exports {
        abi: "amd64",
        version: "LINUX_2.6",
        symbols: &[
            export("__vdso_clock_gettime"),
            export("__vdso_gettimeofday"),
            export("__vdso_time"),
            export("__vdso_clock_getres"),
            export("__vdso_getcpu"),
            export("__vdso_sgx_enter_enclave"),
            since("__vdso_getrandom", 6, 12),
            since("__vdso_futex_robust_list32_try_unlock", 7, 2),
            since("__vdso_futex_robust_list64_try_unlock", 7, 2),
        ],
    },
    Exports {
        abi: "x32",
        version: "LINUX_2.6",
        symbols: &[
            export("__vdso_clock_gettime"),
            export("__vdso_gettimeofday"),
            export("__vdso_time"),
            export("__vdso_clock_getres"),
            export("__vdso_getcpu"),
            since("__vdso_futex_robust_list32_try_unlock", 7, 2),
            since("__vdso_futex_robust_list64_try_unlock", 7, 2),
        ],
    },
    Exports {
        abi: "i386",
        version: "LINUX_2.6",
        symbols: &[
            export("__vdso_clock_gettime"),
            export("__vdso_clock_gettime64"),
            export("__vdso_gettimeofday"),
            export("__vdso_time"),
            export("__vdso_clock_getres"),
            since("__vdso_getcpu", 6, 12),
            since("__vdso_clock_getres_time64", 7, 2),
            since("__vdso_futex_robust_list32_try_unlock", 7, 2),
            versioned("__kernel_vsyscall", "LINUX_2.5"),
            versioned("__kernel_sigreturn", "LINUX_2.5"),
            versioned("__kernel_rt_sigreturn", "LINUX_2.5"),
        ],
    },
    Exports {
        abi: "arm64",
        version: "LINUX_2.6.39",
        symbols: &[
            export("__kernel_clock_gettime"),
            export("__kernel_gettimeofday"),
            export("__kernel_clock_getres"),
            export("__kernel_rt_sigreturn"),
            since("__kernel_getrandom", 6, 12),
        ],
    },
    Exports { abi: "armhf", version: "LINUX_2.6", symbols: ARM },
    Exports {
        abi: "riscv64",
        version: "LINUX_4.15",
        symbols: &[
            export("__vdso_clock_gettime"),
            export("__vdso_gettimeofday"),
            export("__vdso_clock_getres"),
            export("__vdso_getcpu"),
            export("__vdso_flush_icache"),
            export("__vdso_riscv_hwprobe"),
            export("__vdso_rt_sigreturn"),
            since("__vdso_getrandom", 7, 2),
        ],
    },
    Exports {
        abi: "ppc64el",
        version: "LINUX_2.6.15",
        symbols: &[
            export("__kernel_clock_gettime"),
            export("__kernel_gettimeofday"),
            export("__kernel_clock_getres"),
            export("__kernel_time"),
            export("__kernel_getcpu"),
            export("__kernel_get_syscall_map"),
            export("__kernel_get_tbfreq"),
            export("__kernel_sync_dicache"),
            export("__kernel_sigtramp_rt64"),
            since("__kernel_getrandom", 6, 12),
        ],
    },
    Exports {
        abi: "s390x",
        version: "LINUX_2.6.29",
        symbols: &[
            export("__kernel_clock_gettime"),
            export("__kernel_gettimeofday"),
            export("__kernel_clock_getres"),
            export("__kernel_getcpu"),
            export("__kernel_restart_syscall"),
            export("__kernel_rt_sigreturn"),
            export("__kernel_sigreturn"),
            since("__kernel_getrandom", 6, 12),
        ],
    },
    Exports {
        abi: "loong64",
        version: "LINUX_5.10",
        symbols: &[
            export("__vdso_clock_gettime"),
            export("__vdso_gettimeofday"),
            export("__vdso_clock_getres"),
            export("__vdso_getcpu"),
            export("__vdso_getrandom"),
            export("__vdso_rt_sigreturn"),
        ],
    },
    Exports {
        abi: "mips64el",
        version: "LINUX_2.6",
        symbols: &[
            export("__vdso_clock_gettime"),
            export("__vdso_gettimeofday"),
            export("__vdso_clock_getres"),
        ],
    },
    Exports {
        abi: "mipsel",
        version: "LINUX_2.6",
        symbols: &[
            export("__vdso_clock_gettime"),
            export("__vdso_clock_gettime64"),
            export("__vdso_gettimeofday"),
            export("__vdso_clock_getres"),
        ],
    },
];
