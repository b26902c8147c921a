//! Puts a vDSO image into a process.
pub mod arch;
mod error;
pub mod exec;
mod file;
pub mod follow;
pub mod launch;
mod local;
mod ptrace;
pub use error::*;
pub use file::*;
pub use local::*;
