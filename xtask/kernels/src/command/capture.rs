//! A kernel's data page, captured for vdso-host's tests: as the first program printed it, in a file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::console::{Check, Status};
use crate::matrix::Kernel;

/// What makes the first program capture the page, and the name of its group of lines.
pub const CAPTURE: &str = "capture";

/// Whether a kernel's page is captured: the architectures that the host source knows.
pub fn is_captured(kernel: &Kernel) -> bool {
    ["amd64", "arm64"].contains(&kernel.arch)
}

/// Keeps a captured page in a folder, one line for each check.
pub fn keep(checks: &[Check], kernel: &Kernel, folder: &Path) -> Result<()> {
    let captured: Vec<&Check> = checks.iter().filter(|check| check.group == CAPTURE).collect();
    if captured.is_empty() || captured.iter().any(|check| check.status != Status::Ok) {
        bail!("the page of {} {} was not captured", kernel.arch, kernel.series);
    }
    let line = |check: &&Check| format!("{} {}\n", check.name, check.detail);
    let text: String = captured.iter().map(line).collect();
    let path = folder.join(format!("{}-{}.txt", kernel.arch, kernel.series));
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::KERNELS;

    fn kernel(arch: &str) -> &'static Kernel {
        KERNELS.iter().find(|kernel| kernel.arch == arch).unwrap()
    }

    fn check(group: &str, name: &str, status: Status) -> Check {
        let [abi, group, name] = ["amd64", group, name].map(str::to_owned);
        Check { abi, group, name, status, detail: "7 8".to_owned() }
    }

    #[test]
    fn a_captured_page_is_kept_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let checks = [
            check(CAPTURE, "struct", Status::Ok),
            check("other", "vdso", Status::Ok),
            check(CAPTURE, "words", Status::Ok),
        ];
        keep(&checks, kernel("amd64"), folder.path()).unwrap();
        let path = folder.path().join(format!("amd64-{}.txt", kernel("amd64").series));
        assert_eq!(fs::read_to_string(path).unwrap(), "struct 7 8\nwords 7 8\n");
    }

    #[test]
    fn a_page_that_was_not_captured_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let failed = [check(CAPTURE, "words", Status::Ok), check(CAPTURE, "x", Status::Fail)];
        for checks in [&failed[..], &[]] {
            assert!(keep(checks, kernel("amd64"), folder.path()).is_err());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
