//! Bad images, made from a good one by setting a field or two.

use object::elf::{
    DF_TEXTREL, DT_FLAGS, DT_GNU_HASH, DT_HASH, DT_INIT_ARRAY, DT_NEEDED, DT_RELA, DT_RPATH,
    DT_RUNPATH, DT_SONAME, DT_VERDEF, DT_VERDEFNUM, DT_VERSYM, DynamicTag, EM_AARCH64, PT_DYNAMIC,
    PT_GNU_EH_FRAME, PT_GNU_STACK, PT_LOAD, PT_NOTE, PT_NULL, PT_TLS, SHF_TLS, SHF_WRITE,
    SHT_DYNSYM, SHT_PROGBITS, SHT_RELA,
};

use vdso_data::architecture::{Architecture, Means, Rules};

use super::Pair;
use super::edit::*;
use crate::check_image::checks::workspace;

/// The check that must fail, what is wrong with the image, and what makes it so.
type Spoilt = (&'static str, &'static str, fn(&mut Pair));

pub const SPOILT: &[Spoilt] = &[
    ("elf-header", "for arm64", |bad| put16(&mut bad.image, E_MACHINE, EM_AARCH64.0)),
    ("elf-header", "an executable", |bad| put16(&mut bad.image, 16, 2)),
    ("file-size", "a page too much", |bad| bad.image.resize(11 << 12, 0)),
    ("one-load-segment", "another one", |bad| set_segment(bad, PT_NOTE.0, P_TYPE, PT_LOAD.0)),
    ("load-segment-flags", "writable", |bad| set_segment(bad, PT_LOAD.0, P_FLAGS, 7)),
    ("load-segment-flags", "not executable", |bad| set_segment(bad, PT_LOAD.0, P_FLAGS, 4)),
    ("load-segment-flags", "not readable", |bad| set_segment(bad, PT_LOAD.0, P_FLAGS, 1)),
    ("load-segment-place", "linked elsewhere", |bad| set_segment(bad, PT_LOAD.0, P_VADDR, 1 << 12)),
    ("load-segment-place", "not aligned", |bad| set_segment(bad, PT_LOAD.0, P_ALIGN, 16)),
    ("load-segment-place", "zeroed memory", |bad| set_segment(bad, PT_LOAD.0, P_MEMSZ, 9 << 12)),
    ("segments-present", "no dynamic table", |bad| set_segment(bad, PT_DYNAMIC.0, P_TYPE, 0)),
    ("segments-present", "no notes", |bad| set_segment(bad, PT_NOTE.0, P_TYPE, PT_NULL.0)),
    ("segments-present", "no unwind table", |bad| set_segment(bad, PT_GNU_EH_FRAME.0, P_TYPE, 0)),
    ("segments-present", "notes outside", |bad| set_segment(bad, PT_NOTE.0, P_VADDR, 1 << 16)),
    ("stack-not-executable", "missing", |bad| set_segment(bad, PT_GNU_STACK.0, P_TYPE, 0)),
    ("stack-not-executable", "executable", |bad| set_segment(bad, PT_GNU_STACK.0, P_FLAGS, 7)),
    ("entry-point", "the ELF header", |bad| put64(&mut bad.image, E_ENTRY, 0)),
    ("soname", "empty", |bad| set_dynamic(bad, DT_SONAME, D_VAL, 0)),
    ("soname", "missing", |bad| set_dynamic(bad, DT_SONAME, D_TAG, UNKNOWN_TAG)),
    ("no-dependencies", "a library", |bad| set_dynamic(bad, DT_FLAGS, D_TAG, DT_NEEDED.0)),
    ("no-dependencies", "an old search path", |bad| set_dynamic(bad, DT_FLAGS, D_TAG, DT_RPATH.0)),
    ("no-dependencies", "a search path", |bad| set_dynamic(bad, DT_FLAGS, D_TAG, DT_RUNPATH.0)),
    ("no-relocation", "in the dynamic table", |bad| set_dynamic(bad, DT_FLAGS, D_TAG, DT_RELA.0)),
    ("no-relocation", "of code", |bad| {
        set_dynamic(bad, DT_FLAGS, D_VAL, DF_TEXTREL.0 as i64);
    }),
    ("no-relocation", "a section of it", |bad| set_section(bad, ".eh_frame", SH_TYPE, SHT_RELA.0)),
    ("no-constructors", "an array", |bad| set_dynamic(bad, DT_FLAGS, D_TAG, DT_INIT_ARRAY.0)),
    ("hash-tables", "no DT_HASH", |bad| set_dynamic(bad, DT_HASH, D_TAG, UNKNOWN_TAG)),
    ("hash-tables", "no DT_GNU_HASH", |bad| set_dynamic(bad, DT_GNU_HASH, D_TAG, UNKNOWN_TAG)),
    ("gnu-hash-lookup", "a filter that lets nothing pass", |bad| {
        let filter = content(&bad.image, ".gnu.hash") + 16;
        put64(&mut bad.image, filter, 0);
    }),
    ("system-v-hash-lookup", "an empty bucket", |bad| {
        let buckets = content(&bad.image, ".hash") + 8;
        let full = (buckets..).step_by(4).find(|at| get32(&bad.image, *at) != 0);
        put32(&mut bad.image, full.expect("not all are empty"), 0);
    }),
    ("versions", "no definitions", |bad| set_dynamic(bad, DT_VERDEF, D_TAG, UNKNOWN_TAG)),
    ("versions", "no symbol has one", |bad| set_dynamic(bad, DT_VERSYM, D_TAG, UNKNOWN_TAG)),
    ("versions", "a wrong number", |bad| set_dynamic(bad, DT_VERDEFNUM, D_VAL, 3)),
    ("versions", "another name", |bad| replace(&mut bad.image, "LINUX_2.6\0", "LINUX_2.7\0")),
    ("versions", "one symbol has none", |bad| {
        let index = symbol_index(&bad.image, "__vdso_time", SHT_DYNSYM);
        let at = content(&bad.image, ".gnu.version") + 2 * index;
        put16(&mut bad.image, at, 1);
    }),
    ("versions", "a wrong hash", |bad| {
        const BASE_DEFINITION: usize = 28;
        const VD_HASH: usize = 8;
        let at = content(&bad.image, ".gnu.version_d") + BASE_DEFINITION + VD_HASH;
        bad.image[at] ^= 1;
    }),
    ("required-exports", "one is undefined", |bad| {
        let at = symbol(&bad.image, "__vdso_getcpu");
        put16(&mut bad.image, at + ST_SHNDX, 0);
    }),
    ("required-exports", "one is data", |bad| set_symbol_byte(bad, "__vdso_getcpu", 0x11)),
    ("required-exports", "one is renamed", |bad| {
        replace(&mut bad.image, "__vdso_getcpu\0", "__vdso_gotcpu\0");
    }),
    ("no-other-export", "a new name", |bad| {
        replace(&mut bad.image, "__vdso_getcpu\0", "__vdso_gotcpu\0");
    }),
    ("export-bindings", "a strong alias", |bad| set_symbol_byte(bad, "clock_gettime", 0x12)),
    ("export-bindings", "a weak function", |bad| set_symbol_byte(bad, "__vdso_time", 0x22)),
    ("export-sizes", "none", |bad| set_symbol(bad, "__vdso_time", ST_SIZE, 0)),
    ("exports-in-text", "in the ELF header", |bad| set_symbol(bad, "__vdso_time", ST_VALUE, 8)),
    ("exports-in-text", "longer than it", |bad| set_symbol(bad, "__vdso_time", ST_SIZE, 1 << 16)),
    ("exports-in-text", "in another section", |bad| {
        let at = symbol(&bad.image, "__vdso_time");
        put16(&mut bad.image, at + ST_SHNDX, 1);
    }),
    ("aliases", "another function's address", |bad| {
        let other = symbol(&bad.image, "getcpu");
        let value = get64(&bad.image, other + ST_VALUE);
        set_symbol(bad, "time", ST_VALUE, value);
    }),
    ("no-undefined-symbol", "in the image", |bad| {
        let at = symbol(&bad.image, "__vdso_getcpu");
        put16(&mut bad.image, at + ST_SHNDX, 0);
    }),
    ("no-undefined-symbol", "in the debug file", |bad| {
        let at = debug_symbol(&bad.debug, "enter_program");
        put16(&mut bad.debug, at + ST_SHNDX, 0);
    }),
    ("no-panic-path", "an expectation", |bad| {
        replace(&mut bad.debug, "enter_program\0", "expect_failed\0");
    }),
    ("no-panic-path", "a division of 128 bits", |bad| {
        replace(&mut bad.debug, "own_page\0", "__udivti\0");
        replace(&mut bad.debug, "process_page\0", "my__umodti3x\0");
    }),
    ("section-headers", "none", |bad| {
        put64(&mut bad.image, E_SHOFF, 0);
        // And with them e_shstrndx.
        put32(&mut bad.image, E_SHNUM, 0);
    }),
    ("section-headers", "one without a name", |bad| set_section(bad, ".note.linux", SH_NAME, 0)),
    ("section-headers", "one renamed", |bad| replace(&mut bad.image, "\0.hash\0", "\0.hush\0")),
    ("no-writable-section", "unwind tables", |bad| {
        set_section(bad, ".eh_frame", SH_FLAGS, SHF_WRITE.0 as u32);
    }),
    ("no-thread-local", "a section", |bad| {
        set_section(bad, ".eh_frame", SH_FLAGS, SHF_TLS.0 as u32);
    }),
    ("no-thread-local", "a segment", |bad| set_segment(bad, PT_NOTE.0, P_TYPE, PT_TLS.0)),
    ("no-constant-data", "strings", |bad| {
        set_section(bad, ".note.linux", SH_TYPE, SHT_PROGBITS.0);
        replace(&mut bad.image, ".note.linux\0", ".rodata.str\0");
    }),
    ("build-id", "of another type", |bad| {
        const FROM_DESCRIPTION_TO_TYPE: usize = 8;
        let at = build_id(&bad.image) - FROM_DESCRIPTION_TO_TYPE;
        put32(&mut bad.image, at, 7);
    }),
    ("build-id", "shorter", |bad| {
        const FROM_DESCRIPTION_TO_SIZE: usize = 12;
        let at = build_id(&bad.image) - FROM_DESCRIPTION_TO_SIZE;
        put32(&mut bad.image, at, 16);
    }),
    ("pages-note", "another type", |bad| {
        let at = content(&bad.image, ".note.vdso");
        put32(&mut bad.image, at + 8, 7);
    }),
    ("pages-note", "another place", |bad| {
        let at = content(&bad.image, ".note.vdso");
        put32(&mut bad.image, at + 24, 0x9000);
    }),
    ("linux-version", "another owner", |bad| replace(&mut bad.image, "Linux\0", "linux\0")),
    ("linux-version", "none", |bad| {
        let at = content(&bad.image, ".note.linux") + 20;
        put32(&mut bad.image, at, 0);
    }),
    ("unwind-table-sorted", "two rows exchanged", |bad| {
        let rows = content(&bad.image, ".eh_frame_hdr") + 12;
        let (first, second) = (get64(&bad.image, rows), get64(&bad.image, rows + 8));
        put64(&mut bad.image, rows, second);
        put64(&mut bad.image, rows + 8, first);
    }),
    ("unwind-table-sorted", "a row is missing", |bad| {
        let count = content(&bad.image, ".eh_frame_hdr") + 8;
        bad.image[count] -= 1;
    }),
    ("unwind-table-sorted", "a row points elsewhere", |bad| {
        let rows = content(&bad.image, ".eh_frame_hdr") + 12;
        let second = get32(&bad.image, rows + 12);
        put32(&mut bad.image, rows + 4, second);
    }),
    ("unwind-covers-exports", "half a function", |bad| {
        let at = symbol(&bad.image, "__vdso_clock_gettime");
        let (vaddr, size) = (get64(&bad.image, at + ST_VALUE), get64(&bad.image, at + ST_SIZE));
        let range = unwind_range(&bad.image, vaddr);
        put32(&mut bad.image, range, size as u32 / 2);
    }),
    ("unwind-covers-exports", "not the byte before a trampoline", |bad| {
        bad.architecture = with_trampoline("__vdso_getcpu", Rules::Written);
    }),
    ("unwind-hides-no-trampoline", "rules for one that is known by its instructions", |bad| {
        bad.architecture = with_trampoline("__vdso_getcpu", Rules::ByInstructions);
    }),
    ("debug-build-id", "another build", |bad| {
        let at = build_id(&bad.debug);
        bad.debug[at] ^= 1;
    }),
    ("debug-same-code", "another instruction", |bad| {
        let at = content(&bad.debug, ".text");
        bad.debug[at] ^= 1;
    }),
    ("debug-information", "no lines", |bad| {
        replace(&mut bad.debug, "\0.debug_line\0", "\0.debug_lime\0");
    }),
    ("debug-information", "stripped", |bad| bad.debug.clone_from(&bad.image)),
    ("debug-paths", "an unexpected folder", |bad| {
        replace(&mut bad.debug, "/vdso-image/image", "/srv/hidden/image");
    }),
    ("no-build-path", "a home folder in the debug file", |bad| {
        replace(&mut bad.debug, "/vdso-image/image", "/home/me/vdso-img");
    }),
    ("no-build-path", "a temporary folder in the image", |bad| {
        bad.image.extend_from_slice(b"\0/tmp/build/\0");
    }),
    ("no-build-path", "the folder that this is built in", |bad| {
        bad.image.extend_from_slice(format!("={}/", workspace().display()).as_bytes());
    }),
];

/// `DT_DEBUG`, which nobody here asks for.
const UNKNOWN_TAG: i64 = 21;

/// The same architecture, where this function is a trampoline.
fn with_trampoline(name: &str, rules: Rules) -> &'static Architecture {
    let mut exports = vdso_image::ARCHITECTURE.exports.to_vec();
    let export = exports.iter_mut().find(|export| export.name == name);
    export.expect("the image has it").means = Means::Trampoline(rules);
    Box::leak(Box::new(Architecture { exports: exports.leak(), ..*vdso_image::ARCHITECTURE }))
}

fn set_segment(bad: &mut Pair, kind: u32, field: usize, value: u32) {
    assert!(is_expected(&bad.image));
    let at = segment(&bad.image, kind) + field;
    put32(&mut bad.image, at, value);
}

/// Sets the lower half where the field has 64 bits.
fn set_section(bad: &mut Pair, name: &str, field: usize, value: u32) {
    let at = section(&bad.image, name) + field;
    put32(&mut bad.image, at, value);
}

fn set_dynamic(bad: &mut Pair, tag: DynamicTag, field: usize, value: i64) {
    let at = dynamic(&bad.image, tag) + field;
    put64(&mut bad.image, at, value as u64);
}

fn set_symbol(bad: &mut Pair, name: &str, field: usize, value: u64) {
    let at = symbol(&bad.image, name) + field;
    put64(&mut bad.image, at, value);
}

/// Sets binding (upper half) and kind (lower half).
fn set_symbol_byte(bad: &mut Pair, name: &str, info: u8) {
    let at = symbol(&bad.image, name) + ST_INFO;
    bad.image[at] = info;
}
