//! The examples say what their first lines promise.

use std::process::Command;

use test_support::{Lacking, example, skip};

/// A library, called by several threads of an interpreter at once.
#[test]
fn a_library_launches_from_another_languages_threads() {
    let script = "\
import concurrent.futures, ctypes, sys
library = ctypes.CDLL(sys.argv[1])
def exit_code(days):
    seconds = ctypes.c_uint64(days * 86400)
    return library.exit_code_at(b'test $(($(date +%%s) / 86400)) = %d' % days, seconds)
with concurrent.futures.ThreadPoolExecutor(8) as threads:
    print(list(threads.map(exit_code, range(10000, 10016))))
";
    let python =
        Command::new("python3").args(["-c", script]).arg(example("libin_python.so")).output();
    let Ok(output) = python else {
        return skip(Lacking::Tool, "a launch from Python", "no `python3` in PATH");
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), format!("{:?}", [0; 16]), "{output:?}");
}

#[test]
fn a_certificate_expires() {
    if Command::new("openssl").arg("version").output().is_err() {
        return skip(Lacking::Tool, "a certificate that expires", "no `openssl` in PATH");
    }
    let output =
        Command::new(example("certificate")).output().expect("cargo builds examples for tests");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "in 29 days: OK\nin 31 days: certificate has expired\n", "{output:?}");
}
