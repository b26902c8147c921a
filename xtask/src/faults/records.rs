//! What the programs of a launch have written, and what vdso has said about them.
//!
//! The lines are those of `test-programs/exec-storm.c`; a shell that starts children writes `CODE` and
//! `END` as well.

use std::collections::{BTreeMap, HashSet};

/// By how much programs' clocks are to be ahead, ns: 400 days.
pub const SHIFT_NS: i128 = 400 * 86_400 * 1_000_000_000;
/// As `vdso run` takes it.
pub const OFFSET: &str = "+400d";

/// How far a clock may be from the host's and the shift. A source of its own is that near; the host's
/// clock without a shift is 400 days away.
const TOLERANCE_NS: i128 = 1_000_000;

/// What the machine code on standard input says when it is executed.
pub const FOREIGN: &str = "FOREIGN";

/// What of `CODE` a shell means by a program that could not be executed.
const NOT_EXECUTED: [i32; 2] = [126, 127];

/// What was counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Programs that have read their clock.
    pub programs: u64,
    /// Programs that have executed what is not theirs.
    pub foreign: u64,
    /// Programs that were ended by a signal, by its number.
    pub signals: BTreeMap<i32, u64>,
    /// Programs that ended otherwise than they should, or without a word, and lines that nobody writes.
    pub odd: u64,
    /// Programs whose clock was not the one that it was to be.
    pub wrong_clocks: u64,
    /// Those of them that no notice names.
    pub untold: u64,
    /// Calls of `execve` that failed.
    pub failed: u64,
    /// Whether whoever starts programs has come to its end.
    pub has_ended: bool,
    /// The first few that are not as they should be.
    pub examples: Vec<String>,
}

impl Records {
    /// Reads what programs wrote to their output and vdso to its standard error.
    pub fn of(output: &str, errors: &str) -> Self {
        let mut records = Self::default();
        let mut numbers = HashSet::new();
        let mut started = None;
        for line in output.lines() {
            match Line::parse(line) {
                Some(Line::End(count)) => started = Some(count),
                Some(Line::Of { number, pid, what }) => {
                    numbers.insert(number);
                    records.count(&what, pid, line, errors);
                }
                None if line.contains(FOREIGN) => {
                    records.foreign += 1;
                    records.example(line);
                }
                None => {
                    records.odd += 1;
                    records.example(line);
                }
            }
        }
        if let Some(started) = started {
            records.has_ended = true;
            let silent = (1..=started).filter(|number| !numbers.contains(number)).count();
            if silent > 0 {
                records.odd += silent as u64;
                records.example(&format!("{silent} programs ended without a word"));
            }
        }
        records
    }

    fn count(&mut self, what: &What, pid: i32, line: &str, errors: &str) {
        match *what {
            What::Clock { before_ns, library_ns, after_ns } => {
                self.programs += 1;
                let earliest_ns = before_ns + SHIFT_NS - TOLERANCE_NS;
                let latest_ns = after_ns + SHIFT_NS + TOLERANCE_NS;
                if (earliest_ns..=latest_ns).contains(&library_ns) {
                    return;
                }
                self.wrong_clocks += 1;
                let process = format!("(pid {pid})");
                let notice = errors.lines().find(|line| line.contains(&process));
                self.untold += u64::from(notice.is_none());
                let ahead_s = (library_ns - before_ns) / 1_000_000_000;
                let notice = notice.unwrap_or("nothing");
                return self.example(&format!("{ahead_s} s ahead {process}; vdso said: {notice}"));
            }
            What::Failed => {
                self.failed += 1;
                // Where one fails many do, and are all alike.
                if self.failed > 1 {
                    return;
                }
            }
            What::Signal(signal) => self.crash(signal),
            What::Code => self.odd += 1,
        }
        self.example(line);
    }

    fn example(&mut self, line: &str) {
        const EXAMPLES: usize = 4;
        if self.examples.len() < EXAMPLES {
            self.examples.push(line.chars().take(240).collect());
        }
    }

    /// Counts a program that was ended by a signal; by which is not known where it is 0.
    pub fn crash(&mut self, signal: i32) {
        *self.signals.entry(signal).or_default() += 1;
    }

    /// Programs that were ended by a signal.
    pub fn crashed(&self) -> u64 {
        self.signals.values().sum()
    }

    /// Adds another launch's counts.
    pub fn add(&mut self, other: &Self) {
        self.programs += other.programs;
        self.foreign += other.foreign;
        self.odd += other.odd;
        self.wrong_clocks += other.wrong_clocks;
        self.untold += other.untold;
        self.failed += other.failed;
        for (&signal, count) in &other.signals {
            *self.signals.entry(signal).or_default() += count;
        }
    }
}

/// One line.
enum Line {
    Of { number: u64, pid: i32, what: What },
    End(u64),
}

/// What a line says of a program.
enum What {
    Clock { before_ns: i128, library_ns: i128, after_ns: i128 },
    Failed,
    Signal(i32),
    Code,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(' ').collect();
        if let ["END", count] = fields[..] {
            return Some(Self::End(count.parse().ok()?));
        }
        let (&[kind, number, pid], values) = fields.split_first_chunk::<3>()?;
        let values: Vec<i128> =
            values.iter().map(|value| value.parse()).collect::<Result<_, _>>().ok()?;
        let what = match (kind, &values[..]) {
            ("CLOCK", &[before_ns, library_ns, after_ns]) => {
                What::Clock { before_ns, library_ns, after_ns }
            }
            ("FAILED", [_]) => What::Failed,
            ("SIGNAL", &[signal]) => What::Signal(signal as i32),
            ("CODE", &[code]) => of_shell(code as i32),
            _ => return None,
        };
        Some(Self::Of { number: number.parse().ok()?, pid: pid.parse().ok()?, what })
    }
}

fn of_shell(code: i32) -> What {
    match code {
        code if NOT_EXECUTED.contains(&code) => What::Failed,
        129.. => What::Signal(code - 128),
        _ => What::Code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_NS: i128 = 86_400 * 1_000_000_000;

    fn clock(number: u64, pid: i32, shift_ns: i128) -> String {
        format!("CLOCK {number} {pid} 1000 {} 1300\n", 1100 + shift_ns)
    }

    #[test]
    fn a_storm_without_faults_counts_its_programs_alone() {
        let output = clock(0, 10, SHIFT_NS) + &clock(1, 11, SHIFT_NS) + "END 1\n";
        let expected = Records { programs: 2, has_ended: true, ..Records::default() };
        assert_eq!(Records::of(&output, ""), expected);
    }

    #[test]
    fn a_wrong_clock_is_told_by_a_notice_with_the_programs_id() {
        let output = clock(1, 11, 0) + &clock(2, 12, SHIFT_NS - DAY_NS) + "END 2\n";
        let records =
            Records::of(&output, "vdso: warning: 'exec-storm' (pid 11) runs on the kernel's own\n");
        assert_eq!((records.programs, records.wrong_clocks, records.untold), (2, 2, 1));
    }

    #[test]
    fn what_must_not_happen_is_counted_each_in_its_place() {
        let output = "FOREIGN\nFAILED 1 5 38\nSIGNAL 2 6 4\nCODE 3 0 139\nCODE 4 0 126\nCODE 5 7 99\n\
                      CODE 6 7 3\nwhatever\nEND 8\n";
        let records = Records::of(output, "");
        assert_eq!((records.foreign, records.failed), (1, 2));
        assert_eq!(records.signals, BTreeMap::from([(4, 1), (11, 1)]));
        // Two codes, one line of nobody's, and two programs of which there is nothing.
        assert_eq!(records.odd, 5);
        assert!(!Records::of("CLOCK 0 1 1 1\n", "").has_ended);
    }
}
