//! Whether a machine was quiet enough, and its clock went on, for its figures to be trusted.

use std::fs;

use crate::statistics::{Summary, median, spread};

/// More than this between the fast and the slow turns of the same thing, as a part of the median.
const MOST_SPREAD: f64 = 0.10;
/// More than this between the slowest hundredth of the turns and the median.
const MOST_TAIL: f64 = 2.0;
/// More than this part of the time taken by the hypervisor for others.
const MOST_STOLEN: f64 = 0.02;

/// What disturbed a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Whether some subject's turns usually took no time at all, or none that is a number: the clock
    /// that measures stood still, or is too coarse. The other figures mean nothing then.
    pub has_no_clock: bool,
    /// How far apart turns of one subject typically were: [`spread`], the median of all subjects'.
    pub spread: f64,
    /// How many times the median the p99 typically was.
    pub tail: f64,
    /// Part of the machine's time that its hypervisor gave to others; zero where that is not told.
    pub stolen: f64,
}

impl Noise {
    /// Of subjects' turns, and of the machine's time before and after them.
    pub fn of<'a>(turns: impl IntoIterator<Item = &'a [f64]>, before: Times, after: Times) -> Self {
        let (mut spreads, mut tails) = (Vec::new(), Vec::new());
        let mut has_no_clock = false;
        for turns in turns {
            let is_time = |median: f64| median.is_finite() && median > 0.0;
            if !median(turns).is_none_or(is_time) {
                has_no_clock = true;
                continue;
            }
            spreads.extend(spread(turns));
            tails.extend(Summary::of(turns).map(|summary| summary.p99_ns / summary.median_ns));
        }
        Self {
            has_no_clock,
            spread: median(&spreads).unwrap_or(0.0),
            tail: median(&tails).unwrap_or(1.0),
            stolen: after.stolen_since(before),
        }
    }

    /// What is wrong with the figures, in words; `None` if nothing is.
    pub fn complaint(&self) -> Option<String> {
        if self.has_no_clock {
            return Some("the clock that measures, CLOCK_MONOTONIC, did not advance".to_owned());
        }
        if self.stolen > MOST_STOLEN {
            let percent = self.stolen * 100.0;
            return Some(format!("the hypervisor took {percent:.0} % of the time for others"));
        }
        if self.spread > MOST_SPREAD {
            let percent = self.spread * 100.0;
            return Some(format!("turns of the same call differ by {percent:.0} %"));
        }
        if self.tail > MOST_TAIL {
            let times = self.tail;
            return Some(format!(
                "the slowest turns took {times:.0} times as long as the others; the medians may hold"
            ));
        }
        None
    }
}

/// The machine's time since its boot, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    all: u64,
    stolen: u64,
}

impl Times {
    /// Now; zeros where `/proc/stat` cannot be read.
    pub fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self::parse(&stat).unwrap_or_default()
    }

    /// From the first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; what
    /// follows is part of user and nice. Source: proc_stat(5).
    fn parse(stat: &str) -> Option<Self> {
        const STEAL: usize = 7;
        let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        let ticks: Vec<u64> =
            fields.map_while(|field| field.parse().ok()).take(STEAL + 1).collect();
        Some(Self { all: ticks.iter().sum(), stolen: ticks.get(STEAL).copied().unwrap_or(0) })
    }

    fn stolen_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        if all == 0 { 0.0 } else { self.stolen.saturating_sub(before.stolen) as f64 / all as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 10 50 800 20 0 0 20 7 7\ncpu0 1 2 3\n";

    #[test]
    fn stolen_time_is_a_part_of_all_time() {
        let before = Times::parse(STAT).unwrap();
        assert_eq!(before, Times { all: 1000, stolen: 20 });
        let after = Times { all: 1200, stolen: 30 };
        assert_eq!(after.stolen_since(before), 0.05);
        assert_eq!(before.stolen_since(before), 0.0);
        // A virtual machine that was moved.
        assert_eq!(Times::default().stolen_since(before), 0.0);
    }

    #[test]
    fn an_unreadable_line_is_none() {
        for stat in ["", "cpu0 1 2 3", "intr 5"] {
            assert_eq!(Times::parse(stat), None, "{stat:?}");
        }
        assert_eq!(Times::parse("cpu  1 2 x"), Some(Times { all: 3, stolen: 0 }));
    }

    #[test]
    fn a_quiet_machine_is_trusted_and_a_noisy_one_is_not() {
        let (quiet, loud) = (vec![10.0; 20], [vec![10.0; 10], vec![13.0; 10]].concat());
        let noise = |turns: [&[f64]; 3]| Noise::of(turns, Times::default(), Times::default());
        assert_eq!(noise([&quiet, &quiet, &quiet]).complaint(), None);
        // One subject alone is not the machine.
        assert_eq!(noise([&quiet, &loud, &quiet]).complaint(), None);
        let complaint = noise([&loud, &loud, &quiet]).complaint().expect("that is noise");
        assert!(complaint.contains("30 %"), "{complaint}");
        let mut interrupted = quiet.clone();
        interrupted[7] = 300.0;
        let complaint =
            noise([&interrupted, &interrupted, &quiet]).complaint().expect("so is that");
        assert!(complaint.contains("30 times"), "{complaint}");
        let still = [0.0; 20];
        let complaint = noise([&quiet, &still, &quiet]).complaint().expect("that is no figure");
        assert!(complaint.contains("did not advance"), "{complaint}");
        assert!(noise([&[f64::NAN], &quiet, &quiet]).complaint().is_some());
        let stolen = Noise { has_no_clock: false, spread: 0.0, tail: 1.0, stolen: 0.3 };
        assert!(stolen.complaint().expect("that is noise").contains("30 %"));
    }
}
