//! What the kernel reads the time from, and whether a vDSO can read it, too.
//!
//! Sources: `Documentation/admin-guide/kernel-parameters.txt`, `arch/x86/kernel/{tsc,kvmclock}.c`,
//! `drivers/clocksource/hyperv_timer.c`, `Documentation/virt/kvm/x86/timekeeping.rst`.

use super::Context;
use crate::doctor::report::{Check, Status};
use crate::system::machine::{Hypervisor, Machine};

const ID: &str = "clocksource";
const TITLE: &str = "clocksource";

/// Why a clocksource is not the counter, and what to do.
struct Advice {
    cause: String,
    action: String,
    command: Option<&'static str>,
}

impl Advice {
    fn new(cause: impl Into<String>, action: impl Into<String>) -> Self {
        Self { cause: cause.into(), action: action.into(), command: None }
    }

    fn command(self, command: &'static str) -> Self {
        Self { command: Some(command), ..self }
    }

    /// Adds it to a check, behind what is known of the clocksource.
    fn add_to(self, check: Check, status: Status, known: &str) -> Check {
        let check = check.because(status, format!("{known}; {}", self.cause), self.action);
        match self.command {
            Some(command) => check.command(command),
            None => check,
        }
    }
}

/// Shows the kernel's reasons.
const LOG: &str = "sudo dmesg | grep -iE 'clocksource|tsc'";
/// Until the next boot.
const SWITCH: &str =
    "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource";

/// Whether a vDSO can read a clocksource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readable {
    Yes,
    /// If the hypervisor says that its page is the same on all processors.
    IfStable,
    No,
    /// Not known here.
    Unknown,
}

fn readable(name: &str) -> Readable {
    match name {
        "tsc"
        | "hyperv_clocksource_tsc_page"
        | "arch_sys_counter"
        | "riscv_clocksource"
        | "timebase"
        | "tod"
        | "Constant" => Readable::Yes,
        "kvm-clock" | "xen" => Readable::IfStable,
        "hpet"
        | "acpi_pm"
        | "jiffies"
        | "refined-jiffies"
        | "pit"
        | "hyperv_clocksource_msr"
        | "arch_mem_timer" => Readable::No,
        _ => Readable::Unknown,
    }
}

/// The check.
pub fn check(context: &Context<'_>) -> Check {
    let machine = context.machine;
    let Some(clocksource) = &machine.clocksource else {
        return Check::ok(ID, TITLE, "not known").because(
            Status::Unknown,
            "/sys/devices/system/clocksource cannot be read here",
            "mount sysfs, or look from outside of the container",
        );
    };
    let current = clocksource.current.as_str();
    let available = clocksource.available.join(", ");
    let mut check = Check::ok(ID, TITLE, format!("{current} (available: {available})"))
        .fact("current", current)
        .fact("available", &clocksource.available);
    if let Some(hypervisor) = machine.hypervisor {
        check = check.fact("hypervisor", hypervisor.name());
    }
    if !machine.unstable_clocks.is_empty() {
        check = check.fact("kernel_log", &machine.unstable_clocks);
    }
    match (readable(current), context.clocks_fall_back()) {
        (Readable::Yes, _) => check,
        (Readable::No, _) => better(machine, current).add_to(check, Status::Fail, slow(current)),
        (Readable::IfStable, falls_back) => paravirtual(check, machine, current, falls_back),
        (Readable::Unknown, Some(false)) => check,
        (Readable::Unknown, Some(true)) => check.because(
            Status::Fail,
            format!("reads of '{current}' go to the kernel"),
            "choose another one of those that are available, by clocksource= on the kernel's \
             command line",
        ),
        (Readable::Unknown, None) => check.because(
            Status::Unknown,
            format!("whether a vDSO can read '{current}' is not known here and was not measured"),
            "allow the measurement: see the check 'fallbacks'",
        ),
    }
}

/// Why it is off the fast path.
fn slow(current: &str) -> &'static str {
    match current {
        "hpet" => "each read asks the HPET, a device, and takes the kernel a microsecond or more",
        "acpi_pm" => "each read asks the ACPI timer by port I/O and takes the kernel microseconds",
        "jiffies" | "refined-jiffies" => "the clock only advances with the timer's tick",
        "pit" => "each read asks the i8253 timer by port I/O and takes the kernel microseconds",
        "hyperv_clocksource_msr" => "each read leaves the virtual machine for the hypervisor",
        _ => "only the kernel can read it",
    }
}

fn paravirtual(check: Check, machine: &Machine, current: &str, falls_back: Option<bool>) -> Check {
    let (status, reads) = match falls_back {
        Some(true) => (
            Status::Fail,
            "the hypervisor does not mark its clock page as stable, so every read goes to the kernel",
        ),
        Some(false) => (
            Status::Warn,
            "the vDSO reads the hypervisor's page as well as the counter, which takes longer than \
             the counter alone",
        ),
        None => (
            Status::Warn,
            "the vDSO can read it only if the hypervisor marks its clock page as stable",
        ),
    };
    better(machine, current).add_to(check, status, reads)
}

fn better(machine: &Machine, current: &str) -> Advice {
    if !machine.is_x86() {
        return Advice::new(
            format!("'{current}' is in use although processors of this kind have a counter"),
            "remove clocksource= from the kernel's command line, or update the kernel or the \
             device tree, which do not know the counter",
        );
    }
    by_parameter(machine, current)
        .or_else(|| by_log(machine))
        .or_else(|| by_flags(machine))
        .unwrap_or_else(|| by_availability(machine))
}

fn by_parameter(machine: &Machine, current: &str) -> Option<Advice> {
    let forbidden = match machine.parameter("tsc") {
        Some("unstable") => Some("tsc=unstable"),
        _ => machine.has_parameter("notsc").then_some("notsc"),
    };
    if let Some(parameter) = forbidden {
        return Some(Advice::new(
            format!("the kernel's parameter {parameter} forbids the counter"),
            format!("remove {parameter} from the kernel's command line and boot again"),
        ));
    }
    let asked = machine.parameter("clocksource").filter(|name| *name == current)?;
    let advice = Advice::new(
        format!("the kernel's parameter clocksource={asked} asks for it"),
        format!("remove clocksource={asked} from the kernel's command line; until the next boot,"),
    );
    Some(advice.command(SWITCH))
}

fn by_log(machine: &Machine) -> Option<Advice> {
    let message = machine.unstable_clocks.first()?;
    let advice = Advice::new(
        format!("the kernel found the counter unstable: \"{}\"", message.trim_end()),
        "update the firmware or the hypervisor, which change the counter behind the kernel's back; \
         if the counter is known to be good, boot with tsc=reliable",
    );
    Some(advice.command(LOG))
}

fn by_flags(machine: &Machine) -> Option<Advice> {
    if machine.cpu.flags.is_none() || machine.has_invariant_tsc() {
        return None;
    }
    let missing: Vec<&str> = ["constant_tsc", "nonstop_tsc"]
        .into_iter()
        .filter(|flag| !machine.has_flag(flag))
        .collect();
    let missing = missing.join(" and ");
    Some(match machine.hypervisor {
        None => Advice::new(
            format!("the processor's counter changes its rate or stops (no {missing})"),
            "nothing on this processor: read the clock less often, or a coarse clock",
        ),
        Some(hypervisor) => Advice::new(
            format!(
                "{} does not promise a counter of constant rate ({missing} missing)",
                hypervisor.name()
            ),
            promise(hypervisor),
        ),
    })
}

/// How to have the hypervisor promise an invariant counter.
fn promise(hypervisor: Hypervisor) -> &'static str {
    match hypervisor {
        Hypervisor::Kvm => {
            "on the host, give the machine an invariant counter: QEMU -cpu host,migratable=no,+invtsc; \
             libvirt <feature policy='require' name='invtsc'/>"
        }
        Hypervisor::Xen => {
            "in the machine's configuration on the host set tsc_mode=\"native\" and nomigrate=1"
        }
        Hypervisor::HyperV => {
            "move the machine to a host, and a configuration version, that expose an invariant \
             counter; the hypervisor's reference page serves until then (hyperv_clocksource_tsc_page)"
        }
        Hypervisor::VMware => {
            "set monitor_control.virtual_rdtsc = \"FALSE\" or raise the machine's \
                               hardware version, so that the counter is exposed as invariant"
        }
        Hypervisor::VirtualBox | Hypervisor::Unnamed => {
            "have the hypervisor expose an invariant counter (CPUID 0x80000007, EDX bit 8)"
        }
    }
}

fn by_availability(machine: &Machine) -> Advice {
    let is_available = machine
        .clocksource
        .as_ref()
        .is_some_and(|source| source.available.iter().any(|name| name == "tsc"));
    if is_available {
        return Advice::new(
            "the counter (tsc) is available, but not used: someone chose another one, or the \
             kernel rated it higher",
            "switch to the counter, and if the clock stays right boot with clocksource=tsc",
        )
        .command(SWITCH);
    }
    Advice::new(
        "the counter (tsc) is not available: the kernel found it unstable, or not the same on all \
         processors",
        "update the firmware or the hypervisor; if the counter is known to be good, boot with \
         tsc=reliable; the kernel's log says why it was given up",
    )
    .command(LOG)
}
