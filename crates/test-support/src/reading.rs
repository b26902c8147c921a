//! What the test programs print, and what it proves.
//!
//! A line is `NAME[:function] RAW_BEFORE LIBRARY RAW_AFTER`, in nanoseconds. The raw values come
//! from the system call, so they are the kernel's time just before and just after the library read
//! the same clock. If the library's clock is shifted by `s`, then
//! `RAW_BEFORE + s <= LIBRARY <= RAW_AFTER + s`: the reading bounds `s` from both sides, and how
//! far the bounds lie apart is how exact it is.

use std::fmt;
use std::ops::RangeInclusive;

/// A clock, or a function with a clock of its own, by its name in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// `CLOCK_REALTIME`.
    Realtime,
    /// `CLOCK_MONOTONIC`.
    Monotonic,
    /// `CLOCK_MONOTONIC_RAW`.
    MonotonicRaw,
    /// `CLOCK_BOOTTIME`.
    Boottime,
    /// `CLOCK_TAI`.
    Tai,
    /// `CLOCK_REALTIME_COARSE`.
    RealtimeCoarse,
    /// `CLOCK_MONOTONIC_COARSE`.
    MonotonicCoarse,
    /// gettimeofday(2), in whole microseconds.
    Gettimeofday,
    /// time(2), in whole seconds.
    Time,
}

impl Clock {
    /// Every clock.
    pub const ALL: [Clock; 9] = [
        Clock::Realtime,
        Clock::Monotonic,
        Clock::MonotonicRaw,
        Clock::Boottime,
        Clock::Tai,
        Clock::RealtimeCoarse,
        Clock::MonotonicCoarse,
        Clock::Gettimeofday,
        Clock::Time,
    ];

    /// The name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Clock::Realtime => "REALTIME",
            Clock::Monotonic => "MONOTONIC",
            Clock::MonotonicRaw => "MONOTONIC_RAW",
            Clock::Boottime => "BOOTTIME",
            Clock::Tai => "TAI",
            Clock::RealtimeCoarse => "REALTIME_COARSE",
            Clock::MonotonicCoarse => "MONOTONIC_COARSE",
            Clock::Gettimeofday => "GETTIMEOFDAY",
            Clock::Time => "TIME",
        }
    }

    /// The function that read the clock where the output names none.
    fn default_function(self) -> &'static str {
        match self {
            Clock::Gettimeofday => "gettimeofday",
            Clock::Time => "time",
            _ => "clock_gettime",
        }
    }

    fn from_name(name: &str) -> Option<Clock> {
        Clock::ALL.into_iter().find(|clock| clock.name() == name)
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One clock, read by a program's own library between two raw system calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The clock.
    pub clock: Clock,
    /// The library's function: `clock_gettime`, `time.Now`, ...
    pub function: String,
    /// The clock by the system call, before the library read it.
    pub raw_before_ns: i128,
    /// The clock by the library.
    pub library_ns: i128,
    /// The clock by the system call, after the library read it.
    pub raw_after_ns: i128,
}

impl Reading {
    /// The shifts, library minus raw, that this reading allows, if all its values are exact.
    ///
    /// Empty if the raw clock went backwards in between, which a set REALTIME can do.
    pub fn shift_range(&self) -> RangeInclusive<i128> {
        self.library_ns - self.raw_after_ns..=self.library_ns - self.raw_before_ns
    }

    /// The unit in ns to which the function rounds or truncates; 1 for the exact ones.
    pub fn resolution_ns(&self) -> i128 {
        match (self.clock, self.function.as_str()) {
            (Clock::Time, _) => 1_000_000_000,
            (Clock::Gettimeofday, _) => 1_000,
            (_, "EPOCHREALTIME" | "HiRes.clock_gettime" | "HiRes.gettimeofday") => 1_000,
            (_, "currentTimeMillis" | "Date.now") => 1_000_000,
            _ => 1,
        }
    }

    /// [`Reading::shift_range`], with a value of this resolution on either side of the difference.
    ///
    /// Both ends widen by less than one unit: a truncated library value lies too low, and a
    /// truncated raw value (gettimeofday and time have both) makes the difference too high.
    fn shift_range_at(&self, resolution_ns: i128) -> RangeInclusive<i128> {
        let exact = self.shift_range();
        let slack_ns = resolution_ns - 1;
        exact.start() - slack_ns..=exact.end() + slack_ns
    }

    fn check_shift(&self, expected_ns: i128, resolution_ns: i128) -> Result<(), String> {
        assert!(resolution_ns >= 1, "a resolution is at least 1 ns, not {resolution_ns}");
        if self.raw_before_ns > self.raw_after_ns {
            return Err(format!(
                "{} by {}: the raw clock went backwards, from {} to {} ns",
                self.clock, self.function, self.raw_before_ns, self.raw_after_ns
            ));
        }
        let allowed = self.shift_range_at(resolution_ns);
        if allowed.contains(&expected_ns) {
            return Ok(());
        }
        Err(format!(
            "{} by {}: expected a shift of {expected_ns} ns, but the reading allows {} to {} ns \
             (raw {}, library {}, raw {}; resolution {resolution_ns} ns)",
            self.clock,
            self.function,
            allowed.start(),
            allowed.end(),
            self.raw_before_ns,
            self.library_ns,
            self.raw_after_ns,
        ))
    }
}

/// Asserts that the clock is shifted by `expected_ns`, as far as the reading can tell.
///
/// `resolution_ns` is the unit to which the library's function rounds; [`Reading::resolution_ns`]
/// knows it for the programs of this project.
///
/// # Panics
///
/// If the reading excludes this shift; the message names the clock, the function, the expected
/// shift and the allowed ones.
#[track_caller]
pub fn assert_shift(reading: &Reading, expected_ns: i128, resolution_ns: i128) {
    if let Err(message) = reading.check_shift(expected_ns, resolution_ns) {
        panic!("{message}");
    }
}

/// All that one program printed, in its order. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readings(Vec<Reading>);

impl Readings {
    /// Reads a program's output, in which every line must be a reading.
    ///
    /// No line at all is an error too: a test that loops over nothing would pass.
    pub fn parse(stdout: &str) -> Result<Readings, ParseError> {
        let lines = stdout.lines().enumerate();
        let readings: Vec<Reading> =
            lines.map(|(index, text)| parse_line(index + 1, text)).collect::<Result<_, _>>()?;
        if readings.is_empty() { Err(ParseError::Empty) } else { Ok(Readings(readings)) }
    }

    /// The readings, in the order of the output.
    pub fn iter(&self) -> std::slice::Iter<'_, Reading> {
        self.0.iter()
    }

    /// The readings of one clock, by any function.
    pub fn of(&self, clock: Clock) -> impl Iterator<Item = &Reading> {
        self.0.iter().filter(move |reading| reading.clock == clock)
    }
}

impl<'a> IntoIterator for &'a Readings {
    type Item = &'a Reading;
    type IntoIter = std::slice::Iter<'a, Reading>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn parse_line(line: usize, text: &str) -> Result<Reading, ParseError> {
    let fields: Vec<&str> = text.split(' ').collect();
    let [name, raw_before, library, raw_after] = fields[..] else {
        return Err(ParseError::Fields { line, text: text.to_owned() });
    };
    let (clock_name, function) = match name.split_once(':') {
        Some((_, "")) => return Err(ParseError::Fields { line, text: text.to_owned() }),
        Some((clock_name, function)) => (clock_name, Some(function)),
        None => (name, None),
    };
    let clock = Clock::from_name(clock_name)
        .ok_or_else(|| ParseError::Clock { line, name: clock_name.to_owned() })?;
    Ok(Reading {
        clock,
        function: function.unwrap_or(clock.default_function()).to_owned(),
        raw_before_ns: parse_ns(line, raw_before)?,
        library_ns: parse_ns(line, library)?,
        raw_after_ns: parse_ns(line, raw_after)?,
    })
}

fn parse_ns(line: usize, text: &str) -> Result<i128, ParseError> {
    text.parse().map_err(|_| ParseError::Number { line, text: text.to_owned() })
}

/// Why an output is not a list of readings. Lines count from 1.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// There is no line.
    Empty,
    /// The line is not `NAME[:function] RAW_BEFORE LIBRARY RAW_AFTER`.
    Fields {
        /// The line's number.
        line: usize,
        /// The whole line.
        text: String,
    },
    /// No clock has this name.
    Clock {
        /// The line's number.
        line: usize,
        /// The name, without the function.
        name: String,
    },
    /// A value is no integer.
    Number {
        /// The line's number.
        line: usize,
        /// The value.
        text: String,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::Empty => write!(formatter, "the program printed no clock"),
            ParseError::Fields { line, text } => {
                write!(formatter, "line {line} is not a name and three values: {text:?}")
            }
            ParseError::Clock { line, name } => {
                write!(formatter, "line {line} names an unknown clock: {name:?}")
            }
            ParseError::Number { line, text } => {
                write!(formatter, "line {line} has a value that is no integer: {text:?}")
            }
        }
    }
}

impl std::error::Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_NS: i128 = 3_600_000_000_000;

    fn reading(line: &str) -> Reading {
        Readings::parse(line).unwrap().0.remove(0)
    }

    #[test]
    fn lines_become_readings_in_their_order() {
        let readings =
            Readings::parse("REALTIME:time.Now 10 12 15\nTIME 0 0 1000000000\n").unwrap();
        let realtime = Reading {
            clock: Clock::Realtime,
            function: "time.Now".to_owned(),
            raw_before_ns: 10,
            library_ns: 12,
            raw_after_ns: 15,
        };
        assert_eq!(readings.iter().next(), Some(&realtime));
        assert_eq!(readings.iter().count(), 2);
        assert_eq!(readings.of(Clock::Time).count(), 1);
        assert_eq!(readings.of(Clock::Tai).count(), 0);
    }

    #[test]
    fn every_clock_is_known_by_its_name_and_has_a_function() {
        for clock in Clock::ALL {
            let reading = reading(&format!("{clock} 1 2 3"));
            assert_eq!(reading.clock, clock);
            assert_eq!(reading.function, clock.default_function());
        }
    }

    #[test]
    fn a_function_may_contain_colons_and_values_may_be_large_or_negative() {
        let reading = reading("MONOTONIC:A::b -5 9300000000000000000000 7");
        assert_eq!(reading.function, "A::b");
        assert_eq!(reading.raw_before_ns, -5);
        assert_eq!(reading.library_ns, 9_300_000_000_000_000_000_000);
    }

    #[test]
    fn malformed_output_is_refused() {
        let fields = |text: &str| ParseError::Fields { line: 1, text: text.to_owned() };
        let number = |text: &str| ParseError::Number { line: 1, text: text.to_owned() };
        let clock = |line, name: &str| ParseError::Clock { line, name: name.to_owned() };
        let cases = [
            ("", ParseError::Empty),
            ("\n", fields("")),
            ("TAI 1 2", fields("TAI 1 2")),
            ("TAI 1 2 3 4", fields("TAI 1 2 3 4")),
            ("TAI  1 2 3", fields("TAI  1 2 3")),
            ("TAI: 1 2 3", fields("TAI: 1 2 3")),
            ("TAI 1 2.5 3", number("2.5")),
            ("TAI 0x1 2 3", number("0x1")),
            ("tai 1 2 3", clock(1, "tai")),
            ("TAI 1 2 3\nVIOLATIONS TAI 0 5", clock(2, "VIOLATIONS")),
        ];
        for (output, expected) in cases {
            assert_eq!(Readings::parse(output), Err(expected), "{output:?}");
        }
    }

    #[test]
    fn a_reading_allows_exactly_the_shifts_between_its_brackets() {
        let reading = reading("REALTIME 100 3600000000120 150");
        assert_eq!(reading.shift_range(), HOUR_NS - 30..=HOUR_NS + 20);
        for (expected_ns, allowed) in [(-31, false), (-30, true), (20, true), (21, false)] {
            let verdict = reading.check_shift(HOUR_NS + expected_ns, 1);
            assert_eq!(verdict.is_ok(), allowed, "{expected_ns}: {verdict:?}");
        }
    }

    #[test]
    fn resolution_widens_both_ends_by_less_than_one_unit() {
        // 0.7 s were added: 9.4 s became 10.1 s, and the functions show 9 and 10.
        let time = reading("TIME 9000000000 10000000000 9000000000");
        assert_eq!(time.resolution_ns(), 1_000_000_000);
        assert!(time.check_shift(700_000_000, 1).is_err());
        assert!(time.check_shift(700_000_000, time.resolution_ns()).is_ok());
        for (expected_ns, allowed) in
            [(0, false), (1, true), (1_999_999_999, true), (2_000_000_000, false)]
        {
            let verdict = time.check_shift(expected_ns, time.resolution_ns());
            assert_eq!(verdict.is_ok(), allowed, "{expected_ns}: {verdict:?}");
        }
    }

    #[test]
    fn an_unshifted_clock_is_not_taken_for_a_shifted_one_nor_the_other_way_round() {
        let unshifted = reading("MONOTONIC:nanoTime 100 120 150");
        assert_shift(&unshifted, 0, 1);
        assert!(unshifted.check_shift(HOUR_NS, 1_000_000_000).is_err());
        let shifted = reading("MONOTONIC:nanoTime 100 3600000000120 150");
        assert_shift(&shifted, HOUR_NS, 1);
        assert!(shifted.check_shift(0, 1_000_000_000).is_err());
    }

    #[test]
    #[should_panic(
        expected = "REALTIME by time.Now: expected a shift of 21 ns, but the reading allows -30 to 20 ns"
    )]
    fn a_failed_assertion_names_clock_function_expected_and_allowed() {
        assert_shift(&reading("REALTIME:time.Now 100 120 150"), 21, 1);
    }

    #[test]
    #[should_panic(expected = "the raw clock went backwards, from 150 to 100 ns")]
    fn a_bracket_in_the_wrong_order_proves_nothing() {
        assert_shift(&reading("REALTIME 150 120 100"), 0, 1_000_000);
    }

    #[test]
    fn resolutions_are_known_for_the_functions_that_round() {
        for (name, resolution_ns) in [
            ("REALTIME", 1),
            ("REALTIME:Date.now", 1_000_000),
            ("REALTIME:currentTimeMillis", 1_000_000),
            ("REALTIME:EPOCHREALTIME", 1_000),
            ("GETTIMEOFDAY:syscall.Gettimeofday", 1_000),
            ("TIME:printf", 1_000_000_000),
        ] {
            assert_eq!(reading(&format!("{name} 1 2 3")).resolution_ns(), resolution_ns, "{name}");
        }
    }
}
