//! Measures subjects in turns, so that whatever disturbs the machine disturbs them alike.

use std::time::Instant;

/// How often each subject gets its turn.
pub const ROUNDS: usize = 301;

/// Something that is measured.
pub struct Subject<'a> {
    /// What it is called in the table.
    pub name: String,
    /// Does it `times` times.
    pub run: Box<dyn FnMut(u32) + 'a>,
}

impl<'a> Subject<'a> {
    /// Names what is measured.
    pub fn new(name: impl Into<String>, run: impl FnMut(u32) + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// What one subject cost.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Its name.
    pub name: String,
    /// Median over the rounds, ns for one time.
    pub median_ns: f64,
    /// Least over the rounds, ns for one time.
    pub min_ns: f64,
    /// Median over the rounds of the ratio to the first subject in the same round.
    pub ratio: f64,
}

/// Gives each subject a turn of `times`, [`ROUNDS`] times over. The first is what the others are
/// compared with.
pub fn measure(subjects: &mut [Subject<'_>], times: u32) -> Vec<Cost> {
    let mut costs = vec![Vec::with_capacity(ROUNDS); subjects.len()];
    for round in 0..=ROUNDS {
        for (subject, costs) in subjects.iter_mut().zip(&mut costs) {
            let start = Instant::now();
            (subject.run)(times);
            let ns = start.elapsed().as_nanos() as f64 / f64::from(times);
            // The first round warms up.
            if round > 0 {
                costs.push(ns);
            }
        }
    }
    let reference = costs.first().cloned().unwrap_or_default();
    let cost = |(subject, own): (&Subject<'_>, Vec<f64>)| {
        let ratios = own.iter().zip(&reference).map(|(own, first)| own / first).collect();
        Cost {
            name: subject.name.clone(),
            min_ns: own.iter().copied().fold(f64::INFINITY, f64::min),
            median_ns: median(own),
            ratio: median(ratios),
        }
    };
    subjects.iter().zip(costs).map(cost).collect()
}

/// The middle value; of an even number, the upper middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
