//! ptrace by types: what may be asked of a thread depends on the state that it is in, so a request in the
//! wrong state does not compile. See ptrace(2).
//!
//! - [`Seized`]: a thread of another process that this one traces, and that runs, or waits in the kernel.
//!   It can be interrupted, and waited for.
//! - [`Stopped`]: it stands still. Its registers and memory can be read and written; then it goes on
//!   ([`Stopped::resume`]), or is let go of ([`Stopped::detach`]).
//! - [`Told`]: what a wait says of it; [`News`]: the same before it is known whether it is traced.
//!
//! Neither can be copied, or sent to another thread, which would not be the tracer: whoever resumes or detaches a thread no longer has what stands for the stop.
//!
//! ```compile_fail,E0382
//! use vdso_inject::ptrace::Stopped;
//!
//! fn let_go_and_look(thread: Stopped) {
//!     let _ = thread.detach();
//!     let _ = thread.registers();
//! }
//! ```
//!
//! ```compile_fail,E0382
//! use vdso_inject::ptrace::{Stopped, Until};
//!
//! fn resume_and_look(thread: Stopped) {
//!     let running = thread.resume(Until::Event);
//!     let _ = thread.registers();
//! }
//! ```
//!
//! ```compile_fail,E0599
//! use vdso_inject::ptrace::Seized;
//!
//! fn look_while_it_runs(thread: &Seized) {
//!     let _ = thread.registers();
//! }
//! ```
//!
//! ```compile_fail,E0308
//! use vdso_inject::ptrace::Stopped;
//!
//! fn keep_one(thread: &Stopped) -> Stopped {
//!     thread.clone()
//! }
//! ```
//!
//! ```compile_fail,E0596
//! use vdso_inject::arch::Registers;
//! use vdso_inject::ptrace::Stopped;
//!
//! fn change_what_is_only_lent(thread: &Stopped, registers: &Registers) {
//!     let _ = thread.set_registers(registers);
//! }
//! ```
//!
//! ```compile_fail,E0277
//! use vdso_inject::ptrace::Stopped;
//!
//! fn have_another_thread_resume(thread: Stopped) {
//!     std::thread::spawn(move || drop(thread));
//! }
//! ```
//!
//! Anybody may kill a stopped thread at any time: then each request gives [`Error::Gone`](crate::Error::Gone).
//! That is an outcome like others. Such a thread is still to be waited for, see [`Detached::Dying`]; a zombie
//! whose tracer does not wait is kept from its parent.

mod news;
mod request;
mod thread;

pub use nix::sys::ptrace::Options;

pub use news::{Alarm, News, Stop, wait_any, wait_for, wait_traced};
#[allow(unused_imports, reason = "x86-64 has a request of its own")]
pub(crate) use request::RegisterSet;
pub use request::trace_me;
pub use thread::{Detached, Seized, Stopped, SystemCall, Told, Until};

/// How threads are traced on their way through `execve`: they stop at its end.
pub const FOLLOW_EXEC: Options = Options::PTRACE_O_TRACEEXEC;
