//! The images in this very process: each source, by the functions that a program would find.
//!
//! What is true of a clock is the kernel's to say: a read of ours must lie between two of the kernel's,
//! moved as our page says; a return value must be the system call's. Nothing here depends on how long
//! anything takes.

#[cfg(target_arch = "x86_64")]
mod alone;
mod bracketing;
mod death;
mod interface;
mod kernel_function;
mod kernel_page;
mod moves;
mod ordering;
mod own_page;
mod protection;
#[cfg(target_arch = "x86_64")]
mod stepped;
mod support;
mod time_namespace;
