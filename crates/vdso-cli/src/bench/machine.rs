//! The facts of a machine without which its figures say nothing.

use serde::Serialize;

use crate::system::Root;
use crate::system::machine::{self, Clocksource, Cpu};

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
        let root = Root::new(None);
        let cpu = Cpu::read(&root);
        Self {
            is_virtual: cpu.is_virtual(),
            cpu: cpu.model,
            cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get()),
            kernel: machine::release(&root),
            clocksource: Clocksource::read(&root).map(|clocksource| clocksource.current),
            libc: libc_version(),
            vdso_version: env!("CARGO_PKG_VERSION"),
        }
    }
}

#[cfg(target_env = "gnu")]
fn libc_version() -> Option<String> {
    const LONGEST_BYTES: usize = 64;
    let mut text = [0_u8; LONGEST_BYTES];
    // Not by `gnu_get_libc_version`, to which the standard library refers weakly: in a static program that
    // may lead nowhere.
    // SAFETY: writes that many bytes at most, a zero among them.
    let bytes = unsafe {
        libc::confstr(libc::_CS_GNU_LIBC_VERSION, text.as_mut_ptr().cast(), LONGEST_BYTES)
    };
    let text = std::ffi::CStr::from_bytes_until_nul(&text).ok()?;
    (bytes > 0).then(|| text.to_str().ok().map(str::to_owned))?
}

#[cfg(not(target_env = "gnu"))]
fn libc_version() -> Option<String> {
    cfg!(target_env = "musl").then(|| "musl".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_kernel() {
        assert!(Machine::look().kernel.is_some());
    }
}
