//! Subjects get their turns one after another, many times over.

use std::time::Instant;

use crate::statistics::{Summary, median};

/// Something that is measured.
pub struct Subject<'a> {
    /// What it is called in the table.
    pub name: String,
    /// Does what is measured as many times as it is told.
    pub run: Box<dyn FnMut(u32) + 'a>,
}

impl<'a> Subject<'a> {
    /// Names what is measured.
    pub fn new(name: impl Into<String>, run: impl FnMut(u32) + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// How often, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// How many turns each subject gets, not counting the one that warms it up.
    pub rounds: usize,
    /// Calls in one turn: many, so that what its beginning costs, after another's, is lost in them.
    pub times: u32,
}

/// What one subject cost.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The name of what was measured.
    pub name: String,
    /// What one call took over all turns, ns.
    pub summary: Summary,
    /// Median over the rounds of the ratio to the first subject in the same round; `None` if that is
    /// no number, as the clock that measures did not advance in the first subject's turns.
    pub ratio: Option<f64>,
    /// ns for one call, turn by turn.
    pub samples_ns: Vec<f64>,
}

/// Gives each subject its turns, and calls `after_round` after each round. The first subject is what
/// the others are compared with. Without a round there is no result.
pub fn measure(
    subjects: &mut [Subject<'_>],
    turns: Turns,
    mut after_round: impl FnMut(),
) -> Vec<Cost> {
    let mut samples = vec![Vec::new(); subjects.len()];
    for round in 0..=turns.rounds {
        for (subject, samples) in subjects.iter_mut().zip(&mut samples) {
            let start = Instant::now();
            (subject.run)(turns.times);
            let ns = start.elapsed().as_nanos() as f64 / f64::from(turns.times);
            if round > 0 {
                samples.push(ns);
            }
        }
        after_round();
    }
    let reference = samples.first().cloned().unwrap_or_default();
    subjects
        .iter()
        .zip(samples)
        .filter_map(|(subject, own)| Cost::of(subject.name.as_str(), own, &reference))
        .collect()
}

impl Cost {
    /// Of what was measured in turns with a reference; `None` without any.
    pub fn of(name: impl Into<String>, samples_ns: Vec<f64>, reference_ns: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> =
            samples_ns.iter().zip(reference_ns).map(|(own, first)| own / first).collect();
        Some(Self {
            name: name.into(),
            summary: Summary::of(&samples_ns)?,
            ratio: median(&ratios).filter(|ratio| ratio.is_finite()),
            samples_ns,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn turns_are_taken_in_order_and_the_first_round_is_not_counted() {
        let calls = RefCell::new(Vec::new());
        let mut subjects = [
            Subject::new("a", |times| calls.borrow_mut().push(("a", times))),
            Subject::new("b", |times| calls.borrow_mut().push(("b", times))),
        ];
        let mut rounds = 0;
        let costs = measure(&mut subjects, Turns { rounds: 2, times: 5 }, || rounds += 1);
        assert_eq!(rounds, 3);
        assert_eq!(costs.iter().map(|cost| cost.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(costs.iter().all(|cost| cost.samples_ns.len() == 2));
        drop(subjects);
        assert_eq!(calls.into_inner(), [("a", 5), ("b", 5)].repeat(3));
    }

    #[test]
    fn without_rounds_there_is_no_result() {
        let mut subjects = [Subject::new("a", |_| {})];
        assert!(measure(&mut subjects, Turns { rounds: 0, times: 1 }, || {}).is_empty());
    }

    /// A round that is slow for everybody is no difference between them.
    #[test]
    fn a_ratio_is_taken_within_rounds() {
        let reference = [1.0, 1.0, 10.0, 10.0, 100.0];
        let own = reference.iter().map(|ns| 2.0 * ns).collect();
        let cost = Cost::of("twice as slow", own, &reference).expect("there are samples");
        assert_eq!(cost.ratio, Some(2.0));
        assert_eq!(cost.summary, Summary { min_ns: 2.0, median_ns: 20.0, p99_ns: 200.0 });
    }

    #[test]
    fn there_is_no_ratio_to_what_took_no_time() {
        for own in [0.0, 1.0] {
            let cost = Cost::of("x", vec![own; 3], &[0.0; 3]).expect("there are samples");
            assert_eq!(cost.ratio, None);
        }
    }
}
