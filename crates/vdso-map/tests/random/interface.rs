//! What each answers to each argument.

use std::ffi::c_uint;
use std::ptr;

use super::support::*;

const EFAULT: isize = -(libc::EFAULT as isize);
const EINVAL: isize = -(libc::EINVAL as isize);

/// What the system call knows. The function takes those, and leaves all others to the kernel.
const KNOWN_FLAGS: c_uint = libc::GRND_NONBLOCK | libc::GRND_RANDOM | libc::GRND_INSECURE;

#[test]
fn the_parameters_are_for_memory_that_the_kernel_may_drop() {
    for function in functions("the_parameters_are_for_memory_that_the_kernel_may_drop") {
        let (answer, parameters) = function.parameters();
        let name = function.name;
        assert_eq!(answer, 0, "{name}");
        assert!((1..=PAGE_BYTES).contains(&function.state_bytes), "{name}: {parameters:?}");
        assert_eq!(parameters.protection, (libc::PROT_READ | libc::PROT_WRITE) as u32, "{name}");
        assert_eq!(parameters.flags, (MAP_DROPPABLE | libc::MAP_ANONYMOUS) as u32, "{name}");
        assert_eq!(parameters.reserved, [0; 13], "{name}");
    }
}

#[test]
fn nothing_is_written_beyond_the_parameters() {
    for function in functions("nothing_is_written_beyond_the_parameters") {
        let mut around = [Parameters::UNWRITTEN; 3];
        let out = (&raw mut around[1]).cast();
        // SAFETY: there is room for the parameters.
        assert_eq!(unsafe { function.call(ptr::null_mut(), 0, 0, out, ASK) }, 0);
        let [before, _, after] = around;
        assert_eq!([before, after], [Parameters::UNWRITTEN; 2], "{}", function.name);
    }
}

/// With a buffer, a length or flags it is a call with a state of the wrong length.
#[test]
fn what_is_not_quite_the_question_for_parameters_goes_to_the_kernel() {
    let test = "what_is_not_quite_the_question_for_parameters_goes_to_the_kernel";
    for function in functions(test) {
        let mut bytes = [0; 32];
        let some = bytes.as_mut_ptr();
        let unknown = 1 << 31;
        for (buffer, length, flags, expected) in [
            (some, 0, 0, 0),
            (some, 32, 0, 32),
            (ptr::null_mut(), 32, 0, EFAULT),
            (ptr::null_mut(), 0, libc::GRND_NONBLOCK, 0),
            (ptr::null_mut(), 0, unknown, EINVAL),
            (some, 32, unknown, EINVAL),
        ] {
            let what = format!("{}: {buffer:?} {length} {flags:#x}", function.name);
            // In a page of its own: no state may straddle two.
            let page = function.kept_state();
            let out: *mut Parameters = page.memory.as_ptr().cast();
            // SAFETY: the page is ours.
            unsafe { out.write(Parameters::UNWRITTEN) };
            // SAFETY: a buffer of ours, or none.
            let answer = unsafe { function.call(buffer, length, flags, out.cast(), ASK) };
            assert_eq!(answer, expected, "{what}");
            // SAFETY: as above.
            assert_eq!(answer, unsafe { by_system_call(buffer, length, flags) }, "{what}");
            // SAFETY: as above.
            assert_eq!(unsafe { out.read() }, Parameters::UNWRITTEN, "{what}");
        }
    }
}

/// A process that was moved to another kernel holds states of that one's.
#[test]
fn a_state_of_another_length_is_left_alone() {
    for function in functions("a_state_of_another_length_is_left_alone") {
        let right = function.state_bytes;
        for length in [0, 1, right - 1, right + 1, 2 * right, PAGE_BYTES, ASK - 1, ASK] {
            let state = function.kept_state();
            let pattern = vec![0x5a; right];
            state.set(&pattern);
            let mut buffer = [0; 64];
            let (to, at) = (buffer.as_mut_ptr(), state.memory.as_ptr());
            // SAFETY: memory of ours, which is not looked at.
            assert_eq!(unsafe { function.call(to, 64, 0, at, length) }, 64, "{}", function.name);
            assert_ne!(buffer, [0; 64], "{}", function.name);
            assert_eq!(state.bytes(), pattern, "{}, length {length}", function.name);
            // SAFETY: as above.
            assert_eq!(unsafe { function.call(to, 64, 1 << 3, at, length) }, EINVAL);
        }
    }
}

/// Before anything else is looked at: the length, the flags, the buffer.
#[test]
fn a_state_that_straddles_two_pages_is_refused() {
    for function in functions("a_state_that_straddles_two_pages_is_refused") {
        let bytes = function.state_bytes;
        let pages = function.kept_state();
        let mut buffer = [0; 32];
        for offset in PAGE_BYTES - bytes - 64..PAGE_BYTES + 64 {
            let straddles = offset < PAGE_BYTES && offset + bytes > PAGE_BYTES;
            // SAFETY: inside the two pages, with its end.
            let state = unsafe { pages.memory.add(offset) }.as_ptr();
            let what = format!("{}, at {offset}", function.name);
            let to = buffer.as_mut_ptr();
            // SAFETY: zeros are a state; one that has been drawn from elsewhere is as good.
            unsafe { state.write_bytes(0, bytes) };
            // SAFETY: as above.
            let answer = unsafe { function.call(to, 32, 0, state, bytes) };
            assert_eq!(answer, if straddles { EFAULT } else { 32 }, "{what}");
            if straddles {
                for (to, length, flags, state_bytes) in [
                    (to, 32, 1 << 3, bytes),
                    (to, 32, 0, bytes + 1),
                    (to, 0, 0, bytes),
                    (ptr::null_mut(), 0, 0, 0),
                    (ptr::null_mut(), 32, 0, ASK),
                ] {
                    // SAFETY: refused before anything is written.
                    let answer = unsafe { function.call(to, length, flags, state, state_bytes) };
                    assert_eq!(answer, EFAULT, "{what}, {length} {flags} {state_bytes}");
                }
            }
        }
    }
}

/// The kernel refuses what it does not know. It refuses RANDOM with INSECURE, too, which its own vDSO's
/// function does not look at.
#[test]
fn flags_are_the_kernels() {
    for function in functions("flags_are_the_kernels") {
        let state = function.state();
        for flags in (0..=16).chain((4..32).map(|bit| 1 << bit)).chain([!0, !KNOWN_FLAGS]) {
            for length in [0, 1, 32, 1000] {
                let mut buffer = vec![0; length];
                let answer = state.try_fill(&mut buffer, flags);
                let is_known = flags & !KNOWN_FLAGS == 0;
                let expected = if is_known { length as isize } else { EINVAL };
                let what = format!("{}, flags {flags:#x}, {length} bytes", function.name);
                assert_eq!(answer, expected, "{what}");
                if flags != libc::GRND_RANDOM | libc::GRND_INSECURE && flags != KNOWN_FLAGS {
                    // SAFETY: a buffer of ours.
                    let kernels = unsafe { by_system_call(buffer.as_mut_ptr(), length, flags) };
                    assert_eq!(answer, kernels, "{what}");
                }
            }
        }
    }
}

/// No bytes are zero bytes, wherever they are to go.
#[test]
fn nothing_asked_is_nothing_done() {
    for function in functions("nothing_asked_is_nothing_done") {
        let state = function.state();
        let before = state.bytes();
        for buffer in [ptr::null_mut(), ptr::without_provenance_mut(1), ptr::dangling_mut()] {
            let (at, bytes) = (state.memory.as_ptr(), function.state_bytes);
            // SAFETY: a state of this function's; nothing is written.
            assert_eq!(unsafe { function.call(buffer, 0, 0, at, bytes) }, 0, "{}", function.name);
        }
        assert_eq!(state.bytes(), before, "{}", function.name);
    }
}

/// The system call says EFAULT; a function of the program's own faults, as memcpy(3) does.
#[test]
fn a_buffer_that_is_none_faults() {
    for function in functions("a_buffer_that_is_none_faults") {
        let state = function.state();
        let read_only = map(PAGE_BYTES, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).as_ptr();
        // SAFETY: a page of ours, which nobody writes to but the function.
        let result = unsafe { libc::mprotect(read_only.cast(), PAGE_BYTES, libc::PROT_READ) };
        assert_eq!(result, 0);
        let beyond = ptr::without_provenance_mut(usize::MAX - 4095);
        for buffer in [ptr::null_mut(), ptr::without_provenance_mut(64), beyond, read_only] {
            for length in [1, 16, 500, 5000] {
                let what = format!("{}, {length} bytes at {buffer:?}", function.name);
                let (at, bytes) = (state.memory.as_ptr(), function.state_bytes);
                let status = in_child(|| {
                    // SAFETY: it faults, which ends this process.
                    unsafe { function.call(buffer, length, 0, at, bytes) };
                });
                assert_faulted(status, &what);
            }
        }
        // SAFETY: mapped above.
        unsafe { libc::munmap(read_only.cast(), PAGE_BYTES) };
    }
}

/// Null straddles nothing, and there is no state.
#[test]
fn a_state_that_is_none_faults() {
    for function in functions("a_state_that_is_none_faults") {
        let mut buffer = [0; 32];
        let status = in_child(|| {
            let (to, bytes) = (buffer.as_mut_ptr(), function.state_bytes);
            // SAFETY: it faults, which ends this process.
            unsafe { function.call(to, 32, 0, ptr::null_mut(), bytes) };
        });
        assert_faulted(status, function.name);
    }
}
