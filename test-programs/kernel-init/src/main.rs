//! The first program of the kernels that `cargo xtask kernels` boots, and the programs of other ABIs
//! that it starts there: no C library, no allocation, static.
//!
//! Each group of checks runs in a process of its own, so that one that dies takes no other with it.
//! What they find goes to the console, one line for each check ([`report`]). As the first process
//! (PID 1) this program then starts those of the other ABIs that the kernel runs ([`companions`]) and
//! turns the machine off.
//!
//! | | |
//! |---|---|
//! | [`arch`] | `_start`, one file for each architecture |
//! | [`system`] | processes, files, the console: system calls |
//! | [`kernel`] | what the kernel itself says of clocks |
//! | [`parameter`] | what the kernel was told, and what it does |
//! | [`report`] | the lines on the console |
//! | [`client`] | checks of vdso-client |
//! | [`image`] | checks of vdso-image |
//! | [`vsyscall`] | checks of vdso-vsyscall, on amd64 |
//!
//! A new group is a module with `pub fn run(report: &mut Report)`, and a row in [`GROUPS`].

#![no_std]
#![no_main]
#![cfg_attr(any(target_arch = "mips", target_arch = "mips64"), feature(asm_experimental_arch))]

mod arch;
mod client;
mod companions;
#[cfg_attr(not(target_has_atomic = "64"), path = "no_image.rs")]
mod image;
mod kernel;
#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
mod libc;
mod memory;
mod panic;
mod parameter;
mod report;
mod system;
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
mod vsyscall;

use report::Report;

/// A group's name, and what runs it.
type Group = (&'static str, fn(&mut Report));

/// The groups of checks, in the order in which they run.
const GROUPS: &[Group] = &[
    ("client", client::run),
    ("image", image::run),
    #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
    ("vsyscall", vsyscall::run),
];

/// Called by `_start`.
extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: `_start` gives the stack pointer that the kernel gave it, and nothing has moved what is
    // there.
    unsafe { vdso_client::auxv::set_startup_stack(stack) };
    // SAFETY: as above.
    unsafe { system::set_stack(stack) };
    if system::is_first_process() {
        // What they are for says so if they are not there.
        let _ = system::mount(c"proc", c"/proc");
        let _ = system::mount(c"sysfs", c"/sys");
    }
    for group in GROUPS {
        run_apart(*group);
    }
    if system::is_first_process() {
        companions::run();
        report::close();
        system::power_off();
    }
    system::exit(0)
}

/// Runs a group in a process of its own.
fn run_apart((name, run): Group) {
    let mut report = Report::new(name);
    match system::fork() {
        Ok(None) => {
            run(&mut report);
            report.close();
            system::exit(0)
        }
        Ok(Some(child)) => match system::wait(child) {
            Ok(0) => {}
            Ok(status) => report.fail("process", format_args!("it ended with status {status:#x}")),
            Err(error) => report.fail("process", format_args!("cannot wait for it: {error}")),
        },
        Err(error) => report.fail("process", format_args!("cannot start it: {error}")),
    }
}
