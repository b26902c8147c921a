//! Everything that is promised of an image, as a table, and what breaks where a promise is.
//!
//! A check is a function from the image to nothing or to what is wrong; it judges one thing only and
//! leaves what is missing altogether to the check whose promise that is.

mod debug;
mod dynamic;
mod exports;
mod header;
mod notes;
mod sections;
mod unwind;

use anyhow::Result;

use super::subject::Subject;

pub use debug::workspace;

/// A promise.
pub struct Check {
    /// How the check is called, in output and tests.
    pub name: &'static str,
    /// What must be there.
    pub needs: Needs,
    /// The error says what is wrong.
    pub run: fn(&Subject<'_>) -> Result<()>,
    /// What to do about a failure.
    pub remedy: &'static str,
}

/// What a check cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The image. What else the check can learn from a debug file, it does if there is one.
    Image,
    /// Also the debug file.
    DebugFile,
}

const fn image(
    name: &'static str,
    run: fn(&Subject<'_>) -> Result<()>,
    remedy: &'static str,
) -> Check {
    Check { name, needs: Needs::Image, run, remedy }
}

const fn debug(
    name: &'static str,
    run: fn(&Subject<'_>) -> Result<()>,
    remedy: &'static str,
) -> Check {
    Check { name, needs: Needs::DebugFile, run, remedy }
}

/// All promises, in the order in which a reader of the file meets what they are about.
pub const CHECKS: &[Check] = &[
    image("elf-header", header::elf_header, "link a shared object for the target in the table"),
    image(
        "file-size",
        header::file_size,
        "find out what has grown: the image is mapped in every process",
    ),
    image(
        "one-load-segment",
        header::one_load_segment,
        "keep every section in the segment :text of image.ld",
    ),
    image(
        "load-segment-flags",
        header::load_segment_flags,
        "give the segment FLAGS(5) in image.ld",
    ),
    image(
        "load-segment-place",
        header::load_segment_place,
        "begin the segment with FILEHDR PHDRS at address 0 in image.ld",
    ),
    image(
        "segments-present",
        header::segments_present,
        "name the segment in PHDRS of image.ld, and give it its section",
    ),
    image(
        "stack-not-executable",
        header::stack_not_executable,
        "name PT_GNU_STACK in PHDRS of image.ld, without the flag of execution",
    ),
    image(
        "entry-point",
        header::entry_point,
        "name it by --entry in build/images.rs, and keep its code in .text",
    ),
    image("soname", dynamic::soname, "pass -soname to the linker"),
    image(
        "no-dependencies",
        dynamic::no_dependencies,
        "link the image's object alone, without libraries or paths",
    ),
    image(
        "no-relocation",
        dynamic::no_relocation,
        "take addresses relative to the program counter, and keep none in data",
    ),
    image(
        "no-constructors",
        dynamic::no_constructors,
        "drop it: nobody runs code of an image before its functions",
    ),
    image(
        "hash-tables",
        dynamic::hash_tables,
        "pass --hash-style as the table says: glibc reads .gnu.hash, older musl reads .hash",
    ),
    image("gnu-hash-lookup", dynamic::gnu_hash_lookup, "keep .gnu.hash as the linker writes it"),
    image(
        "system-v-hash-lookup",
        dynamic::system_v_hash_lookup,
        "keep .hash as the linker writes it",
    ),
    image(
        "versions",
        dynamic::versions,
        "keep the version script of build/images.rs: Go crashes without versions, others find nothing",
    ),
    image(
        "required-exports",
        exports::required_exports,
        "define the function in exports.rs, as the table of architectures has it",
    ),
    image(
        "no-other-export",
        exports::no_other_export,
        "take it out of exports.rs, or add it to the table of architectures",
    ),
    image(
        "export-bindings",
        exports::export_bindings,
        "functions are global and aliases weak, in exports.rs",
    ),
    image(
        "export-sizes",
        exports::export_sizes,
        "give it .size, as signal-time unwinders and debuggers look there",
    ),
    image("exports-in-text", exports::exports_in_text, "put it into a section .text or .text.*"),
    image("aliases", exports::aliases, "make the alias with .set in exports.rs"),
    image(
        "no-undefined-symbol",
        exports::no_undefined_symbol,
        "find the call: a bounds check, a division of 128 bits, or a copy of memory",
    ),
    image(
        "no-panic-path",
        exports::no_panic_path,
        "find the code that can panic or call the runtime, and rewrite it",
    ),
    image(
        "section-headers",
        sections::section_headers,
        "let the linker write section headers: debuggers and tracers find symbols by them",
    ),
    image(
        "no-writable-section",
        sections::no_writable_section,
        "drop the data: what an image writes would be shared by nobody, or by everybody",
    ),
    image(
        "no-thread-local",
        sections::no_thread_local,
        "drop the thread-local: no dynamic linker gives an image its storage",
    ),
    image(
        "no-constant-data",
        sections::no_constant_data,
        "compute it, or, if a function truly needs a table, allow its section in xtask",
    ),
    image(
        "build-id",
        notes::build_id,
        "pass --build-id to the linker and keep its section in the segment :note",
    ),
    image(
        "linux-version",
        notes::linux_version,
        "keep note.rs, and .note.linux in the segment :note of image.ld",
    ),
    image(
        "pages-note",
        notes::pages,
        "write the values of vdso_data::note::Pages::CURRENT in note.rs",
    ),
    image(
        "unwind-table-sorted",
        unwind::table_sorted,
        "keep .eh_frame_hdr and .eh_frame as the linker writes them",
    ),
    image(
        "unwind-covers-exports",
        unwind::covers_exports,
        "compile with -Cforce-unwind-tables=yes, and write .cfi_startproc in assembly",
    ),
    image(
        "unwind-hides-no-trampoline",
        unwind::hides_no_trampoline,
        "write no .cfi in trampolines.rs, and a NOP before the trampoline",
    ),
    debug("debug-build-id", debug::build_id, "link the debug file with the image's build-id"),
    debug(
        "debug-same-code",
        debug::same_code,
        "link image and debug file from one object, with the same script",
    ),
    debug(
        "debug-information",
        debug::information,
        "compile with -Cdebuginfo=2, and do not strip the debug file",
    ),
    debug("debug-paths", debug::paths, "map the folder with --remap-path-prefix in build.rs"),
    image(
        "no-build-path",
        debug::no_build_path,
        "map the folder with --remap-path-prefix in build.rs",
    ),
];
