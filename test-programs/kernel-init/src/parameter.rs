//! The kernel's parameter that this boot is about, which the tool gives the first program as an
//! argument, too.

use crate::system;

/// A parameter that changes what there is to find.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// `clocksource=NAME`.
    Clocksource(&'static str),
    /// `vdso=0`.
    NoVdso,
    /// `vsyscall=MODE`.
    Vsyscall(&'static str),
    /// One that this program does not know.
    Other(&'static str),
}

impl Parameter {
    /// `None` for a boot without any.
    pub fn of_this_boot() -> Option<Self> {
        let argument = system::argument(1)?;
        Some(match argument.split_once('=') {
            Some(("clocksource", name)) => Self::Clocksource(name),
            Some(("vdso", "0")) => Self::NoVdso,
            Some(("vsyscall", mode)) => Self::Vsyscall(mode),
            _ => Self::Other(argument),
        })
    }

    /// Whether the kernel does what it was told; what is seen of it.
    pub fn has_taken_effect(self) -> Result<&'static str, &'static str> {
        let is_as_told = match self {
            Self::Clocksource(name) => clocksource().name() == name,
            // Whoever looks for the vDSO sees to it.
            Self::NoVdso => true,
            // Programs of other ABIs have no such page.
            Self::Vsyscall(_) if !IS_AMD64 => vsyscall_mode() == "none",
            Self::Vsyscall(mode) => vsyscall_mode() == mode,
            Self::Other(_) => false,
        };
        if is_as_told { Ok("has taken effect") } else { Err("has no effect") }
    }
}

const IS_AMD64: bool = cfg!(all(target_arch = "x86_64", target_pointer_width = "64"));

/// Whether the kernel gives programs of this ABI a vDSO: on amd64 `vdso=0` is not for those of i386.
pub fn has_vdso() -> bool {
    let is_told_not_to = Parameter::of_this_boot() == Some(Parameter::NoVdso);
    !(is_told_not_to && cfg!(target_arch = "x86_64"))
}

/// The clocksource that the kernel uses.
pub fn clocksource() -> Clocksource {
    let mut name = [0; 32];
    let path = c"/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let length = system::read_file(path, &mut name).unwrap_or(0);
    Clocksource { name, length }
}

/// Its name.
pub struct Clocksource {
    name: [u8; 32],
    length: usize,
}

impl Clocksource {
    pub fn name(&self) -> &str {
        core::str::from_utf8(&self.name[..self.length]).unwrap_or("?").trim_end()
    }

    /// Whether a vDSO can read it. Source: `VDSO_CLOCKMODE_*` in `arch/*/include/asm/vdso/` and the
    /// clocksources that are given one of these (Linux 6.18).
    pub fn is_for_vdso(&self) -> bool {
        !matches!(self.name(), "hpet" | "acpi_pm" | "jiffies" | "refined-jiffies" | "pit")
    }
}

/// By the legacy page's entry in this process's mappings. Source: `arch/x86/entry/vsyscall/` (6.18).
fn vsyscall_mode() -> &'static str {
    match system::mapping("[vsyscall]").map(|mapping| mapping.permissions).as_ref() {
        Some(b"r-xp") => "emulate",
        Some(b"--xp") => "xonly",
        Some(_) => "?",
        None => "none",
    }
}
