//! `vdso dump`: the bytes, and where they go.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use vdso_elf::Image;

use crate::processes::{Subject, helper_32};
use crate::support::terminal::Terminal;
use crate::support::{Source, VDSO, finish, helper, scratch};
use crate::{has_vdso, is_root, vdso};

/// What `vdso dump OPTIONS -o -` writes.
#[track_caller]
fn dump(options: &[&str]) -> Vec<u8> {
    let folder = scratch();
    let path = folder.path().join("image");
    let run = vdso(
        ["dump", "-o"]
            .iter()
            .map(AsRef::as_ref)
            .chain([path.as_os_str()])
            .chain(options.iter().map(AsRef::as_ref)),
    );
    let run = run.succeeded();
    assert_eq!(run.stdout, "", "{run:#?}");
    let bytes = fs::read(&path).expect("it was written");
    run.said(&["vdso: ", &format!("{} bytes at 0x", bytes.len()), &path.display().to_string()]);
    bytes
}

#[test]
fn the_bytes_are_those_that_the_process_sees() {
    if !has_vdso("the_bytes_are_those_that_the_process_sees") {
        return;
    }
    let subject = Subject::start(&helper("image"));
    let bytes = dump(&[&subject.pid.to_string()]);
    assert_eq!(bytes, subject.bytes);
    // vdso's own is the same image, read in another way.
    assert_eq!(dump(&[]), bytes);
    assert!(Image::parse(&bytes).is_ok());
}

#[test]
fn the_bytes_of_a_32_bit_process_are_those_that_it_sees() {
    let Some(program) = helper_32() else { return };
    let subject = Subject::start(&program);
    if subject.addr != 0 {
        assert_eq!(dump(&[&subject.pid.to_string()]), subject.bytes);
    }
}

#[test]
fn of_a_process_with_a_clock_the_image_in_use_is_written_or_the_kernels() {
    if !has_vdso("of_a_process_with_a_clock_the_image_in_use_is_written_or_the_kernels") {
        return;
    }
    let kernels = dump(&[]);
    for source in Source::all() {
        let subject = Subject::with_clock(&helper("image"), source);
        let pid = subject.pid.to_string();
        assert_eq!(dump(&[&pid]), subject.bytes);
        assert_eq!(dump(&[&pid, "--kernel"]), kernels);
        assert_ne!(subject.bytes, kernels);
    }
}

#[test]
fn standard_output_is_data() {
    if !has_vdso("standard_output_is_data") {
        return;
    }
    let output = Command::new(VDSO).args(["dump", "-o", "-"]).output().expect("vdso");
    assert_eq!(output.stdout, dump(&[]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("to standard output"), "{said}");
}

#[test]
fn nothing_is_written_to_a_terminal() {
    if !has_vdso("nothing_is_written_to_a_terminal") {
        return;
    }
    let folder = scratch();
    let link = folder.path().join("link");
    symlink("/proc/self/fd/1", &link).expect("a link");
    for file in [Path::new("-"), &link] {
        let mut terminal = Terminal::start(Command::new(VDSO).args(["dump", "-o"]).arg(file));
        let text = terminal.expect("hint: name a file with -o");
        assert!(text.contains("will not write an image to a terminal"), "{text}");
        assert_eq!(terminal.wait().code(), Some(1));
    }
}

#[test]
fn a_link_to_a_file_that_is_not_there_yet_stays_one() {
    if !has_vdso("a_link_to_a_file_that_is_not_there_yet_stays_one") {
        return;
    }
    let folder = scratch();
    let (link, second) = (folder.path().join("link"), folder.path().join("second"));
    symlink("second", &link).expect("a link");
    symlink("file", &second).expect("a link");
    vdso(["dump".as_ref(), "-o".as_ref(), link.as_os_str()]).succeeded();
    assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
    assert!(fs::symlink_metadata(&second).expect("a link").is_symlink());
    assert_eq!(fs::read(folder.path().join("file")).expect("it was written"), dump(&[]));
}

#[test]
fn an_open_file_without_a_name_is_written_to() {
    if !has_vdso("an_open_file_without_a_name_is_written_to") {
        return;
    }
    let folder = scratch();
    let link = folder.path().join("link");
    symlink("/proc/self/fd/1", &link).expect("a link");
    let mut file = tempfile::tempfile_in(folder.path()).expect("a file");
    let stdout = file.try_clone().expect("a descriptor");
    let status = Command::new(VDSO).args(["dump", "-o"]).arg(&link).stdout(stdout).status();
    assert!(status.expect("vdso").success());
    let mut bytes = Vec::new();
    file.rewind().expect("a file");
    file.read_to_end(&mut bytes).expect("it can be read");
    assert_eq!(bytes, dump(&[]));
    assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
}

#[test]
fn a_file_is_replaced_in_one_step_with_the_permissions_that_umask_leaves() {
    if !has_vdso("a_file_is_replaced_in_one_step_with_the_permissions_that_umask_leaves") {
        return;
    }
    let folder = scratch();
    let path = folder.path().join("image");
    fs::write(&path, "old").expect("a file");
    let other_name = folder.path().join("other-name");
    fs::hard_link(&path, &other_name).expect("a link");
    let link = folder.path().join("link");
    symlink(&path, &link).expect("a link");
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"umask 027; exec "$1" dump -o "$2""#, "sh", VDSO]).arg(&link);
    finish(&mut shell).succeeded();
    assert_eq!(fs::read(&path).expect("it was written"), dump(&[]));
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o640);
    // Whoever had the old file, has it still; the link is still one.
    assert_eq!(fs::read(&other_name).expect("the old file"), b"old");
    assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 3);
}

/// As a device is; a broken command could destroy one of the machine's.
#[test]
fn a_named_pipe_is_written_to_and_stays_one() {
    if !has_vdso("a_named_pipe_is_written_to_and_stays_one") {
        return;
    }
    let folder = scratch();
    let path = folder.path().join("pipe");
    mkfifo(&path, Mode::from_bits_truncate(0o600)).expect("a named pipe");
    let reader = path.clone();
    let reader = std::thread::spawn(move || fs::read(reader).expect("it can be read"));
    // Somebody else's end: without it, the reader of a command that does not write waits for ever.
    let end = File::options().write(true).open(&path).expect("it is being read");
    vdso(["dump".as_ref(), "-o".as_ref(), path.as_os_str()]).succeeded();
    drop(end);
    assert!(fs::symlink_metadata(&path).expect("it is there").file_type().is_fifo());
    assert_eq!(reader.join().expect("it has read"), dump(&[]));
}

#[test]
fn what_cannot_be_written_leaves_nothing_behind() {
    if !has_vdso("what_cannot_be_written_leaves_nothing_behind") {
        return;
    }
    vdso(["dump", "-o", "/no/such/folder/image"]).exited(1).said(&["/no/such/folder/image"]);
    // Nobody may make files there. The name is the one that was given, not that of a temporary file.
    let run = vdso(["dump", "-o", "/proc/image"]).exited(1).said(&["cannot write /proc/image: "]);
    assert!(!run.stderr.contains(".vdso-dump-"), "{run:#?}");
    let folder = scratch();
    let run = vdso(["dump".as_ref(), "-o".as_ref(), folder.path().as_os_str()]);
    run.exited(1).said(&["cannot write", "is a folder"]);
    vdso(["dump"]).exited(2).said(&["--output"]);
    if !is_root("what_cannot_be_written_leaves_nothing_behind") {
        return;
    }
    // A file system with room for one page.
    let script =
        r#"mount -t tmpfs -o size=4k none "$1" && "$2" dump -o "$1/image"; echo $?; ls -A "$1""#;
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", script, "sh"]).arg(folder.path()).arg(VDSO);
    let run = finish(&mut unshare);
    assert_eq!(run.stdout, "1\n", "{run:#?}");
    let run = run.said(&["cannot write", "No space left"]);
    assert!(!run.stderr.contains(".vdso-dump-"), "{run:#?}");
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    for arguments in [["inspect", "--json"].as_slice(), &["inspect"], &["completions", "bash"]] {
        let writer = writer.try_clone().expect("a descriptor");
        let mut command = Command::new(VDSO);
        let child = command.args(arguments).stdout(writer).stderr(Stdio::piped()).spawn();
        let output = child.expect("vdso").wait_with_output().expect("it ends");
        assert!(output.status.success(), "{arguments:?} {output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?} {output:?}");
    }
}

#[test]
fn colours_are_for_terminals_or_on_demand() {
    let plain = vdso(["inspect"]).succeeded().stdout;
    assert!(!plain.contains('\x1b'));
    let coloured = vdso(["inspect", "--color", "always"]).succeeded().stdout;
    assert!(coloured.contains("\x1b[1mvDSO of this process"));
    let script = format!("unset NO_COLOR; TERM=xterm exec {VDSO} inspect");
    let mut terminal = Terminal::start(Command::new("sh").args(["-c", &script]));
    assert_eq!(terminal.expect("vDSO of this process"), "\x1b[1m");
    terminal.wait();
}

#[test]
fn what_was_attempted_is_said_of_a_full_standard_output() {
    for arguments in [
        &["inspect"][..],
        &["inspect", "--json"],
        &["dump", "-o", "-"],
        &["doctor"],
        &["doctor", "--json"],
        &["bench", "--rounds", "1", "--times", "1", "time"],
        &["bench", "--json", "--rounds", "1", "--times", "1", "time"],
        &["completions", "bash"],
    ] {
        let full = File::options().write(true).open("/dev/full").expect("a device");
        let output = Command::new(VDSO).args(arguments).stdout(full).output().expect("vdso");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        let wanted = "vdso: error: cannot write to standard output: No space left";
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
}

/// A stream that was closed is opened again by Rust's runtime, as /dev/null, and one that cannot be
/// written to is taken for one that was.
#[test]
fn a_standard_output_that_is_closed_or_not_for_writing_is_told_of() {
    for arguments in [
        &["inspect"][..],
        &["inspect", "--json"],
        &["dump", "-o", "-"],
        &["doctor"],
        &["doctor", "-o", "-", "--", "sh", "-c", "echo it ran >&2"],
        &["bench"],
        &["completions", "bash"],
        &["--version"],
        &["dump", "--help"],
    ] {
        for script in [r#"exec "$@" >&-"#, r#"exec "$@" 1</dev/null"#] {
            let mut command = Command::new("sh");
            let run = finish(command.args(["-c", script, "sh", VDSO]).args(arguments)).exited(1);
            let said = "vdso: error: cannot write to standard output: Bad file descriptor";
            assert!(run.stderr.starts_with(said), "{arguments:?}: {run:#?}");
            assert!(!run.stderr.contains("it ran"), "{run:#?}");
        }
    }
    // Whoever writes nothing to it needs none.
    let folder = scratch();
    let script = r#""$1" doctor -o "$2/report" -- true >&- && "$1" dump -o "$2/image" >&-"#;
    let mut command = Command::new("sh");
    finish(command.args(["-c", script, "sh", VDSO]).arg(folder.path())).succeeded();
}

#[test]
fn what_is_written_to_a_pipe_can_be_inspected_from_it() {
    if !has_vdso("what_is_written_to_a_pipe_can_be_inspected_from_it") {
        return;
    }
    let script = r#""$1" dump -o - | "$1" inspect --json /dev/stdin"#;
    let run = finish(Command::new("sh").args(["-c", script, "sh", VDSO])).succeeded();
    let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
    assert_eq!(document["images"][0]["size_bytes"], dump(&[]).len());
}
