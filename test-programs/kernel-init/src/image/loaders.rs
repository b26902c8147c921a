//! An image as a library that a C library loads: by glibc's and musl's own loaders, in a process of its own.

use core::ffi::{CStr, c_char};
use core::fmt::Write;
use core::ptr;

use syscalls::Sysno;
use vdso_data::architecture::Architecture;

use super::mapped::Path;
use crate::report::Report;
use crate::system;

const LOADERS: [&str; 2] = ["glibc", "musl"];

/// As wait(2) gives an exit code.
const NOT_THERE: i32 = 126 << 8;

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
            Ok(NOT_THERE) => report.skip(name, "its loader is not there"),
            Ok(status) => report.fail(name, format_args!("it ended with status {status:#x}")),
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

/// Runs a program by this loader.
fn load(loader: &Path, options: &[&CStr], program: &Path) -> Result<i32, syscalls::Errno> {
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
        let _ = unsafe {
            system::call(Sysno::execve, [addresses[0], addresses[1], addresses[2], 0, 0, 0])
        };
        system::exit(NOT_THERE as usize >> 8)
    };
    system::wait(child)
}
