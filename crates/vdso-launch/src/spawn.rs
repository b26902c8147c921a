//! From a [`Command`] to a [`Child`]: what is prepared in the calling process, and the front that is forked.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString, c_char};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;
use nix::fcntl::FdFlag;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::{ForkResult, Pid, fork};
use vdso_host::Host;
use vdso_host::proc;
use vdso_inject::Attempt;
use vdso_inject::arch::{ABIS, check_support};
use vdso_timekeeper::Timekeeper;

use crate::Source;
use crate::child::{Child, End, wait_for};
use crate::clock::Plan;
use crate::command::{Command, Notices};
use crate::error::Error;
use crate::follow::{Notice, Severity, Tick, Turn, hint};
use crate::privilege;
use crate::process;
use crate::processes::{
    Caller, Core, Follow, Inheritance, Kind, Launch, OnHostClock, Outcome, Socket, Streams,
    end_by_signal,
};
use crate::source::{Selected, select};
use crate::stdio::{Direction, Stdio};

/// Starts a command, with these streams where none are given.
pub fn spawn(command: &Command, usual: [fn() -> Stdio; 3]) -> Result<Child, Error> {
    check_support()?;
    command.settings.file_times.check_support()?;
    let variables = command.environment.variables();
    let path = variables.get(OsStr::new("PATH")).map(OsString::as_os_str);
    let start = command.folder.as_deref();
    if let Some((privilege, program)) = privilege::at_stake_of(&command.program, path, start) {
        return Err(Error::Privileged { program, privilege });
    }
    let _held = hold_standard_numbers()?;
    let plan = Plan::of(&command.clock.build()?)?;
    let host = Host::find().map_err(|error| {
        failed("read /proc/self/maps", error.raw_os_error().map(Errno::from_raw))
    })?;
    let mut selected = select(&host, &plan, command.source, command.settings.off)?;
    selected.payload.detours.call_sites = command.settings.call_sites;
    selected.payload.detours.file_times = command.settings.file_times;
    let usual = usual.map(|stdio| stdio());
    let [input, output, errors] = [0, 1, 2].map(|number| {
        let direction = if number == 0 { Direction::Input } else { Direction::Output };
        let stdio = command.streams[number].as_ref().unwrap_or(&usual[number]);
        stdio.prepare(direction, inherited(number as RawFd)).map_err(|error| {
            failed("open the program's streams", error.raw_os_error().map(Errno::from_raw))
        })
    });
    let (input, output, errors) = (input?, output?, errors?);
    let (socket, fronts) =
        Socket::pair().map_err(|errno| failed("make a pair of sockets", Some(errno)))?;
    let front = Front {
        command,
        argv: c_strings(std::iter::once(&command.program).chain(&command.arguments))?,
        environment: c_environment(&variables)?,
        folder: command.folder.as_deref().map(c_string).transpose()?,
        plan: &plan,
        host: &host,
        selected: &selected,
        streams: Streams::copies_of([&input, &output, &errors].map(|stream| &stream.program))
            .map_err(|errno| failed("copy the program's streams", Some(errno)))?,
        socket: fronts,
        caller: process::open(Pid::this()),
    };
    let pid = front.fork()?;
    drop(front);
    let (program, program_fd) = await_execution(command, &socket, pid)?;
    Ok(Child {
        stdin: input.caller.map(Into::into),
        stdout: output.caller.map(Into::into),
        stderr: errors.caller.map(Into::into),
        name: command.program.clone(),
        program,
        program_fd,
        front: pid,
        socket,
        end: End::Unknown,
    })
}

fn failed(attempt: &'static str, errno: Option<Errno>) -> Error {
    Error::System { attempt, errno: errno.unwrap_or(Errno::EIO) }
}

/// Nothing that is opened here may get the number of a standard stream that is closed: the program's streams
/// take their place. So they are taken until the fork, by the null device.
fn hold_standard_numbers() -> Result<Vec<std::fs::File>, Error> {
    let mut held = Vec::new();
    while (0..=libc::STDERR_FILENO).any(|number| inherited(number).is_none()) {
        let null = std::fs::File::options().read(true).write(true).open("/dev/null");
        held.push(null.map_err(|error| {
            failed("open the null device", error.raw_os_error().map(Errno::from_raw))
        })?);
    }
    Ok(held)
}

/// A stream of the caller's; `None` if that is closed, which to the program is one that leads nowhere.
fn inherited(number: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: only asks.
    let is_open = unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
    // SAFETY: it is open, as a standard stream is for as long as its process lives.
    is_open.then(|| unsafe { BorrowedFd::borrow_raw(number) })
}

fn c_string(text: impl AsRef<OsStr>) -> Result<CString, Error> {
    let text = text.as_ref();
    CString::new(text.as_bytes()).map_err(|_| Error::ZeroByte { text: text.to_owned() })
}

fn c_strings<T: AsRef<OsStr>>(texts: impl Iterator<Item = T>) -> Result<Vec<CString>, Error> {
    texts.map(c_string).collect()
}

fn c_environment(variables: &BTreeMap<OsString, OsString>) -> Result<Vec<CString>, Error> {
    c_strings(variables.iter().map(|(name, value)| {
        let mut text = name.clone();
        text.push("=");
        text.push(value);
        text
    }))
}

/// Waits until the program is executed, or is known not to be.
fn await_execution(
    command: &Command,
    socket: &Socket,
    front: Pid,
) -> Result<(Pid, Option<OwnedFd>), Error> {
    let message = socket.receive();
    if let Some(message) = message.as_ref().filter(|message| message.kind == Kind::Executed) {
        let pid = Pid::from_raw(message.number);
        return Ok((pid, message.fd.as_ref().and_then(|fd| fd.try_clone().ok())));
    }
    let _ = wait_for(front, 0);
    let program = command.program.clone();
    let Some(message) = message else {
        // It was killed.
        return Err(failed("start the program", Some(Errno::ECHILD)));
    };
    let errno = Errno::from_raw(message.number);
    let attempt = match message.kind {
        Kind::ExecFailed => return Err(Error::NotExecuted { program, errno }),
        Kind::OnHostClock => return Err(Error::OnHostClock { program }),
        Kind::CannotTrace => Attempt::Seize,
        Kind::CannotFollow => Attempt::Filter,
        Kind::CannotFork => Attempt::Fork,
        _ => Attempt::Supervisor,
    };
    Err(vdso_inject::Error::on_self(attempt, errno).into())
}

/// What the front is made of.
struct Front<'a> {
    command: &'a Command,
    argv: Vec<CString>,
    environment: Vec<CString>,
    folder: Option<CString>,
    plan: &'a Plan,
    host: &'a Host,
    selected: &'a Selected,
    streams: Streams,
    socket: Socket,
    caller: Option<OwnedFd>,
}

impl Front<'_> {
    /// Starts its process.
    fn fork(&self) -> Result<Pid, Error> {
        // No handler of the caller's is to run in a process that the caller does not know of.
        let mask = SigSet::all()
            .thread_swap_mask(SigmaskHow::SIG_SETMASK)
            .map_err(|errno| failed("block signals", Some(errno)))?;
        // SAFETY: the child uses of what other threads may have been at work on the allocator alone, which C
        // libraries keep usable for it, and does not return.
        let forked = unsafe { fork() };
        if let Ok(ForkResult::Child) = forked {
            // A panic must not unwind into a copy of the caller.
            let code = catch_unwind(AssertUnwindSafe(|| self.run())).unwrap_or(FAILED);
            // SAFETY: ends the process without running what belongs to the caller.
            unsafe { libc::_exit(code) };
        }
        let _ = mask.thread_set_mask();
        match forked {
            Ok(ForkResult::Parent { child }) => Ok(child),
            Ok(ForkResult::Child) => unreachable!("it has ended above"),
            Err(errno) => Err(failed("start a process", Some(errno))),
        }
    }

    /// In the child. Gives its exit code, if it does not end as the program has.
    fn run(&self) -> i32 {
        let _ = nix::sys::prctl::set_name(c"vdso");
        let inheritance = Inheritance::capture_as_std();
        set_own_dispositions();
        self.close_callers();
        if self.command.settings.notices == Notices::Silent {
            silence();
        }
        let environment = pointers(&self.environment);
        // SAFETY: this process has one thread, and the strings live as long as it does.
        unsafe { environ = environment.as_ptr() };
        if let Some(folder) = &self.folder
            && let Err(errno) = nix::unistd::chdir(folder.as_c_str())
        {
            self.socket.send(Kind::ExecFailed, errno as i32, None);
            return FAILED;
        }
        match self.launch(inheritance) {
            Ok(outcome) => self.end_as(outcome),
            Err(error) => {
                let (kind, errno) = refusal(&error);
                self.socket.send(kind, errno as i32, None);
                FAILED
            }
        }
    }

    fn launch(&self, inheritance: Inheritance) -> vdso_inject::Result<Outcome> {
        let settings = self.command.settings;
        let publisher = || -> Tick<'_> {
            let page = self.selected.payload.file.page();
            let mut timekeeper = Timekeeper::new(page, self.host.sampler(), self.plan.transforms);
            Box::new(move |turn| {
                if let Turn::Move(moved) = turn {
                    timekeeper.move_clocks(moved);
                }
                Some(timekeeper.update())
            })
        };
        let executed = |program: Pid| {
            let fd = process::open(program);
            let number = fd.as_ref().map(AsRawFd::as_raw_fd);
            self.socket.send(Kind::Executed, program.as_raw(), number);
        };
        Launch {
            command: &self.argv,
            payload: &self.selected.payload,
            publisher: (self.selected.source == Source::Own).then_some(&publisher),
            follow: if settings.follows_none { Follow::None } else { Follow::All },
            on_host_clock: if settings.is_strict { OnHostClock::End } else { OnHostClock::Tell },
            notice: &tell,
            tell_addresses: false,
            farewell: &|| {},
            inheritance,
            streams: &self.streams,
            executed: &executed,
            caller: self.caller.as_ref().map_or(Caller::Known, |fd| Caller::Watched(fd.as_fd())),
        }
        .run()
    }

    fn end_as(&self, outcome: Outcome) -> i32 {
        if let Some(status) = outcome.status() {
            self.socket.send(Kind::Ended, status, None);
        }
        match outcome {
            Outcome::Exited(code) => code,
            Outcome::Signaled(signal) => end_by_signal(signal, Core::NotDumped).into(),
            Outcome::Dumped(signal) => end_by_signal(signal, Core::Dumped).into(),
            Outcome::NotExecuted(errno) => {
                self.socket.send(Kind::ExecFailed, errno as i32, None);
                FAILED
            }
            Outcome::EndedOnHostClock => {
                self.socket.send(Kind::OnHostClock, 0, None);
                FAILED
            }
        }
    }

    /// Closes what the caller would not have passed on to a program: somebody waits for the end of it.
    fn close_callers(&self) {
        let files = ABIS.iter().filter_map(|abi| self.selected.payload.file_for(abi));
        let mut ours: Vec<RawFd> = files.map(|file| file.as_raw_fd()).collect();
        ours.extend(self.streams.numbers());
        ours.extend(self.caller.as_ref().map(AsRawFd::as_raw_fd));
        ours.push(self.socket.0.as_raw_fd());
        for fd in open_descriptors() {
            if fd > 2 && !ours.contains(&fd) && is_closed_by_exec(fd) {
                // SAFETY: a copy of the caller's, which nothing in this process uses.
                unsafe { libc::close(fd) };
            }
        }
    }
}

/// The exit code of a launch that has failed, as the `vdso` command has it.
const FAILED: i32 = 125;

unsafe extern "C" {
    /// environ(7).
    static mut environ: *const *const c_char;
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Those that a launching process needs in a way of its own; the program gets back what was captured before.
fn set_own_dispositions() {
    // The program's signals are let through just before its exec, which would do this.
    const SIGNALS: std::ops::RangeInclusive<libc::c_int> = 1..=64;
    for signal in SIGNALS {
        // SAFETY: all zeros is a valid value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: only asks; the structure is ours. What is no signal of the C library's is refused.
        let known = unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) } == 0;
        if known && ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction) {
            // SAFETY: the default disposition runs no code of the caller's.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
    for (signal, disposition) in [
        (libc::SIGCHLD, libc::SIG_DFL),
        (libc::SIGPIPE, libc::SIG_IGN),
        (libc::SIGXFSZ, libc::SIG_IGN),
    ] {
        // SAFETY: neither disposition runs code of this process's.
        unsafe { libc::signal(signal, disposition) };
    }
}

fn silence() {
    let Ok(null) = std::fs::File::options().write(true).open("/dev/null") else { return };
    // SAFETY: replaces a descriptor that only notices are written to.
    unsafe { libc::dup2(null.as_raw_fd(), libc::STDERR_FILENO) };
}

/// What this process has open, or might have.
fn open_descriptors() -> Vec<RawFd> {
    const MOST: u64 = 1 << 16;
    if proc::is_ours()
        && let Ok(numbers) = proc::numbers_in("/proc/self/fd")
    {
        return numbers.collect();
    }
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    let limit = limit.map_or(MOST, |(soft, _)| soft.min(MOST));
    (0..limit as RawFd).collect()
}

fn is_closed_by_exec(fd: RawFd) -> bool {
    // SAFETY: only asks.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    flags >= 0 && FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC)
}

/// What cannot be told by an outcome, for the caller.
fn refusal(error: &vdso_inject::Error) -> (Kind, Errno) {
    let vdso_inject::Error::System { attempt, errno, .. } = error else {
        return (Kind::CannotSetUp, Errno::EPROTO);
    };
    let kind = match attempt {
        Attempt::Seize => Kind::CannotTrace,
        Attempt::Filter => Kind::CannotFollow,
        Attempt::Fork => Kind::CannotFork,
        _ => Kind::CannotSetUp,
    };
    (kind, *errno)
}

/// Tells a notice on standard error, in one write. Not by the standard library's stream: another thread of
/// the caller's may have held its lock.
fn tell(notice: &Notice) {
    let severity = match notice.severity() {
        Severity::Info => "",
        Severity::Warning => "warning: ",
        Severity::Error => "error: ",
    };
    let mut text = format!("vdso: {severity}{notice}\n");
    if let Some(hint) = notice.error().and_then(hint) {
        text += &format!("vdso: hint: {hint}\n");
    }
    // SAFETY: for one write; if nothing is open there it fails.
    let stderr = unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) };
    let _ = nix::unistd::write(stderr, text.as_bytes());
}
