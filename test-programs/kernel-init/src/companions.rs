//! The programs of other ABIs that the same kernel runs: this program, compiled for them.

use core::ffi::CStr;

use crate::report::Report;
use crate::system::{self, Errno};

/// Their files, which are named for the ABI.
const PROGRAMS: &[&CStr] = if cfg!(target_arch = "x86_64") {
    &[c"/i386", c"/x32"]
} else if cfg!(target_arch = "aarch64") {
    &[c"/armhf"]
} else if cfg!(target_arch = "mips64") {
    &[c"/mipsel"]
} else {
    &[]
};

/// Starts each that is there and waits for it. They write their lines themselves.
pub fn run() {
    let mut report = Report::new("companions");
    for program in PROGRAMS {
        let name = program.to_str().unwrap_or("?").trim_start_matches('/');
        match start(program) {
            Ok(0) => report.ok(name, "came to its end"),
            Ok(NOT_THERE) => report.skip(name, "it was not built"),
            Ok(NOT_FOR_THIS_KERNEL) => {
                report.skip(name, "this kernel runs no programs of that ABI")
            }
            Ok(status) => report.fail(name, format_args!("it ended with status {status:#x}")),
            Err(error) => report.fail(name, format_args!("cannot start it: {error}")),
        }
    }
    report.close();
}

/// As wait(2) gives an exit code.
const NOT_THERE: i32 = 126 << 8;
const NOT_FOR_THIS_KERNEL: i32 = 127 << 8;

fn start(program: &CStr) -> Result<i32, Errno> {
    let Some(child) = system::fork()? else {
        let status = match system::execute(program, system::c_argument(1)) {
            Errno::ENOENT => NOT_THERE,
            Errno::ENOEXEC => NOT_FOR_THIS_KERNEL,
            _ => 1 << 8,
        };
        system::exit(status as usize >> 8)
    };
    system::wait(child)
}
