//! Takes functions of the vDSO away from this process, for good: the image is edited in memory, so that
//! what is left of it stays where its pages are.

use core::ptr;

use vdso_client::{Vdso, reset, vdso};

use crate::system::{self, Errno};

/// Makes these symbols undefined, and the client look anew.
pub fn hide(symbols: &[&str]) -> Result<(), Errno> {
    let mapping = system::mapping("[vdso]").ok_or(Errno::ENOENT)?;
    // SAFETY: no view of the image outlives `place`, and the client is made to look anew below.
    unsafe { system::make_writable(&mapping) }?;
    for name in symbols {
        let place = vdso().ok().and_then(|vdso| place(&vdso, name)).ok_or(Errno::ENOENT)?;
        // A halfword of a symbol table need not be aligned.
        for byte in [place, place.wrapping_add(1)] {
            // SAFETY: within the mapping, which is writable now.
            unsafe { byte.write_volatile(0) };
        }
    }
    reset();
    Ok(())
}

/// Where it is said in which section a symbol is: zero is none.
fn place(vdso: &Vdso<'_>, name: &str) -> Option<*mut u8> {
    let symbol = vdso.image().lookup(name, None)?;
    let address = vdso.base().expose_provenance() + symbol.section_index_offset;
    Some(ptr::with_exposed_provenance_mut(address))
}
