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
    if architecture.names_address_table {
        report
            .skip("dlopen", "loaders would write to a table that images of this architecture lack");
        return;
    }
    for name in LOADERS {
        let mut loader = Path::default();
        // What does not fit is no file.
        let _ = write!(loader, "/{}-{name}-loader", architecture.name);
        let name = format_args!("dlopen-{name}");
        match load(loader.as_ptr()) {
            Ok(0) => report.ok(name, "every function is found"),
            Ok(NOT_THERE) => report.skip(name, "its loader is not there"),
            Ok(status) => report.fail(name, format_args!("it ended with status {status:#x}")),
            Err(error) => report.fail(name, format_args!("cannot start it: {error}")),
        }
    }
}

/// Runs the program `/dlopen` by this loader, with libraries from the root folder.
fn load(loader: *const c_char) -> Result<i32, syscalls::Errno> {
    let Some(child) = system::fork()? else {
        let arguments = [c"--library-path", c"/", c"/dlopen"].map(CStr::as_ptr);
        let arguments = [loader, arguments[0], arguments[1], arguments[2], ptr::null()];
        let environment = [ptr::null::<u8>()];
        let addresses = [
            loader.expose_provenance(),
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
