//! Where no register is free for the way back from a detour: all of them are put on the thread's stack.

use vdso_data::detour::frame::ReturnFrame;

use crate::ptrace::Stopped;

/// A frame lies at a multiple of this, as calling conventions have stack pointers.
const ALIGNMENT: u64 = 16;

/// Puts a frame below a stopped thread's stack pointer, where nothing is that it keeps: neither architecture has a red zone.
/// Gives its address; `None` if the stack may have no room for that and for what the image needs.
pub fn put<R: Copy>(thread: &mut Stopped, stack_addr: u64, frame: &ReturnFrame<R>) -> Option<u64> {
    if !stack_addr.is_multiple_of(ALIGNMENT) || !is_where_kernel_maps_stacks(stack_addr) {
        return None;
    }
    let frame_addr = stack_addr.checked_sub(size_of_val(frame) as u64)?;
    let start = (&raw const *frame).cast::<u8>();
    // SAFETY: integers without padding, which live as long as `frame`.
    let bytes = unsafe { std::slice::from_raw_parts(start, size_of_val(frame)) };
    thread.write(frame_addr, bytes).ok()?;
    Some(frame_addr)
}

/// Whether a stack there is one that the kernel has mapped, which has room: Go's goroutines have 800 bytes beyond what is looked
/// at, in a heap that lies from 2^38 on. The kernel maps from the end of a program's addresses downwards: these are of 47
/// bits or more, or of 39.
fn is_where_kernel_maps_stacks(addr: u64) -> bool {
    const FROM_47_BITS: u32 = 46;
    const PARTS: u32 = 34;
    const LAST_PART_OF_39_BITS: u64 = 0x1f;
    addr >> FROM_47_BITS != 0 || addr >> PARTS == LAST_PART_OF_39_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goroutines_stacks_are_told_from_the_kernels() {
        for kernels in [0xffff_8a3f_0000, 0x7fff_e03f_0000, 0x7f_d03f_0000] {
            assert!(is_where_kernel_maps_stacks(kernels), "{kernels:#x}");
        }
        for goroutines in [0x40_0008_0000, 0xc0_0008_0000, 0x4c_0000_0000] {
            assert!(!is_where_kernel_maps_stacks(goroutines), "{goroutines:#x}");
        }
    }
}
