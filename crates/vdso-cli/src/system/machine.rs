//! The machine: its clocksource, its processor, its kernel's parameters, who runs it.
//!
//! Sources: `Documentation/ABI/testing/sysfs-devices-system-clocksource`, `…/dev-kmsg`, proc(5).

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use super::Root;

const CLOCKSOURCE: &str = "/sys/devices/system/clocksource/clocksource0";
/// More than the kernel's log buffer usually has.
const KERNEL_LOG_BYTES: usize = 16 << 20;

/// What holds for every process.
#[derive(Debug)]
pub struct Machine {
    /// As `uname -m` says it.
    pub architecture: String,
    /// As `uname -r` says it.
    pub release: Option<String>,
    /// `/proc/version`.
    pub version: Option<String>,
    pub clocksource: Option<Clocksource>,
    pub cpu: Cpu,
    /// The kernel's command line, up to `--`.
    pub parameters: Option<Vec<String>>,
    pub hypervisor: Option<Hypervisor>,
    /// `kernel.yama.ptrace_scope`, where there is Yama.
    pub ptrace_scope: Option<u32>,
    /// Lines of the kernel's log that say that a clock is unstable, if the log can be read.
    pub unstable_clocks: Vec<String>,
}

/// What `/proc/cpuinfo` says of the first processor.
#[derive(Debug)]
pub struct Cpu {
    pub model: Option<String>,
    /// `None` where it has no x86 flags.
    pub flags: Option<BTreeSet<String>>,
}

/// What the kernel reads the time from.
#[derive(Debug)]
pub struct Clocksource {
    pub current: String,
    pub available: Vec<String>,
}

/// Who runs a virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hypervisor {
    Kvm,
    HyperV,
    Xen,
    VMware,
    VirtualBox,
    /// The processor says that there is one.
    Unnamed,
}

impl Hypervisor {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::HyperV => "Hyper-V",
            Self::Xen => "Xen",
            Self::VMware => "VMware",
            Self::VirtualBox => "VirtualBox",
            Self::Unnamed => "a hypervisor",
        }
    }
}

impl Machine {
    /// Reads what there is.
    pub fn read(root: &Root) -> Self {
        let cpu = Cpu::read(root);
        let clocksource = Clocksource::read(root);
        let is_virtual = cpu.is_virtual() == Some(true);
        Self {
            architecture: root
                .line("/proc/sys/kernel/arch")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            release: release(root),
            version: root.line("/proc/version"),
            hypervisor: hypervisor(root, clocksource.as_ref(), is_virtual),
            clocksource,
            cpu,
            parameters: root.line("/proc/cmdline").map(|line| parameters(&line)),
            ptrace_scope: root
                .line("/proc/sys/kernel/yama/ptrace_scope")
                .and_then(|scope| scope.parse().ok()),
            unstable_clocks: unstable_clocks(root),
        }
    }

    /// The value of a kernel parameter `NAME=VALUE`; the last one counts.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut words = self.parameters.as_deref().unwrap_or_default().iter().rev();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether a parameter without a value was given.
    pub fn has_parameter(&self, name: &str) -> bool {
        self.parameters.as_deref().unwrap_or_default().iter().any(|word| word == name)
    }

    /// Whether the processor is an x86 of 32 or 64 bits.
    pub fn is_x86(&self) -> bool {
        self.architecture == "x86_64" || self.architecture.ends_with("86")
    }

    /// Whether the processor, or the hypervisor for it, promises a flag of `/proc/cpuinfo`.
    pub fn has_flag(&self, name: &str) -> bool {
        self.cpu.flags.as_ref().is_some_and(|flags| flags.contains(name))
    }

    /// Whether the counter goes at one rate and never stops.
    pub fn has_invariant_tsc(&self) -> bool {
        self.has_flag("constant_tsc") && self.has_flag("nonstop_tsc")
    }

    /// The kernel's version, major and minor.
    pub fn kernel_version(&self) -> Option<(u32, u32)> {
        let release = self.release.as_deref()?;
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

impl Cpu {
    /// Reads what there is.
    pub fn read(root: &Root) -> Self {
        let cpuinfo = root.text("/proc/cpuinfo").unwrap_or_default();
        Self {
            model: cpu_field(&cpuinfo, &["model name", "Model", "cpu", "uarch"]).map(str::to_owned),
            flags: cpu_field(&cpuinfo, &["flags"])
                .map(|flags| flags.split_whitespace().map(str::to_owned).collect()),
        }
    }

    /// Whether there is a hypervisor; `None` if the processor does not tell.
    pub fn is_virtual(&self) -> Option<bool> {
        self.flags.as_ref().map(|flags| flags.contains("hypervisor"))
    }
}

impl Clocksource {
    /// Reads what there is.
    pub fn read(root: &Root) -> Option<Self> {
        let line = |file: &str| root.line(&format!("{CLOCKSOURCE}/{file}"));
        let available = line("available_clocksource").unwrap_or_default();
        Some(Self {
            current: line("current_clocksource")?,
            available: available.split_whitespace().map(str::to_owned).collect(),
        })
    }
}

/// The kernel's release, as `uname -r` says it.
pub fn release(root: &Root) -> Option<String> {
    root.line("/proc/sys/kernel/osrelease")
}

/// The first line of `/proc/cpuinfo` with one of these keys; `None` if it says nothing.
fn cpu_field<'a>(cpuinfo: &'a str, keys: &[&str]) -> Option<&'a str> {
    let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| keys.contains(&key.trim()))?;
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// What follows `--` is for the first program, not for the kernel.
fn parameters(line: &str) -> Vec<String> {
    line.split_whitespace().take_while(|word| *word != "--").map(str::to_owned).collect()
}

fn hypervisor(
    root: &Root,
    clocksource: Option<&Clocksource>,
    is_virtual: bool,
) -> Option<Hypervisor> {
    let read = |path| root.line(path).unwrap_or_default();
    if read("/sys/hypervisor/type") == "xen" {
        return Some(Hypervisor::Xen);
    }
    let made = read("/sys/class/dmi/id/sys_vendor") + " " + &read("/sys/class/dmi/id/product_name");
    let makers = [
        ("Microsoft Corporation Virtual Machine", Hypervisor::HyperV),
        ("VMware", Hypervisor::VMware),
        ("innotek", Hypervisor::VirtualBox),
        ("VirtualBox", Hypervisor::VirtualBox),
        ("Xen", Hypervisor::Xen),
        ("QEMU", Hypervisor::Kvm),
        ("KVM", Hypervisor::Kvm),
        ("Google Compute Engine", Hypervisor::Kvm),
        ("Amazon EC2", Hypervisor::Kvm),
        ("OpenStack", Hypervisor::Kvm),
    ];
    let by_maker = makers.into_iter().find(|(name, _)| made.contains(name));
    // Its clocksource names a hypervisor that gives no DMI tables, as Firecracker.
    let offers = |prefix: &str| {
        clocksource.is_some_and(|source| source.available.iter().any(|n| n.starts_with(prefix)))
    };
    match by_maker {
        // An EC2 instance may be a whole machine.
        Some((_, hypervisor)) if is_virtual => Some(hypervisor),
        _ if offers("kvm-clock") => Some(Hypervisor::Kvm),
        _ if offers("hyperv_") => Some(Hypervisor::HyperV),
        _ if offers("xen") => Some(Hypervisor::Xen),
        _ => is_virtual.then_some(Hypervisor::Unnamed),
    }
}

/// The log is often for root only, and never needed.
fn unstable_clocks(root: &Root) -> Vec<String> {
    let opened =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(root.path("/dev/kmsg"));
    let Ok(mut file) = opened else {
        return Vec::new();
    };
    let mut log = Vec::new();
    let mut record = vec![0; 8192];
    while log.len() < KERNEL_LOG_BYTES {
        match file.read(&mut record) {
            Ok(bytes @ 1..) => log.extend_from_slice(&record[..bytes]),
            // Old records were overwritten meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            // The end; of the device that is `EAGAIN`.
            Ok(_) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&log)
        .lines()
        .filter_map(|line| line.split_once(';').map(|(_, message)| message.to_owned()))
        .filter(|message| is_about_an_unstable_clock(message))
        .collect()
}

/// `kernel/time/clocksource.c` and `arch/x86/kernel/tsc.c`.
fn is_about_an_unstable_clock(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("tsc") && message.contains("unstable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_processors_fields_are_taken() {
        let cpuinfo = "processor\t: 0\nmodel name\t: One: a CPU\nflags\t\t: fpu tsc\n\n\
                       processor\t: 1\nmodel name\t: Other\nempty\t:\n";
        assert_eq!(cpu_field(cpuinfo, &["model name"]), Some("One: a CPU"));
        assert_eq!(cpu_field(cpuinfo, &["Model", "flags"]), Some("fpu tsc"));
        assert_eq!(cpu_field(cpuinfo, &["empty"]), None);
        assert_eq!(cpu_field(cpuinfo, &["name"]), None);
    }

    #[test]
    fn parameters_end_where_those_of_init_begin() {
        assert_eq!(parameters("quiet tsc=reliable -- vdso=0"), ["quiet", "tsc=reliable"]);
    }

    #[test]
    fn a_release_gives_its_first_two_numbers() {
        let mut machine = Machine::read(&Root::new(Some("/nowhere".as_ref())));
        for (release, version) in [
            ("6.18.44-fc", Some((6, 18))),
            ("5.15.0-91-generic", Some((5, 15))),
            ("7.2-rc1", Some((7, 2))),
            ("odd", None),
        ] {
            machine.release = Some(release.to_owned());
            assert_eq!(machine.kernel_version(), version, "{release}");
        }
    }

    #[test]
    fn messages_about_unstable_clocks_are_told_from_others() {
        for message in [
            "clocksource: timekeeping watchdog on CPU3: Marking clocksource 'tsc' as unstable \
             because the skew is too large:",
            "tsc: Marking TSC unstable due to clocksource watchdog",
            "TSC found unstable after boot, most likely due to broken BIOS.",
        ] {
            assert!(is_about_an_unstable_clock(message), "{message}");
        }
        assert!(!is_about_an_unstable_clock("clocksource: Switched to clocksource tsc"));
        assert!(!is_about_an_unstable_clock("sched_clock: unstable"));
    }
}
