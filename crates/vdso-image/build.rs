//! Builds the image for the target that cargo builds for; `build/images.rs` does the work.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use vdso_data::architecture::{Architecture, ByteOrder};
use vdso_data::note::Pages;

#[path = "build/images.rs"]
mod images;

/// Names a folder with `core` for the target, where the toolchain has none: with `-Zbuild-std` cargo
/// builds the standard library, but does not tell build scripts where.
const SYSROOT: &str = "VDSO_IMAGE_SYSROOT";

/// The same for the targets of the other kinds of programs.
const COMPANION_SYSROOT: &str = "VDSO_IMAGE_COMPANION_SYSROOT";
const TWIN_SYSROOT: &str = "VDSO_IMAGE_TWIN_SYSROOT";

/// Names further architectures, as `arm64,riscv64`, whose images are wanted as well.
const ALSO: &str = "VDSO_IMAGE_ALSO";
/// Names a folder with one for each target like that of [`SYSROOT`], where the toolchain has no `core` for them.
const SYSROOTS: &str = "VDSO_IMAGE_SYSROOTS";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=image");
    println!("cargo::rerun-if-env-changed={SYSROOT}");
    println!("cargo::rerun-if-env-changed={}", images::LINKER);
    let build = from_cargo();
    println!("cargo::rerun-if-changed={}", build.data_source.display());
    println!("cargo::rerun-if-changed={}", build.arch_source.display());
    if let Err(error) = build.images() {
        panic!("there is no image for {}: {error}", build.target);
    }
    println!("cargo::rustc-check-cfg=cfg(counting)");
    if build.architecture.counts {
        println!("cargo::rustc-cfg=counting");
    }
    write_pages(&build);
    build_other(&build, "companion", build.architecture.companion, COMPANION_SYSROOT);
    build_other(&build, "twin", build.architecture.twin, TWIN_SYSROOT);
    build_also(&build);
}

/// The images for other machines that somebody has asked for, and a list of them for the crate.
fn build_also(build: &images::Build) {
    println!("cargo::rerun-if-env-changed={ALSO}");
    println!("cargo::rerun-if-env-changed={SYSROOTS}");
    let names = env::var(ALSO).unwrap_or_default();
    let sysroots = env::var_os(SYSROOTS).map(PathBuf::from);
    let mut list = String::from("&[");
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let architecture = Architecture::named(name).unwrap_or_else(|| {
            let known: Vec<_> = vdso_data::architecture::ALL.iter().map(|row| row.name).collect();
            panic!("{ALSO}: there is no image for {name}, only for {}", known.join(", "))
        });
        let target = architecture.target;
        let sysroot = sysroots.as_ref().map(|folder| folder.join(target));
        let sysroot = sysroot.filter(|folder| folder.is_dir());
        if sysroot.is_none() && !has_core(build, target) {
            panic!("{ALSO}: the toolchain cannot compile for {name}: rustup target add {target}");
        }
        let out = build.out.join("also").join(name);
        std::fs::create_dir_all(&out).expect("OUT_DIR is writable");
        let target = target.to_owned();
        let other = images::Build { target, architecture, sysroot, out, ..build.clone() };
        if let Err(error) = other.images() {
            panic!("there is no image for {}: {error}", other.target);
        }
        let file =
            |source: &str| format!("include_bytes!(r\"{}/{source}.so\")", other.out.display());
        list += &format!("(\"{name}\", [{}, {}, {}]),", file("own"), file("host"), file("chain"));
    }
    std::fs::write(build.out.join("also.rs"), list + "]").expect("OUT_DIR is writable");
}

/// For the crate, which compares: whoever maps an image writes the pages of the vdso-data that it is linked
/// with, and the image reads those of the one that it is compiled from.
fn write_pages(build: &images::Build) {
    let Pages { own_version, own_offset, process_version, process_offset } =
        Pages::on(build.architecture);
    let text = format!("[{own_version}, {own_offset}, {process_version}, {process_offset}]");
    std::fs::write(build.out.join("pages.rs"), text).expect("OUT_DIR is writable");
}

/// The images for another kind of programs that the same kernel executes, into a folder of this name, where
/// there is one and the toolchain can compile it.
fn build_other(build: &images::Build, folder: &str, name: Option<&str>, sysroot: &str) {
    println!("cargo::rustc-check-cfg=cfg({folder})");
    println!("cargo::rerun-if-env-changed={sysroot}");
    let Some(architecture) = name.and_then(Architecture::named) else {
        return;
    };
    let sysroot = env::var_os(sysroot).map(PathBuf::from);
    if sysroot.is_none() && !has_core(build, architecture.target) {
        return;
    }
    let out = build.out.join(folder);
    std::fs::create_dir_all(&out).expect("OUT_DIR is writable");
    let target = architecture.target.to_owned();
    let build = images::Build { target, architecture, sysroot, out, ..build.clone() };
    if let Err(error) = build.images() {
        panic!("there is no image for {}: {error}", build.target);
    }
    println!("cargo::rustc-cfg={folder}");
}

/// Whether the toolchain has `core` for a target.
fn has_core(build: &images::Build, target: &str) -> bool {
    let mut rustc = Command::new(&build.rustc);
    let output = rustc.args(["--print", "target-libdir", "--target", target]).output();
    let output = output.expect("cargo's rustc can be run");
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end());
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
}

fn from_cargo() -> images::Build {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let architecture = architecture();
    // Programs of Linux's kind call an image, whatever is below: a kernel's own target lacks registers.
    let target = match variable("CARGO_CFG_TARGET_OS").as_str() {
        "linux" | "android" => variable("TARGET"),
        _ => architecture.target.to_owned(),
    };
    images::Build {
        rustc: variable("RUSTC").into(),
        target,
        architecture,
        sysroot: env::var_os(SYSROOT).map(PathBuf::from),
        image_source: manifest.join("image"),
        data_source: PathBuf::from(vdso_data::SOURCE_FOLDER),
        arch_source: PathBuf::from(vdso_arch::SOURCE_FOLDER),
        linker: env::var_os(images::LINKER).map(PathBuf::from),
        // A compiler that is younger than this crate may warn of more.
        warnings: images::Warnings::Allowed,
        out: PathBuf::from(variable("OUT_DIR")),
    }
}

/// The row of the table for the target.
fn architecture() -> &'static Architecture {
    let name = variable("CARGO_CFG_TARGET_ARCH");
    let bits = variable("CARGO_CFG_TARGET_POINTER_WIDTH").parse().expect("a number");
    let byte_order = match variable("CARGO_CFG_TARGET_ENDIAN").as_str() {
        "big" => ByteOrder::Big,
        _ => ByteOrder::Little,
    };
    Architecture::of(&name, bits, byte_order).unwrap_or_else(|| {
        let known: Vec<_> = vdso_data::architecture::ALL.iter().map(|row| row.name).collect();
        panic!("there is no image for {name} ({bits} bits), only for {}", known.join(", "))
    })
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo sets {name}: {error}"))
}
