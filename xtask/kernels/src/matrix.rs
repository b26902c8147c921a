//! What is booted: the table of machines, and that of kernels.
//!
//! A new architecture is a row in [`MACHINES`] and its kernels in [`KERNELS`].

/// A machine that qemu emulates, and the programs that run on it.
#[derive(Debug)]
pub struct Machine {
    /// Debian's name of the architecture.
    pub arch: &'static str,
    /// What follows `qemu-system-`, and Debian's package of it.
    pub emulator: (&'static str, &'static str),
    /// The oldest major version of qemu that boots it.
    pub oldest_emulator: u32,
    /// The emulator's arguments.
    pub arguments: &'static [&'static str],
    /// How many CPUs it has: two, so that getcpu has something to tell, where that is possible.
    pub cpus: u32,
    /// Linux' name of the console.
    pub console: &'static str,
    /// What every boot tells the kernel besides.
    pub parameters: &'static str,
    /// Firmware that another package of Debian brings: the package, and the file in it.
    pub firmware: Option<(&'static str, &'static str)>,
    /// The first program, as Rust calls what it is compiled for.
    pub target: &'static str,
    /// The other ABIs that its kernels run.
    pub companions: &'static [Companion],
}

/// A program of another ABI on the same kernel.
#[derive(Debug)]
pub struct Companion {
    /// Debian's name of the ABI.
    pub abi: &'static str,
    /// What Rust calls it.
    pub target: &'static str,
}

const X86: (&str, &str) = ("x86_64", "qemu-system-x86");
const Q35: &[&str] = &["-machine", "q35", "-cpu", "max"];

/// What most rows have in common.
const USUAL: Machine = Machine {
    arch: "",
    emulator: X86,
    oldest_emulator: 7,
    arguments: &[],
    cpus: 2,
    console: "ttyS0",
    parameters: "",
    firmware: None,
    target: "",
    companions: &[],
};

const I386: Companion = Companion { abi: "i386", target: "i686-unknown-linux-gnu" };
const X32: Companion = Companion { abi: "x32", target: "x86_64-unknown-linux-gnux32" };
const ARMHF: Companion = Companion { abi: "armhf", target: "armv7-unknown-linux-gnueabihf" };
const MIPSEL: Companion = Companion { abi: "mipsel", target: "mipsel-unknown-linux-gnu" };

/// With all that the emulator knows: pages of 16 KiB, and with qemu 9.1 or newer CNTVCTSS. Pointers are
/// signed by something faster than the architecture's own algorithm.
const NEWEST_ARM64: &[&str] = &["-machine", "virt", "-cpu", "max,pauth-impdef=on"];

/// Every machine.
pub static MACHINES: &[Machine] = &[
    Machine {
        arch: "amd64",
        arguments: Q35,
        // Debian's kernels run programs of x32 only if they are told so.
        parameters: "syscall.x32=y",
        target: "x86_64-unknown-linux-gnu",
        companions: &[I386, X32],
        ..USUAL
    },
    Machine { arch: "i386", arguments: Q35, target: I386.target, ..USUAL },
    Machine {
        arch: "arm64",
        emulator: ("aarch64", "qemu-system-arm"),
        arguments: &["-machine", "virt", "-cpu", "cortex-a72"],
        console: "ttyAMA0",
        target: "aarch64-unknown-linux-gnu",
        companions: &[ARMHF],
        ..USUAL
    },
    Machine {
        arch: "armhf",
        emulator: ("arm", "qemu-system-arm"),
        arguments: &["-machine", "virt", "-cpu", "cortex-a15"],
        console: "ttyAMA0",
        target: ARMHF.target,
        ..USUAL
    },
    Machine {
        arch: "riscv64",
        emulator: ("riscv64", "qemu-system-riscv"),
        arguments: &["-machine", "virt"],
        target: "riscv64gc-unknown-linux-gnu",
        ..USUAL
    },
    Machine {
        arch: "ppc64el",
        emulator: ("ppc64", "qemu-system-ppc"),
        arguments: &["-machine", "pseries", "-cpu", "POWER9"],
        console: "hvc0",
        target: "powerpc64le-unknown-linux-gnu",
        ..USUAL
    },
    Machine {
        arch: "s390x",
        emulator: ("s390x", "qemu-system-s390x"),
        arguments: &["-machine", "s390-ccw-virtio"],
        console: "ttysclp0",
        target: "s390x-unknown-linux-gnu",
        ..USUAL
    },
    Machine {
        arch: "loong64",
        emulator: ("loongarch64", "qemu-system-misc"),
        oldest_emulator: 10,
        arguments: &["-machine", "virt", "-cpu", "la464"],
        firmware: Some(("qemu-efi-loongarch64", "QEMU_EFI.fd")),
        target: "loongarch64-unknown-linux-gnu",
        ..USUAL
    },
    Machine {
        arch: "mips64el",
        emulator: ("mips64el", "qemu-system-mips"),
        arguments: &["-machine", "malta", "-cpu", "5KEf"],
        cpus: 1,
        target: "mips64el-unknown-linux-gnuabi64",
        companions: &[MIPSEL],
        ..USUAL
    },
];

/// A kernel of Debian's.
#[derive(Debug)]
pub struct Kernel {
    /// The architecture.
    pub arch: &'static str,
    /// The version's first two numbers, and behind them how large its pages are, if that is unusual.
    pub series: &'static str,
    /// Debian's suite that has it.
    pub suite: &'static str,
    /// With what the kernel's release ends.
    pub flavour: &'static str,
    /// Whether `--quick` boots it: one of each architecture, a small package if there is one.
    pub is_quick: bool,
    /// The emulator's arguments, if it does not run on the usual machine.
    pub arguments: Option<&'static [&'static str]>,
}

impl Kernel {
    /// The version's first two numbers.
    pub fn version(&self) -> &'static str {
        self.series.split('-').next().unwrap_or(self.series)
    }

    /// The machine that it runs on.
    pub fn machine(&self) -> Machine {
        let usual = machine(self.arch).expect("a test sees to it");
        Machine { arguments: self.arguments.unwrap_or(usual.arguments), ..*usual }
    }
}

const fn kernel(
    arch: &'static str,
    series: &'static str,
    suite: &'static str,
    flavour: &'static str,
) -> Kernel {
    Kernel { arch, series, suite, flavour, is_quick: false, arguments: None }
}

const fn quick(
    arch: &'static str,
    series: &'static str,
    suite: &'static str,
    flavour: &'static str,
) -> Kernel {
    Kernel { is_quick: true, ..kernel(arch, series, suite, flavour) }
}

/// Every kernel. Packages before 7.2 have all modules with them: 50 to 110 MB instead of 7 to 14.
pub static KERNELS: &[Kernel] = &[
    kernel("amd64", "6.1", "bookworm", "amd64"),
    kernel("amd64", "6.12", "trixie", "amd64"),
    quick("amd64", "7.2", "sid", "amd64"),
    kernel("amd64", "7.3", "trixie-backports", "amd64"),
    quick("i386", "6.1", "bookworm", "686-pae"),
    kernel("arm64", "6.1", "bookworm", "arm64"),
    kernel("arm64", "6.12", "trixie", "arm64"),
    quick("arm64", "7.2", "sid", "arm64"),
    kernel("arm64", "7.3", "trixie-backports", "arm64"),
    Kernel { arguments: Some(NEWEST_ARM64), ..kernel("arm64", "7.2-16k", "sid", "arm64-16k") },
    kernel("armhf", "6.1", "bookworm", "armmp"),
    kernel("armhf", "6.12", "trixie", "armmp"),
    quick("armhf", "7.2", "sid", "armmp"),
    kernel("riscv64", "6.12", "trixie", "riscv64"),
    quick("riscv64", "7.2", "sid", "riscv64"),
    kernel("ppc64el", "6.1", "bookworm", "powerpc64le"),
    kernel("ppc64el", "6.12", "trixie", "powerpc64le"),
    quick("ppc64el", "7.2", "sid", "powerpc64le"),
    kernel("ppc64el", "7.2-64k", "sid", "powerpc64le-64k"),
    kernel("s390x", "6.1", "bookworm", "s390x"),
    kernel("s390x", "6.12", "trixie", "s390x"),
    quick("s390x", "7.2", "sid", "s390x"),
    quick("loong64", "7.2", "sid", "loong64"),
    kernel("mips64el", "6.1", "bookworm", "5kc-malta"),
    quick("mips64el", "6.12", "bookworm-backports", "5kc-malta"),
];

/// What is told to an amd64 kernel, beside a boot without any of it.
pub const AMD64_PARAMETERS: &[&str] = &[
    "clocksource=hpet",
    "clocksource=acpi_pm",
    "vdso=0",
    "vsyscall=none",
    "vsyscall=emulate",
    "vsyscall=xonly",
];

/// The machine of an architecture.
pub fn machine(arch: &str) -> Option<&'static Machine> {
    MACHINES.iter().find(|machine| machine.arch == arch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kernel_has_a_machine_and_each_machine_one_quick_kernel() {
        for kernel in KERNELS {
            assert!(machine(kernel.arch).is_some(), "{kernel:?}");
        }
        for machine in MACHINES {
            let quick = |kernel: &&Kernel| kernel.arch == machine.arch && kernel.is_quick;
            assert_eq!(KERNELS.iter().filter(quick).count(), 1, "{}", machine.arch);
        }
    }
}
