//! Compiles the image, once for each source of time, and links it: for any architecture that there is
//! one for. `build.rs` does that for the target that cargo builds for, `cargo xtask images` for others.
//!
//! The compiler and the linker are called directly, as cargo can build neither from a profile of
//! its own nor with a linker script of its own for one dependency: with `cdylib` rustc adds a
//! version script that hides ours. The flags below are the whole configuration, so the bytes are the
//! same from every profile, and paths are mapped to fixed ones, so they are the same from every
//! folder.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use vdso_data::architecture::{Architecture, ByteOrder, HashStyle, Unwinding};
use vdso_data::detour::FROM_ENTRY;

/// The values of `--cfg source`, as in `image/source/mod.rs`.
pub const SOURCES: [&str; 3] = ["own", "host", "chain"];

/// Where the sources seem to be in debug information. `docs/DEBUGGING.md` tells how gdb is told.
const MAPPED_IMAGE: &str = "/vdso-image/image";
const MAPPED_DATA: &str = "/vdso-data/src";
const MAPPED_ARCH: &str = "/vdso-arch/src";
const MAPPED_STANDARD_LIBRARY: &str = "/rust";

/// The environment variable that names a linker to use instead of the toolchain's own.
pub const LINKER: &str = "VDSO_IMAGE_LINKER";

/// What becomes of the warnings of the compiler and the linker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "the build script and xtask each name one of them")]
pub enum Warnings {
    /// They are shown, where the build's output is.
    Allowed,
    /// There is no image.
    Denied,
}

/// What images are built from, and where to.
#[derive(Clone)]
pub struct Build {
    /// The compiler.
    pub rustc: OsString,
    /// What it compiles for; a target of `architecture`'s.
    pub target: String,
    /// What the image must be like.
    pub architecture: &'static Architecture,
    /// A folder with `core` for the target, where the compiler's own has none.
    pub sysroot: Option<PathBuf>,
    /// The folder `image/` of this crate.
    pub image_source: PathBuf,
    /// The folder `src/` of vdso-data.
    pub data_source: PathBuf,
    /// The folder `src/` of vdso-arch.
    pub arch_source: PathBuf,
    /// An existing folder.
    pub out: PathBuf,
    /// Instead of the toolchain's rust-lld; see [`LINKER`].
    pub linker: Option<PathBuf>,
    /// What becomes of warnings.
    pub warnings: Warnings,
}

/// Why there is no image.
pub type Error = String;

/// One of the images of an architecture.
#[derive(Clone, Copy)]
struct Variant {
    /// One of [`SOURCES`].
    source: &'static str,
    /// Whether it counts how often it is called.
    counts: bool,
}

impl Variant {
    /// That of its file, without an ending.
    fn file_name(self) -> String {
        format!("{}{}", self.source, if self.counts { "-counting" } else { "" })
    }
}

/// A compiled crate: its name and its file.
type Library = (&'static str, PathBuf);

impl Build {
    /// Writes `own.so`, `own.debug` and so on to the folder `out`, and where images count `own-counting.so` and so on.
    pub fn images(&self) -> Result<(), Error> {
        let compiler = Compiler::ask(&self.rustc, self.linker.as_deref())?;
        let arch = self.compile_library(&compiler, "vdso_arch", &self.arch_source, &[])?;
        let libraries = [("vdso_arch", arch)];
        let data = self.compile_library(&compiler, "vdso_data", &self.data_source, &libraries)?;
        let [arch] = libraries;
        let libraries = [arch, ("vdso_data", data)];
        for image in SOURCES.into_iter().flat_map(|source| self.images_of(source)) {
            let object = self.compile_image(&compiler, image, &libraries)?;
            self.link(&compiler, &image.file_name(), &object)?;
        }
        Ok(())
    }

    /// The image of a source, and the one that counts its calls.
    fn images_of(&self, source: &'static str) -> impl Iterator<Item = Variant> {
        let plain = Variant { source, counts: false };
        let counting = Variant { counts: true, ..plain };
        [plain, counting].into_iter().filter(|image| !image.counts || self.architecture.counts)
    }

    /// One of the crates that the image is made of, as a library with this build's flags.
    fn compile_library(
        &self,
        compiler: &Compiler,
        name: &str,
        source: &Path,
        libraries: &[Library],
    ) -> Result<PathBuf, Error> {
        let library = self.out.join(format!("lib{name}.rlib"));
        let mut rustc = self.rustc(compiler, source);
        rustc.arg(format!("--crate-name={name}")).args(["--crate-type=rlib", "--emit=link"]);
        add(&mut rustc, libraries);
        rustc.arg("lib.rs").arg("-o").arg(&library);
        run(&mut rustc)?;
        Ok(library)
    }

    fn compile_image(
        &self,
        compiler: &Compiler,
        image: Variant,
        libraries: &[Library],
    ) -> Result<PathBuf, Error> {
        let source = image.source;
        let object = self.out.join(format!("{}.o", image.file_name()));
        let mut rustc = self.rustc(compiler, &self.image_source);
        rustc.args(["--crate-name=vdso_image", "--crate-type=lib", "--emit=obj"]);
        rustc.arg("--cfg").arg(format!("source=\"{source}\""));
        rustc.arg("--check-cfg=cfg(source, values(\"own\", \"host\", \"chain\"))");
        rustc.arg("--check-cfg=cfg(inline_all)").arg("--check-cfg=cfg(own_getrandom)");
        rustc.arg("--check-cfg=cfg(detours)").arg("--check-cfg=cfg(counts)");
        if image.counts {
            rustc.arg("--cfg=counts");
        }
        if self.architecture.detours {
            rustc.arg("--cfg=detours");
        }
        if source != "chain" && self.architecture.has_own_getrandom() {
            rustc.arg("--cfg=own_getrandom");
        }
        rustc.arg("-Dunsafe-op-in-unsafe-fn");
        if self.warnings == Warnings::Denied {
            rustc.arg("-Dwarnings");
        }
        add(&mut rustc, libraries);
        rustc.arg("lib.rs").arg("-o").arg(&object);
        run(&mut rustc)?;
        Ok(object)
    }

    fn rustc(&self, compiler: &Compiler, source: &Path) -> Command {
        let mut rustc = Command::new(&self.rustc);
        rustc.current_dir(source);
        // Flags for the rest of the build are not for the image.
        rustc.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        rustc.env_remove("RUSTC_BOOTSTRAP");
        rustc.args(["--edition=2024", "--target", &self.target]);
        // Where a library's own libraries are looked for.
        rustc.arg("-L").arg(named("dependency", &self.out));
        if let Some(sysroot) = &self.sysroot {
            rustc.arg("--sysroot").arg(sysroot);
        }
        rustc.args([
            "-Copt-level=3",
            "-Cpanic=abort",
            "-Ccodegen-units=1",
            "-Coverflow-checks=off",
            "-Cdebug-assertions=off",
            "-Crelocation-model=pic",
            "-Cdebuginfo=2",
            "-Cmetadata=vdso-image",
            // Two 8-byte stores: a caller that loads one of them right away would wait for a
            // 16-byte store to leave the store buffer.
            "-Cno-vectorize-slp",
            "-Cno-vectorize-loops",
            // They would be data.
            "-Cjump-tables=no",
            // A function of a few nanoseconds shows where its cache line begins.
            "-Cllvm-args=-align-all-functions=6",
        ]);
        rustc.arg(match self.architecture.unwinding {
            Unwinding::Dwarf => "-Cforce-unwind-tables=yes",
            Unwinding::Nothing => "-Cforce-unwind-tables=no",
        });
        let flags = self.architecture.compiler_flags;
        if flags.iter().any(|flag| flag.starts_with("-Z")) {
            rustc.env("RUSTC_BOOTSTRAP", "1");
        }
        rustc.args(flags);
        for (from, to) in [
            (self.image_source.as_os_str(), MAPPED_IMAGE),
            (self.data_source.as_os_str(), MAPPED_DATA),
            (self.arch_source.as_os_str(), MAPPED_ARCH),
            (compiler.standard_library_source.as_os_str(), MAPPED_STANDARD_LIBRARY),
            (self.out.as_os_str(), "/build"),
        ] {
            rustc.arg(mapped_path(from, to));
        }
        rustc
    }

    /// Links twice: the image, whose build-id is computed from nothing but its own bytes, and the
    /// same with debug information under the same build-id.
    fn link(&self, compiler: &Compiler, source: &str, object: &Path) -> Result<(), Error> {
        let versions = self.out.join("versions.ld");
        write(&versions, version_script(self.architecture).as_bytes())?;
        let image = self.out.join(format!("{source}.so"));
        let mut linker = self.linker(compiler, &versions, object);
        run(linker.args(["--strip-all", "--build-id=sha1"]).arg("-o").arg(&image))?;
        let bytes = std::fs::read(&image)
            .map_err(|error| format!("cannot read {}: {error}", image.display()))?;
        // The linker knows of what a program needs of it; whoever maps the image takes all of the file.
        if bytes.len() > self.architecture.image_bytes {
            let room = self.architecture.image_bytes;
            return Err(format!(
                "{} has {} bytes, and room for {room}",
                image.display(),
                bytes.len()
            ));
        }
        let build_id = format!("--build-id=0x{}", build_id(&bytes, self.architecture.byte_order)?);
        let debug = self.out.join(format!("{source}.debug"));
        run(self.linker(compiler, &versions, object).arg(build_id).arg("-o").arg(&debug))?;
        if self.architecture.names_address_table {
            empty_address_table(&image)?;
            empty_address_table(&debug)?;
        }
        Ok(())
    }

    fn linker(&self, compiler: &Compiler, versions: &Path, object: &Path) -> Command {
        let mut linker = Command::new(&compiler.linker);
        // These are linkers of every kind, which the others are told by their name.
        if matches!(compiler.linker.file_name().and_then(OsStr::to_str), Some("rust-lld" | "lld")) {
            linker.args(["-flavor", "gnu"]);
        }
        linker.arg("-shared");
        linker.arg(format!("-soname={}", self.architecture.soname()));
        linker.arg(match self.architecture.hash_style {
            HashStyle::Both => "--hash-style=both",
            HashStyle::Gnu => "--hash-style=gnu",
            HashStyle::SystemV => "--hash-style=sysv",
        });
        linker.args(["--eh-frame-hdr", "--no-undefined", "-Bsymbolic", "-znoexecstack"]);
        if self.architecture.names_address_table {
            // A loader that binds functions when they are called writes to the table.
            linker.arg("-znow");
        }
        // Nobody enters an image without injection: the kernel's images have no entry point either.
        let enters = self.architecture.enters_programs;
        linker.arg(if enters { "--entry=enter_program" } else { "--entry=0" });
        linker.arg(format!("-zmax-page-size={}", self.architecture.page_bytes));
        linker.arg(format!("--defsym=IMAGE_BYTES={}", self.architecture.image_bytes));
        let detour_alignment = if self.architecture.detours { FROM_ENTRY } else { 1 };
        linker.arg(format!("--defsym=DETOUR_ALIGNMENT={detour_alignment}"));
        if self.warnings == Warnings::Denied {
            linker.arg("--fatal-warnings");
        }
        linker.arg("--version-script").arg(versions);
        // What an architecture adds comes first, as the first rule that fits a section decides.
        let added = self.image_source.join("arch").join(self.architecture.folder).join("image.ld");
        if added.exists() {
            linker.arg("-T").arg(added);
        }
        linker.arg("-T").arg(self.image_source.join("image.ld")).arg(object);
        linker
    }
}

/// An option's value: `name=path`.
fn named(name: &str, path: &Path) -> OsString {
    let mut named = OsString::from(format!("{name}="));
    named.push(path);
    named
}

fn add(rustc: &mut Command, libraries: &[Library]) {
    for (name, file) in libraries {
        rustc.arg("--extern").arg(named(name, file));
    }
}

/// What the compiler says about itself.
struct Compiler {
    linker: PathBuf,
    standard_library_source: PathBuf,
}

impl Compiler {
    fn ask(rustc: &OsString, linker: Option<&Path>) -> Result<Self, Error> {
        let sysroot = PathBuf::from(stdout_of(Command::new(rustc).args(["--print", "sysroot"]))?);
        let host = stdout_of(Command::new(rustc).args(["--print", "host-tuple"]))?;
        let own = sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
        if linker.is_none() && !own.exists() {
            return Err(format!(
                "this toolchain has no linker of its own ({} is missing). Toolchains of rustup have one; \
                 with any other, install LLVM's (Debian's package lld) and name it by {LINKER}, as in \
                 {LINKER}=ld.lld",
                own.display()
            ));
        }
        Ok(Self {
            linker: linker.map_or(own, Path::to_owned),
            standard_library_source: sysroot.join("lib/rustlib/src/rust"),
        })
    }
}

/// An argument to rustc.
pub fn mapped_path(from: &std::ffi::OsStr, to: &str) -> OsString {
    let mut map = OsString::from("--remap-path-prefix=");
    map.push(from);
    map.push("=");
    map.push(to);
    map
}

/// The functions, each in its version; all else is local.
fn version_script(architecture: &Architecture) -> String {
    let mut script = String::new();
    let mut versions: Vec<&str> = architecture.exports.iter().map(|it| it.version).collect();
    versions.sort_unstable();
    versions.dedup();
    // The one that most functions have is the last, as `local` closes it.
    for (index, version) in versions.iter().enumerate() {
        _ = writeln!(script, "{version} {{\nglobal:");
        for export in architecture.exports.iter().filter(|it| it.version == *version) {
            for name in [Some(export.name), export.alias].into_iter().flatten() {
                _ = writeln!(script, "\t{name};");
            }
        }
        if index + 1 == versions.len() {
            script.push_str("local:\n\t*;\n");
        }
        script.push_str("};\n");
    }
    script
}

/// The build-id of an image that has just been linked, in hexadecimal.
fn build_id(image: &[u8], byte_order: ByteOrder) -> Result<String, Error> {
    // The note's header: name size 4, description size 20, type 3, name "GNU".
    let mut header = Vec::new();
    for word in [4_u32, 20, 3] {
        header.extend(match byte_order {
            ByteOrder::Little => word.to_le_bytes(),
            ByteOrder::Big => word.to_be_bytes(),
        });
    }
    header.extend(b"GNU\0");
    let at = image.windows(header.len()).position(|window| window == header);
    let build_id = at.and_then(|at| image.get(at + header.len()..)?.get(..20));
    let build_id = build_id.ok_or("the linker was told to write a build-id, but there is none")?;
    Ok(build_id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Says in the dynamic table of a 64-bit little-endian file that the table of addresses, which the image
/// lacks, is empty. The linker counts two entries in each: they are for the loader's own use, and musl's
/// moves them as it moves all others, which in an image would be a write to what cannot be written.
fn empty_address_table(path: &Path) -> Result<(), Error> {
    const DT_MIPS_LOCAL_GOTNO: u64 = 0x7000_000a;
    const OF_THE_LOADER: u64 = 2;
    let mut bytes =
        std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let entry = |count: u64| [DT_MIPS_LOCAL_GOTNO.to_le_bytes(), count.to_le_bytes()].concat();
    let linked = entry(OF_THE_LOADER);
    let at = bytes.windows(linked.len()).position(|window| window == linked);
    let at = at.ok_or_else(|| {
        format!("{}: addresses are taken from a table, which an image lacks", path.display())
    })?;
    bytes[at..at + linked.len()].copy_from_slice(&entry(0));
    write(path, &bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn stdout_of(command: &mut Command) -> Result<String, Error> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} failed: {}", output.status));
    }
    let text =
        String::from_utf8(output.stdout).map_err(|_| format!("{command:?} prints no text"))?;
    Ok(text.trim_end().to_owned())
}

fn run(command: &mut Command) -> Result<(), Error> {
    let status = command.status().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}")) }
}
