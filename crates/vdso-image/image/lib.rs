//! The image: the small library that a process calls for its clocks.
//!
//! This is not a cargo library. `build.rs` compiles it once for each source of time, with
//! `--cfg source="own"`, `"host"` or `"chain"`, and links it with `image.ld`. What a program
//! reads when it calls `clock_gettime`, in order:
//!
//! 1. `arch/*/exports.rs`: the name that a libc looks up;
//! 2. [`clock_gettime`]: which kind of clock is it;
//! 3. [`source`]: the counter and a page;
//! 4. [`slow`]: everything unusual, out of line.
//!
//! `getrandom` begins in `arch/*/exports.rs`, too, where the architecture has it.
//!
//! The code may not panic, keep state, or be relocated; the link fails on a call that nobody here
//! defines, and `cargo xtask check-image` proves the rest.

#![no_std]
#![allow(dead_code, reason = "each source of time uses a part of what is here")]

mod alone;
mod arch;
mod clock_getres;
mod clock_gettime;
mod coarse;
mod counts;
#[cfg(detours)]
mod detour;
mod forward;
mod getcpu;
#[cfg(own_getrandom)]
mod getrandom;
mod gettimeofday;
mod kernel;
mod note;
mod pages;
mod slow;
mod source;
mod time;
mod time32;
