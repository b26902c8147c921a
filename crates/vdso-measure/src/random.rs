//! The memory that a vDSO's getrandom keeps its generator in, one for each caller.
//!
//! Source: `include/uapi/linux/random.h` and `lib/vdso/getrandom.c` (Linux 6.18).

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

/// The function: getrandom(2) with its memory.
pub type Getrandom = unsafe extern "C" fn(*mut c_void, usize, c_uint, *mut c_void, usize) -> isize;

/// The memory; none by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    pub addr: usize,
    pub bytes: usize,
}

/// `struct vgetrandom_opaque_params`: the memory that the function needs.
#[derive(Default)]
#[repr(C)]
struct Parameters {
    state_bytes: u32,
    /// For mmap(2), as are the flags.
    protection: u32,
    flags: u32,
    reserved: [u32; 13],
}

impl State {
    /// Maps what the function asks for, and never unmaps it: there is one for each function that is
    /// measured.
    ///
    /// # Safety
    ///
    /// It is a vDSO's getrandom.
    pub unsafe fn map(getrandom: Getrandom) -> Option<Self> {
        let mut parameters = Parameters::default();
        let out = (&raw mut parameters).cast();
        // SAFETY: these arguments ask for the parameters, which have a place.
        let result = unsafe { getrandom(ptr::null_mut(), 0, 0, out, usize::MAX) };
        if result != 0 {
            return None;
        }
        let bytes = parameters.state_bytes as usize;
        let (protection, flags) = (parameters.protection as c_int, parameters.flags as c_int);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let state = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
        // An answer of no bytes, from what is no such function, ends here, too: no mapping is empty.
        (state != libc::MAP_FAILED).then_some(Self { addr: state.expose_provenance(), bytes })
    }
}
