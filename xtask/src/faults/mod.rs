//! `cargo xtask faults`: programs are started as fast as possible below `vdso run`, while its processes
//! are stopped, frozen, traced and killed at random moments.
//!
//! - [`kind`] lists what is done to them, and what may come of it;
//! - [`setup`] has the command and the programs, [`input`] what the programs have on standard input;
//! - [`launch`] is one `vdso run`, [`processes`] finds its processes, [`disturb`] and [`early`] disturb
//!   them;
//! - [`records`] reads what came of each program, and [`tally`] sums that up.
//!
//! Every program says what its clock was, so that one on the host's clock is seen; standard input is
//! machine code that says so when it is executed, or noise, or a pipe.

mod cgroup;
mod disturb;
mod early;
mod input;
mod kind;
mod launch;
mod processes;
mod random;
mod records;
mod setup;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cgroup::Cgroup;
use clap::ValueEnum;
use disturb::{Disturbed, Disturber};
use input::Input;
use kind::Kind;
use launch::{Driver, EXIT_DRIVEN, Launch, Plan};
use random::Random;
use setup::Setup;
use tally::{Bounds, HEAD, Tally};
use test_support::{Lacking, skip};

/// Disturb the processes of `vdso run` at random moments while programs are started below it
#[derive(clap::Args)]
pub struct Args {
    /// The command to test [default: built now]
    #[arg(long, value_name = "PATH")]
    vdso: Option<PathBuf>,
    /// What to do to its processes; may be repeated [default: all]
    #[arg(long, value_enum)]
    kind: Vec<Kind>,
    /// How often, for each kind
    #[arg(long, default_value_t = 500)]
    count: u64,
    /// How many times a second, about
    #[arg(long, default_value_t = 60)]
    rate: u64,
    /// The user to run it as, by number, if this is root's [default: who runs this]
    #[arg(long, value_name = "UID")]
    user: Option<u32>,
    /// Where the time is to come from [default: what vdso takes]
    #[arg(long)]
    source: Option<String>,
    /// A build of test-programs/exec-storm.c to start, if not those for this machine: for i386, say
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// For the same moments again; what they meet is another matter
    #[arg(long)]
    seed: Option<u64>,
    /// Less than a minute for all kinds, and a verdict on what must not happen even once
    #[arg(long)]
    short: bool,
}

/// Exits with 1 if a bound was exceeded.
pub fn run(args: &Args) -> Result<ExitCode> {
    nix::sys::prctl::set_child_subreaper(true).context("orphans cannot be waited for")?;
    let vdso = args.vdso.clone().map_or_else(crate::selftests::build_vdso, Ok)?;
    let seed = args.seed.unwrap_or_else(Random::any_seed);
    eprintln!("{}, seed {seed}", vdso.display());
    let mut random = Random::new(seed);
    let mut setup = Setup::new(&vdso, args.user, args.source.clone(), &mut random)?;
    match &args.program {
        Some(program) => setup.add_given(program)?,
        None => setup.add_ours()?,
    }
    let kinds = if args.kind.is_empty() { Kind::value_variants() } else { &args.kind };
    let bounds = if args.short { Bounds::Never } else { Bounds::Promised };
    print_row(&HEAD.map(str::to_owned));
    let mut is_good = true;
    for &kind in kinds {
        let count = if args.short { kind.short_count() } else { args.count };
        let storm = Storm { setup: &setup, kind, count, rate: args.rate };
        let Some(tally) = storm.run(&mut random)? else { continue };
        print_row(&tally.row(kind));
        let excesses = tally.excesses(kind, bounds);
        for excess in &excesses {
            eprintln!("FAIL {}: {excess}", kind.name());
        }
        for example in &tally.examples {
            eprintln!("  {example}");
        }
        is_good &= excesses.is_empty();
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_row(cells: &[String; 10]) {
    let [name, rest @ ..] = cells;
    let rest: String = rest.iter().map(|cell| format!("  {cell:>11}")).collect();
    println!("{name:11}{rest}");
}

/// All launches of one kind.
struct Storm<'a> {
    setup: &'a Setup,
    kind: Kind,
    count: u64,
    rate: u64,
}

/// Programs no longer begin, each time: more launches would show nothing new.
const MOST_HANGS: u64 = 3;
/// For a storm that lasts until it is told to end.
const ENDLESS: u64 = 1 << 40;

impl Storm<'_> {
    /// `None` if this machine cannot do that, which is reported.
    fn run(&self, random: &mut Random) -> Result<Option<Tally>> {
        let cgroup = match self.kind {
            Kind::Freeze | Kind::FreezeAll => match Cgroup::new() {
                Ok(cgroup) => Some(cgroup),
                Err(error) => {
                    return Ok(self.skip(Lacking::Privilege, &format!("{error:#}")));
                }
            },
            _ => None,
        };
        let mut tally = Tally::default();
        let mut launches = 0;
        while tally.disturbances < self.count && tally.hangs < MOST_HANGS {
            let done = tally.disturbances;
            let mut plan = self.plan(launches, random);
            if self.kind == Kind::KillEarly {
                plan.most = early::PROGRAMS;
                early::disturb(self.setup, plan, random, &mut tally)?;
            } else if let Some((lacking, reason)) =
                self.launch(plan, cgroup.as_ref(), random, &mut tally)?
            {
                return Ok(self.skip(lacking, reason));
            }
            launches += 1;
            let idle = launches > 2 * self.count && tally.disturbances == done;
            ensure!(!idle, "{}: no launch can be disturbed", self.kind.name());
        }
        Ok(Some(tally))
    }

    /// Each kind of input comes in turn; who starts programs, and which, is left to chance.
    fn plan(&self, launches: u64, random: &mut Random) -> Plan {
        let input = Input::ALL[launches as usize % Input::ALL.len()];
        let driver = random.one_of(&Driver::ALL).unwrap_or(Driver::Itself);
        let program = random.below(self.setup.programs.len() as u64) as usize;
        Plan { driver, program, input, most: ENDLESS }
    }

    fn skip(&self, lacking: Lacking, reason: &str) -> Option<Tally> {
        skip(lacking, &format!("faults of kind {}", self.kind.name()), reason);
        None
    }

    /// Disturbs one launch as often as it can stand it; gives the reason if that is impossible here.
    fn launch(
        &self,
        plan: Plan,
        cgroup: Option<&Cgroup>,
        random: &mut Random,
        tally: &mut Tally,
    ) -> Result<Option<(Lacking, &'static str)>> {
        let born_in = cgroup.filter(|_| self.kind == Kind::FreezeAll).map(Cgroup::path);
        let mut launch = Launch::start(self.setup, plan, born_in)?;
        ensure!(launch.progresses(0, 1), "no program begins: {}", launch.complaint());
        let mut disturber = Disturber::new(self.kind, cgroup);
        let pause = Duration::from_secs(2) / self.rate.max(1) as u32;
        let mut is_hung = false;
        for _ in 0..self.kind.per_launch().min(self.count - tally.disturbances) {
            std::thread::sleep(random.up_to(pause));
            let before = launch.written_bytes();
            let disturbed = disturber.disturb(&mut launch, random)?;
            if let Disturbed::Impossible(lacking, reason) = disturbed {
                return Ok(Some((lacking, reason)));
            }
            tally.disturbances += 1;
            is_hung = disturbed == Disturbed::Hung || !launch.progresses(before, 1);
            match disturbed {
                _ if is_hung => break,
                Disturbed::NobodyLeft => {
                    tally.bad_end(format!("{plan:?}: nobody took over"));
                    break;
                }
                Disturbed::Last => break,
                _ => {}
            }
        }
        let is_over = !is_hung && launch.finish()?;
        if !is_over {
            tally.hang(&format!("{plan:?}, after {} disturbances", tally.disturbances));
        }
        self.judge(&launch, is_over, plan, tally)?;
        Ok(None)
    }

    fn judge(&self, launch: &Launch, is_over: bool, plan: Plan, tally: &mut Tally) -> Result<()> {
        let mut records = launch.records()?;
        if is_over && !records.has_ended {
            records.crash(0);
            tally.example(format!("{plan:?}: whoever started the programs has died"));
        }
        if let Some(code) = launch.code()
            && code != EXIT_DRIVEN
        {
            tally.bad_end(format!("{plan:?}: exit code {code}; vdso said: {}", launch.complaint()));
        }
        tally.add(records);
        Ok(())
    }
}
