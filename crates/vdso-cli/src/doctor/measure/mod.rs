//! What calls cost, and whether they go to the kernel: measured in this process and in a child.
//!
//! - [`calls`]: which functions there are to call. How that is done, is in `vdso_measure`.
//! - [`count`]: how many system calls come of them. The kernel says so, by ptrace of a child that
//!   makes the calls: nothing is guessed from time, and nothing that the calls do is changed. A
//!   seccomp filter could count, too, but would have to answer in the kernel's place, and getrandom
//!   behaves differently when it is refused its key; performance counters are for root only.
//! - [`cost`]: how long they take, beside the system call. Where ptrace is not allowed, this decides,
//!   with a wide margin.

pub mod calls;
pub mod cost;
pub mod count;

use serde::{Deserialize, Serialize};

use calls::{Table, Through};
use count::CALLS;

/// Everything that is measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measurements {
    /// How `fallbacks` were found; `None` if they were not.
    pub method: Option<Method>,
    /// Why it is not the better method, or nothing at all.
    pub method_reason: Option<String>,
    pub fallbacks: Vec<Fallback>,
    pub costs: Vec<Cost>,
}

/// How it was found out whether a call goes to the kernel.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// System calls of a traced child were counted.
    Ptrace,
    /// It takes as long as a system call, or much less.
    Timing,
}

/// Whether a call goes to the kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fallback {
    /// As a program writes it.
    pub call: String,
    pub through: Through,
    /// Whether the kernel has to be asked in any case: these show that the count counts.
    pub always_goes_to_the_kernel: bool,
    /// How often it was called.
    pub calls: u32,
    /// How many system calls that made; `None` if time does not tell it.
    pub system_calls: Option<u32>,
}

impl Fallback {
    /// Whether it goes to the kernel and need not.
    pub fn falls_back(&self) -> bool {
        // A key for getrandom is fetched now and then, and a clocksource may change for a moment.
        let is_often = self.system_calls.is_some_and(|count| count * 4 >= self.calls);
        !self.always_goes_to_the_kernel && is_often
    }
}

/// What a call costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cost {
    pub call: String,
    pub vdso_median_ns: f64,
    pub system_call_median_ns: f64,
    /// Of the first to the second.
    pub ratio: f64,
}

/// Measures everything in this process.
///
/// # Errors
///
/// If there is no vDSO to call.
pub fn measure() -> Result<Measurements, String> {
    let table = Table::of_this_process()?;
    let costs = cost::measure_all(&table);
    let counted = count::count(&table);
    Ok(match counted {
        Ok(fallbacks) => {
            Measurements { method: Some(Method::Ptrace), method_reason: None, fallbacks, costs }
        }
        Err(reason) => Measurements {
            method: Some(Method::Timing),
            method_reason: Some(reason),
            fallbacks: costs.iter().map(by_time).collect(),
            costs,
        },
    })
}

/// A call that reaches the kernel takes longer than the system call; one that does not, a fraction.
fn by_time(cost: &Cost) -> Fallback {
    let system_calls = match cost.ratio {
        ratio if ratio >= 0.9 => Some(CALLS),
        ratio if ratio <= 0.5 => Some(0),
        _ => None,
    };
    Fallback {
        call: cost.call.clone(),
        through: Through::Vdso,
        always_goes_to_the_kernel: false,
        calls: CALLS,
        system_calls,
    }
}
