//! From what a person writes to the clock that is meant.

use std::borrow::Cow;

use anyhow::{Context, Result, ensure};
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use vdso_data::arithmetic::Rate;
use vdso_launch::{Clock, ClockError, ClockSet, Clocks, Plan, host_time};

use super::args::{ClockGroup, Run};

/// A point in time to start at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(pub Timestamp);

/// A span to be ahead by.
#[derive(Clone, Debug)]
pub struct Offset(pub Span);

/// The fastest clock there is.
const MAX_RATE: u64 = Clock::MAX_RATE;

/// Reads `--at`.
pub fn parse_at(text: &str) -> Result<At> {
    if let Some(seconds) = text.strip_prefix('@') {
        return parse_seconds(seconds).map(At);
    }
    let text = with_six_digits(text);
    let text = text.as_ref();
    refuse_unknown_zone(text)?;
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(At(timestamp));
    }
    if let Ok(zoned) = text.parse::<Zoned>() {
        return Ok(At(zoned.timestamp()));
    }
    let local = text.parse::<DateTime>().with_context(|| {
        // Well written, with a zone, and still no moment.
        if Pieces::parse(text).is_ok_and(|pieces| pieces.offset().is_some()) {
            return format!(
                "'{text}' is out of range: times from {} to {} can be given",
                Timestamp::MIN,
                Timestamp::MAX
            );
        }
        format!(
            "cannot read '{text}' as a time: write 2038-01-19T03:14:07Z, a date like 2038-01-19, \
             or @ and seconds like @2147483647"
        )
    })?;
    let zoned = local.to_zoned(TimeZone::system()).context("this time is out of range")?;
    Ok(At(zoned.timestamp()))
}

/// A time before the year 1 has six digits in its year, by ISO 8601 and here; four are understood as well.
fn with_six_digits(text: &str) -> Cow<'_, str> {
    let is_short = text
        .strip_prefix('-')
        .and_then(|it| it.split_once('-'))
        .is_some_and(|(year, _)| year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()));
    if is_short { format!("-00{}", &text[1..]).into() } else { text.into() }
}

/// A time is read past the name of a zone that is not known, and would be in the local one.
fn refuse_unknown_zone(text: &str) -> Result<()> {
    let Ok(pieces) = Pieces::parse(text) else { return Ok(()) };
    let Some(zone) = pieces.time_zone_annotation() else { return Ok(()) };
    let unknown = || format!("cannot read '{text}' as a time: its zone is not known");
    zone.to_time_zone().map(drop).with_context(unknown)
}

fn parse_seconds(text: &str) -> Result<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    ensure!(
        is_number(digits) && !digits.is_empty() && is_number(fraction) && fraction.len() <= 9,
        "cannot read '@{text}': after @ come seconds since 1970, with up to nine decimals"
    );
    let sec: i64 = whole.parse().with_context(|| format!("'@{text}' is out of range"))?;
    let nsec: i32 = format!("{fraction:0<9}").parse().expect("nine digits fit");
    let nsec = if whole.starts_with('-') { -nsec } else { nsec };
    Timestamp::new(sec, nsec).with_context(|| {
        format!("'@{text}' is out of range: years from -9999 to 9999 can be given")
    })
}

/// Reads `--offset`.
pub fn parse_offset(text: &str) -> Result<Offset> {
    let span = text.parse::<Span>().map_err(|_| {
        if is_duration_of_any_length(text) {
            return anyhow::anyhow!("'{text}' is out of range: no unit of it may be more than some 20,000 years");
        }
        let hint = if text.parse().is_ok_and(f64::is_finite) { format!(", for example {text}s") } else { String::new() };
        anyhow::anyhow!(
            "cannot read '{text}' as a duration: write numbers with units like +30d, -2h30m or 1y{hint}"
        )
    })?;
    Ok(Offset(span))
}

/// Whether nothing is wrong with it but its numbers.
fn is_duration_of_any_length(text: &str) -> bool {
    let mut ones = String::new();
    for character in text.chars() {
        match character {
            '0'..='9' if ones.ends_with('1') => {}
            '0'..='9' => ones.push('1'),
            other => ones.push(other),
        }
    }
    ones.parse::<Span>().is_ok()
}

/// Reads `--rate`: a decimal number, exactly.
pub fn parse_rate(text: &str) -> Result<Rate> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_readable =
        is_number(whole) && is_number(fraction) && !(whole.is_empty() && fraction.is_empty());
    ensure!(
        is_readable && fraction.len() <= 18,
        "cannot read '{text}' as a rate: write a number from 0 to {MAX_RATE} like 2 or 0.5"
    );
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u64::MAX) };
    let digits: u64 = format!("{fraction:0<18}").parse().expect("eighteen digits fit");
    let fraction = (u128::from(digits) << 64) / 10u128.pow(18);
    let rate = Rate { whole, fraction: fraction as u64 };
    ensure!(
        whole < MAX_RATE || rate == Rate { whole: MAX_RATE, fraction: 0 },
        "a rate of {text} is too fast: {MAX_RATE} is the most"
    );
    Ok(rate)
}

/// How each clock is moved for what was asked, from now on.
pub fn plan(run: &Run) -> Result<Plan> {
    Plan::of(&clock(run)?).map_err(|error| match error {
        ClockError::BeforeZero { .. } => {
            anyhow::anyhow!("{error}; leave them out of --clocks or use a smaller --offset")
        }
        ClockError::OutOfRange => anyhow::anyhow!("--at or --offset is out of range"),
        error => error.into(),
    })
}

fn clock(run: &Run) -> Result<Clock> {
    let mut clock = Clock::builder();
    if !run.clocks.is_empty() {
        clock = clock.clocks(run.clocks.iter().map(|&group| group.into()).collect::<ClockSet>());
    }
    if let Some(At(then)) = run.at {
        clock = clock.at(then);
    }
    if let Some(Offset(span)) = &run.offset {
        let now = Timestamp::try_from(host_time()).context("the host's clock is out of range")?;
        // In UTC, where a day is 24 hours.
        let then = now
            .to_zoned(TimeZone::UTC)
            .checked_add(span)
            .context("--offset leads out of the years from -9999 to 9999; use a smaller one")?
            .timestamp();
        let by = now.duration_until(then);
        clock = if by.is_negative() {
            clock.behind(by.unsigned_abs())
        } else {
            clock.ahead(by.unsigned_abs())
        };
    }
    if run.settable {
        clock = clock.settable();
    }
    if run.freeze {
        clock = clock.freeze();
    } else if let Some(rate) = run.rate {
        clock = clock.exact_rate(rate);
    }
    Ok(clock.build()?)
}

impl From<ClockGroup> for Clocks {
    fn from(group: ClockGroup) -> Self {
        match group {
            ClockGroup::Realtime => Self::Realtime,
            ClockGroup::Monotonic => Self::Monotonic,
            ClockGroup::Boottime => Self::Boottime,
            ClockGroup::All => Self::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        run: Run,
    }

    fn run(options: &[&str]) -> Run {
        let words = ["vdso"].iter().chain(options).chain(&["--", "true"]);
        Command::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).run
    }

    #[test]
    fn a_time_before_the_year_1_needs_no_equals_sign() {
        let expected = "-000044-03-15T00:00:00Z".parse().unwrap();
        for time in ["-000044-03-15T00:00:00Z", "-0044-03-15T00:00:00Z"] {
            assert_eq!(run(&["--at", time]).at, Some(At(expected)));
            assert_eq!(run(&[&format!("--at={time}")]).at, Some(At(expected)));
        }
    }

    #[test]
    fn a_zone_that_is_not_known_is_refused() {
        for time in
            ["2020-01-01[No/Zone]", "2020-01-01T00:00:00[X]", "2020-01-01T00:00:00Z[No/Zone]"]
        {
            let error = parse_at(time).expect_err(time);
            assert!(format!("{error:#}").contains("zone is not known"), "{time}: {error:#}");
        }
    }

    #[test]
    fn options_say_which_clock_is_meant() {
        let clock = |options: &[&str]| clock(&run(options)).unwrap();
        let builder = Clock::builder;
        assert_eq!(clock(&[]), Clock::default());
        let expected =
            builder().ahead(std::time::Duration::from_secs(30 * 86_400)).build().unwrap();
        assert_eq!(clock(&["--offset", "+30d"]), expected);
        let expected = builder().behind(std::time::Duration::from_millis(1500)).build().unwrap();
        assert_eq!(clock(&["--offset", "-1.5s"]), expected);
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(5);
        let expected = builder().at(at).rate(0.5).clocks(Clocks::All).build().unwrap();
        assert_eq!(clock(&["--at", "@5", "--rate", "0.5", "--clocks", "all"]), expected);
        assert_eq!(clock(&["--freeze"]), builder().freeze().build().unwrap());
    }
}
