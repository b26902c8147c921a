//! What is to be started.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::time::{Duration, SystemTime};

use vdso_arch::abi::CallSet;
use vdso_inject::detour::{CallSites, FileTimes};

use crate::Source;
use crate::child::Child;
use crate::clock::{Clock, ClockBuilder, ClockSet};
use crate::error::Error;
use crate::spawn;
use crate::stdio::Stdio;

/// A program to be started with a clock of its own: [`std::process::Command`], with time.
///
/// Whatever the program starts has the same clock. It can be used from any thread; see the crate's
/// documentation for what a launch does to the calling process, which is next to nothing.
///
/// ```no_run
/// use std::time::{Duration, UNIX_EPOCH};
/// use vdso_launch::{Clocks, Command, Stdio};
///
/// let in_2038 = UNIX_EPOCH + Duration::from_secs(i32::MAX as u64);
/// let mut child = Command::new("./server")
///     .arg("--port=0")
///     .at(in_2038)
///     .rate(60)
///     .clocks(Clocks::All)
///     .stdout(Stdio::piped())
///     .spawn()?;
/// let status = child.wait()?;
/// # Ok::<(), vdso_launch::Error>(())
/// ```
#[derive(Debug)]
pub struct Command {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Environment,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) streams: [Option<Stdio>; 3],
    pub(crate) clock: ClockBuilder,
    pub(crate) source: Option<Source>,
    pub(crate) settings: Settings,
}

/// What is set beside the clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    pub is_strict: bool,
    pub off: CallSet,
    pub call_sites: CallSites,
    pub file_times: FileTimes,
    pub follows_none: bool,
    pub notices: Notices,
}

/// Where it is told that a program runs on the host's clock, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notices {
    /// To the caller's standard error, a line each.
    #[default]
    Stderr,
    /// Nowhere.
    Silent,
}

/// Changes to the caller's environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    is_cleared: bool,
    changes: BTreeMap<OsString, Option<OsString>>,
}

impl Environment {
    fn set(&mut self, name: &OsStr, value: Option<&OsStr>) {
        self.changes.insert(name.to_owned(), value.map(OsStr::to_owned));
    }

    /// What the program gets.
    pub fn variables(&self) -> BTreeMap<OsString, OsString> {
        let mut variables: BTreeMap<_, _> = match self.is_cleared {
            true => BTreeMap::new(),
            false => std::env::vars_os().collect(),
        };
        for (name, change) in &self.changes {
            match change {
                Some(value) => variables.insert(name.clone(), value.clone()),
                None => variables.remove(name),
            };
        }
        variables
    }
}

// As std::process::Command has it.
impl Command {
    /// A program, looked up in `PATH` if it is a name without a slash.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Environment::default(),
            folder: None,
            streams: [const { None }; 3],
            clock: Clock::builder(),
            source: None,
            settings: Settings::default(),
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        arguments.into_iter().fold(self, |command, argument| command.arg(argument))
    }

    /// Sets a variable of the program's environment, which is otherwise the caller's.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.environment.set(name.as_ref(), Some(value.as_ref()));
        self
    }

    /// Sets several.
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Self {
        variables.into_iter().fold(self, |command, (name, value)| command.env(name, value))
    }

    /// Takes a variable out of the program's environment.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.environment.set(name.as_ref(), None);
        self
    }

    /// Starts from an empty environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.environment = Environment { is_cleared: true, changes: BTreeMap::new() };
        self
    }

    /// The folder that the program starts in, which is otherwise the caller's. A program's path that is not
    /// absolute begins there.
    pub fn current_dir(&mut self, folder: impl AsRef<Path>) -> &mut Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Where it reads from: the caller's standard input, if not given; nothing for [`output`](Self::output).
    pub fn stdin(&mut self, input: impl Into<Stdio>) -> &mut Self {
        self.stream(0, input)
    }

    /// Where it writes to: the caller's standard output, if not given; a pipe for [`output`](Self::output).
    pub fn stdout(&mut self, output: impl Into<Stdio>) -> &mut Self {
        self.stream(1, output)
    }

    /// Where it writes errors to: the caller's standard error, if not given; a pipe for
    /// [`output`](Self::output).
    pub fn stderr(&mut self, errors: impl Into<Stdio>) -> &mut Self {
        self.stream(2, errors)
    }

    fn stream(&mut self, number: usize, stream: impl Into<Stdio>) -> &mut Self {
        self.streams[number] = Some(stream.into());
        self
    }

    /// Starts it. It has been executed when this returns.
    ///
    /// # Errors
    /// Any but [`Error::OnHostClock`] and [`Error::Output`]. Nothing has been started then, and nothing is
    /// left behind.
    pub fn spawn(&mut self) -> Result<Child, Error> {
        spawn::spawn(self, [const { Stdio::inherit }; 3])
    }

    /// Starts it, waits for its end, and gives how it ended.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn) and [`Child::wait`].
    pub fn status(&mut self) -> Result<ExitStatus, Error> {
        self.spawn()?.wait()
    }

    /// Starts it, waits for its end, and gives how it ended and what it has written.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    pub fn output(&mut self) -> Result<Output, Error> {
        spawn::spawn(self, [Stdio::null, Stdio::piped, Stdio::piped])?.wait_with_output()
    }
}

// Its time.
impl Command {
    /// The clock that it gets, in place of what the functions below have set so far.
    pub fn clock(&mut self, clock: Clock) -> &mut Self {
        self.clock = clock.into();
        self
    }

    /// See [`ClockBuilder::at`]. Each program that this command starts begins there.
    pub fn at(&mut self, time: impl Into<SystemTime>) -> &mut Self {
        self.clock = self.clock.at(time);
        self
    }

    /// See [`ClockBuilder::ahead`].
    pub fn ahead(&mut self, by: Duration) -> &mut Self {
        self.clock = self.clock.ahead(by);
        self
    }

    /// See [`ClockBuilder::behind`].
    pub fn behind(&mut self, by: Duration) -> &mut Self {
        self.clock = self.clock.behind(by);
        self
    }

    /// See [`ClockBuilder::rate`].
    pub fn rate(&mut self, rate: impl Into<f64>) -> &mut Self {
        self.clock = self.clock.rate(rate);
        self
    }

    /// See [`ClockBuilder::freeze`].
    pub fn freeze(&mut self) -> &mut Self {
        self.clock = self.clock.freeze();
        self
    }

    /// See [`ClockBuilder::settable`].
    pub fn settable(&mut self) -> &mut Self {
        self.clock = self.clock.settable();
        self
    }

    /// See [`ClockBuilder::clocks`].
    pub fn clocks(&mut self, clocks: impl Into<ClockSet>) -> &mut Self {
        self.clock = self.clock.clocks(clocks);
        self
    }

    /// Where the time is to come from; the fastest source that is safe, if not given.
    pub fn source(&mut self, source: Source) -> &mut Self {
        self.source = Some(source);
        self
    }

    /// Ends a program, and whatever it starts, rather than have it run on the host's clock.
    pub fn strict(&mut self) -> &mut Self {
        self.settings.is_strict = true;
        self
    }

    /// Leaves what the program starts, and later execs, alone. Without privilege a launch otherwise sets
    /// `no_new_privs`, and set-user-ID programs below it lack what their files give.
    pub fn no_follow(&mut self) -> &mut Self {
        self.settings.follows_none = true;
        self
    }

    /// Hides the functions of the image that answer these calls: [`Call`](crate::Call), or
    /// [`CallSet::ALL`](crate::CallSet::ALL). The image stays, and a C library or runtime that finds no function in it
    /// makes the system call, which strace and filters see; its answer is the program's own clock as ever, if that is moved.
    pub fn off(&mut self, calls: impl Into<CallSet>) -> &mut Self {
        self.settings.off = calls.into();
        self
    }

    /// Leaves the programs' code as it is in their files. Else a system call instruction that waits for the program's own
    /// clock again and again is made to jump to the image, which takes a hundredth of the time.
    pub fn keep_call_sites(&mut self) -> &mut Self {
        self.settings.call_sites = CallSites::Kept;
        self
    }

    /// Whose times files have for the program: the host's, as they are stored, if not given; or those of its own
    /// clock, as if that had stored them. Times that it sets are then stored so that it sees what it has set. On x86-64
    /// alone, and not with [`no_follow`](Self::no_follow), by which no call is reported.
    pub fn file_times(&mut self, file_times: FileTimes) -> &mut Self {
        self.settings.file_times = file_times;
        self
    }

    /// Where it is told that a program runs on the host's clock.
    pub fn notices(&mut self, notices: Notices) -> &mut Self {
        self.settings.notices = notices;
        self
    }
}

/// Program, arguments, changes to the environment and folder are taken over; streams, what belongs to the platform,
/// as `pre_exec`, and `env_clear` cannot be seen, and are not.
impl From<&std::process::Command> for Command {
    fn from(command: &std::process::Command) -> Self {
        let mut new = Self::new(command.get_program());
        new.args(command.get_args());
        for (name, value) in command.get_envs() {
            new.environment.set(name, value);
        }
        new.folder = command.get_current_dir().map(Path::to_owned);
        new
    }
}

/// See the conversion of a reference.
impl From<std::process::Command> for Command {
    fn from(command: std::process::Command) -> Self {
        Self::from(&command)
    }
}
