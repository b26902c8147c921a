//! `getcpu(2)`.

use core::mem::MaybeUninit;

use crate::arch;
use crate::errno::Errno;
use crate::resolve::slots;
use crate::system_call;

/// Where a thread ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cpu {
    /// Number of the CPU.
    pub cpu: u32,
    /// Number of its NUMA node.
    pub node: u32,
}

/// The CPU that this thread runs on. It may run on another one by the time the answer is looked at.
///
/// # Errors
/// Whatever a seccomp filter says.
#[inline]
pub fn getcpu() -> Result<Cpu, Errno> {
    let Some(function) = slots::GETCPU.get() else { return system_call::getcpu() };
    let (mut cpu, mut node) = (MaybeUninit::<u32>::uninit(), MaybeUninit::<u32>::uninit());
    let cpu_address = cpu.as_mut_ptr().expose_provenance();
    let node_address = node.as_mut_ptr().expose_provenance();
    // SAFETY: a getcpu, and both words are ours; a third argument has not been looked at since Linux
    // 2.6.24.
    let result = unsafe { arch::call(function, cpu_address, node_address) };
    match Errno::check(result as i32 as isize) {
        Err(Errno::ENOSYS) => system_call::getcpu(),
        Err(error) => Err(error),
        Ok(_) => {
            // SAFETY: written, as there was no error.
            let cpu = unsafe { cpu.assume_init() };
            // SAFETY: as above.
            let node = unsafe { node.assume_init() };
            Ok(Cpu { cpu, node })
        }
    }
}
