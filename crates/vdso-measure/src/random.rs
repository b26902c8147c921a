//! The memory that a vDSO's getrandom keeps its generator in, one for each caller.
//!
//! Source: `include/uapi/linux/random.h` and `lib/vdso/getrandom.c` (Linux 6.18).

use std::ffi::{c_int, c_uint, c_void};
use std::num::NonZeroUsize;
use std::ptr::{self, NonNull};

/// The function: getrandom(2) with its memory.
pub type Getrandom = unsafe extern "C" fn(*mut c_void, usize, c_uint, *mut c_void, usize) -> isize;

/// The memory, until it is dropped. It is neither `Send` nor `Sync`: two threads that draw from one
/// generator would be given the same bytes.
#[derive(Debug)]
pub struct State {
    memory: NonNull<c_void>,
    bytes: NonZeroUsize,
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
    /// Maps what the function asks for.
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
        // An answer of no bytes comes from what is no such function.
        let bytes = NonZeroUsize::new(parameters.state_bytes as usize)?;
        let (protection, flags) = (parameters.protection as c_int, parameters.flags as c_int);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let memory = unsafe { libc::mmap(ptr::null_mut(), bytes.get(), protection, flags, -1, 0) };
        if memory == libc::MAP_FAILED {
            return None;
        }
        Some(Self { memory: NonNull::new(memory)?, bytes })
    }

    /// Where it is.
    pub fn memory(&self) -> *mut c_void {
        self.memory.as_ptr()
    }

    /// As much as the function has asked for.
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length; only calls get its address, and none is under way.
        unsafe { libc::munmap(self.memory.as_ptr(), self.bytes.get()) };
    }
}
