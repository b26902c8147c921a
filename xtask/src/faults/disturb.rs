//! Disturbs the processes of a launch.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use test_support::Lacking;

use super::cgroup::Cgroup;
use super::kind::Kind;
use super::launch::{HANG, Launch};
use super::processes::{Member, Role, is_nobody_left, members, waits_of};
use super::random::Random;

/// What came of trying to disturb.
#[derive(Debug, PartialEq, Eq)]
pub enum Disturbed {
    /// It was done, and the launch can stand another.
    Done,
    /// It was done, and it was the last that this launch can stand.
    Last,
    /// Nobody took the place of one that was killed.
    NobodyLeft,
    /// Programs no longer begin.
    Hung,
    /// It cannot be done on this machine.
    Impossible(Lacking, &'static str),
}

/// For how long something is stopped at most.
const PAUSE: Duration = Duration::from_millis(3);
/// For how long a debugger stays at most.
const VISIT: Duration = Duration::from_millis(30);
/// So much is written by some dozens of programs: more than can have been under way.
const MANY_PROGRAMS_BYTES: u64 = 4000;

/// See the module.
pub struct Disturber<'a> {
    kind: Kind,
    cgroup: Option<&'a Cgroup>,
    /// Supervisors that were stopped for good, and have no say any more.
    stalled: Vec<Pid>,
}

impl<'a> Disturber<'a> {
    /// For one launch.
    pub fn new(kind: Kind, cgroup: Option<&'a Cgroup>) -> Self {
        Self { kind, cgroup, stalled: Vec::new() }
    }

    /// Disturbs once.
    pub fn disturb(&mut self, launch: &mut Launch, random: &mut Random) -> Result<Disturbed> {
        match self.kind {
            Kind::Stop => self.stop(launch, random),
            Kind::Freeze | Kind::FreezeAll => self.freeze(launch, random),
            Kind::Strace => self.strace(launch, random),
            Kind::Kill => {
                let role = random.one_of(&VICTIMS);
                self.kill(launch, role.unwrap_or(Role::Supervisor))
            }
            Kind::KillChain => self.kill(launch, Role::Front),
            Kind::KillAll => {
                kill_all(launch);
                Ok(Disturbed::Last)
            }
            Kind::Stall => self.stall(launch, random),
            Kind::KillEarly => {
                Ok(Disturbed::Impossible(Lacking::Kernel, "it is done at a launch's start"))
            }
        }
    }

    fn stop(&self, launch: &mut Launch, random: &mut Random) -> Result<Disturbed> {
        let Some(supervisor) = self.supervisor(launch) else { return Ok(Disturbed::NobodyLeft) };
        kill(supervisor, Signal::SIGSTOP)?;
        std::thread::sleep(random.up_to(PAUSE));
        kill(supervisor, Signal::SIGCONT)?;
        Ok(Disturbed::Done)
    }

    fn freeze(&self, launch: &mut Launch, random: &mut Random) -> Result<Disturbed> {
        let cgroup = self.cgroup.context("a cgroup was made before")?;
        if self.kind == Kind::Freeze {
            let Some(supervisor) = self.supervisor(launch) else {
                return Ok(Disturbed::NobodyLeft);
            };
            cgroup.has_only(supervisor)?;
        }
        cgroup.freeze()?;
        std::thread::sleep(random.up_to(PAUSE));
        cgroup.thaw()?;
        Ok(Disturbed::Done)
    }

    fn strace(&self, launch: &mut Launch, random: &mut Random) -> Result<Disturbed> {
        let Some(supervisor) = self.supervisor(launch) else { return Ok(Disturbed::NobodyLeft) };
        let mut strace = Command::new("strace");
        strace.args(["-q", "-o", "/dev/null", "-p", &supervisor.to_string()]);
        strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut strace) = strace.spawn() else {
            return Ok(Disturbed::Impossible(Lacking::Tool, "no `strace` in PATH"));
        };
        std::thread::sleep(random.up_to(VISIT));
        if strace.try_wait()?.is_some_and(|status| !status.success()) {
            return Ok(Disturbed::Impossible(Lacking::Privilege, "strace may not attach"));
        }
        kill(Pid::from_raw(strace.id() as i32), Signal::SIGINT)?;
        Ok(if wait_for(&mut strace)? { Disturbed::Done } else { Disturbed::Hung })
    }

    /// Kills one of a role, or of the next where there is none, and waits until there are as many again
    /// as a launch needs.
    fn kill(&self, launch: &mut Launch, role: Role) -> Result<Disturbed> {
        let supervisor = self.supervisor(launch);
        let living = members(launch.front);
        let of_role =
            |role| living.iter().find(|member| member.role == role).map(|member| member.pid);
        let victim = match role {
            Role::Supervisor => supervisor,
            role => of_role(role).or(supervisor),
        };
        let Some(victim) = victim else { return Ok(Disturbed::NobodyLeft) };
        kill(victim, Signal::SIGKILL)?;
        let start = Instant::now();
        loop {
            launch.reap();
            let living = members(launch.front);
            let is_there = |role| living.iter().any(|member| member.role == role);
            let is_complete = is_there(Role::Supervisor)
                && (is_there(Role::Front) || is_there(Role::Standby))
                && living.iter().all(|member| member.pid != victim);
            if is_complete {
                return Ok(Disturbed::Done);
            }
            if is_nobody_left(launch.front) || start.elapsed() > HANG {
                return Ok(Disturbed::NobodyLeft);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// A supervisor that stands still for good; and wakes up when another does its work.
    fn stall(&mut self, launch: &mut Launch, random: &mut Random) -> Result<Disturbed> {
        let Some(supervisor) = self.supervisor(launch) else { return Ok(Disturbed::NobodyLeft) };
        let before = launch.written_bytes();
        kill(supervisor, Signal::SIGSTOP)?;
        if !launch.progresses(before, MANY_PROGRAMS_BYTES) {
            return Ok(Disturbed::Hung);
        }
        std::thread::sleep(random.up_to(PAUSE));
        // It may have been killed by whoever took its place.
        let _ = kill(supervisor, Signal::SIGCONT);
        self.stalled.push(supervisor);
        Ok(Disturbed::Done)
    }

    /// The one that works: of several the one that has waited most often while programs began.
    fn supervisor(&self, launch: &mut Launch) -> Option<Pid> {
        let mut found = self.candidates(launch);
        let start = Instant::now();
        while found.is_empty() && start.elapsed() < HANG && !is_nobody_left(launch.front) {
            std::thread::sleep(Duration::from_millis(1));
            launch.reap();
            found = self.candidates(launch);
        }
        if found.len() < 2 {
            return found.first().copied();
        }
        let before: Vec<(Pid, u64)> = found.iter().map(|&pid| (pid, waits_of(pid))).collect();
        launch.progresses(launch.written_bytes(), MANY_PROGRAMS_BYTES / 8);
        let growth = |&(pid, before): &(Pid, u64)| waits_of(pid).saturating_sub(before);
        before.iter().max_by_key(|pair| growth(pair)).map(|&(pid, _)| pid)
    }

    fn candidates(&self, launch: &Launch) -> Vec<Pid> {
        let is_candidate = |member: &Member| {
            member.role == Role::Supervisor && !self.stalled.contains(&member.pid)
        };
        members(launch.front).into_iter().filter(is_candidate).map(|member| member.pid).collect()
    }
}

/// A front can be killed but once in a launch.
const VICTIMS: [Role; 10] = [
    Role::Front,
    Role::Standby,
    Role::Standby,
    Role::Standby,
    Role::Supervisor,
    Role::Supervisor,
    Role::Supervisor,
    Role::Supervisor,
    Role::Supervisor,
    Role::Supervisor,
];

/// Kills all of vdso's, also those that one of them has started meanwhile.
fn kill_all(launch: &mut Launch) {
    while !is_nobody_left(launch.front) {
        for member in members(launch.front) {
            let _ = kill(member.pid, Signal::SIGKILL);
        }
        launch.reap();
    }
}

/// `false` if it does not end; it is killed then.
fn wait_for(child: &mut Child) -> Result<bool> {
    let start = Instant::now();
    while start.elapsed() < HANG {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill()?;
    child.wait()?;
    Ok(false)
}
