//! An image as a library that a C library loads: by glibc's and musl's own loaders, in a process of its own.

use core::ffi::{CStr, c_char};
use core::fmt::Write;
use core::ptr;

use syscalls::{Errno, Sysno};
use vdso_data::architecture::Architecture;

use super::mapped::Path;
use crate::report::Report;
use crate::system;

const LOADERS: [&str; 2] = ["glibc", "musl"];

/// What is added to the number of an error for the exit code of a process that could not become a loader.
/// The loaders themselves and the program end with less.
const NOT_EXECUTED: usize = 128;

pub fn run(report: &mut Report, architecture: &Architecture) {
    for name in LOADERS {
        let loader = path_of(architecture, format_args!("{name}-loader"));
        let dlopen = path_of(architecture, format_args!("dlopen"));
        // musl's loader is its library; glibc's takes for its own what is there under another name.
        let libc = path_of(architecture, format_args!("libc.so.6"));
        let options: &[&CStr] =
            if name == "glibc" { &[c"--preload", libc.as_c_str()] } else { &[] };
        let name = format_args!("dlopen-{name}");
        match load(&loader, options, &dlopen) {
            Ok(0) => report.ok(name, "every function is found"),
            Ok(status) => match not_executed(status) {
                Some(Errno::ENOENT) => report.skip(name, "its loader is not there"),
                Some(error) => report.fail(name, format_args!("cannot execute it: {error}")),
                None => report.fail(name, format_args!("it ended with status {status:#x}")),
            },
            Err(error) => report.fail(name, format_args!("cannot start it: {error}")),
        }
    }
}

/// A file of this ABI's.
fn path_of(architecture: &Architecture, name: core::fmt::Arguments<'_>) -> Path {
    let mut path = Path::default();
    // What does not fit is no file.
    let _ = write!(path, "/{}-{name}", architecture.name);
    path
}

/// Why execve failed, by what wait(2) gave of the process.
fn not_executed(status: i32) -> Option<Errno> {
    // An exit code is the second byte; the first is zero then.
    let code = status.checked_shr(8).filter(|_| status & 0xff == 0)?;
    let error = code.checked_sub(NOT_EXECUTED as i32).filter(|error| *error > 0)?;
    Some(Errno::new(error))
}

/// Runs a program by this loader.
fn load(loader: &Path, options: &[&CStr], program: &Path) -> Result<i32, Errno> {
    let Some(child) = system::fork()? else {
        let mut arguments = [ptr::null::<c_char>(); 5];
        let all = [loader.as_c_str()].into_iter().chain(options.iter().copied());
        // The last one stays null.
        for (to, argument) in arguments[..4].iter_mut().zip(all.chain([program.as_c_str()])) {
            *to = argument.as_ptr();
        }
        let environment = [ptr::null::<u8>()];
        let addresses = [
            arguments[0].expose_provenance(),
            arguments.as_ptr().expose_provenance(),
            environment.as_ptr().expose_provenance(),
        ];
        // SAFETY: a path, and two lists that end with a null.
        let result = unsafe {
            system::call(Sysno::execve, [addresses[0], addresses[1], addresses[2], 0, 0, 0])
        };
        // One that succeeds does not return.
        let error = result.err().map_or(0, |error| error.into_raw() as usize);
        system::exit(NOT_EXECUTED + error.min(127))
    };
    system::wait(child)
}
