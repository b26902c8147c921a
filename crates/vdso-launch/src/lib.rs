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
//! - When the calling process ends, however it ends, all that came from the program is ended (since Linux 5.3),
//!   by the front, or by the supervisor once the program, and with it the front, has ended. What is left then:
//!   what a program with [`no_follow`](Command::no_follow) leaves behind, what runs as another user, and orphans of
//!   a supervisor that was killed, and a front that is stopped, until it is continued. A caller that becomes another
//!   program by `execve` has not ended.
//! - A front that is killed itself leaves the program running, until the caller ends: [`Error::Lost`].
//! - Front and supervisor have what the program inherits open until it ends, also where it closes that itself.
//! - They share the caller's memory as any fork does: what the caller writes to meanwhile is copied, once for
//!   each program that runs, and a fork takes longer the more memory there is (180 ms with 2 GB, unoptimized).
//! - The program's parent is the supervisor, not the caller. The front passes no signals on: who ends the
//!   caller's children by their numbers, as `pkill -P` does, does not reach the program. Its process group does.
//! - A caller that is not root and not dumpable, by `PR_SET_DUMPABLE`, cannot launch: its children cannot be traced.

mod child;
pub mod clock;
mod command;
pub mod counts;
mod error;
mod execute;
pub mod follow;
pub mod privilege;
mod process;
mod processes;
pub mod source;
mod spawn;
mod stdio;
pub mod text;

pub use child::Child;
pub use clock::{Clock, ClockBuilder, ClockError, ClockSet, Clocks, Plan, host_time};
pub use command::{Command, Notices};
pub use error::Error;
pub use execute::execute;
pub use follow::hint;
pub use processes::{
    Caller, Core, Follow, Inheritance, Launch, OnHostClock, Outcome, Streams, end_by_signal,
};
pub use source::{Selected, SourceError, select, select_counting};
pub use stdio::Stdio;
pub use vdso_arch::abi::{Call, CallSet};
pub use vdso_image::Source;
pub use vdso_inject::detour::{CallSites, FileTimes};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
