//! What the images of real kernels export, by architecture: the names, versions and tables that
//! `vdso(7)` and each architecture's linker script promise, and since which kernel.

mod support;

use std::collections::BTreeSet;

use support::Sample;
use vdso_elf::abi::Machine;
use vdso_elf::{Binding, ByteOrder, Class, HashKind, Image, Kind};

/// What is expected of an architecture's images.
struct Expected {
    /// The architecture as Debian calls it, with which the images' names begin.
    name: &'static str,
    machine: Machine,
    class: Class,
    byte_order: ByteOrder,
    soname: &'static str,
    version: &'static str,
    /// In every image, without what all names begin with.
    always: &'static [&'static str],
    /// With the first of the kernels at hand that has it; here names are whole.
    since: &'static [(&'static str, Release)],
    prefix: &'static str,
}

/// Major and minor number of a kernel's version.
type Release = (u32, u32);

const CLOCKS: &[&str] = &["clock_gettime", "clock_getres", "gettimeofday"];
const CLOCKS_AND_MORE: &[&str] = &["clock_gettime", "clock_getres", "gettimeofday", "getcpu"];
const TIME64: &str = "__vdso_clock_gettime64";
const GETRES64: (&str, Release) = ("__vdso_clock_getres_time64", (7, 2));

const X86_64: Expected = Expected {
    name: "amd64",
    machine: Machine::X86_64,
    class: Class::Elf64,
    byte_order: ByteOrder::Little,
    soname: "linux-vdso.so.1",
    version: "LINUX_2.6",
    prefix: "__vdso_",
    always: &["clock_gettime", "clock_getres", "gettimeofday", "time", "getcpu"],
    since: &[
        ("__vdso_getrandom", (6, 12)),
        ("__vdso_futex_robust_list64_try_unlock", (7, 2)),
        ("__vdso_futex_robust_list32_try_unlock", (7, 2)),
    ],
};

const ALL: &[Expected] = &[
    X86_64,
    Expected { name: "x32", class: Class::Elf32, since: &[], ..X86_64 },
    Expected {
        name: "i386",
        machine: Machine::I386,
        class: Class::Elf32,
        soname: "linux-gate.so.1",
        always: &["clock_gettime", "clock_getres", "gettimeofday", "time", "clock_gettime64"],
        since: &[
            ("__vdso_getcpu", (6, 12)),
            GETRES64,
            ("__vdso_futex_robust_list32_try_unlock", (7, 2)),
        ],
        ..X86_64
    },
    Expected {
        name: "arm64",
        machine: Machine::AARCH64,
        version: "LINUX_2.6.39",
        prefix: "__kernel_",
        always: &["clock_gettime", "clock_getres", "gettimeofday", "rt_sigreturn"],
        since: &[("__kernel_getrandom", (6, 12))],
        ..X86_64
    },
    Expected {
        name: "armhf",
        machine: Machine::ARM,
        class: Class::Elf32,
        always: CLOCKS,
        since: &[(TIME64, (6, 1)), GETRES64],
        ..X86_64
    },
    Expected {
        name: "riscv64",
        machine: Machine::RISCV,
        version: "LINUX_4.15",
        always: CLOCKS_AND_MORE,
        since: &[
            ("__vdso_rt_sigreturn", (6, 1)),
            ("__vdso_flush_icache", (6, 1)),
            ("__vdso_riscv_hwprobe", (6, 12)),
            ("__vdso_getrandom", (7, 2)),
        ],
        ..X86_64
    },
    Expected {
        name: "loong64",
        machine: Machine::LOONGARCH,
        version: "LINUX_5.10",
        always: CLOCKS_AND_MORE,
        since: &[("__vdso_rt_sigreturn", (6, 1)), ("__vdso_getrandom", (7, 2))],
        ..X86_64
    },
    Expected {
        name: "ppc64el",
        machine: Machine::POWERPC64,
        soname: "linux-vdso64.so.1",
        version: "LINUX_2.6.15",
        prefix: "__kernel_",
        always: &["clock_gettime", "clock_getres", "gettimeofday", "time", "getcpu"],
        since: &[
            ("__kernel_get_syscall_map", (6, 1)),
            ("__kernel_get_tbfreq", (6, 1)),
            ("__kernel_sync_dicache", (6, 1)),
            ("__kernel_sigtramp_rt64", (6, 1)),
            ("__kernel_getrandom", (6, 12)),
        ],
        ..X86_64
    },
    Expected {
        name: "s390x",
        machine: Machine::S390,
        byte_order: ByteOrder::Big,
        soname: "linux-vdso64.so.1",
        version: "LINUX_2.6.29",
        prefix: "__kernel_",
        always: CLOCKS_AND_MORE,
        since: &[
            ("__kernel_restart_syscall", (6, 1)),
            ("__kernel_rt_sigreturn", (6, 1)),
            ("__kernel_sigreturn", (6, 1)),
            ("__kernel_getrandom", (6, 12)),
        ],
        ..X86_64
    },
    Expected { name: "mips64el", machine: Machine::MIPS, always: CLOCKS, since: &[], ..X86_64 },
    Expected {
        name: "mipsel",
        machine: Machine::MIPS,
        class: Class::Elf32,
        always: CLOCKS,
        since: &[(TIME64, (6, 1))],
        ..X86_64
    },
];

/// Depends on how the kernel was configured, not on its version.
const BY_CONFIGURATION: &str = "__vdso_sgx_enter_enclave";

/// i386's entry points, which have an older version than the others.
const I386_ENTRIES: [&str; 3] =
    ["__kernel_vsyscall", "__kernel_sigreturn", "__kernel_rt_sigreturn"];

fn expected(sample: &Sample) -> &'static Expected {
    let name = sample.name.split('-').next().unwrap_or_default();
    let found = ALL.iter().find(|expected| expected.name == name);
    found.unwrap_or_else(|| panic!("{}: an architecture that no one has described", sample.name))
}

fn release(image: &Image<'_>) -> Release {
    let (code, _) = image.linux_version().expect("it has the note");
    (code >> 16, code >> 8 & 0xff)
}

#[test]
fn images_are_of_their_architecture() {
    for sample in support::kernel_images("images_are_of_their_architecture") {
        let image = Image::parse(&sample.bytes).expect("it is an image");
        let expected = expected(&sample);
        assert_eq!(image.machine(), expected.machine, "{}", sample.name);
        assert_eq!(image.class(), expected.class, "{}", sample.name);
        assert_eq!(image.byte_order(), expected.byte_order, "{}", sample.name);
        let is_renamed = expected.name == "s390x" && release(&image) >= (7, 2);
        let soname = if is_renamed { "linux-vdso.so.1" } else { expected.soname };
        assert_eq!(image.soname(), Some(soname), "{}", sample.name);
        assert_eq!(image.problems().collect::<Vec<_>>(), [], "{}", sample.name);
    }
}

#[test]
fn images_export_what_their_architecture_promises_and_no_more() {
    for sample in support::kernel_images("images_export_what_their_architecture_promises") {
        let image = Image::parse(&sample.bytes).expect("it is an image");
        let expected = expected(&sample);
        let mut names: BTreeSet<String> =
            expected.always.iter().map(|name| format!("{}{name}", expected.prefix)).collect();
        let release = release(&image);
        let there = expected.since.iter().filter(|(_, since)| release >= *since);
        names.extend(there.map(|(name, _)| (*name).to_owned()));
        if expected.name == "i386" {
            names.extend(I386_ENTRIES.map(str::to_owned));
        }
        let symbols = image.symbols().map(|symbol| symbol.expect("it can be read"));
        let is_export = |symbol: &vdso_elf::Symbol<'_>| {
            symbol.binding == Binding::Global && symbol.file_offset.is_some()
        };
        let exported: BTreeSet<String> = symbols
            .filter(is_export)
            .map(|symbol| symbol.name.to_owned())
            .filter(|name| name != BY_CONFIGURATION)
            .collect();
        assert_eq!(exported, names, "{}", sample.name);
    }
}

#[test]
fn every_promised_name_is_found_under_its_version() {
    for sample in support::kernel_images("every_promised_name_is_found_under_its_version") {
        let image = Image::parse(&sample.bytes).expect("it is an image");
        let expected = expected(&sample);
        for name in expected.always {
            let name = format!("{}{name}", expected.prefix);
            let symbol = image.lookup(&name, Some(expected.version));
            let symbol = symbol.unwrap_or_else(|| panic!("{}: no {name}", sample.name));
            assert_eq!(symbol.version, Some(expected.version));
            assert!(matches!(symbol.kind, Kind::Function | Kind::Untyped));
        }
        for name in I386_ENTRIES.iter().filter(|_| expected.name == "i386") {
            assert!(image.lookup(name, Some("LINUX_2.5")).is_some(), "{}: {name}", sample.name);
            assert_eq!(image.lookup(name, Some("LINUX_2.6")), None);
        }
    }
}

/// x86-64 alone has the C library's own names as well, weak ones, for the same functions.
#[test]
fn weak_names_are_those_of_the_same_functions() {
    for sample in support::kernel_images("weak_names_are_those_of_the_same_functions") {
        let image = Image::parse(&sample.bytes).expect("it is an image");
        let symbols = image.symbols().map(|symbol| symbol.expect("it can be read"));
        let weak: Vec<_> = symbols.filter(|symbol| symbol.binding == Binding::Weak).collect();
        assert_eq!(weak.is_empty(), expected(&sample).name != "amd64", "{}", sample.name);
        for symbol in weak {
            let prefixed = image.lookup(&format!("__vdso_{}", symbol.name), symbol.version);
            assert_eq!(prefixed.map(|it| it.value), Some(symbol.value), "{}", symbol.name);
        }
    }
}

#[test]
fn some_architectures_have_one_hash_table_only() {
    for sample in support::kernel_images("some_architectures_have_one_hash_table_only") {
        let image = Image::parse(&sample.bytes).expect("it is an image");
        let is_new = release(&image) >= (6, 12);
        let (gnu, system_v) = match expected(&sample).name {
            "arm64" => (is_new, !is_new),
            "armhf" if sample.name.contains("compat") => (is_new, !is_new),
            "armhf" | "mipsel" | "mips64el" => (false, true),
            "riscv64" | "loong64" => (true, release(&image) < (7, 2)),
            _ => (true, true),
        };
        assert_eq!(image.has_hash_table(HashKind::Gnu), gnu, "{}", sample.name);
        assert_eq!(image.has_hash_table(HashKind::SystemV), system_v, "{}", sample.name);
    }
}
