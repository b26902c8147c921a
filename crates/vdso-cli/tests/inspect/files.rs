//! Files: images of ours and of real kernels, and what is no image at all.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use object::{Object, ObjectSymbol};
use test_support::{Lacking, skip};
use vdso_image::Source;

use crate::images;
use crate::support::scratch;
use crate::{addr, facts, vdso, write};

/// An image in a file, or a core file, of which `vdso` must say this and nothing else.
#[track_caller]
fn assert_refused(path: &Path, said: &[&str]) {
    let folder = scratch();
    let out = folder.path().join("out").display().to_string();
    for arguments in [["inspect"].as_slice(), &["inspect", "--json"], &["dump", "-o", &out]] {
        let run = vdso(arguments.iter().map(AsRef::as_ref).chain([path.as_os_str()])).exited(1);
        assert_eq!(run.stdout, "", "{run:#?}");
        assert!(!run.stderr.contains("panicked"), "{run:#?}");
        run.said(&["vdso: error: "]).said(said);
    }
    assert!(!Path::new(&out).exists());
}

#[test]
fn what_is_no_image_is_said_to_be_what_it_is() {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name);
    assert_refused(folder.path(), &["is a folder"]);
    assert_refused(&path("missing"), &["cannot open", "missing", "No such file"]);
    assert_refused(&write(folder.path(), "empty", b""), &["is empty"]);
    assert_refused(&write(folder.path(), "text", b"#!/bin/sh\n"), &["not an ELF file"]);
    assert_refused(Path::new("/dev/zero"), &["not an ELF file"]);
    symlink(path("loop"), path("loop")).expect("a link");
    assert_refused(&path("loop"), &["cannot open"]);
    let image = images::X86_64.bytes();
    assert_refused(&write(folder.path(), "cut", &image[..0x30]), &["cut", "inside the ELF header"]);
    let huge = write(folder.path(), "huge", &image);
    let file = File::options().write(true).open(&huge).expect("it is there");
    // A hole: nothing is written.
    file.set_len(1 << 40).expect("a large file");
    assert_refused(&huge, &["longer than 16 MiB"]);
}

#[test]
fn digits_are_a_process_and_a_path_is_a_file() {
    let folder = scratch();
    write(folder.path(), "4194999999", &images::X86_64.bytes());
    let run = |name: &str| {
        let mut command = std::process::Command::new(crate::support::VDSO);
        crate::support::finish(command.args(["inspect", name]).current_dir(folder.path()))
    };
    run("./4194999999").succeeded().quiet();
    run("4194999999").exited(2).said(&["no process has so high a number", "./4194999999"]);
    run("99999999999999999999").exited(2).said(&["no process has so high a number"]);
    // More than Linux gives out, but a number that a process could have.
    write(folder.path(), "2147483647", &images::X86_64.bytes());
    run("2147483647").exited(1).said(&["no process has the number", "write ./2147483647"]);
    run("2147483646").exited(1).said(&["no process has the number", "pgrep"]);
    run("firefox").exited(1).said(&["cannot open firefox", "pgrep"]);
}

#[test]
fn a_core_file_without_an_image_says_why() {
    let folder = scratch();
    let image = images::X86_64.make();
    let core = image.core(0x7f00_0000_2000);
    let refused = |name: &str, bytes: &[u8], said: &[&str]| {
        assert_refused(&write(folder.path(), name, bytes), said);
    };
    // The tag of the vDSO becomes one that nobody knows.
    let mut spoilt = core.clone();
    spoilt.put(core.image_key, 34);
    refused("without-tag", &spoilt.bytes, &["does not say where the vDSO was", "AT_SYSINFO_EHDR"]);
    refused("cut", &core.bytes[..core.image.at], &["lacks the memory at 0x7f0000002000"]);
    refused("cut-early", &core.bytes[..0x60], &["program headers"]);
    // The file has less of the mapping than there was.
    let mut partial = core.clone();
    partial.put(core.mapping_bytes, core.mapping.bytes as u64 - 1024);
    refused("partial", &partial.bytes, &["1024 of the 2048 bytes", "coredump_filter"]);
    // An image is not what dump reads.
    let path = write(folder.path(), "image.so", &image.bytes);
    let out = folder.path().join("out");
    let run = vdso(["dump".as_ref(), path.as_os_str(), "-o".as_ref(), out.as_os_str()]);
    run.exited(1).said(&["is an image already"]);
}

#[test]
fn a_core_file_gives_its_image_byte_for_byte() {
    let folder = scratch();
    for (name, image) in images::ALL {
        let image = image.make();
        let core = write(folder.path(), name, &image.core(0x7000_3000).bytes);
        let out = folder.path().join("out.so");
        let run = vdso(["dump".as_ref(), core.as_os_str(), "-o".as_ref(), out.as_os_str()]);
        run.succeeded().said(&["2048 bytes at 0x70003000"]);
        assert_eq!(fs::read(&out).expect("it was written"), image.bytes, "{name}");
    }
}

#[test]
fn our_own_images_are_known_by_their_source() {
    let folder = scratch();
    for source in Source::ALL {
        let bytes = vdso_image::bytes(source);
        let path = write(folder.path(), source.name(), bytes);
        let facts = facts([path]);
        let image = &facts["images"][0];
        assert_eq!(image["source"], source.name());
        assert_eq!(image["warnings"], serde_json::json!([]));
        assert_eq!(image["size_bytes"], bytes.len());
        assert_eq!(facts["kernel_data_page"], serde_json::Value::Null);
        assert_agrees_with_object(bytes, image);
    }
}

/// Every image of the folder, against another reader of ELF files.
#[test]
fn real_images_are_read_without_an_error() {
    let Some(folder) = std::env::var_os("VDSO_IMAGES") else {
        let reason = "VDSO_IMAGES does not name a folder of vDSO images";
        skip(Lacking::Toolchain, "real_images_are_read_without_an_error", reason);
        return;
    };
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("VDSO_IMAGES is a folder") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_none_or(|extension| extension != "so") {
            continue;
        }
        let text = vdso(["inspect".as_ref(), path.as_os_str()]).succeeded().quiet().stdout;
        let path_bytes = path.as_os_str().len();
        let is_wide = |line: &&str| line.len() > 80.max(8 + path_bytes);
        assert_eq!(text.lines().find(is_wide), None, "{}", path.display());
        let bytes = fs::read(&path).expect("an image");
        assert_agrees_with_object(&bytes, &facts([&path])["images"][0]);
        count += 1;
    }
    assert_ne!(count, 0, "VDSO_IMAGES has no image");
}

#[track_caller]
fn assert_agrees_with_object(bytes: &[u8], image: &serde_json::Value) {
    let oracle = object::File::parse(bytes).expect("object reads it");
    let mut expected: Vec<(String, u64, u64)> = oracle
        .dynamic_symbols()
        .filter(|symbol| symbol.is_global() && !symbol.is_undefined())
        .filter(|symbol| symbol.section() != object::SymbolSection::Absolute)
        .map(|symbol| (symbol.name().expect("a name").to_owned(), symbol.address(), symbol.size()))
        .collect();
    let symbols = image["elf"]["symbols"].as_array().expect("symbols");
    let mut found: Vec<(String, u64, u64)> = symbols
        .iter()
        .map(|symbol| {
            let name = symbol["name"].as_str().expect("a name").to_owned();
            let size = symbol["size_bytes"].as_u64().expect("a size");
            (name, addr(&symbol["vaddr"]), size)
        })
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let build_id = oracle.build_id().expect("object reads it");
    let build_id = build_id.map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect());
    assert_eq!(image["elf"]["build_id"].as_str().map(str::to_owned), build_id);
    assert_eq!(image["elf"]["class_bits"], if oracle.is_64() { 64 } else { 32 });
    let order = if oracle.is_little_endian() { "little" } else { "big" };
    assert_eq!(image["elf"]["byte_order"], order);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn calls_of_the_vsyscall_page_are_told_of_programs_that_are_no_images() {
    use crate::support::compile;
    let calls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers/vsyscall_calls.c");
    for (name, flags) in
        [("inspected-static", ["-static", "-no-pie"]), ("inspected-pie", ["-pie", "-fPIE"])]
    {
        let program = compile("vsyscall.c", name, &["-O2", flags[0], flags[1], calls]);
        let document = facts([program.as_os_str()]);
        let sites = document["vsyscall"].as_array().expect("a list");
        let called = |function: &str| {
            sites.iter().any(|site| site["function"] == function && site["is_called"] == true)
        };
        assert!(["gettimeofday", "time", "getcpu"].into_iter().all(called), "{sites:#?}");
        let run = vdso(["inspect".as_ref(), program.as_os_str()]).succeeded().quiet();
        assert!(run.stdout.contains("vsyscall=none makes these calls fatal"), "{run:#?}");
    }
}
