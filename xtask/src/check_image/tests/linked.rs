//! Bad images, compiled and linked as the image is, from sources with the mistakes that are easily
//! made in it: what the toolchain makes of them is what the checks must see.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::check;
use crate::check_image::subject::Subject;

/// A mistake: the check that must see it, the source, and further arguments to the linker.
struct Mistake {
    check: &'static str,
    source: &'static str,
    linker: &'static [&'static str],
}

const PLAIN: &str = "#[unsafe(no_mangle)] pub extern \"C\" fn f() -> u32 { 1 }";

const MISTAKES: &[Mistake] = &[
    Mistake {
        check: "no-writable-section",
        source: "use core::sync::atomic::{AtomicU32, Ordering};
            static COUNT: AtomicU32 = AtomicU32::new(1);
            #[unsafe(no_mangle)]
            pub extern \"C\" fn f() -> u32 { COUNT.fetch_add(1, Ordering::Relaxed) }",
        linker: &[],
    },
    Mistake {
        check: "no-relocation",
        source: "#[unsafe(no_mangle)] pub static F: extern \"C\" fn() -> u32 = f;
            pub extern \"C\" fn f() -> u32 { 1 }",
        linker: &[],
    },
    Mistake {
        check: "no-undefined-symbol",
        source: "unsafe extern \"C\" { fn g() -> u32; }
            #[unsafe(no_mangle)] pub extern \"C\" fn f() -> u32 { unsafe { g() } }",
        linker: &[],
    },
    Mistake {
        check: "no-panic-path",
        source: "#[unsafe(no_mangle)]
            pub extern \"C\" fn f(table: &[u32; 4], index: usize) -> u32 { table[index] }",
        linker: &[],
    },
    Mistake {
        check: "no-panic-path",
        source: "#[unsafe(no_mangle)]
            pub extern \"C\" fn f(wide: &mut u128, by: &u128) { *wide /= *by }",
        linker: &[],
    },
    Mistake {
        check: "no-constant-data",
        source: "#[unsafe(no_mangle)]
            pub extern \"C\" fn f(index: u8) -> u64 {
                const TABLE: [u64; 256] = { let mut t = [7; 256]; t[9] = 1; t };
                TABLE[index as usize]
            }",
        linker: &[],
    },
    Mistake {
        check: "no-thread-local",
        source: "core::arch::global_asm!(\".section .tdata,\\\"awT\\\",@progbits\", \".quad 1\");
            #[unsafe(no_mangle)] pub extern \"C\" fn f() -> u32 { 1 }",
        linker: &[],
    },
    Mistake {
        check: "no-constructors",
        source: "#[unsafe(no_mangle)] pub extern \"C\" fn f() -> u32 { 1 }
            #[used] #[unsafe(link_section = \".init_array\")]
            static F: extern \"C\" fn() -> u32 = f;",
        linker: &[],
    },
    Mistake { check: "no-dependencies", source: PLAIN, linker: &["-rpath=/lib"] },
    Mistake { check: "hash-tables", source: PLAIN, linker: &["--hash-style=gnu"] },
    Mistake { check: "load-segment-place", source: PLAIN, linker: &["--image-base=0x10000"] },
    Mistake { check: "build-id", source: PLAIN, linker: &["--build-id=none"] },
    Mistake {
        check: "section-headers",
        source: PLAIN,
        linker: &["-zrodynamic", "-znosectionheader"],
    },
    Mistake { check: "soname", source: PLAIN, linker: &["-soname=libf.so"] },
    Mistake { check: "one-load-segment", source: PLAIN, linker: &[] },
    Mistake { check: "versions", source: PLAIN, linker: &[] },
    Mistake { check: "no-other-export", source: PLAIN, linker: &[] },
];

#[test]
fn every_linked_mistake_is_seen() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    for (index, mistake) in MISTAKES.iter().enumerate() {
        let image = link(folder.path(), index, mistake);
        let subject = subject(&image);
        let outcome = (check(mistake.check).run)(&subject);
        assert!(outcome.is_err(), "{} does not see mistake {index}", mistake.check);
    }
}

/// What the same toolchain makes of a source without a mistake passes what is about code.
#[test]
fn a_source_without_a_mistake_passes() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let mistake = Mistake { check: "", source: PLAIN, linker: &[] };
    let image = link(folder.path(), 0, &mistake);
    let subject = subject(&image);
    for name in [
        "no-dependencies",
        "no-relocation",
        "no-constructors",
        "hash-tables",
        "no-undefined-symbol",
        "no-panic-path",
        "no-writable-section",
        "no-thread-local",
        "no-constant-data",
        "build-id",
        "unwind-table-sorted",
    ] {
        let outcome = (check(name).run)(&subject);
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
}

fn subject(image: &[u8]) -> Subject<'_> {
    Subject {
        architecture: vdso_image::ARCHITECTURE,
        bytes: image,
        debug: Some(image),
        counts: false,
    }
}

fn link(folder: &Path, index: usize, mistake: &Mistake) -> Vec<u8> {
    let source = folder.join(format!("{index}.rs"));
    let object = folder.join(format!("{index}.o"));
    let image = folder.join(format!("{index}.so"));
    fs::write(&source, format!("#![no_std]\n{}", mistake.source)).expect("the folder is writable");
    let mut rustc = rustc();
    rustc.args(["--edition=2024", "--crate-type=lib", "--emit=obj", "-Copt-level=3"]);
    rustc.args(["-Cpanic=abort", "-Crelocation-model=pic", "-Cforce-unwind-tables=yes"]);
    run(rustc.arg("-o").arg(&object).arg(&source));
    let mut linker = Command::new(rust_lld());
    linker.args(["-flavor", "gnu", "-shared", "--hash-style=both", "--eh-frame-hdr"]);
    linker.args(["--build-id=sha1", "-soname=linux-vdso.so.1", "-znorelro"]).args(mistake.linker);
    run(linker.arg("-o").arg(&image).arg(&object));
    fs::read(image).expect("the linker has written the image")
}

fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// The linker that comes with the toolchain.
fn rust_lld() -> PathBuf {
    let sysroot = PathBuf::from(stdout(rustc().args(["--print", "sysroot"])));
    let host = stdout(rustc().args(["--print", "host-tuple"]));
    sysroot.join("lib/rustlib").join(host).join("bin/rust-lld")
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().expect("rustc runs");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("rustc prints text").trim().to_owned()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}
