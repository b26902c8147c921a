//! The legacy vsyscall page of x86-64 Linux: its bytes, and what a kernel does when a program touches it.
//!
//! Before there were vDSOs, a page at a fixed address, [`PAGE_ADDR`], had three functions for every program. What is
//! compiled against glibc older than 2.15 calls it, as do static programs of that time, dietlibc, and Go before 1.4. Linux still
//! answers such calls, or does not, by its parameter `vsyscall=` ([`Mode`]); kernels, emulators and VMMs that run old
//! programs have to do the same. Here it is without a kernel around it: nothing is mapped, read or called, and each step is
//! a function from what is known to what is to be done.
//!
//! The modules follow a call: [`react`] says what an access to the page is; [`Entry::call`] looks at the stack and at the
//! pointers; [`Call::after_filter`] hears what a seccomp filter or a tracer has done; [`Call::made`] ends it. What is
//! refused is a [`Fault`]: the signal, with the registers that its handler sees. [`code`](mod@code) finds such calls in machine code.
//!
//! Sources: `arch/x86/entry/vsyscall/`, `arch/x86/mm/fault.c` and `arch/x86/include/uapi/asm/vsyscall.h` (Linux 6.12);
//! `Documentation/userspace-api/seccomp_filter.rst`; `Documentation/admin-guide/kernel-parameters.txt`. Each answer is
//! compared with Linux's own in booted kernels.

#![no_std]
#![forbid(unsafe_code)]

mod access;
mod call;
pub mod code;
mod entry;
mod fault;
mod mode;
mod page;
mod program;

pub use access::{Access, Reaction, react};
pub use call::{AfterFilter, Call, Filtered, Registers, UserMemory};
pub use entry::Entry;
pub use fault::{Fault, PageFault, Segv, SegvCode};
pub use mode::{Mode, UnknownMode};
pub use page::{PAGE, PAGE_ADDR, PAGE_BYTES, contains};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
