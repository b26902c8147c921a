//! What a call costs beside its system call: medians, in turns.

use std::time::Instant;

use super::Cost;
use super::calls::Table;

/// Turns, and calls in each.
const ROUNDS: usize = 41;
const CALLS: u32 = 100;

/// Measures each call that the vDSO has.
pub fn measure(table: &Table) -> Vec<Cost> {
    let asked = super::all_calls().filter(|call| !call.always_goes_to_the_kernel());
    let measured = asked.filter_map(|call| Some((call, table.get(call)?)));
    measured
        .map(|(call, function)| {
            let (vdso_ns, system_call_ns) = in_turns(|| function.call(), || call.by_system_call());
            Cost::of(call.name(), vdso_ns, system_call_ns)
        })
        .collect()
}

impl Cost {
    /// From the cost of single turns.
    pub fn of(call: String, vdso_ns: Vec<f64>, system_call_ns: Vec<f64>) -> Self {
        // Whatever disturbs a turn disturbs the one beside it, so their ratio is taken first.
        let ratios = vdso_ns.iter().zip(&system_call_ns).map(|(vdso, kernel)| vdso / kernel);
        Self {
            call,
            ratio: round(median(ratios.collect()), 1e3),
            vdso_median_ns: round(median(vdso_ns), 1e1),
            system_call_median_ns: round(median(system_call_ns), 1e1),
        }
    }
}

fn in_turns(vdso: impl Fn(), system_call: impl Fn()) -> (Vec<f64>, Vec<f64>) {
    turn(&vdso);
    turn(&system_call);
    (0..ROUNDS).map(|_| (turn(&vdso), turn(&system_call))).unzip()
}

/// ns for one call.
fn turn(call: &impl Fn()) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        call();
    }
    start.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

/// The middle value; of an even number, the upper middle one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn round(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_neighbours_not_of_medians() {
        // The machine became ten times as slow half-way.
        let cost = Cost::of("x".to_owned(), vec![2.0, 2.0, 20.0], vec![10.0, 100.0, 100.0]);
        assert_eq!(cost.vdso_median_ns, 2.0);
        assert_eq!(cost.system_call_median_ns, 100.0);
        assert_eq!(cost.ratio, 0.2);
        let nothing = Cost::of("x".to_owned(), vec![], vec![]);
        assert_eq!(nothing.ratio, 0.0);
    }
}
