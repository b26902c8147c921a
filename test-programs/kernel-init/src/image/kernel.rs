//! The kernel's own functions, by which images are judged.

use core::ptr::NonNull;

use vdso_client::names::{Abi, Function, Purpose};
use vdso_client::{Call, ClockId, system_call, vdso};
use vdso_data::arithmetic::Timespec;

use super::arch;

/// A function of the kernel's vDSO.
pub fn function(name: &str) -> Option<NonNull<()>> {
    vdso().ok()?.lookup(name, None)
}

/// The kernel's, with 64-bit times.
pub fn clock_gettime() -> Option<NonNull<()>> {
    function(name_of(Call::ClockGettime)?)
}

/// The kernel's, with the architecture's own `long`.
pub fn gettimeofday() -> Option<NonNull<()>> {
    function(name_of(Call::Gettimeofday)?)
}

/// The kernel's.
pub fn getcpu() -> Option<NonNull<()>> {
    function(name_of(Call::Getcpu)?)
}

/// What the function that answers `call` is called here: the one with 64-bit times, if there are two.
pub fn name_of(call: Call) -> Option<&'static str> {
    Abi::CURRENT?.function(call).map(|function| function.name)
}

/// The same with the times of a 32-bit `long`, where there are two.
pub fn old_name_of(call: Call) -> Option<&'static str> {
    let abi = Abi::CURRENT?;
    abi.with_purpose(Purpose::Time64(call))?;
    abi.with_purpose(Purpose::Call(call)).map(|Function { name, .. }| *name)
}

/// Zero for none.
pub fn addr(function: Option<NonNull<()>>) -> u64 {
    function.map_or(0, |function| function.as_ptr().expose_provenance() as u64)
}

/// The kernel's clock: by its vDSO's function, or where there is none by a system call.
#[derive(Clone, Copy)]
pub struct Kernel(Option<NonNull<()>>);

impl Kernel {
    pub fn new() -> Self {
        Self(clock_gettime())
    }

    pub fn read(self, id: u32) -> Result<Timespec, isize> {
        let Some(function) = self.0 else {
            let now = system_call::clock_gettime(ClockId::from_raw(id as i32));
            return now.map(|now| Timespec { sec: now.sec, nsec: now.nsec }).map_err(|_| -1);
        };
        read(function, id)
    }
}

/// The time of a clock, by this function: or a negative errno.
pub fn read(function: NonNull<()>, id: u32) -> Result<Timespec, isize> {
    let mut time = Timespec::default();
    // SAFETY: a `clock_gettime` with 64-bit times, which writes to `time`.
    let result =
        unsafe { arch::call(function, id as usize, (&raw mut time).expose_provenance(), 0) };
    if result == 0 { Ok(time) } else { Err(result) }
}
