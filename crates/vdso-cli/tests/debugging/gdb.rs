//! gdb finds the image by `AT_SYSINFO_EHDR`, as it finds the kernel's vDSO, reads it from memory, and
//! finds the debug file by its build-id.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::processes::Mapping;
use super::support::{Source, finish, scratch};
use super::{Watched, has_tool, sources};

/// `CLOCK_MONOTONIC`, which the program reads meanwhile.
const CLOCK: i32 = 1;

#[test]
fn gdb_steps_through_our_source_in_a_running_program() {
    const STEPS: usize = 12;
    if !has_tool("gdb", "gdb", "gdb_steps_through_our_source_in_a_running_program") {
        return;
    }
    let look = ["echo <<stop>>\\n", "frame", "info source"];
    let mut commands = vec!["info symbol __vdso_clock_gettime", "break __vdso_clock_gettime"];
    commands.extend(["continue", "echo <<backtrace>>\\n", "bt"]);
    commands.extend(look);
    for _ in 0..STEPS {
        commands.push("step");
        commands.extend(look);
    }
    commands.push("delete breakpoints");
    for source in sources() {
        let folder = scratch();
        let mut watched = Watched::start(source);
        let output = gdb(&mut watched, &debug_settings(folder.path(), source), &commands);

        assert!(output.contains(" in section .text of system-supplied DSO at 0x"), "{output}");
        let (_, backtrace) = output.split_once("<<backtrace>>\n").expect("printed by echo");
        let (backtrace, _) = backtrace.split_once("<<stop>>").expect("printed by echo");
        let frames = ["__vdso_clock_gettime (id=1, ts=0x", " read_clock (", " spin (", " main ("];
        assert_in_order(backtrace, &frames);
        assert!(backtrace.contains(" at arch/export.rs:"), "{backtrace}");
        assert_stops_show_our_source(&output, source);
        watched.end_unharmed();
    }
}

/// By `.eh_frame` alone and at every instruction, as profilers do it.
#[test]
fn gdb_unwinds_from_every_instruction_without_debug_information() {
    // More than a read takes.
    const INSTRUCTIONS: usize = 300;
    if !has_tool("gdb", "gdb", "gdb_unwinds_from_every_instruction_without_debug_information") {
        return;
    }
    for source in sources() {
        let mut watched = Watched::start(source);
        let Mapping { addrs, .. } = &watched.image;
        // A call out of the image, as `chain` makes one to the kernel's function, is passed over: gdb
        // has no tables for that function, and it tries again for as long as it is being stepped.
        let script = format!(
            "define in_image\n set $is_in = ($arg0) >= {start:#x} && ($arg0) < {end:#x}\n end\n \
             break *{function:#x}\n continue\n delete breakpoints\n \
             set $left = {INSTRUCTIONS}\n while $left > 0\n set $left = $left - 1\n \
             echo <<backtrace>>\\n\n bt\n stepi\n \
             in_image $pc\n if !$is_in\n set $return = *(unsigned long *)$sp\n \
             in_image $return\n if $is_in\n tbreak *$return\n continue\n \
             else\n loop_break\n end\n end\n end\n",
            start = addrs.start,
            end = addrs.end,
            function = watched.functions["__vdso_clock_gettime"]
        );
        let folder = scratch();
        let path = folder.path().join("script");
        fs::write(&path, script).expect("the folder is ours");
        let output = gdb(&mut watched, &[], &[&format!("source {}", path.display())]);

        let backtraces: Vec<String> =
            output.split("<<backtrace>>\n").skip(1).map(only_frames).collect();
        assert!(backtraces.len() > 20, "only {} instructions in\n{output}", backtraces.len());
        for backtrace in &backtraces {
            assert_in_order(backtrace, &["#0 ", " read_clock (", " spin (", " main ("]);
            let (top, callers) = backtrace.split_once('\n').expect("more than one frame");
            // Of the image's functions only those that it exports have names without the debug file.
            let is_named_right = top.contains("clock_gettime (") || top.contains(" ?? (");
            assert!(is_named_right, "not what the program called, in\n{backtrace}");
            assert!(!callers.contains(" ?? ("), "a frame without a function in\n{backtrace}");
        }
        watched.end_unharmed();
    }
}

/// The backtrace, without what gdb has said after it.
fn only_frames(output: &str) -> String {
    let frames = output.lines().filter(|line| line.starts_with('#'));
    frames.map(|frame| format!("{frame}\n")).collect()
}

/// Runs commands in a gdb that is attached to the program while that reads its clock.
#[track_caller]
fn gdb(watched: &mut Watched, settings: &[String], commands: &[&str]) -> String {
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-iex", "set debuginfod enabled off"]);
    gdb.args(settings.iter().flat_map(|setting| ["-iex", setting]));
    gdb.args(["-iex", "set width 0", "-p", &watched.pid.to_string()]);
    gdb.args(commands.iter().flat_map(|command| ["-ex", command]));
    gdb.args(["-ex", "detach"]);
    let finished = watched.spin(CLOCK, |_| finish(&mut gdb));
    assert!(finished.stdout.contains(" detached]"), "gdb did not come to its end: {finished:#?}");
    finished.stdout
}

/// Writes the source's debug file, and tells gdb where it is and where our source is.
fn debug_settings(folder: &Path, source: Source) -> [String; 4] {
    let (build_id, debug_file) = build_id_and_debug_file(source);
    let path = folder.join(format!(".build-id/{}/{}.debug", &build_id[..2], &build_id[2..]));
    fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is ours");
    fs::write(path, debug_file).expect("the folder is ours");
    let crates = crates();
    let crates = crates.display();
    [
        format!("set debug-file-directory {}", folder.display()),
        format!("set substitute-path /vdso-image/image {crates}/vdso-image/image"),
        format!("set substitute-path /vdso-data/src {crates}/vdso-data/src"),
        format!("set substitute-path /vdso-arch/src {crates}/vdso-arch/src"),
    ]
}

fn build_id_and_debug_file(source: Source) -> (String, &'static [u8]) {
    // The note's header: name size 4, description size 20, type 3, name "GNU".
    let header = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let mut images = vdso_image::Source::ALL.into_iter();
    let image = images.find(|image| image.name() == source.name).expect("each source has an image");
    let bytes = vdso_image::bytes(image);
    let at = bytes.windows(header.len()).position(|window| window == header).expect("a build-id");
    let id = &bytes[at + header.len()..][..20];
    (id.iter().map(|byte| format!("{byte:02x}")).collect(), vdso_image::debug_file(image))
}

/// The folder of this workspace that the image's source is in.
fn crates() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    crates.canonicalize().expect("the folder that this crate is in")
}

/// Each line that gdb has shown must be what its file has there, and the way must have led through
/// the files that a read goes through.
#[track_caller]
fn assert_stops_show_our_source(output: &str, source: Source) {
    let crates = crates();
    let mut files: Vec<String> = Vec::new();
    for stop in output.split("<<stop>>\n").skip(1) {
        let Some((path, line, text)) = parse_stop(stop) else { continue };
        // The standard library's source need not be here.
        let Ok(file) = Path::new(path).strip_prefix(&crates) else { continue };
        let source = fs::read_to_string(path).expect("gdb has read it, too");
        assert_eq!(source.lines().nth(line - 1), Some(text), "line {line} of {path}");
        files.push(file.display().to_string());
    }
    let own_file = format!("vdso-image/image/source/{}.rs", source.name);
    for file in ["vdso-image/image/clock_gettime.rs", &own_file] {
        assert!(files.iter().any(|stop| stop == file), "no step led to {file} in\n{output}");
    }
}

/// A file's path, a line's number and its text, from `frame` and `info source`; `None` where gdb has
/// no source to show.
fn parse_stop(stop: &str) -> Option<(&str, usize, &str)> {
    let path = stop.lines().find_map(|line| line.strip_prefix("Located in "))?;
    let (line, text) = stop.lines().find_map(|line| {
        let (number, text) = line.split_once('\t')?;
        Some((number.parse().ok()?, text))
    })?;
    Some((path, line, text))
}

#[track_caller]
fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("no {part:?}, in the order of {parts:?}, in\n{text}");
        };
        rest = after;
    }
}
