//! The functions of the vDSO that this process was given, and who else can be called in their place.

use serde::{Deserialize, Serialize};
use vdso_elf::Image;
use vdso_host::proc::maps;
use vdso_measure::calls::CALLS;
use vdso_measure::{Call, Function};

/// How a call is made.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Through {
    /// The vDSO's own function.
    Vdso,
    /// The C library of this command.
    Libc,
}

/// As a program writes it.
pub fn name(call: Call) -> String {
    let (title, _) = CALLS.into_iter().find(|(_, found)| *found == call).unzip();
    title.unwrap_or(call.name()).replacen('(', "(CLOCK_", 1)
}

/// The functions of a vDSO that is mapped in this process, ready to be called.
#[derive(Debug)]
pub struct Table {
    functions: Vec<Function<'static>>,
}

impl Table {
    /// The vDSO that the kernel announced to this process.
    pub fn of_this_process() -> Result<Self, String> {
        let bytes = image_of_this_process()?;
        // SAFETY: these bytes are the image, executable at their own address.
        unsafe { Self::of_image(bytes, bytes.as_ptr() as usize) }
    }

    /// The functions that `bytes` says are in the image that is mapped at `addr`.
    ///
    /// # Safety
    ///
    /// What `bytes` says is true of that image, and it stays mapped and executable.
    pub unsafe fn of_image(bytes: &[u8], addr: usize) -> Result<Self, String> {
        let image = Image::parse(bytes).map_err(|error| error.to_string())?;
        // SAFETY: by the caller's promise.
        let function = |(_, call): (_, Call)| unsafe { call.of_image(&image, addr) };
        Ok(Self { functions: CALLS.into_iter().filter_map(function).collect() })
    }

    /// Functions that a test made up.
    #[cfg(test)]
    pub fn of_functions(functions: &[Function<'static>]) -> Self {
        Self { functions: functions.to_vec() }
    }

    /// All of them.
    pub fn functions(&self) -> &[Function<'static>] {
        &self.functions
    }

    /// The function for a call, if the vDSO has it.
    pub fn get(&self, call: Call) -> Option<Function<'static>> {
        self.functions.iter().find(|function| function.answers() == call).cloned()
    }
}

/// The bytes of the vDSO that was announced to this process.
pub fn image_of_this_process() -> Result<&'static [u8], String> {
    // SAFETY: only asks.
    let addr = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) } as usize;
    if addr == 0 {
        return Err("this process has no vDSO".to_owned());
    }
    let maps = maps::read("self").map_err(|error| error.to_string())?;
    let mapping = maps::lines(&maps).find(|line| line.addrs.contains(addr as u64));
    let mapping = mapping.ok_or("nothing is mapped where the vDSO should be")?;
    if mapping.rights[0] != b'r' {
        return Err("the vDSO may not be read".to_owned());
    }
    let bytes = mapping.addrs.end as usize - addr;
    // SAFETY: the kernel, or whoever announced it, maps the image readable up to there for as long as
    // the process lives, and it does not change.
    Ok(unsafe { std::slice::from_raw_parts(addr as *const u8, bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_named_as_a_program_writes_them() {
        let name = |index: usize| super::name(CALLS[index].1);
        assert_eq!(name(0), "clock_gettime(CLOCK_MONOTONIC)");
        assert_eq!(name(CALLS.len() - 1), "getrandom");
        let names: Vec<String> = CALLS.map(|(_, call)| super::name(call)).into();
        for named in ["clock_gettime(CLOCK_PROCESS_CPUTIME_ID)", "clock_getres(CLOCK_MONOTONIC)"] {
            assert!(names.iter().any(|name| name == named), "{names:?}");
        }
    }
}
