//! Follows a program's children through every later `execve`.
//!
//! A seccomp filter, which children inherit, reports `execve` (and the little else that concerns an
//! injection) to the [`Supervisor`]; the supervisor traces the process for just that call, so signals and
//! all other system calls cost the program what they always do.
//!
//! - `filter`: what is reported, and `timed`: of that, calls with times; `listener`: how that is received and answered; `report`: what it says.
//! - [`InFlight`]: what is being worked on, in memory that survives a supervisor.
//! - [`Tracer`]: programs on their way through `execve`, and those whose tracer was killed; `whereabouts`: those whose call
//!   has failed.
//! - `setting`: a program sets the clock, its own.
//! - `foreign`: filters of the programs' own, and whether a stub can do its work under them.

mod filter;
mod foreign;
mod in_flight;
mod listener;
mod notice;
mod report;
mod setting;
mod settings;
mod supervisor;
mod target;
mod timed;
mod timers;
mod tracer;
mod whereabouts;

pub use in_flight::{InFlight, SharedInFlight};
pub use listener::{Listener, install};
pub use notice::{NoDetour, Notice, OnHostClock, Severity, hint};
pub use settings::{Settings, Tokens};
pub use supervisor::{Observer, Supervisor, Tick, Turn};
pub use tracer::{Heard, Tracer, is_traced_elsewhere};
