//! Starts any unmodified program with a clock of its own.
//!
//! [`Command`] is [`std::process::Command`] with time; most need nothing else. Below it:
//!
//! - [`Clock`]: what clock a program is to have, and [`Plan`]: how each of the kernel's clocks is moved for it.
//! - [`select`]: which source of time is taken, and why.
//! - [`Launch`]: starts a program from a process that has nothing else to do, as the `vdso` command does: follows
//!   all that it starts, and stands for it towards the terminal.
//! - [`follow`]: how the clock is given to all that a program's children exec, without staying attached to any.
//! - [`privilege`]: what a program may lose by that.
//!
//! # What a launch does to the calling process
//!
//! [`Command::spawn`] forks once. The child, the *front*, has the usual parts of a launch below it, as the `vdso`
//! command has: a supervisor, which traces each program for the moment of its start, and the program. A thread
//! that traces would have been less to start, but could not be left alone: whoever waits for any child of the
//! process would take the tracer's news, the tracer would need signals and a timer of the process's, and all
//! programs would lose the one who answers their calls of `execve` with it. A helper program would have to be
//! installed.
//!
//! - The caller's signals, timers, streams, threads and other children are left alone. `SIGCHLD` comes as for
//!   any child; the front is the child that whoever waits for any child of the process may see.
//! - The front closes what the caller has opened to be closed by `execve`; everything else is inherited by the
//!   program, as usual.
//! - After the fork the front uses the allocator, as C libraries allow it to a fork of a process with many
//!   threads. With an allocator that does not, it may hang.
//! - When the calling process ends, however it ends, the front ends all that came from the program (since Linux
//!   5.3). A front that is killed itself leaves the program running.

mod child;
pub mod clock;
mod command;
mod error;
pub mod follow;
pub mod privilege;
mod processes;
pub mod source;
mod spawn;
mod stdio;
pub mod text;

pub use child::Child;
pub use clock::{Clock, ClockBuilder, ClockError, ClockSet, Clocks, Plan, host_time};
pub use command::{Command, Notices};
pub use error::Error;
pub use follow::hint;
pub use processes::{
    Caller, Core, Follow, Inheritance, Launch, OnHostClock, Outcome, Streams, end_by_signal,
};
pub use source::{Selected, SourceError, select};
pub use stdio::Stdio;
pub use vdso_image::Source;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
