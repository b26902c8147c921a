//! Buffers of every length and alignment, up to the most that one call gives.

use std::os::fd::AsRawFd;
use std::ptr;

use super::support::*;

/// Long enough to have several batches of any function in one call, and parts of one at both ends.
const LONGEST: usize = 2000;

#[test]
fn a_buffer_is_filled_to_its_end_and_not_beyond() {
    for function in functions("a_buffer_is_filled_to_its_end_and_not_beyond") {
        let state = function.state();
        for length in (1..=LONGEST).chain([4095, 4096, 65_537, 1 << 20, (1 << 20) + 1]) {
            assert_filled(&state, length, length % 67, function.name);
        }
    }
}

#[test]
fn a_buffer_may_begin_anywhere() {
    for function in functions("a_buffer_may_begin_anywhere") {
        let state = function.state();
        for offset in 0..=64 {
            for length in [1, 2, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 480, 1023] {
                assert_filled(&state, length, offset, function.name);
            }
        }
    }
}

/// Each byte is something else than zero at some time, and no byte around is ever.
#[track_caller]
fn assert_filled(state: &State, length: usize, offset: usize, name: &str) {
    const AFTER: usize = 80;
    let mut seen = vec![0; offset + length + AFTER];
    // One byte in 2^40 is zero five times.
    for _ in 0..5 {
        let mut memory = vec![0; offset + length + AFTER];
        let answer = state.try_fill(&mut memory[offset..offset + length], 0);
        assert_eq!(answer, length as isize, "{name}, {length} bytes at {offset}");
        seen.iter_mut().zip(&memory).for_each(|(seen, byte)| *seen |= byte);
    }
    let written: Vec<bool> = seen.iter().map(|&byte| byte != 0).collect();
    let expected: Vec<bool> =
        (0..written.len()).map(|at| (offset..offset + length).contains(&at)).collect();
    assert_eq!(written, expected, "{name}, {length} bytes at {offset}");
}

/// As many bytes as any system call moves (`MAX_RW_COUNT`), in memory that is the same megabytes again
/// and again.
#[test]
fn the_most_that_one_call_gives_is_the_kernels() {
    const MOST: usize = (i32::MAX as usize) & !(PAGE_BYTES - 1);
    const WINDOW: usize = 16 << 20;
    const LENGTH: usize = (MOST + 1).next_multiple_of(WINDOW);
    let test = "the_most_that_one_call_gives_is_the_kernels";
    let functions = functions(test);
    let Some(kernels) = functions.first() else { return };
    // The kernel's alone, and what is not passed on to it: it takes seconds.
    let own = functions.iter().filter(|function| function.is_own(functions));
    for function in [kernels].into_iter().chain(own) {
        let buffer = Mirror::new(WINDOW, LENGTH);
        let state = function.state();
        let (at, bytes) = (state.memory.as_ptr(), function.state_bytes);
        // SAFETY: the buffer is that long.
        let answer = unsafe { function.call(buffer.start, LENGTH, 0, at, bytes) };
        assert_eq!(answer, MOST as isize, "{}", function.name);
    }
}

/// A little memory at many addresses.
struct Mirror {
    start: *mut u8,
    bytes: usize,
}

impl Mirror {
    fn new(window: usize, bytes: usize) -> Self {
        let file = tempfile_in_memory(window);
        // SAFETY: addresses of the kernel's choice, that are only kept free.
        let start = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0)
        };
        assert_ne!(start, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        for offset in (0..bytes).step_by(window) {
            let at = start.wrapping_byte_add(offset);
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_SHARED | libc::MAP_FIXED;
            // SAFETY: replaces a part of the mapping above.
            let part = unsafe { libc::mmap(at, window, protection, flags, file.as_raw_fd(), 0) };
            assert_eq!(part, at, "{}", std::io::Error::last_os_error());
        }
        Self { start: start.cast(), bytes }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }
}

fn tempfile_in_memory(bytes: usize) -> std::fs::File {
    let flags = nix::sys::memfd::MFdFlags::empty();
    let file = nix::sys::memfd::memfd_create(c"mirror", flags).expect("a file in memory");
    let file = std::fs::File::from(file);
    file.set_len(bytes as u64).expect("it is ours");
    file
}
