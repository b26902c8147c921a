//! Tests that are run in several ways, side by side, and the table of what came of them.

use std::process::Command;
use std::time::Duration;

use test_support::{Lacking, skip};
use xtask_build::process::Finished;

use super::verdict::Verdict;

/// All tests, run in one way.
pub struct Column {
    name: &'static str,
    cells: Vec<Option<(Finished, Verdict)>>,
}

/// How many runs under vdso said something, and how many of them that something is wrong.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    counted: usize,
    failed: usize,
}

impl Column {
    /// Runs the commands, one for each test, or none where it is not run in this way. `judge` is told a test's place
    /// and what came of it.
    pub fn run(
        name: &'static str,
        commands: impl Iterator<Item = Option<(Command, Duration)>>,
        judge: impl Fn(usize, &Finished) -> Verdict,
    ) -> Self {
        let run = |(place, command): (usize, Option<(Command, Duration)>)| {
            let (mut command, limit) = command?;
            let finished = Finished::of(&mut command, limit);
            let verdict = judge(place, &finished);
            Some((finished, verdict))
        };
        Self { name, cells: commands.enumerate().map(run).collect() }
    }

    /// What came of the test at a place, if it passed.
    pub fn passed(&self, place: usize) -> Option<&Finished> {
        let (finished, verdict) = self.cells[place].as_ref()?;
        (*verdict == Verdict::Pass).then_some(finished)
    }

    /// Whether the test at a place was run at all.
    pub fn has(&self, place: usize) -> bool {
        self.cells[place].is_some()
    }

    fn word(&self, place: usize) -> &'static str {
        self.cells[place].as_ref().map_or("-", |(_, verdict)| verdict.word())
    }
}

/// Prints the table on standard output, and what is behind a failure on standard error.
pub fn report(title: &str, tests: &[String], plain: &Column, columns: &[Column]) -> Tally {
    let all = || [plain].into_iter().chain(columns);
    print_row(title, all().map(|column| column.name));
    let mut tally = Tally::default();
    for (place, test) in tests.iter().enumerate() {
        print_row(test, all().map(|column| column.word(place)));
        for (_, verdict) in columns.iter().filter_map(|column| column.cells[place].as_ref()) {
            tally.counted += usize::from(*verdict != Verdict::NotCounted);
            tally.failed += usize::from(matches!(verdict, Verdict::Fail(_) | Verdict::Skip(_)));
        }
        explain(place, test, plain, columns);
    }
    println!();
    tally
}

fn print_row<'a>(name: &str, words: impl Iterator<Item = &'a str>) {
    let words: String = words.map(|word| format!("  {word:11}")).collect();
    println!("{}", format!("{name:46}{words}").trim_end());
}

fn explain(place: usize, test: &str, plain: &Column, columns: &[Column]) {
    if let Some((_, Verdict::Fail(reason) | Verdict::Skip(reason))) = &plain.cells[place] {
        let reason = format!("it does not pass on this machine without vdso: {reason}");
        skip(Lacking::Kernel, &format!("selftest {test}"), &reason);
    }
    for column in columns {
        if let Some((finished, Verdict::Fail(reason) | Verdict::Skip(reason))) =
            &column.cells[place]
        {
            eprintln!("FAIL {test}, {}: {reason}\n{finished}", column.name);
        }
    }
}

impl Tally {
    /// Of both.
    pub fn and(self, other: Self) -> Self {
        Self { counted: self.counted + other.counted, failed: self.failed + other.failed }
    }

    /// Says how many, and whether that is a success: nothing counted is nothing shown.
    pub fn is_success(self) -> bool {
        let Self { counted, failed } = self;
        eprintln!("{counted} runs under vdso, {failed} failed");
        failed == 0 && counted > 0
    }
}
