//! `vdso inspect --disassemble`: of images that run, and what is refused. What the instructions look
//! like is in `golden`.

use serde_json::Value;

use crate::images;
use crate::processes::Subject;
use crate::support::{Source, helper, scratch};
use crate::{addr, facts, has_vdso, vdso, write};

/// The lines must cover the function without a gap.
#[track_caller]
fn assert_complete(function: &Value) {
    let mut at = addr(&function["vaddr"]);
    let end = at + function["size_bytes"].as_u64().expect("a size");
    for line in function["instructions"].as_array().expect("instructions") {
        assert_eq!(addr(&line["vaddr"]), at, "{line}");
        at += line["bytes"].as_str().expect("bytes").len() as u64 / 2;
        assert!(!line["text"].as_str().expect("text").starts_with(".byte"), "{line}");
    }
    assert_eq!(at, end, "{function}");
}

#[test]
fn every_function_of_ours_and_of_the_kernels_has_instructions() {
    if !has_vdso("every_function_of_ours_and_of_the_kernels_has_instructions") {
        return;
    }
    let folder = scratch();
    let ours = vdso_image::Source::ALL
        .map(|source| write(folder.path(), source.name(), vdso_image::bytes(source)));
    let mut targets: Vec<Vec<_>> =
        ours.into_iter().map(|path| vec![path.into_os_string()]).collect();
    targets.push(Vec::new());
    for target in targets {
        let document = facts(&target);
        let symbols = document["images"][0]["elf"]["symbols"].as_array().expect("symbols");
        for symbol in symbols {
            let name = symbol["name"].as_str().expect("a name");
            let options = ["--disassemble", name].map(Into::into);
            let function = facts(options.iter().chain(&target));
            assert_eq!(function["schema_version"], 1);
            assert_eq!(function["size_bytes"], symbol["size_bytes"]);
            assert_complete(&function);
        }
    }
}

#[test]
fn instructions_have_addresses_in_the_process_and_refer_to_its_mappings() {
    if !has_vdso("instructions_have_addresses_in_the_process_and_refer_to_its_mappings") {
        return;
    }
    let subject = Subject::with_clock(&helper("image"), Source::CHAIN);
    let pid = subject.pid.to_string();
    let function = facts(["--disassemble", "__vdso_time", &pid]);
    let start = addr(&function["addr"]);
    assert_eq!(start, subject.addr + addr(&function["vaddr"]));
    let lines = function["instructions"].as_array().expect("instructions");
    assert_eq!(addr(&lines[0]["addr"]), start);
    let code = lines[0]["bytes"].as_str().expect("bytes");
    let at = addr(&function["vaddr"]) as usize;
    let seen: String =
        subject.bytes[at..at + code.len() / 2].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(code, seen);
    let kernels = facts(["--kernel", "--disassemble", "__vdso_time", &pid]);
    assert_ne!(kernels["addr"], function["addr"]);
    // The kernel's reads its data page, which is a mapping of the process.
    let refers =
        |line: &Value| line["refers_to"].as_str().is_some_and(|to| to.starts_with("[vvar"));
    assert!(kernels["instructions"].as_array().expect("instructions").iter().any(refers));
}

#[test]
fn what_cannot_be_shown_says_what_can() {
    let folder = scratch();
    let path = |name: &str, image: images::Image| {
        write(folder.path(), name, &image.bytes()).display().to_string()
    };
    let x86 = path("x86.so", images::X86_64);
    let (arm, s390x) = (path("arm.so", images::ARM), path("s390x.so", images::S390X));
    let broken = path("broken.so", images::BROKEN);
    let known = "__vdso_clock_gettime, __vdso_futex_robust_list64_try_unlock, __vdso_time";
    for (file, symbol, said) in [
        (&x86, "__vdso_tim", ["has no symbol '__vdso_tim'", known]),
        (&x86, "", ["has no symbol ''", known]),
        (&arm, "__vdso_gettimeofday", ["arm's Thumb code", "objdump"]),
        (&s390x, "__kernel_getcpu", ["instructions of s390x", "objdump"]),
        // It is outside the image, so nobody finds it.
        (&broken, "__vdso_gettimeofday", ["has no symbol", "__vdso_clock_gettime"]),
        (&broken, "__vdso_clock_gettime", ["instructions of mipsel", "objdump"]),
    ] {
        let run = vdso(["inspect", "--disassemble", symbol, file]).exited(1);
        assert_eq!(run.stdout, "");
        run.said(&["vdso: error: ", "vdso: hint: "]).said(&said);
    }
    vdso(["inspect", "--kernel", &x86]).exited(2).said(&["--disassemble"]);
    let ours = write(folder.path(), "own.so", vdso_image::bytes(vdso_image::Source::Own));
    let ours = ours.display().to_string();
    let run = vdso(["inspect", "--kernel", "--disassemble", "__vdso_time", &ours]);
    run.exited(1).said(&["no image of the kernel's"]);
}
