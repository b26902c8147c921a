//! Builds a test program on demand, once for all tests that ask.
//!
//! Each program has a folder `test-programs/NAME` under cargo's target directory, guarded by a lock
//! on the file `NAME.lock` beside it: tests run as threads and as processes at the same time. The
//! file `stamp` in the folder holds the commands and the state of the sources of the last build
//! that succeeded; whatever differs from it leads to a new build.

use crate::recipe::{Recipe, Step, recipe};
use crate::{Program, Skip};
use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

/// Returns the path of the built program, an executable that needs no argument.
///
/// Scripts start with `#!`, and the Java program is started by one, so each can be executed as it
/// is. A lacking compiler, interpreter or header is a [`Skip`], which the test reports.
///
/// # Panics
///
/// If a compiler fails, with all that it printed, or if the target directory cannot be written.
#[track_caller]
pub fn build(program: Program) -> Result<PathBuf, Skip> {
    let parent = target_directory().join("test-programs");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-programs");
    let sources = sources.canonicalize().expect("the folder test-programs/ of the repository");
    build_in(program, &sources, &parent).map(|(path, _)| path)
}

/// What [`build_in`] had to do.
#[derive(Debug, PartialEq, Eq)]
enum Work {
    Built,
    Nothing,
}

#[track_caller]
fn build_in(program: Program, sources: &Path, parent: &Path) -> Result<(PathBuf, Work), Skip> {
    let out = parent.join(program.name());
    // Held until the end of the function, when the file is closed.
    let _lock = lock(&out).unwrap_or_else(|error| panic!("cannot lock {}: {error}", out.display()));
    let recipe = recipe(program, sources, &out)?;
    let stamp_path = out.join("stamp");
    // Taken before the build, so that a source which changes meanwhile is noticed the next time.
    let stamp = stamp(&recipe).unwrap_or_else(|error| panic!("cannot read a source: {error}"));
    let is_fresh = fs::read_to_string(&stamp_path).is_ok_and(|last| last == stamp);
    if is_fresh && recipe.artefact.is_file() {
        return Ok((recipe.artefact, Work::Nothing));
    }
    for step in &recipe.steps {
        run(program, step);
    }
    fs::write(&stamp_path, stamp).unwrap_or_else(|error| panic!("cannot write a stamp: {error}"));
    Ok((recipe.artefact, Work::Built))
}

fn lock(out: &Path) -> io::Result<File> {
    fs::create_dir_all(out)?;
    let file = File::create(out.with_extension("lock"))?;
    file.lock()?;
    Ok(file)
}

/// All that the result depends on, as text: the commands, and when each source was last written.
fn stamp(recipe: &Recipe) -> io::Result<String> {
    let mut text = String::new();
    for step in &recipe.steps {
        let _ = writeln!(text, "{:?} {:?} {:?}", step.tool, step.arguments, step.environment);
    }
    for source in &recipe.sources {
        let data = source.metadata()?;
        let written = data.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let _ = writeln!(text, "{source:?} {} bytes {} ns", data.len(), written.as_nanos());
    }
    Ok(text)
}

#[track_caller]
fn run(program: Program, step: &Step) {
    let mut command = Command::new(&step.tool);
    command.args(&step.arguments).envs(step.environment.iter().copied()).current_dir(&step.folder);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("cannot run {command:?} for {}: {error}", program.name()),
    };
    if !output.status.success() {
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!(
            "building {} failed ({}): {command:?}\n{stdout}{stderr}",
            program.name(),
            output.status
        );
    }
}

/// Cargo's target directory: the one this test runs from, or else what the environment or the
/// folder layout says, as for documentation tests, which run from elsewhere.
pub(crate) fn target_directory() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    // Cargo marks the directory with this file.
    let marked = executable.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    if let Some(folder) = marked {
        return folder.to_owned();
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    workspace.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    /// A copy of the one source that the cheapest program needs, and a folder to build it in.
    fn scratch(name: &str) -> (PathBuf, PathBuf) {
        let folder = target_directory().join(format!("test-support-{name}-{}", std::process::id()));
        let sources = folder.join("sources");
        fs::create_dir_all(&sources).unwrap();
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-programs/exit.S");
        fs::copy(original, sources.join("exit.S")).unwrap();
        (sources, folder)
    }

    #[test]
    fn a_program_is_built_again_only_when_its_source_changes() {
        let (sources, parent) = scratch("fresh");
        let work = || build_in(Program::Exit, &sources, &parent).map(|(_, work)| work);
        match work() {
            Ok(work) => assert_eq!(work, Work::Built),
            Err(skip) => return skip.report(),
        }
        assert_eq!(work(), Ok(Work::Nothing));
        let source = sources.join("exit.S");
        let text = fs::read_to_string(&source).unwrap() + "\n";
        fs::write(&source, text).unwrap();
        assert_eq!(work(), Ok(Work::Built));
        let (artefact, _) = build_in(Program::Exit, &sources, &parent).unwrap();
        fs::remove_file(artefact).unwrap();
        assert_eq!(work(), Ok(Work::Built));
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn a_compiler_error_panics_with_the_compilers_words_and_leaves_no_stamp() {
        let (sources, parent) = scratch("error");
        fs::write(sources.join("exit.S"), "#error this source is broken\n").unwrap();
        for _ in 0..2 {
            let panic = match catch_unwind(|| build_in(Program::Exit, &sources, &parent)) {
                Err(panic) => panic,
                Ok(Err(skip)) => return skip.report(),
                Ok(built) => panic!("a broken source was built: {built:?}"),
            };
            let message = panic.downcast::<String>().unwrap();
            assert!(message.contains("building exit failed"), "{message}");
            assert!(message.contains("this source is broken"), "{message}");
        }
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn many_threads_may_ask_for_the_same_program_at_once() {
        let (sources, parent) = scratch("threads");
        let works: Vec<_> = std::thread::scope(|scope| {
            let ask = || build_in(Program::Exit, &sources, &parent).map(|(_, work)| work);
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        fs::remove_dir_all(parent).unwrap();
        if let Err(skip) = &works[0] {
            return skip.report();
        }
        assert_eq!(works.iter().filter(|work| **work == Ok(Work::Built)).count(), 1, "{works:?}");
    }
}
