//! The facts of a machine without which its figures say nothing.

use std::fs;

use serde::Serialize;

/// `None` for what this machine does not tell.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub cpu: Option<String>,
    pub is_virtual: Option<bool>,
    pub cpus: usize,
    pub kernel: Option<String>,
    pub clocksource: Option<String>,
    pub libc: Option<String>,
    pub vdso_version: &'static str,
}

impl Machine {
    /// This one.
    pub fn look() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            cpu: field(&cpuinfo, "model name").map(str::to_owned),
            is_virtual: field(&cpuinfo, "flags")
                .map(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get()),
            kernel: line("/proc/sys/kernel/osrelease"),
            clocksource: line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            libc: libc_version(),
            vdso_version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// A field of the first processor's.
fn field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    let fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let mut values = fields.filter(|(found, _)| found.trim() == name);
    values.next().map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
}

fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(target_env = "gnu")]
fn libc_version() -> Option<String> {
    // SAFETY: gives a string, and takes nothing.
    let version = unsafe { libc::gnu_get_libc_version() };
    // SAFETY: that string lives as long as the program.
    let version = unsafe { std::ffi::CStr::from_ptr(version) };
    Some(format!("glibc {}", version.to_str().ok()?))
}

#[cfg(not(target_env = "gnu"))]
fn libc_version() -> Option<String> {
    cfg!(target_env = "musl").then(|| "musl".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_processors_fields_are_taken() {
        let cpuinfo = "processor\t: 0\nmodel name\t: One: a CPU\nflags\t\t: fpu tsc\n\n\
                       processor\t: 1\nmodel name\t: Other\nempty\t:\n";
        assert_eq!(field(cpuinfo, "model name"), Some("One: a CPU"));
        assert_eq!(field(cpuinfo, "flags"), Some("fpu tsc"));
        assert_eq!(field(cpuinfo, "empty"), None);
        assert_eq!(field(cpuinfo, "name"), None);
    }

    #[test]
    fn this_machine_has_a_kernel() {
        assert!(Machine::look().kernel.is_some());
    }
}
