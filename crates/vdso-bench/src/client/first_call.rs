//! The first call of a process: all that is done to find a function, and the call.

use std::env::current_exe;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use vdso_client::ClockId;
use vdso_measure::Cost;

use super::lookup::Library;
use crate::table::{Goal, print};

/// Processes for each row.
const PROCESSES: usize = 151;

/// Who makes the first call.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FirstCall {
    /// The dynamic linker finds the function.
    Dlvsym,
    /// This project's client.
    Ours,
    /// The crate rustix.
    Rustix,
}

/// The rows: a process for each measurement, in turns.
pub fn all() -> Result<()> {
    let rows = [
        ("dlopen, dlvsym and call", FirstCall::Dlvsym),
        ("ours", FirstCall::Ours),
        ("rustix", FirstCall::Rustix),
    ];
    let mut costs = vec![Vec::new(); rows.len()];
    for _ in 0..PROCESSES {
        for ((_, of), costs) in rows.iter().zip(&mut costs) {
            costs.push(in_process(*of)?);
        }
    }
    let reference = costs[0].clone();
    let costs: Vec<Cost> = rows
        .iter()
        .zip(costs)
        .filter_map(|((name, _), own)| Cost::of(*name, own, &reference))
        .collect();
    print("first call of a process", &costs, &[Goal::ratio("ours", 1.5, 1.0)]);
    Ok(())
}

fn in_process(of: FirstCall) -> Result<f64> {
    let name = of.to_possible_value().context("every row has a name")?;
    let output = Command::new(current_exe()?).args(["first-call", name.get_name()]).output()?;
    ensure!(output.status.success(), "the process for {} failed", name.get_name());
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// What [`in_process`] runs.
pub fn first_call(of: FirstCall) -> Result<()> {
    // std's own clock is found by the C library, and warm after this.
    let mut start = Instant::now();
    for _ in 0..10 {
        start = Instant::now();
    }
    match of {
        FirstCall::Dlvsym => {
            let symbol = Library::open()?.symbol().context("there is no such symbol")?;
            // SAFETY: a clock_gettime.
            let function: unsafe extern "C" fn(i32, *mut [i64; 2]) -> i32 =
                unsafe { std::mem::transmute(symbol) };
            let mut now = [0; 2];
            // SAFETY: as above, and `now` is ours.
            unsafe { function(libc::CLOCK_MONOTONIC, &mut now) };
        }
        FirstCall::Ours => drop(vdso_client::clock_gettime(ClockId::MONOTONIC)?),
        FirstCall::Rustix => drop(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic)),
    }
    println!("{}", start.elapsed().as_nanos());
    Ok(())
}
