//! The arguments of `vdso run`.

use std::ffi::OsString;

use clap::ValueEnum;
use vdso_data::arithmetic::Rate;
use vdso_image::Source;
use vdso_launch::{Call, CallSet, FileTimes};

use super::clocks::{self, At, Offset};

/// `vdso run`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES_AND_EXIT_CODES)]
pub struct Run {
    /// Start at TIME: RFC 3339 (2038-01-19T03:14:07Z), a date, or @SECONDS
    ///
    /// A date or time without a zone is in the local one. From its first instruction on, no clock of the program's shows an
    /// earlier time.
    #[arg(
        long,
        value_name = "TIME",
        value_parser = clocks::parse_at,
        allow_hyphen_values = true,
        conflicts_with = "offset"
    )]
    pub at: Option<At>,

    /// Be ahead of the host by DURATION, or behind it: +30d, -2h30m, 1y
    ///
    /// Units are y, mo, w, d, h, m, s, ms, us, ns; a day has 24 hours. ISO 8601 (P1DT2H) is read, too.
    #[arg(long, value_name = "DURATION", value_parser = clocks::parse_offset, allow_hyphen_values = true)]
    pub offset: Option<Offset>,

    /// Run X times as fast as the host, from 0 to 1000000
    #[arg(long, value_name = "X", value_parser = clocks::parse_rate, allow_hyphen_values = true)]
    pub rate: Option<Rate>,

    /// Stand still
    #[arg(long, conflicts_with = "rate")]
    pub freeze: bool,

    /// Which clocks to move; if not given, --at, --offset and --freeze move realtime, and --rate moves all
    ///
    /// "realtime" goes with TAI, gettimeofday and time, "monotonic" with MONOTONIC_RAW, and both
    /// with their coarse twins.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub clocks: Vec<ClockGroup>,

    /// Let the program and all that it starts set this clock
    ///
    /// Without it, programs may that have CAP_SYS_TIME, if their clock is changed in any way. The host's is never set,
    /// but by programs that are not followed.
    #[arg(long, conflicts_with = "no_follow")]
    pub settable: bool,

    /// Whose times files have for the program: the host's, as they are stored, or its own clock's
    ///
    /// With "clock" the program sees times as if its own clock had stored them, and what it sets it sees again; so
    /// make, git, tar or find agree with the clock that they read. Other programs see what is stored: the host's. Not
    /// for 32-bit programs, and not with --no-follow.
    #[arg(long, value_enum, value_name = "WHOSE", default_value = "host")]
    pub file_times: FileTimesOf,

    /// Hide functions of the vDSO: all, or those that are named
    ///
    /// The program then makes system calls in their place, which strace and filters see. A clock that is moved stays its
    /// own: such a call is reported and answered, which takes 20 us, or 0.3 us where the program's code can be
    /// changed (--no-patch). What is no such call stays in the vDSO: Linux 7.2's functions for robust futexes, and returns
    /// from signal handlers.
    #[arg(
        long,
        value_enum,
        value_name = "FUNCTIONS",
        value_delimiter = ',',
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all"
    )]
    pub off: Vec<Hidden>,

    /// Leave the program's code as it is in its files
    ///
    /// Else a system call instruction that waits for the program's own clock again and again is made to jump to the image:
    /// such a wait then costs 0.3 us instead of 20. And calls of the vsyscall page are sent to the image where the kernel has
    /// none.
    #[arg(long)]
    pub no_patch: bool,

    /// Keep programs of before 2012 alive that call the vsyscall page, in their libraries as well
    ///
    /// Where the kernel ends a program that calls this page (vsyscall=none), calls in programs' own files are sent elsewhere
    /// in any case. With this those in the libraries are, too, and on any kernel. It takes each program 0.1 ms to
    /// start, and one in whose libraries is much code up to some milliseconds; the calls then are as fast as any of the vDSO's.
    #[arg(long, conflicts_with_all = ["no_patch", "no_follow"])]
    pub vsyscall: bool,

    /// Where the time is to come from; the fastest that is safe, if not given
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<SourceName>,

    /// Leave children and later execs alone
    ///
    /// Following them sets no_new_privs unless you are root, so sudo and its like do not work below
    /// the program; without it they do.
    #[arg(long)]
    pub no_follow: bool,

    /// End a program that would run on the host's clock
    ///
    /// Without it such a program runs, and a warning names it and the reason. With it vdso says the same
    /// and exits with code 125. Where children cannot be followed nothing is started, unless by --no-follow.
    #[arg(long)]
    pub strict: bool,

    /// Say on standard error which source was taken and why, and where the image is
    #[arg(short, long)]
    pub verbose: bool,

    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Clocks that are moved together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClockGroup {
    Realtime,
    Monotonic,
    Boottime,
    All,
}

/// [`Call`], as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Hidden {
    ClockGettime,
    ClockGetres,
    Gettimeofday,
    Time,
    Getcpu,
    Getrandom,
    All,
}

impl From<Hidden> for CallSet {
    fn from(hidden: Hidden) -> Self {
        match hidden {
            Hidden::ClockGettime => Call::ClockGettime.into(),
            Hidden::ClockGetres => Call::ClockGetres.into(),
            Hidden::Gettimeofday => Call::Gettimeofday.into(),
            Hidden::Time => Call::Time.into(),
            Hidden::Getcpu => Call::Getcpu.into(),
            Hidden::Getrandom => Call::Getrandom.into(),
            Hidden::All => Self::ALL,
        }
    }
}

/// [`FileTimes`], as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileTimesOf {
    /// As they are stored
    Host,
    /// As if the program's own clock had stored them
    Clock,
}

impl Run {
    /// What `--off` names.
    pub fn hidden(&self) -> CallSet {
        self.off.iter().flat_map(|&hidden| CallSet::from(hidden).iter()).collect()
    }
}

impl From<FileTimesOf> for FileTimes {
    fn from(of: FileTimesOf) -> Self {
        match of {
            FileTimesOf::Host => Self::Host,
            FileTimesOf::Clock => Self::Clock,
        }
    }
}

/// [`Source`], as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SourceName {
    /// The counter and a page that vdso publishes
    Own,
    /// The running kernel's data page
    Host,
    /// The kernel's own vDSO function
    Chain,
}

impl From<SourceName> for Source {
    fn from(name: SourceName) -> Self {
        match name {
            SourceName::Own => Self::Own,
            SourceName::Host => Self::Host,
            SourceName::Chain => Self::Chain,
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  vdso run --at 2038-01-19T03:14:00Z -- ./server
  vdso run --offset -2h30m --file-times clock -- make test
  vdso run --rate 60 -- python3 simulation.py
  vdso run --freeze --at 2000-01-01 -- date
  vdso run --strict --at 2038-01-19 -- make test
  vdso run --settable -- sh -c 'date -s 2030-01-01; ./server'
  vdso run --off -- strace date
  vdso run --offset 1y --clocks all -v -- bash";

const EXAMPLES_AND_EXIT_CODES: &str = "\
Examples:
  vdso run --at 2038-01-19T03:14:00Z -- ./server
  vdso run --offset -2h30m --file-times clock -- make test
  vdso run --rate 60 -- python3 simulation.py
  vdso run --freeze --at 2000-01-01 -- date
  vdso run --strict --at 2038-01-19 -- make test
  vdso run --settable -- sh -c 'date -s 2030-01-01; ./server'
  vdso run --off -- strace date
  vdso run --offset 1y --clocks all -v -- bash

Exit code: that of the program; 128 and the signal's number if a signal ended it; 127 if it was not
found, 126 if it could not be executed, 125 if vdso itself failed or a program was ended by --strict, 2
for a mistake in its arguments.

What a program reads through its C library, its runtime or the vDSO itself is moved, and so are its waits
and timers, and clocks that it asks the kernel for itself. What it sets is its own clock (--settable).

Programs get clocks on x86-64, arm64 and 64-bit RISC-V; on x86-64 i386 programs, too, where they are
followed, and x32 programs. Programs of other kinds run untouched, and a warning says so.";
