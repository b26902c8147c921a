//! Starts any unmodified program with a clock of its own.
//!
//! - [`Clock`]: what clock that is, and [`Plan`]: how each of the kernel's clocks is moved for it.
//! - [`select`]: which source of time is taken, and why.
//! - [`Launch`]: starts a program, follows all that it starts, and stands for it towards the terminal. See
//!   `processes`.
//! - [`follow`]: how the clock is given to all that a program's children exec, without staying attached to any.
//! - [`privilege`]: what a program may lose by that.

pub mod clock;
pub mod follow;
pub mod privilege;
mod processes;
pub mod source;
pub mod text;

pub use clock::{Clock, ClockBuilder, ClockError, ClockSet, Clocks, Plan, host_time};
pub use follow::hint;
pub use processes::{Core, Follow, Inheritance, Launch, OnHostClock, Outcome, end_by_signal};
pub use source::{Selected, SourceError, select};
pub use vdso_image::Source;
