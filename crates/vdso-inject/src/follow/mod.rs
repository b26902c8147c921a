//! Follows a program's children through every later `execve`.
//!
//! A seccomp filter, which children inherit, reports `execve` and nothing else to the
//! [`Supervisor`]; the supervisor traces the process for just that call, so signals and all other
//! system calls cost the program what they always do.

mod filter;
mod listener;
mod supervisor;

pub use listener::{InFlight, Listener, Waiting, install};
pub use supervisor::{Notice, Observer, Supervisor, Tick};
