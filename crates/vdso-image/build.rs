//! Compiles the image, once for each source of time, and links it.
//!
//! The compiler and the linker are called directly, as cargo can build neither from a profile of
//! its own nor with a linker script of its own for one dependency: with `cdylib` rustc adds a
//! version script that hides ours. The flags below are the whole configuration, so the bytes are the
//! same from every profile, and paths are mapped to fixed ones, so they are the same from every
//! folder.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The values of `--cfg source`, as in `image/source/mod.rs`.
const SOURCES: [&str; 3] = ["own", "host", "chain"];

/// Where the sources seem to be in debug information. `docs/DEBUGGING.md` tells how gdb is told.
const MAPPED_IMAGE: &str = "/vdso-image/image";
const MAPPED_DATA: &str = "/vdso-data/src";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=image");
    let build = Build::from_cargo();
    println!("cargo::rerun-if-changed={}", build.data_source.display());
    let data = build.compile_data();
    for source in SOURCES {
        let object = build.compile_image(source, &data);
        build.link(source, &object);
    }
}

struct Build {
    rustc: OsString,
    target: String,
    target_arch: String,
    image_source: PathBuf,
    data_source: PathBuf,
    out: PathBuf,
    linker: PathBuf,
    standard_library_source: PathBuf,
}

impl Build {
    fn from_cargo() -> Self {
        let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
        let host = env::var("HOST").expect("cargo sets HOST");
        let sysroot = PathBuf::from(stdout_of(Command::new(&rustc).args(["--print", "sysroot"])));
        let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
        Self {
            rustc,
            target: env::var("TARGET").expect("cargo sets TARGET"),
            target_arch: env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it"),
            image_source: manifest.join("image"),
            data_source: env::var_os("DEP_VDSO_DATA_SOURCE_SOURCE")
                .map(PathBuf::from)
                .expect("vdso-data's build script tells where its source is"),
            out: PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")),
            linker: sysroot.join("lib/rustlib").join(host).join("bin/rust-lld"),
            standard_library_source: sysroot.join("lib/rustlib/src/rust"),
        }
    }

    /// vdso-data as a library with this build's flags.
    fn compile_data(&self) -> PathBuf {
        let library = self.out.join("libvdso_data.rlib");
        let mut rustc = self.rustc(&self.data_source);
        rustc.args(["--crate-name=vdso_data", "--crate-type=rlib", "--emit=link"]);
        rustc.arg("lib.rs").arg("-o").arg(&library);
        run(&mut rustc);
        library
    }

    fn compile_image(&self, source: &str, data: &Path) -> PathBuf {
        let object = self.out.join(format!("{source}.o"));
        let mut rustc = self.rustc(&self.image_source);
        rustc.args(["--crate-name=vdso_image", "--crate-type=lib", "--emit=obj"]);
        rustc.arg("--cfg").arg(format!("source=\"{source}\""));
        rustc.arg("--check-cfg=cfg(source, values(\"own\", \"host\", \"chain\"))");
        rustc.args(["-Dwarnings", "-Dunsafe-op-in-unsafe-fn"]);
        let mut extern_data = OsString::from("vdso_data=");
        extern_data.push(data);
        rustc.arg("--extern").arg(extern_data);
        rustc.arg("lib.rs").arg("-o").arg(&object);
        run(&mut rustc);
        object
    }

    fn rustc(&self, source: &Path) -> Command {
        let mut rustc = Command::new(&self.rustc);
        rustc.current_dir(source);
        // Flags for the rest of the build are not for the image.
        rustc.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        rustc.args(["--edition=2024", "--target", &self.target]);
        rustc.args([
            "-Copt-level=3",
            "-Cpanic=abort",
            "-Ccodegen-units=1",
            "-Coverflow-checks=off",
            "-Cdebug-assertions=off",
            "-Crelocation-model=pic",
            "-Cforce-unwind-tables=yes",
            "-Cdebuginfo=2",
            "-Cmetadata=vdso-image",
            // Two 8-byte stores: a caller that loads one of them right away would wait for a
            // 16-byte store to leave the store buffer.
            "-Cno-vectorize-slp",
            "-Cno-vectorize-loops",
            "-Ctarget-cpu=generic",
            // A function of a few nanoseconds shows where its cache line begins.
            "-Cllvm-args=-align-all-functions=6",
        ]);
        let out = self.out.as_os_str();
        for (from, to) in [
            (self.image_source.as_os_str(), MAPPED_IMAGE),
            (self.data_source.as_os_str(), MAPPED_DATA),
            (self.standard_library_source.as_os_str(), "/rust"),
            (out, "/build"),
        ] {
            let mut map = OsString::from("--remap-path-prefix=");
            map.push(from);
            map.push("=");
            map.push(to);
            rustc.arg(map);
        }
        rustc
    }

    /// Links twice: the image, whose build-id is computed from nothing but its own bytes, and the
    /// same with debug information under the same build-id.
    fn link(&self, source: &str, object: &Path) {
        let image = self.out.join(format!("{source}.so"));
        run(self.linker(object).args(["--strip-all", "--build-id=sha1"]).arg("-o").arg(&image));
        let bytes = std::fs::read(&image).expect("the linker has written the image");
        let build_id = format!("--build-id=0x{}", build_id(&bytes));
        let debug = self.out.join(format!("{source}.debug"));
        run(self.linker(object).arg(build_id).arg("-o").arg(&debug));
    }

    fn linker(&self, object: &Path) -> Command {
        let script = self.image_source.join("arch").join(&self.target_arch).join("image.ld");
        let mut linker = Command::new(&self.linker);
        linker.args(["-flavor", "gnu", "-shared", "-soname=linux-vdso.so.1"]);
        linker.args(["--hash-style=both", "--eh-frame-hdr", "--no-undefined", "-Bsymbolic"]);
        linker.args(["-znoexecstack", "-zmax-page-size=4096", "--fatal-warnings"]);
        linker.arg("-T").arg(script).arg(object);
        linker
    }
}

/// The build-id of an image that this script has just linked, in hexadecimal.
fn build_id(image: &[u8]) -> String {
    // The note's header: name size 4, description size 20, type 3, name "GNU".
    let header = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let at = image
        .windows(header.len())
        .position(|window| window == header)
        .expect("the linker was told to write a build-id");
    image[at + header.len()..][..20].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn stdout_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?} failed: {}", output.status);
    String::from_utf8(output.stdout).expect("rustc prints UTF-8").trim_end().to_owned()
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(status.success(), "{command:?} failed: {status}");
}
