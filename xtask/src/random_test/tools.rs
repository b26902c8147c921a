//! The programs that look for patterns, and what they say of random bytes.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use super::Stream;
use super::pump::pump;

/// The programs, and Debian's packages of them.
pub const PACKAGES: [(&str, &str); 3] =
    [("rngtest", "rng-tools5"), ("ent", "ent"), ("dieharder", "dieharder")];

/// Those of dieharder's tests that its own list (`-l`) calls good, and that take less than minutes.
pub const DIEHARDER: [u32; 23] =
    [0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 15, 16, 17, 100, 101, 202, 204, 205, 206, 207, 208, 209];

/// More than any of dieharder's tests takes.
const ENDLESS: u64 = u64::MAX / 2;

/// What came of one test.
#[derive(Debug, PartialEq)]
pub struct Verdict {
    pub name: String,
    pub bytes: u64,
    pub is_good: bool,
    /// In the program's own figures.
    pub said: String,
}

/// FIPS 140-2's tests of 20000 bits at a time.
pub fn rngtest(stream: &Stream, bytes: u64) -> Result<Verdict> {
    // It ends with 1 if any part has failed, as some of random bytes must.
    let (output, bytes) = pump(&mut stream.command(bytes), &mut Command::new("rngtest"))?;
    judge_rngtest(&text(&output), bytes)
}

fn judge_rngtest(said: &str, bytes: u64) -> Result<Verdict> {
    let count = |name: &str| -> Result<f64> {
        let line = said.lines().find_map(|line| line.split_once(name));
        let (_, number) =
            line.with_context(|| format!("rngtest does not say '{name}':\n{said}"))?;
        number.trim().parse().context("rngtest says no number")
    };
    let failures = count("FIPS 140-2 failures:")?;
    let repeated = count("Continuous run:")?;
    let parts = count("FIPS 140-2 successes:")? + failures;
    // Of truly random bytes 0.8 parts in 1000 fail; more than eight standard deviations above that do not.
    let expected = parts * 0.0008;
    let is_good =
        parts > 0.0 && repeated == 0.0 && failures <= expected + 8.0 * expected.sqrt() + 1.0;
    let said = format!("{failures} of {parts} parts failed, {expected:.0} expected");
    Ok(Verdict { name: "rngtest".to_owned(), bytes, is_good, said })
}

/// How often each byte is there, and whether the next depends on the last.
pub fn ent(stream: &Stream, bytes: u64) -> Result<Verdict> {
    let (output, bytes) = pump(&mut stream.command(bytes), Command::new("ent").arg("-t"))?;
    ensure!(output.status.success(), "ent has failed: {}", output.status);
    judge_ent(&text(&output), bytes)
}

fn judge_ent(said: &str, bytes: u64) -> Result<Verdict> {
    // 1,File-bytes,Entropy,Chi-square,Mean,Monte-Carlo-Pi,Serial-Correlation
    let line = said.lines().find(|line| line.starts_with("1,"));
    let line = line.with_context(|| format!("ent says no figures:\n{said}"))?;
    let figures: Vec<f64> = line
        .split(',')
        .map(|figure| figure.trim().parse().with_context(|| format!("ent says '{figure}'")))
        .collect::<Result<_>>()?;
    let &[_, counted, _, chi_square, _, _, correlation] = &figures[..] else {
        anyhow::bail!("ent says other figures: {line}");
    };
    ensure!(counted as u64 == bytes, "ent has read {counted} of {bytes} bytes");
    // 255 degrees of freedom: outside of this by chance once in a million times. A correlation has a
    // standard deviation of one by the root of the bytes.
    let is_good =
        (155.0..=380.0).contains(&chi_square) && correlation.abs() < 5.0 / (bytes as f64).sqrt();
    let said = format!("chi-square {chi_square}, serial correlation {correlation}");
    Ok(Verdict { name: "ent".to_owned(), bytes, is_good, said })
}

/// One of dieharder's tests.
pub fn dieharder(stream: &Stream, test: u32) -> Result<Verdict> {
    let mut command = Command::new("dieharder");
    // Generator 200 is standard input. The flags: the test's name, its p-value, what that means.
    command.args(["-g", "200", "-d", &test.to_string(), "-D", "test_name", "-D", "pvalues"]);
    command.args(["-D", "assessment"]);
    let (output, bytes) = pump(&mut stream.command(ENDLESS), &mut command)?;
    ensure!(output.status.success(), "dieharder has failed: {}", output.status);
    judge_dieharder(test, &text(&output), bytes)
}

/// WEAK comes by chance, once in a hundred; FAILED does not.
fn judge_dieharder(test: u32, said: &str, bytes: u64) -> Result<Verdict> {
    let lines: Vec<Vec<&str>> =
        said.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
    let results: Vec<(&str, &str, &str)> = lines
        .iter()
        .filter_map(|line| match line[..] {
            [name, p, word @ ("PASSED" | "WEAK" | "FAILED"), ..] => Some((name, p, word)),
            _ => None,
        })
        .collect();
    let &(name, ..) =
        results.first().with_context(|| format!("dieharder says nothing:\n{said}"))?;
    let is_good = results.iter().all(|(_, _, word)| *word != "FAILED");
    let said: Vec<String> = results.iter().map(|(_, p, word)| format!("p {p} {word}")).collect();
    Ok(Verdict { name: format!("{name} (-d {test})"), bytes, is_good, said: said.join(", ") })
}

fn text(output: &Output) -> String {
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{stdout}{stderr}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rngtest_said(failures: u32, repeated: u32) -> String {
        format!(
            "rngtest: bits received from input: 1600000000\n\
             rngtest: FIPS 140-2 successes: {}\n\
             rngtest: FIPS 140-2 failures: {failures}\n\
             rngtest: FIPS 140-2(2001-10-10) Continuous run: {repeated}\n",
            80_000 - failures
        )
    }

    #[test]
    fn rngtest_may_refuse_as_many_parts_as_of_random_bytes() {
        let judge =
            |failures, repeated| judge_rngtest(&rngtest_said(failures, repeated), 1).unwrap();
        assert!(judge(65, 0).is_good && judge(0, 0).is_good);
        assert!(!judge(200, 0).is_good && !judge(65, 1).is_good);
        assert!(judge_rngtest("rngtest: entropy source drained", 1).is_err());
    }

    #[test]
    fn ent_is_judged_by_its_figures() {
        let judge = |chi_square, correlation| {
            let header = "0,File-bytes,Entropy,Chi-square,Mean,Monte-Carlo-Pi,Serial-Correlation";
            let said = format!("{header}\n1,100000000,7.9,{chi_square},127.5,3.1,{correlation}\n");
            judge_ent(&said, 100_000_000).map(|verdict| verdict.is_good)
        };
        assert!(judge("250.8", "-0.000043").unwrap());
        // Too even is no more random than too uneven.
        assert!(!judge("900.0", "0").unwrap() && !judge("3.0", "0").unwrap());
        assert!(!judge("250.8", "0.01").unwrap());
        assert!(judge("none", "0").is_err() && judge_ent("", 1).is_err());
    }

    #[test]
    fn dieharder_fails_by_its_word() {
        let judge = |said| judge_dieharder(0, said, 1).map(|verdict| verdict.is_good);
        assert!(
            judge("   diehard_birthdays|0.6|  PASSED  \n sts_runs|0.001|   WEAK   \n").unwrap()
        );
        assert!(!judge(" sts_serial|0.5|  PASSED  \n sts_serial|0.0|  FAILED  \n").unwrap());
        assert!(judge("Error: cannot read\n").is_err());
    }
}
