//! Three numbers that stand for many.

/// Of a subject's turns, ns for one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The least: what the call takes when nothing disturbs it.
    pub min_ns: f64,
    /// The middle: half of the turns took no longer.
    pub median_ns: f64,
    /// Ninety-nine of a hundred turns took no longer.
    pub p99_ns: f64,
}

impl Summary {
    /// Of `samples`, in any order; `None` without any.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let sorted = sorted(samples);
        Some(Self {
            min_ns: *sorted.first()?,
            median_ns: quantile(&sorted, 0.5)?,
            p99_ns: quantile(&sorted, 0.99)?,
        })
    }
}

/// The middle value; of an even number, the lower middle one.
pub fn median(samples: &[f64]) -> Option<f64> {
    quantile(&sorted(samples), 0.5)
}

/// How far the middle eight tenths are apart, as a part of the median.
pub fn spread(samples: &[f64]) -> Option<f64> {
    let sorted = sorted(samples);
    let (low, high) = (quantile(&sorted, 0.1)?, quantile(&sorted, 0.9)?);
    Some((high - low) / quantile(&sorted, 0.5)?)
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The least value that `part` of all are not above: the nearest rank, so always one that was measured.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_of_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let summary = Summary { min_ns: 1.0, median_ns: 50.0, p99_ns: 99.0 };
        assert_eq!(Summary::of(&hundred), Some(summary));
        let one = Summary { min_ns: 7.0, median_ns: 7.0, p99_ns: 7.0 };
        assert_eq!(Summary::of(&[7.0]), Some(one));
        assert_eq!(Summary::of(&[]), None);
        let three = Summary { min_ns: 1.0, median_ns: 2.0, p99_ns: 90.0 };
        assert_eq!(Summary::of(&[90.0, 1.0, 2.0]), Some(three));
    }

    #[test]
    fn the_middle_of_an_even_number_is_one_of_them() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.0));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_spread_leaves_a_tenth_out_at_either_end() {
        let mut samples = vec![100.0; 20];
        assert_eq!(spread(&samples), Some(0.0));
        // As many as are left out.
        (samples[0], samples[1]) = (1e9, 1e9);
        assert_eq!(spread(&samples), Some(0.0));
        samples[2] = 150.0;
        assert_eq!(spread(&samples), Some(0.5));
        assert_eq!(spread(&[]), None);
    }
}
