//! What came of all launches of one kind, and whether that may be.

use super::kind::Kind;
use super::records::Records;

/// Counts, and the first examples of what must not be.
#[derive(Debug, Default)]
pub struct Tally {
    /// How often something was disturbed.
    pub disturbances: u64,
    /// All that the launches' records show.
    pub records: Records,
    /// How often no program began or ended for [`HANG`](super::launch::HANG).
    pub hangs: u64,
    /// Launches that ended otherwise than promised.
    pub bad_ends: u64,
    /// A few words on each of the first that is wrong.
    pub examples: Vec<String>,
}

/// Which counts fail a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// All that is promised.
    Promised,
    /// What must not happen even once: the others could fail a test by chance.
    Never,
}

const EXAMPLES: usize = 12;

/// The table's head.
pub const HEAD: [&str; 10] = [
    "kind",
    "disturbed",
    "programs",
    "foreign",
    "crashed",
    "odd",
    "wrong clock",
    "untold",
    "failed",
    "hangs",
];

impl Tally {
    /// Adds what a launch has shown.
    pub fn add(&mut self, mut records: Records) {
        for example in std::mem::take(&mut records.examples) {
            self.example(example);
        }
        self.records.add(&records);
    }

    /// Notes something to look at.
    pub fn example(&mut self, text: String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text);
        }
    }

    /// Nothing has moved for too long.
    pub fn hang(&mut self, when: &str) {
        self.hangs += 1;
        self.example(format!("no program has begun or ended: {when}"));
    }

    /// A launch has ended otherwise than promised.
    pub fn bad_end(&mut self, how: String) {
        self.bad_ends += 1;
        self.example(how);
    }

    /// The table's row.
    pub fn row(&self, kind: Kind) -> [String; 10] {
        let records = &self.records;
        let signals: Vec<String> =
            records.signals.iter().map(|(signal, count)| format!("{count}x{signal}")).collect();
        let crashed = match records.crashed() {
            0 => "0".to_owned(),
            crashed => format!("{crashed} ({})", signals.join(" ")),
        };
        [
            kind.name(),
            self.disturbances.to_string(),
            records.programs.to_string(),
            records.foreign.to_string(),
            crashed,
            (records.odd + self.bad_ends).to_string(),
            records.wrong_clocks.to_string(),
            records.untold.to_string(),
            records.failed.to_string(),
            self.hangs.to_string(),
        ]
    }

    /// What is beyond its bound.
    pub fn excesses(&self, kind: Kind, bounds: Bounds) -> Vec<String> {
        let records = &self.records;
        let of = self.disturbances;
        let mut counts = vec![
            ("foreign programs", records.foreign, 0),
            ("crashes", records.crashed(), 0),
            ("untold wrong clocks", records.untold, kind.untold().of(of)),
            ("hangs", self.hangs, 0),
        ];
        if bounds == Bounds::Promised {
            counts.extend([
                ("odd ends", records.odd + self.bad_ends, 0),
                ("wrong clocks", records.wrong_clocks, kind.wrong_clocks().of(of)),
                ("failed execs", records.failed, kind.failed().of(of)),
            ]);
        }
        // Nothing run is nothing shown.
        if records.programs == 0 {
            counts.push(("runs without any program", 1, 0));
        }
        let is_beyond = |(_, count, most): &(&str, u64, u64)| count > most;
        let beyond = counts.into_iter().filter(is_beyond);
        beyond.map(|(what, count, most)| format!("{count} {what}, {most} allowed")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> Tally {
        let mut tally = Tally { disturbances: 200, ..Tally::default() };
        tally.add(Records::of(output, ""));
        tally
    }

    #[test]
    fn a_bound_depends_on_what_is_done_and_how_often() {
        const WRONG: &str = "CLOCK 1 2 0 0 0\nFAILED 2 3 38\nEND 2\n";
        let wrong = tally(WRONG);
        assert_eq!(wrong.excesses(Kind::KillAll, Bounds::Promised), [""; 0]);
        assert_eq!(
            wrong.excesses(Kind::Kill, Bounds::Promised),
            ["1 untold wrong clocks, 0 allowed", "1 failed execs, 0 allowed"]
        );
        assert_eq!(wrong.excesses(Kind::Kill, Bounds::Never), ["1 untold wrong clocks, 0 allowed"]);
        let thrice = tally(&WRONG.repeat(3)).excesses(Kind::Kill, Bounds::Promised);
        assert!(thrice.contains(&"3 wrong clocks, 2 allowed".to_owned()), "{thrice:?}");
    }

    #[test]
    fn what_must_not_happen_even_once_fails_every_kind() {
        let mut tally = tally("CLOCK 1 2 0 34560000000000000 0\nFOREIGN\nSIGNAL 2 3 4\nEND 2\n");
        tally.hang("ever");
        for kind in [Kind::Stop, Kind::KillAll] {
            let expected =
                ["1 foreign programs, 0 allowed", "1 crashes, 0 allowed", "1 hangs, 0 allowed"];
            assert_eq!(tally.excesses(kind, Bounds::Never), expected);
        }
        assert_eq!(Tally::default().excesses(Kind::Stop, Bounds::Never).len(), 1);
    }
}
