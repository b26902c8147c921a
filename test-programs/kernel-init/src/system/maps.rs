//! This process's mappings, as `/proc/self/maps` lists them. Source: proc_pid_maps(5).

use core::ops::Range;

use super::{Errno, Sysno, call, read_file};

/// A mapping of the kernel's own.
pub struct Mapping {
    /// Where it is.
    pub addresses: Range<usize>,
    /// What may be done there, such as `r-xp`.
    pub permissions: [u8; 4],
}

/// The mapping of this name.
pub fn mapping(name: &str) -> Option<Mapping> {
    let mut text = [0; 4096];
    let length = read_file(c"/proc/self/maps", &mut text).ok()?;
    let text = core::str::from_utf8(&text[..length]).ok()?;
    let line = text.lines().find(|line| line.ends_with(name))?;
    let mut words = line.split(' ');
    let (start, end) = words.next()?.split_once('-')?;
    // The legacy page of amd64 is beyond the addresses of x32.
    let address = |text| u64::from_str_radix(text, 16).map(|address| address as usize).ok();
    let permissions = words.next()?.as_bytes().try_into().ok()?;
    Some(Mapping { addresses: address(start)?..address(end)?, permissions })
}

/// Makes a mapping writable, too. The kernel allows it for the vDSO, and only as a whole, so that
/// debuggers can set breakpoints; this process gets pages of its own.
///
/// # Safety
/// Nothing may refer to what is then written to.
pub unsafe fn make_writable(mapping: &Mapping) -> Result<(), Errno> {
    /// Read, write, execute.
    const PROT_ALL: usize = 7;
    let Range { start, end } = mapping.addresses;
    // SAFETY: it adds a permission; the caller answers for what is made of it.
    unsafe { call(Sysno::mprotect, [start, end - start, PROT_ALL, 0, 0, 0]) }.map(drop)
}
