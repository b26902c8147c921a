//! Measures our image beside the kernel's own vDSO, libfaketime and the system call.
//!
//! Everything that can be is measured in one process, in turns, and compared within a turn, so that
//! a noisy machine disturbs all alike. Times mean little from one machine to the next; ratios hold.

mod client;
mod counted;
mod files;
mod programs;
mod random;
mod reads;
mod table;
mod waits;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures our image beside the kernel's own vDSO, libfaketime and the system call.
#[derive(Parser)]
#[command(name = "vdso-bench")]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Clone, Subcommand)]
enum Part {
    /// Clock reads, in this process
    Reads,
    /// Clock reads that are counted, beside uncounted ones, in this process
    Counted,
    /// Programs started under `vdso run`, beside plain ones
    Programs,
    /// Waits for a program's own clock, beside plain ones
    Waits,
    /// Programs whose files have the times of a clock of their own, beside plain ones
    Files,
    /// A whole start of `vdso run`, beside a plain one
    Start {
        /// Of this command, and not of the one that was built beside this program.
        #[arg(long)]
        vdso: Option<std::path::PathBuf>,
    },
    /// The client crate, beside others
    Client,
    /// Random bytes, in this process
    Random,
    /// How well an own page follows the host
    Steering,
    /// Prints what the first call of a process costs, in nanoseconds
    #[command(hide = true)]
    FirstCall {
        /// Whose.
        of: client::FirstCall,
    },
    /// Reads in a process that libfaketime is preloaded into
    #[command(hide = true)]
    Preloaded,
    /// Does something again and again, and prints what it takes once, in nanoseconds
    #[command(hide = true)]
    Wait {
        /// What.
        doing: waits::Doing,
    },
    /// Starts a program again and again, and prints the median time in microseconds
    #[command(hide = true)]
    Spawn {
        /// How often.
        times: u32,
        /// What.
        program: std::path::PathBuf,
    },
}

fn main() -> Result<()> {
    match Args::parse().part {
        Some(Part::Reads) => reads::all(),
        Some(Part::Counted) => counted::all(),
        Some(Part::Programs) => programs::all(),
        Some(Part::Waits) => waits::all(),
        Some(Part::Wait { doing }) => {
            waits::run(doing);
            Ok(())
        }
        Some(Part::Files) => files::all(),
        Some(Part::Start { vdso }) => programs::start(vdso),
        Some(Part::Client) => client::all(),
        Some(Part::Random) => random::all(),
        Some(Part::FirstCall { of }) => client::first_call(of),
        Some(Part::Steering) => reads::steering(),
        Some(Part::Preloaded) => reads::preloaded(),
        Some(Part::Spawn { times, program }) => programs::spawn(times, &program),
        None => {
            reads::all()?;
            reads::steering()?;
            counted::all()?;
            client::all()?;
            random::all()?;
            programs::all()?;
            waits::all()?;
            files::all()
        }
    }
}
