//! Programs with 32-bit pointers and x86-64's instructions, below `vdso run`: `test-programs/clocks.c`,
//! compiled for x32 and for this machine's own ABI.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::Expected;
use crate::command::{Finished, vdso, vdso_as_nobody};
use crate::report::Report;

const X32: &str = "/clocks-x32";
const NATIVE: &str = "/clocks";

/// Lines of one look at every clock.
const LINES: usize = 9;
/// An hour.
const OFFSET: [&str; 4] = ["--offset", "+1h", "--clocks", "all"];
const OFFSET_NS: i128 = 3_600_000_000_000;
/// What the `own` source may be off by on an emulator that others interrupt, ns.
const OWN_NS: i128 = 20_000_000;
/// Above all addresses of x32.
const END_OF_ADDRESSES: u64 = 1 << 32;

pub fn run(report: &mut Report, expected: Expected) {
    let plain = Command::new(X32).stdin(Stdio::null()).stdout(Stdio::null()).status();
    match plain {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return report.skip("all", "it was not built");
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) => {
            return report.skip("all", &format!("this kernel runs no such program: {error}"));
        }
        Err(error) => return report.check("all", Err::<&str, _>(error.into())),
    }
    for source in ["chain", "own", "host"] {
        report.check(&format!("clocks-{source}"), clocks(source, expected));
    }
    report.check("selected", moved(&["loop", "20"], 20));
    report.check("frozen", frozen());
    report.check("exec", moved(&["exec", "3"], 4));
    report.check("exec-of-other-kinds", exec_of_other_kinds());
    report.check("threads", moved(&["threads", "4"], 4));
    report.check("vfork", moved(&["vfork"], 1));
    report.check("fork", fork());
    report.check("signals", signals(expected));
    report.check("auxv", auxv());
    report.check("not-followed", not_followed());
    report.check("nobody", nobody());
    report.check("exit-code", exit_code());
}

/// Below `vdso run`, which tells what it does, with every clock an hour ahead.
fn under(options: &[&str], program: &[&str]) -> Result<Finished> {
    vdso(&[&["run", "-v"][..], options, &OFFSET, &["--"], program].concat())
}

fn clocks(source: &str, expected: Expected) -> Result<String> {
    let finished = under(&["--source", source], &[X32, "loop", "20"])?;
    if let Some(reason) = expected.refusal(source) {
        return Ok(finished.expect(125, reason)?.said_after("error: ")?.to_owned());
    }
    let finished = finished.expect(0, "image at")?;
    bracketed(&finished, 20, if source == "own" { OWN_NS } else { 0 })
}

/// With the source that is fastest and safe.
fn moved(arguments: &[&str], looks: usize) -> Result<String> {
    let program = [&[X32][..], arguments].concat();
    bracketed(&under(&[], &program)?.expect(0, "image at")?, looks, 0)
}

fn exec_of_other_kinds() -> Result<String> {
    let program = [X32, "then", NATIVE, "then", X32, "then", NATIVE, "then", X32];
    let finished = under(&[], &program)?.expect(0, "image at")?;
    ensure!(images(&finished).len() == 5, "five programs: {finished:?}");
    bracketed(&finished, 5, 0)
}

/// A clock of its own stands still.
fn frozen() -> Result<String> {
    let run = ["run", "--freeze", "--at", "2038-01-19T03:14:07Z", "--", X32, "loop", "5"];
    let finished = vdso(&run)?.expect(0, "")?;
    let lines = finished.stdout.lines().filter(|line| line.starts_with("REALTIME "));
    let values: Vec<&str> = lines.filter_map(|line| line.split(' ').nth(2)).collect();
    ensure!(values == ["2147483647000000000"; 5], "it moves: {values:?}");
    Ok("2147483647 five times".to_owned())
}

/// They print one line each.
fn fork() -> Result<String> {
    let finished = under(&[], &[X32, "fork", "8"])?.expect(0, "image at")?;
    let lines = finished.stdout.lines().map(|line| check_line(line, 0)).collect::<Result<Vec<_>>>();
    let lines = lines?.len();
    ensure!(lines == 8, "{lines} children of 8");
    Ok("8 children".to_owned())
}

/// The image is interrupted where it is, and goes on. A backtrace finds its way out of it, but not out of
/// the kernel's vDSO, which is asked where its page is not known.
fn signals(expected: Expected) -> Result<String> {
    let finished = under(&[], &[X32, "signals"])?.expect(0, "image at")?;
    let mut words = finished.stdout.split(' ').skip(1);
    let (total, reached) = (words.next(), words.next());
    let is_all = total.is_some() && total == reached;
    ensure!(is_all || expected != Expected::Page, "some backtraces end early: {finished:?}");
    Ok(finished.stdout)
}

/// The same address in all places, and that which was told, below 4 GiB.
fn auxv() -> Result<String> {
    let finished = under(&[], &[X32, "auxv"])?.expect(0, "image at")?;
    let told = images(&finished);
    let [image] = told[..] else { bail!("one program: {finished:?}") };
    ensure!(image < END_OF_ADDRESSES, "an address of more than 32 bits: {finished:?}");
    let expected = format!("{image:#x}");
    for line in finished.stdout.lines() {
        let addr = line.rsplit(' ').next().unwrap_or_default();
        // `PR_GET_AUXV` is of Linux 6.4.
        let is_unknown = line == "AUXV prctl -";
        ensure!(addr == expected || is_unknown, "{line}, not {expected}");
    }
    ensure!(finished.stdout.lines().count() == 3, "{finished:?}");
    Ok(finished.stdout)
}

fn not_followed() -> Result<String> {
    let program = [X32, "then", X32];
    let finished = under(&["--no-follow"], &program)?.expect(0, "")?;
    let lines: Vec<&str> = finished.stdout.lines().collect();
    let (ours, others) = lines.split_at(lines.len().min(LINES));
    for line in ours {
        check_line(line, 0)?;
    }
    ensure!(others.len() == LINES, "{finished:?}");
    for line in others {
        check_shifted(line, 0, 0).context("the next program has a clock as well")?;
    }
    Ok("the first program alone".to_owned())
}

fn nobody() -> Result<String> {
    let run = [&["run", "-v"][..], &OFFSET, &["--", X32, "exec", "1"]].concat();
    bracketed(&vdso_as_nobody(&run)?.expect(0, "image at")?, 2, 0)
}

fn exit_code() -> Result<String> {
    under(&[], &[X32, "no such mode"])?.expect(2, "usage: clocks")?;
    Ok("2".to_owned())
}

/// The addresses of images that were told.
fn images(finished: &Finished) -> Vec<u64> {
    let told = finished.stderr.lines().filter_map(|line| Some(line.split_once("image at 0x")?.1));
    let digits = told.map(|rest| rest.split(|c: char| !c.is_ascii_hexdigit()).next());
    digits.filter_map(|digits| u64::from_str_radix(digits?, 16).ok()).collect()
}

/// Looks at all clocks, each an hour ahead.
fn bracketed(finished: &Finished, looks: usize, slack_ns: i128) -> Result<String> {
    let lines = finished.stdout.lines();
    let lines = lines.map(|line| check_line(line, slack_ns)).collect::<Result<Vec<_>>>()?.len();
    ensure!(lines == looks * LINES, "{lines} lines of {}: {finished:?}", looks * LINES);
    Ok(format!("{lines} bracketed reads in {} programs", images(finished).len()))
}

/// An hour ahead.
fn check_line(line: &str, slack_ns: i128) -> Result<()> {
    check_shifted(line, OFFSET_NS, slack_ns)
}

fn check_shifted(line: &str, offset_ns: i128, slack_ns: i128) -> Result<()> {
    let mut words = line.split(' ').skip(1).map(str::parse::<i128>);
    let mut next = || Ok::<_, anyhow::Error>(words.next().context(line.to_owned())??);
    let (before, now, after) = (next()?, next()?, next()?);
    let (least, most) = (before + offset_ns - slack_ns, after + offset_ns + slack_ns);
    ensure!((least..=most).contains(&now), "{line} is not {offset_ns} ns ahead");
    Ok(())
}
