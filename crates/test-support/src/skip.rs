//! Named skips: a test that cannot run here says what is lacking, so that nobody takes silence for
//! success. The crate's documentation tells what `VDSO_SKIPS` and `CI` do.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

/// What a machine lacks for a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// The running kernel, or the processor, lacks a feature.
    Kernel,
    /// A compiler, interpreter or library is not installed.
    Tool,
    /// The user may not do what the test does.
    Privilege,
    /// A part of a toolchain is not installed that no package registry has: Miri. It is no reason to
    /// fail anywhere.
    Toolchain,
    /// The folder of other kernels' images that `VDSO_IMAGES` names: they are not this project's to
    /// hand out. It is no reason to fail anywhere.
    Images,
}

impl Lacking {
    fn name(self) -> &'static str {
        match self {
            Lacking::Kernel => "kernel",
            Lacking::Tool => "tool",
            Lacking::Privilege => "privilege",
            Lacking::Toolchain => "toolchain",
            Lacking::Images => "images",
        }
    }
}

/// Why something cannot be tested here. Nothing is said until [`Skip::report`].
#[must_use = "a skip that is not reported is a test that passes in silence"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// What is lacking.
    pub lacking: Lacking,
    /// What is skipped: a program or a test.
    pub name: String,
    /// Why, with what would help.
    pub reason: String,
}

impl Skip {
    pub(crate) fn tool(name: &str, reason: String) -> Skip {
        Skip { lacking: Lacking::Tool, name: name.to_owned(), reason }
    }

    /// Does what [`skip()`] does.
    #[track_caller]
    pub fn report(&self) {
        skip(self.lacking, &self.name, &self.reason);
    }

    /// The skip as a line of the file, without its end.
    fn line(&self) -> String {
        let one_line = |text: &str| text.replace(['\t', '\n'], " ");
        format!("{}\t{}\t{}", self.lacking.name(), one_line(&self.name), one_line(&self.reason))
    }
}

/// Says on stderr that `name` is skipped, and appends it to the file named by `VDSO_SKIPS`.
///
/// # Panics
///
/// With `CI=true`, if what is lacking is a tool; and if the file cannot be written.
#[track_caller]
pub fn skip(lacking: Lacking, name: &str, reason: &str) {
    let skip = Skip { lacking, name: name.to_owned(), reason: reason.to_owned() };
    let file = std::env::var_os("VDSO_SKIPS");
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    record(&skip, file.as_deref().map(Path::new), is_ci);
}

#[track_caller]
fn record(skip: &Skip, file: Option<&Path>, is_ci: bool) {
    let line = skip.line();
    // Written directly, because the test harness hides what `eprintln!` says in a passing test. A
    // closed stderr is no reason to fail.
    let _ = writeln!(io::stderr(), "skipped\t{line}");
    if let Some(path) = file
        && let Err(error) = append(path, &line)
    {
        panic!("cannot append a skip to {}: {error}", path.display());
    }
    if is_ci && skip.lacking == Lacking::Tool {
        panic!("{} may not be skipped where CI=true: {}", skip.name, skip.reason);
    }
}

/// One write of the whole line: tests in other processes append to the same file.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    fn example(lacking: Lacking) -> Skip {
        Skip { lacking, name: "example".to_owned(), reason: "only\tan\nexample".to_owned() }
    }

    #[test]
    fn a_skip_is_appended_as_one_line_of_three_fields() {
        let folder = crate::build::target_directory().join("test-programs");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("skips-of-{}", std::process::id()));
        record(&example(Lacking::Tool), Some(&path), false);
        record(&example(Lacking::Kernel), Some(&path), false);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let expected = "tool\texample\tonly an example\nkernel\texample\tonly an example\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn only_a_lacking_tool_panics_where_everything_is_installed() {
        for lacking in [
            Lacking::Kernel,
            Lacking::Tool,
            Lacking::Privilege,
            Lacking::Toolchain,
            Lacking::Images,
        ] {
            let panicked = catch_unwind(|| record(&example(lacking), None, true)).is_err();
            assert_eq!(panicked, lacking == Lacking::Tool, "{lacking:?}");
            assert!(catch_unwind(|| record(&example(lacking), None, false)).is_ok(), "{lacking:?}");
        }
    }

    #[test]
    #[should_panic(expected = "cannot append a skip")]
    fn a_skip_that_cannot_be_recorded_fails() {
        record(&example(Lacking::Kernel), Some(Path::new("/proc/no/such/file")), false);
    }
}
