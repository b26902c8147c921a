//! Processes that run: vdso itself, its children, 32-bit ones, and those that were given a clock.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use test_support::{I386, Program};

use crate::support::processes::{mappings_of, program_of};
use crate::support::shell::Shell;
use crate::support::{Source, compile, finish, helper, program, scratch, vdso_run};
use crate::{addr, facts, has_vdso, vdso};

/// `helpers/image.c`, which runs, and has written its own view of its image to a file.
pub struct Subject {
    pub pid: Pid,
    /// What the auxiliary vector gave it.
    pub addr: u64,
    /// What it has there.
    pub bytes: Vec<u8>,
    /// Ends the program when dropped.
    _shell: Shell,
    _folder: TempDir,
}

impl Subject {
    #[track_caller]
    pub fn start(program: &Path) -> Self {
        Self::by(Command::new(program), &[], |pid| pid)
    }

    /// Under `vdso run`.
    #[track_caller]
    pub fn with_clock(program: &Path, source: Source) -> Self {
        let mut command = vdso_run(source.options);
        command.arg(program);
        let name =
            program.file_name().expect("a program has a name").to_string_lossy().into_owned();
        Self::by(command, &[], |front| program_of(front, &name))
    }

    /// By a command that takes the program's arguments; `find` knows the program's process.
    #[track_caller]
    pub fn by(mut command: Command, options: &[&str], find: impl Fn(Pid) -> Pid) -> Self {
        let folder = scratch();
        crate::support::set_mode(folder.path(), 0o777);
        let path = folder.path().join("image");
        let mut shell = Shell::start(command.arg(&path).args(options));
        shell.read_to("ready ");
        let digits = shell.read_to("\n");
        let addr = u64::from_str_radix(digits.trim(), 16).expect("an address");
        let bytes = fs::read(&path).expect("the program has written it");
        Self { pid: find(shell.pid()), addr, bytes, _shell: shell, _folder: folder }
    }

    fn facts(&self) -> Value {
        facts([self.pid.to_string()])
    }
}

/// `helpers/image.c` as a 32-bit program; `None` where that cannot be compiled, which is reported.
#[track_caller]
pub fn helper_32() -> Option<PathBuf> {
    program(Program::CI386)?;
    Some(compile("image.c", "image-32", &[&I386[..], &["-O2"]].concat()))
}

/// Each mapping of the document must be one of the process's, with the same protection.
#[track_caller]
fn assert_mapped(pid: Pid, facts: &Value) {
    let real = mappings_of(pid);
    for mapping in facts["mappings"].as_array().expect("mappings") {
        let start = addr(&mapping["start_addr"]);
        let real = real.iter().find(|real| real.addrs.start == start).expect("it is mapped");
        assert_eq!(mapping["protection"], real.rights, "{mapping}");
        let bytes = real.addrs.end - real.addrs.start;
        assert_eq!(mapping["size_bytes"], bytes, "{mapping}");
    }
}

#[track_caller]
fn names(facts: &Value) -> Vec<&str> {
    let mappings = facts["mappings"].as_array().expect("mappings").iter();
    mappings.map(|mapping| mapping["name"].as_str().expect("a name")).collect()
}

/// Every symbol's address must be within the image's mapping.
#[track_caller]
fn assert_symbols_within(image: &Value) {
    let start = addr(&image["addr"]);
    let end = start + image["size_bytes"].as_u64().expect("a size");
    let symbols = image["elf"]["symbols"].as_array().expect("symbols");
    assert!(!symbols.is_empty());
    for symbol in symbols {
        assert!((start..end).contains(&addr(&symbol["addr"])), "{symbol}");
    }
}

#[test]
fn vdso_itself_is_shown_when_no_process_is_named() {
    if !has_vdso("vdso_itself_is_shown_when_no_process_is_named") {
        return;
    }
    let facts = facts::<[&str; 0]>([]);
    assert_eq!(facts["schema_version"], 1);
    assert_eq!(facts["target"]["kind"], "this_process");
    let images = facts["images"].as_array().expect("images");
    assert_eq!(images.len(), 1);
    assert_eq!(images[0]["in_use"], true);
    assert_symbols_within(&images[0]);
    let text = vdso(["inspect"]).succeeded().quiet().stdout;
    for part in ["vDSO of this process\n", "[vdso]", "in use", "__vdso_clock_gettime", "glibc"] {
        assert!(text.contains(part), "nothing of {part}: {text}");
    }
}

#[test]
fn another_process_is_shown_as_it_sees_itself() {
    if !has_vdso("another_process_is_shown_as_it_sees_itself") {
        return;
    }
    let subject = Subject::start(&helper("image"));
    let facts = subject.facts();
    assert_eq!(facts["target"]["pid"], subject.pid.as_raw());
    assert_eq!(facts["target"]["name"], "image");
    assert_mapped(subject.pid, &facts);
    assert!(names(&facts).contains(&"[vdso]") && names(&facts).contains(&"[vvar]"), "{facts}");
    let image = &facts["images"][0];
    assert_eq!(addr(&image["addr"]), subject.addr);
    assert_eq!(image["size_bytes"], subject.bytes.len());
    assert_symbols_within(image);
    // It is the kernel's, so it is the one that vdso has itself.
    assert_eq!(
        image["elf"]["build_id"],
        self::facts::<[&str; 0]>([])["images"][0]["elf"]["build_id"]
    );
}

/// A copy of a program whose folder and whose own name are not UTF-8.
fn copy_of(program: &Path, folder: &Path) -> PathBuf {
    let folder = folder.join(OsStr::from_bytes(b"folder\xff"));
    fs::create_dir(&folder).expect("a folder");
    let copy = folder.join(OsStr::from_bytes(b"name\xfe"));
    fs::copy(program, &copy).expect("a copy");
    copy
}

#[test]
fn a_process_whose_names_are_not_utf_8_is_shown() {
    if !has_vdso("a_process_whose_names_are_not_utf_8_is_shown") {
        return;
    }
    let folder = scratch();
    crate::support::set_mode(folder.path(), 0o755);
    let subject = Subject::start(&copy_of(&helper("image"), folder.path()));
    let facts = subject.facts();
    assert_eq!(facts["target"]["name"], "name\u{fffd}");
    assert_eq!(addr(&facts["images"][0]["addr"]), subject.addr);
}

/// Names are other people's, and a terminal obeys what is in them.
#[test]
fn a_process_whose_name_has_control_characters_moves_no_cursor() {
    if !has_vdso("a_process_whose_name_has_control_characters_moves_no_cursor") {
        return;
    }
    let folder = scratch();
    crate::support::set_mode(folder.path(), 0o755);
    let copy = folder.path().join("a\x1b[35mb\nc");
    fs::copy(helper("image"), &copy).expect("a copy");
    let subject = Subject::start(&copy);
    let pid = subject.pid.to_string();
    for arguments in [
        &["inspect", "--color", "always", &pid][..],
        &["doctor", "--color", "always", &pid],
        &["dump", "--color", "always", "-o", "/dev/null", &pid],
    ] {
        let run = vdso(arguments);
        let text = format!("{}{}", run.stdout, run.stderr);
        assert!(text.contains("a\\u{1b}[35mb\\nc"), "{text:?}");
        assert!(!text.contains("\x1b[35m"), "{text:?}");
    }
    assert_eq!(subject.facts()["target"]["name"], "a\x1b[35mb\nc");
}

#[test]
fn the_command_works_where_its_own_names_are_not_utf_8() {
    if !has_vdso("the_command_works_where_its_own_names_are_not_utf_8") {
        return;
    }
    let folder = scratch();
    let copy = copy_of(Path::new(crate::support::VDSO), folder.path());
    for arguments in [
        &["inspect"][..],
        &["dump", "-o", "-"],
        &["bench", "--rounds", "1", "--times", "1", "time"],
        &["run", "--", "true"],
    ] {
        let run = finish(Command::new(&copy).args(arguments));
        assert!(run.status.success(), "{run:#?}");
    }
    let doctor = finish(Command::new(&copy).args(["doctor", "--json"]));
    let report: Value = serde_json::from_str(&doctor.stdout).expect("a document");
    assert!(report["measurements"]["method"].is_string(), "{report}");
}

#[test]
fn a_32_bit_process_is_shown() {
    let Some(program) = helper_32() else { return };
    let subject = Subject::start(&program);
    if subject.addr == 0 {
        let (lacking, name) = (test_support::Lacking::Kernel, "a_32_bit_process_is_shown");
        return test_support::skip(lacking, name, "the kernel gives 32-bit programs no vDSO");
    }
    let facts = subject.facts();
    assert_mapped(subject.pid, &facts);
    let image = &facts["images"][0];
    assert_eq!(addr(&image["addr"]), subject.addr);
    assert_eq!((&image["elf"]["abi"], &image["in_use"]), (&"i386".into(), &true.into()));
    assert_symbols_within(image);
}

#[test]
fn a_process_with_a_clock_has_both_images() {
    if !has_vdso("a_process_with_a_clock_has_both_images") {
        return;
    }
    for source in Source::all() {
        let subject = Subject::with_clock(&helper("image"), source);
        let facts = subject.facts();
        assert_mapped(subject.pid, &facts);
        let images = facts["images"].as_array().expect("images");
        assert_eq!(images.len(), 2, "{facts}");
        assert_eq!(addr(&images[0]["addr"]), subject.addr);
        assert_eq!((&images[0]["in_use"], &images[1]["in_use"]), (&true.into(), &false.into()));
        assert_eq!(images[1]["source"], Value::Null);
        let named = images[0]["source"].as_str().expect("ours");
        assert!(source == Source::AUTO || named == source.name, "{named}");
        let names = names(&facts);
        let ours = format!("/memfd:vdso-{named} (deleted)");
        assert_eq!(names.iter().filter(|name| **name == ours).count(), 2, "{names:?}");
        assert!(names.contains(&"(process page of the image)"), "{names:?}");
        assert!(images.iter().all(|image| image["warnings"] == serde_json::json!([])), "{facts}");
        images.iter().for_each(assert_symbols_within);
    }
}

#[test]
fn the_kernels_data_page_is_known_or_said_why_not() {
    let facts = facts::<[&str; 0]>([]);
    let page = &facts["kernel_data_page"];
    let known = page["known"].as_array().expect("layouts");
    assert!(!known.is_empty());
    match page["name"].as_str() {
        Some(name) => {
            let known = known.iter().find(|known| known["name"] == name).expect("it is known");
            assert_eq!(known["offsets"], page["described"]);
        }
        None => assert!(page["not_read_because"].is_string(), "{page}"),
    }
    // The source host reads the page, so it is there when and only when nothing speaks against that.
    let host = finish(vdso_run(["--source", "host"]).arg("true"));
    let is_read = page["not_read_because"].is_null();
    assert!(is_read || host.status.code() == Some(125), "{page} {host:#?}");
}
