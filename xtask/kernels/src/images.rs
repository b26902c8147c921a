//! What a kernel's vDSO exports, against an image of the same kernel's that was kept: the files called
//! `ARCH-RELEASE.so` and `ABI-compat-on-ARCH-RELEASE.so` in the folder that `VDSO_IMAGES` names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use vdso_elf::{Binding, Image};

use super::console::{Check, Status};

/// The check whose detail has all symbols.
const SYMBOLS: &str = "symbols";

/// One check for each program that has told its symbols.
pub fn compare(folder: &Path, arch: &str, release: &str, checks: &[Check]) -> Vec<Check> {
    let lists = checks.iter().filter(|check| check.name == SYMBOLS && check.status == Status::Ok);
    lists.map(|list| compared(folder, arch, release, list)).collect()
}

fn compared(folder: &Path, arch: &str, release: &str, list: &Check) -> Check {
    let abi = &list.abi;
    let name = if abi == arch {
        format!("{arch}-{release}.so")
    } else {
        format!("{abi}-compat-on-{arch}-{release}.so")
    };
    let path = folder.join(&name);
    let (status, detail) = if !path.exists() {
        (Status::Skip, "VDSO_IMAGES has no image of this kernel's".to_owned())
    } else {
        match difference(&path, &list.detail) {
            Ok(None) => (Status::Ok, format!("those of {name}")),
            Ok(Some(difference)) => (Status::Fail, format!("{name} has others: {difference}")),
            Err(error) => (Status::Fail, format!("{error:#}")),
        }
    };
    Check { name: "symbols-of-image".to_owned(), status, detail, ..list.clone() }
}

/// The symbols that only one of the two has.
fn difference(path: &Path, list: &str) -> Result<Option<String>> {
    let what = || format!("cannot read {}", path.display());
    let bytes = fs::read(path).with_context(what)?;
    let in_file = symbols(&Image::parse(&bytes).with_context(what)?);
    let in_kernel: BTreeSet<String> = list.split(' ').map(str::to_owned).collect();
    let only: Vec<&str> = in_file.symmetric_difference(&in_kernel).map(String::as_str).collect();
    Ok((!only.is_empty()).then(|| only.join(" ")))
}

/// As `test-programs/kernel-init/src/client/symbols.rs` lists them.
fn symbols(image: &Image<'_>) -> BTreeSet<String> {
    let exported = image.symbols().filter_map(Result::ok).filter(|symbol| {
        symbol.is_defined() && !symbol.is_absolute() && symbol.binding != Binding::Local
    });
    exported.map(|it| format!("{}@{}", it.name, it.version.unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use made_images::{ByteOrder, Class, Recipe, make};

    use super::*;

    fn list(detail: &str) -> Check {
        let [abi, group, name] = ["i386", "client", SYMBOLS].map(str::to_owned);
        Check { abi, group, name, status: Status::Ok, detail: detail.to_owned() }
    }

    #[test]
    fn symbols_are_compared_with_those_of_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let image = make(&Recipe::new(Class::Elf32, ByteOrder::Little)).bytes;
        fs::write(folder.path().join("i386-compat-on-amd64-6.1.so"), &image).unwrap();
        let all: Vec<String> = symbols(&Image::parse(&image).unwrap()).into_iter().collect();
        assert!(!all.is_empty());
        let status = |release: &str, detail: &str| {
            compare(folder.path(), "amd64", release, &[list(detail)])[0].status
        };
        assert_eq!(status("6.1", &all.join(" ")), Status::Ok);
        assert_eq!(status("6.1", &all[1..].join(" ")), Status::Fail);
        assert_eq!(status("6.2", &all.join(" ")), Status::Skip);
    }
}
