//! Any bytes as an image: no panic, no symbol outside, as in vdso-elf's own tests.

#![no_main]

#[path = "../../crates/vdso-elf/tests/support/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exercise::exercise(bytes));
