//! Puts a vDSO image into a process.
pub mod arch;
mod error;
pub mod exec;
mod file;
mod local;
pub use error::*; pub use file::*; pub use local::*;
