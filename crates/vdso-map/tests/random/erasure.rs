//! What is in a state: nothing that was given, nothing that leads back to it. And what a copy of it is.

use std::collections::HashSet;

use test_support::{Lacking, skip};

use super::support::*;

/// No window this long is twice in random bytes by chance.
const WINDOW: usize = 8;

/// Whatever the length: short ones come several times, so that they have a window together.
#[test]
fn bytes_that_were_given_are_not_in_the_state() {
    for function in functions("bytes_that_were_given_are_not_in_the_state") {
        let state = function.state();
        let mut given: HashSet<Vec<u8>> = HashSet::new();
        // The last bytes that were given, with those of the call.
        let mut latest = Vec::new();
        let short = (1..WINDOW).flat_map(|length| [length; 2 * WINDOW]);
        for length in short.chain(WINDOW..400).chain([479, 480, 481, 1000, 5000]) {
            let mut buffer = vec![0; length];
            assert_eq!(state.try_fill(&mut buffer, 0), length as isize, "{}", function.name);
            latest.extend(buffer);
            given.extend(latest.windows(WINDOW).map(<[u8]>::to_vec));
            latest.drain(..latest.len().saturating_sub(WINDOW - 1));
            let kept = state.bytes();
            let found = kept.windows(WINDOW).position(|window| given.contains(window));
            assert_eq!(found, None, "{}, after {length} bytes", function.name);
        }
    }
}

/// Whoever gets hold of the state may know what comes, but not what was.
#[test]
fn a_state_does_not_give_again_what_it_has_given() {
    for function in functions("a_state_does_not_give_again_what_it_has_given") {
        let state = function.kept_state();
        let mut given: HashSet<Vec<u8>> = HashSet::new();
        for _ in 0..20 {
            given.extend(state.draw::<100>().windows(WINDOW).map(<[u8]>::to_vec));
        }
        let copy = function.kept_state();
        copy.set(&state.bytes());
        for _ in 0..200 {
            let bytes: [u8; 100] = copy.draw();
            let again = bytes.windows(WINDOW).find(|&window| given.contains(window));
            assert_eq!(again, None, "{}", function.name);
        }
    }
}

/// A checkpoint that is restored twice: this is why states are in memory that is not in any.
#[test]
fn a_copy_of_a_state_gives_the_same_bytes() {
    for function in functions("a_copy_of_a_state_gives_the_same_bytes") {
        // Unless the kernel has a new key for everybody just then, once in a minute.
        let is_same = (0..3).any(|_| {
            let (state, copy) = copied(function);
            (0..20).all(|_| state.draw::<100>() == copy.draw::<100>())
        });
        assert!(is_same, "{}", function.name);
    }
}

/// A state with a key, and a copy of it.
fn copied(function: &Getrandom) -> (State, State) {
    let (state, copy) = (function.kept_state(), function.kept_state());
    state.draw::<100>();
    copy.set(&state.bytes());
    (state, copy)
}

/// As after a virtual machine was restored: the kernel has a new key, and so has everybody then.
#[test]
fn a_new_key_of_the_kernels_parts_copies() {
    const TEST: &str = "a_new_key_of_the_kernels_parts_copies";
    /// `_IO('R', 0x07)`. Source: `include/uapi/linux/random.h` (Linux 6.18).
    const RNDRESEEDCRNG: libc::Ioctl = 0x5207;
    for function in functions(TEST) {
        let (state, copy) = copied(function);
        let device = std::fs::File::open("/dev/random").expect("every machine has it");
        use std::os::fd::AsRawFd;
        // SAFETY: it takes nothing.
        if unsafe { libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG) } != 0 {
            let error = std::io::Error::last_os_error();
            let reason = format!("the kernel takes no new key for this user: {error}");
            return skip(Lacking::Privilege, TEST, &reason);
        }
        assert_ne!(state.draw::<100>(), copy.draw::<100>(), "{}", function.name);
    }
}

/// The kernel may take the memory at any time; whatever is there then is zeros.
#[test]
fn a_state_that_is_dropped_begins_anew() {
    for function in functions("a_state_that_is_dropped_begins_anew") {
        let state = function.state();
        let mut all = HashSet::new();
        for length in (0..50).chain([479, 480, 481, 1000]) {
            state.try_fill(&mut vec![0; length], 0);
            state.drop_memory();
            assert_eq!(state.bytes(), vec![0; function.state_bytes], "{}", function.name);
            assert!(all.insert(state.draw::<32>()), "{}: the same bytes twice", function.name);
        }
    }
}

#[test]
fn a_state_of_any_bytes_is_none_that_crashes() {
    for function in functions("a_state_of_any_bytes_is_none_that_crashes") {
        let name = function.name;
        for byte in [0_u8, 1, 0x7f, 0x80, 0xff] {
            let status = in_child(|| {
                let state = function.kept_state();
                state.set(&vec![byte; function.state_bytes]);
                let mut buffer = [0; 100];
                assert_eq!(state.try_fill(&mut buffer, 0), 100);
            });
            assert_good(status, &format!("{name}, {byte:#x}"));
        }
    }
}
