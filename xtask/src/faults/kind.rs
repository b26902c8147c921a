//! The kinds of disturbances, and what may come of each.

use clap::ValueEnum;

/// What is done to the processes of a launch while programs are started below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// SIGSTOP and SIGCONT of the supervisor
    Stop,
    /// The supervisor alone frozen by its cgroup, and thawed
    Freeze,
    /// All that came from the launch frozen, and thawed
    FreezeAll,
    /// strace attached to the supervisor, and detached
    Strace,
    /// kill -9 of the front, the supervisor or a standby, one at a time
    Kill,
    /// kill -9 of the front, then of one supervisor after another
    KillChain,
    /// kill -9 of all of vdso's processes at once
    KillAll,
    /// kill -9 of the supervisor within its first two milliseconds
    KillEarly,
    /// SIGSTOP of the supervisor for good, or until another has taken its place
    Stall,
}

/// Whether something may come of a disturbance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// Never.
    Never,
    /// Once in a hundred disturbances.
    Rarely,
    /// As often as it does.
    Always,
}

impl Allowance {
    /// How many are allowed.
    pub fn of(self, disturbances: u64) -> u64 {
        match self {
            Self::Never => 0,
            Self::Rarely => disturbances.div_ceil(100),
            Self::Always => u64::MAX,
        }
    }
}

impl Kind {
    /// As it is written.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Programs on the host's clock of which a notice tells.
    pub fn wrong_clocks(self) -> Allowance {
        match self {
            Self::KillAll => Allowance::Always,
            _ => Allowance::Rarely,
        }
    }

    /// Programs on the host's clock of which nobody tells: allowed where nobody is left who could.
    pub fn untold(self) -> Allowance {
        match self {
            Self::KillAll => Allowance::Always,
            _ => Allowance::Never,
        }
    }

    /// Calls of `execve` that fail: without anybody who listens to a filter the kernel fails them.
    pub fn failed(self) -> Allowance {
        match self {
            Self::KillAll => Allowance::Always,
            _ => Allowance::Never,
        }
    }

    /// How many disturbances one launch is to stand before another takes its place.
    pub fn per_launch(self) -> u64 {
        match self {
            Self::KillAll | Self::KillEarly => 1,
            // Few, so that every workload meets every input.
            _ => 20,
        }
    }

    /// How many there are in the short form, which has a minute for all kinds.
    pub fn short_count(self) -> u64 {
        match self {
            Self::Stall => 5,
            Self::KillAll => 24,
            _ => 60,
        }
    }
}
