//! What a test's exit code and output say, by the convention of `kselftest.h`: 0 is a pass, 4 a
//! skip, all else a failure. The output is looked at as well, as some of the tests count a failure
//! only on a line of theirs.

use xtask_build::process::{End, Finished};

/// What came of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Pass,
    /// It says that it cannot be run, and why.
    Skip(String),
    /// It failed, and why.
    Fail(String),
    /// It does not pass plain, so nothing is asked of it.
    NotCounted,
}

/// `KSFT_SKIP` in `kselftest.h`.
const SKIPPED: i32 = 4;

impl Verdict {
    /// For the table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip(_) => "skip",
            Self::Fail(_) => "FAIL",
            Self::NotCounted => "not counted",
        }
    }

    /// What a test says by itself.
    pub fn of(finished: &Finished) -> Self {
        let status = match &finished.end {
            End::Status(status) => status,
            End::Hung(limit) => return Self::Fail(format!("it hung for {} s", limit.as_secs())),
            End::NotStarted(error) => return Self::Fail(format!("it cannot be started: {error}")),
        };
        let line = |word: &dyn Fn(&str) -> bool| {
            finished.stdout.lines().chain(finished.stderr.lines()).find(|line| word(line))
        };
        if let Some(line) = line(&says_failure) {
            return Self::Fail(format!("it says '{}'", line.trim()));
        }
        match status.code() {
            Some(0) => Self::Pass,
            Some(SKIPPED) => {
                Self::Skip(line(&says_skip).unwrap_or("exit code 4").trim().to_owned())
            }
            _ => Self::Fail(status.to_string()),
        }
    }

    /// The same under vdso. It must have run on our image, and it must have tested all that it tested in the plain
    /// run, if there was one: a function that it does not find is none of its failures. A `source` that was asked for is
    /// the one that it must have run on.
    pub fn under_vdso(finished: &Finished, source: Option<&str>, plain: Option<&Finished>) -> Self {
        let verdict = Self::of(finished);
        if verdict != Self::Pass {
            return verdict;
        }
        let mut words = finished.stderr.lines();
        if let Some(warning) = words.find(|line| line.starts_with("vdso: warning:")) {
            return Self::Fail(format!("vdso says '{warning}'"));
        }
        if !says_injected(&finished.stderr, source) {
            return Self::Fail("vdso does not say that it ran on the image".to_owned());
        }
        let Some(plain) = plain else { return Self::Pass };
        let count =
            |stdout: &str, word: fn(&str) -> bool| stdout.lines().filter(|line| word(line)).count();
        for (name, word) in [("passed", says_pass as fn(&str) -> bool), ("skipped", says_skip)] {
            let (ours, plains) = (count(&finished.stdout, word), count(&plain.stdout, word));
            if ours != plains {
                return Self::Fail(format!("{ours} of its tests {name}, {plains} when run plain"));
            }
        }
        Self::Pass
    }
}

/// What `vdso run -v` says of the source, and of the program that it has put the image into:
/// `vdso: 'NAME' (pid NUMBER): ...`.
fn says_injected(stderr: &str, source: Option<&str>) -> bool {
    source.is_none_or(|source| stderr.contains(&format!("vdso: source {source}:")))
        && stderr.lines().any(|line| line.starts_with("vdso: '") && line.contains("' (pid "))
}

/// The lines of `ksft_test_result_fail`, of `ksft_exit_fail`, and of the tests that print their own.
fn says_failure(line: &str) -> bool {
    line.starts_with("not ok") || line.contains("FAIL")
}

fn says_pass(line: &str) -> bool {
    line.starts_with("ok ") || line.contains("[OK]") || line.contains("[PASS]")
}

fn says_skip(line: &str) -> bool {
    line.contains("SKIP") || line.contains("is not present") || line.contains("Could not find")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;
    use std::time::Duration;

    use super::*;

    const INJECTED: &str =
        "vdso: source own: as asked\nvdso: 'abi' (pid 7): image at 0x7f0000000000\n";

    fn finished(code: i32, stdout: &str, stderr: &str) -> Finished {
        let end = End::Status(ExitStatus::from_raw(code << 8));
        Finished { end, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
    }

    #[track_caller]
    fn assert_fails(verdict: Verdict, because: &str) {
        match verdict {
            Verdict::Fail(reason) => assert!(reason.contains(because), "{reason}"),
            verdict => panic!("{verdict:?}"),
        }
    }

    #[test]
    fn exit_codes_are_those_of_kselftest() {
        assert_eq!(Verdict::of(&finished(0, "ok 1 CLOCK_REALTIME\n", "")), Verdict::Pass);
        assert_eq!(
            Verdict::of(&finished(4, "AT_SYSINFO_EHDR is not present!\n", "")),
            Verdict::Skip("AT_SYSINFO_EHDR is not present!".to_owned())
        );
        for code in [1, 2, 3, 5, 125] {
            assert_fails(Verdict::of(&finished(code, "", "")), &format!("exit status: {code}"));
        }
    }

    #[test]
    fn a_line_of_failure_counts_whatever_the_exit_code() {
        for line in ["not ok 1 CLOCK_TAI", "[FAIL]\tTimes are out of sequence", "f(): x FAIL"] {
            assert_fails(Verdict::of(&finished(0, line, "")), line.trim());
            assert_fails(Verdict::of(&finished(0, "", line)), line.trim());
        }
        let totals = "# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0\n";
        assert_eq!(Verdict::of(&finished(0, totals, "")), Verdict::Pass);
    }

    #[test]
    fn what_ends_otherwise_fails() {
        let ended = |end| Finished { end, stdout: "ok 1\n".to_owned(), stderr: String::new() };
        assert_fails(Verdict::of(&ended(End::Hung(Duration::from_secs(9)))), "hung for 9 s");
        let error = io::Error::from(io::ErrorKind::NotFound);
        assert_fails(Verdict::of(&ended(End::NotStarted(error))), "cannot be started");
        assert_fails(Verdict::of(&ended(End::Status(ExitStatus::from_raw(11)))), "SIGSEGV");
    }

    #[test]
    fn a_pass_needs_the_image_and_every_test_of_the_plain_run() {
        let under = |stdout, stderr| {
            let plain = finished(0, "ok 1\nok 2\n", "");
            Verdict::under_vdso(&finished(0, stdout, stderr), Some("own"), Some(&plain))
        };
        assert_eq!(under("ok 1\nok 2\n", INJECTED), Verdict::Pass);
        assert_fails(under("ok 1\nok 2\n", ""), "does not say that it ran on the image");
        let other = INJECTED.replace("own", "chain");
        assert_fails(under("ok 1\nok 2\n", &other), "does not say that it ran on the image");
        let alone = |stdout, stderr| Verdict::under_vdso(&finished(0, stdout, stderr), None, None);
        assert_eq!(alone("ok 1\n", &other), Verdict::Pass);
        assert_fails(alone("ok 1\n", ""), "does not say that it ran on the image");
        let warned = format!("{INJECTED}vdso: warning: 'x' runs on the kernel's own clocks\n");
        assert_fails(under("ok 1\nok 2\n", &warned), "vdso says");
        assert_fails(under("ok 1\n", INJECTED), "1 of its tests passed, 2 when run plain");
        let skipped = "ok 1\nok 2 # SKIP time(): Could not find __vdso_time\n";
        assert_fails(under(skipped, INJECTED), "1 of its tests skipped, 0 when run plain");
    }
}
