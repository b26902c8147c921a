//! From what a person writes to how each clock is moved.

use std::borrow::Cow;
use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use vdso_data::arithmetic::{NSEC_PER_SEC, Rate, Timespec, Transform};
use vdso_data::clock;

use super::args::{ClockGroup, Run};

/// A point in time to start at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(pub Timestamp);

/// A span to be ahead by.
#[derive(Clone, Debug)]
pub struct Offset(pub Span);

/// The fastest clock there is.
const MAX_RATE: u64 = 1_000_000;

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

/// How each clock is moved, by its id.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// For the page.
    pub transforms: [Transform; clock::LINES],
    /// What is added, whichever clocks it is added to.
    pub offset: Timespec,
    /// How fast they run.
    pub rate: Rate,
}

impl Plan {
    /// For what was asked, from now on.
    pub fn of(run: &Run) -> Result<Self> {
        Self::from_now(run, &Now::read())
    }

    fn from_now(run: &Run, now: &Now) -> Result<Self> {
        let offset = now.offset(run)?;
        let rate = if run.freeze { Rate::ZERO } else { run.rate.unwrap_or(Rate::ONE) };
        let mut transforms = [Transform::IDENTITY; clock::LINES];
        for &(id, base) in &now.clocks {
            if !run.clocks.iter().any(|group| group.has(id)) {
                continue;
            }
            let moved = base.wrapping_add(offset);
            if moved.sec < 0 && !clock::is_in(id, clock::SETTABLE | 1 << clock::REALTIME_COARSE) {
                bail!(
                    "the monotonic clocks would start before zero: this machine has been up for \
                     {} s only; leave them out of --clocks or use a smaller --offset",
                    base.sec
                );
            }
            transforms[id as usize] = Transform { offset, base, rate };
        }
        Ok(Self { transforms, offset, rate })
    }

    /// Whether any clock runs at a speed of its own.
    pub fn has_rate(&self) -> bool {
        self.rate != Rate::ONE
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.offset.as_nanos();
        let (sign, ns) = (if ns < 0 { '-' } else { '+' }, ns.unsigned_abs());
        let per_sec = u128::from(NSEC_PER_SEC);
        write!(f, "offset {sign}{}.{:09} s", ns / per_sec, ns % per_sec)?;
        match self.rate {
            Rate::ONE => Ok(()),
            Rate::ZERO => write!(f, ", frozen"),
            rate => {
                write!(f, ", rate {}", rate.whole as f64 + rate.fraction as f64 / 2f64.powi(64))
            }
        }
    }
}

impl ClockGroup {
    fn has(self, id: u32) -> bool {
        let set = match self {
            Self::Realtime => clock::SETTABLE | 1 << clock::REALTIME_COARSE,
            Self::Monotonic => {
                1 << clock::MONOTONIC | 1 << clock::MONOTONIC_RAW | 1 << clock::MONOTONIC_COARSE
            }
            Self::Boottime => 1 << clock::BOOTTIME,
            Self::All => u32::MAX,
        };
        clock::is_in(id, set)
    }
}

/// The host's clocks at its last tick.
///
/// Coarse clocks stand there until the next one. What is computed from an earlier moment than they show
/// would have them begin before the time that was asked for.
struct Now {
    clocks: [(u32, Timespec); 7],
}

impl Now {
    fn read() -> Self {
        Self::by(read)
    }

    fn by(mut read: impl FnMut(u32) -> Timespec) -> Self {
        let (realtime, monotonic) = loop {
            let realtime = read(clock::REALTIME_COARSE);
            let monotonic = read(clock::MONOTONIC_COARSE);
            // No tick in between.
            if read(clock::REALTIME_COARSE) == realtime {
                break (realtime, monotonic);
            }
        };
        // The tick was the same time ago on all clocks.
        let ago = read(clock::MONOTONIC).wrapping_sub(monotonic);
        // TAI is whole seconds ahead of REALTIME; taking them from the same reading keeps it so.
        let ahead = read(clock::TAI).wrapping_sub(ago).wrapping_sub(realtime);
        let ahead = Timespec { sec: ahead.wrapping_add(HALF_A_SECOND).sec, nsec: 0 };
        Self {
            clocks: [
                (clock::REALTIME, realtime),
                (clock::REALTIME_COARSE, realtime),
                (clock::TAI, realtime.wrapping_add(ahead)),
                (clock::MONOTONIC, monotonic),
                (clock::MONOTONIC_COARSE, monotonic),
                (clock::MONOTONIC_RAW, read(clock::MONOTONIC_RAW).wrapping_sub(ago)),
                (clock::BOOTTIME, read(clock::BOOTTIME).wrapping_sub(ago)),
            ],
        }
    }

    fn offset(&self, run: &Run) -> Result<Timespec> {
        let realtime = self.clocks[0].1;
        let now = Timestamp::new(realtime.sec, realtime.nsec as i32)
            .context("the host's clock is out of range")?;
        let then = match (&run.at, &run.offset) {
            (Some(At(then)), _) => *then,
            // In UTC, where a day is 24 hours.
            (None, Some(Offset(span))) => now
                .to_zoned(TimeZone::UTC)
                .checked_add(*span)
                .context("--offset leads out of the years from -9999 to 9999; use a smaller one")?
                .timestamp(),
            (None, None) => now,
        };
        let ns = then.as_nanosecond() - now.as_nanosecond();
        Timespec::from_nanos(ns).context("--at or --offset is out of range")
    }
}

const HALF_A_SECOND: Timespec = Timespec { sec: 0, nsec: NSEC_PER_SEC as i64 / 2 };

/// The host's clock, by the system call: this process may itself run on an image that moves it.
fn read(id: u32) -> Timespec {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is ours; the id is one that every Linux has.
    unsafe { libc::syscall(libc::SYS_clock_gettime, id, &raw mut ts) };
    Timespec { sec: ts.tv_sec, nsec: ts.tv_nsec }
}

#[cfg(test)]
mod tests;
