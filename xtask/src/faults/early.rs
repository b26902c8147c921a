//! A supervisor that is killed at its start: either the program runs right, or the launcher fails and
//! the program does not run.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::{Signal, kill};

use super::launch::{EXIT_DRIVEN, HANG, Launch, Plan};
use super::processes::{Role, members};
use super::random::Random;
use super::setup::Setup;
use super::tally::Tally;

/// After this the program has been started.
const START: Duration = Duration::from_millis(2);
/// `vdso run`'s exit code where it failed itself.
const EXIT_FAILED: i32 = 125;
/// Enough to see whether programs can be started.
pub const PROGRAMS: u64 = 5;

/// One launch, whose supervisor is killed.
pub fn disturb(setup: &Setup, plan: Plan, random: &mut Random, tally: &mut Tally) -> Result<()> {
    let mut launch = Launch::start(setup, plan, None)?;
    let offset = random.up_to(START);
    if kill_supervisor(&mut launch, offset) {
        tally.disturbances += 1;
    }
    if !launch.ends() {
        tally.hang(&format!("the supervisor was killed {offset:?} after it was seen"));
    }
    let mut records = launch.records()?;
    let ran = records.programs + records.failed > 0;
    match launch.code() {
        Some(EXIT_DRIVEN) if records.programs == PROGRAMS + 1 => {}
        Some(EXIT_FAILED) if !ran => {}
        None if launch.signal().is_some() => {
            // Nobody has killed the front: it ends as the program has.
            records.crash(launch.signal().unwrap_or(0));
            tally.example(format!("killed at {offset:?}: ended by signal {:?}", launch.signal()));
        }
        code => tally.bad_end(format!(
            "killed at {offset:?}: exit code {code:?}, {} programs ran, {} execs failed; vdso said: {}",
            records.programs,
            records.failed,
            launch.complaint()
        )),
    }
    tally.add(records);
    Ok(())
}

/// `false` if it has ended before.
fn kill_supervisor(launch: &mut Launch, after: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < HANG {
        let living = members(launch.front);
        if let Some(supervisor) = living.iter().find(|member| member.role == Role::Supervisor) {
            let seen = Instant::now();
            while seen.elapsed() < after {
                std::hint::spin_loop();
            }
            return kill(supervisor.pid, Signal::SIGKILL).is_ok();
        }
        launch.reap();
        if launch.code().is_some() {
            return false;
        }
    }
    false
}
