//! What a call costs beside its system call: medians, in turns.

use vdso_measure::{Function, Turns, measure};

use super::Cost;
use super::calls::{self, Table};

const TURNS: Turns = Turns { rounds: 41, times: 100 };

/// Measures each call that the vDSO has.
pub fn measure_all(table: &Table) -> Vec<Cost> {
    let functions = table.functions().iter();
    functions
        .filter(|function| !function.answers().always_goes_to_the_kernel())
        .filter_map(|function| Cost::of(*function))
        .collect()
}

impl Cost {
    /// Of a function, beside the system call.
    fn of(function: Function) -> Option<Self> {
        let call = function.answers();
        let mut subjects = [call.system_call("system call"), function.subject("vDSO")];
        let costs = measure(&mut subjects, TURNS, || {});
        let [kernel, vdso] = costs.as_slice() else { return None };
        Some(Self {
            call: calls::name(call),
            vdso_median_ns: round(vdso.summary.median_ns, 1e1),
            system_call_median_ns: round(kernel.summary.median_ns, 1e1),
            ratio: round(vdso.ratio, 1e3),
        })
    }
}

fn round(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

#[cfg(test)]
mod tests {
    use vdso_measure::Call;

    use super::*;

    /// Times are not looked at: only that each is where it belongs.
    #[test]
    fn each_call_has_its_cost_and_one_that_needs_the_kernel_has_none() {
        let clock = |id: i32| Call::ClockGettime(id as u32).library();
        let table = Table::of_functions(&[
            clock(libc::CLOCK_MONOTONIC),
            clock(libc::CLOCK_PROCESS_CPUTIME_ID),
            Call::Getrandom.library(),
        ]);
        let costs = measure_all(&table);
        let calls: Vec<&str> = costs.iter().map(|cost| cost.call.as_str()).collect();
        assert_eq!(calls, ["clock_gettime(CLOCK_MONOTONIC)", "getrandom"]);
        for cost in &costs {
            assert!(cost.vdso_median_ns > 0.0 && cost.system_call_median_ns > 0.0, "{cost:?}");
        }
    }

    #[test]
    fn figures_have_as_many_digits_as_mean_something() {
        assert_eq!((round(12.3456, 1e1), round(0.12345, 1e3)), (12.3, 0.123));
    }
}
