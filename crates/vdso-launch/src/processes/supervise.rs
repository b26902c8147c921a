//! The supervisor's process: its start, its successors, and what it tells the front.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getppid};

use super::descendants::{end_all, has_ended};
use super::guard::Guard;
use super::message::{Kind, Socket};
use super::program::become_program;
use super::scheduling::{go_first, take_short_turns};
use super::{Launch, failed};
use crate::follow::{
    Listener, Notice, Observer, OnHostClock, Settings, SharedInFlight, Supervisor, Tick, Tracer,
    Turn,
};
use vdso_data::own::OwnPage;
use vdso_inject::exec::FileBy;
use vdso_inject::{Attempt, Error, Result};
use vdso_timekeeper::move_clocks;

/// What all processes of a launch have.
#[derive(Clone, Copy)]
pub struct Common<'a, 'launch> {
    /// What to start, and how.
    pub launch: &'a Launch<'launch>,
    /// What programs get.
    pub settings: &'a Settings<'a>,
    /// What is being worked on.
    pub in_flight: &'a SharedInFlight,
}

/// What the front knows once the program waits to be told to go.
pub struct Prepared {
    /// The supervisor, and the connection to it.
    pub supervisor: (Pid, Socket),
    /// The program.
    pub program: Pid,
    /// The connection to the program, until that has exec'd.
    pub start: Socket,
    /// For a successor of the supervisor's.
    pub listener: Option<OwnedFd>,
}

/// How many supervisors may be killed before the program has started.
const TRIES: usize = 16;

/// Starts the first supervisor, which prepares the program, and does something else meanwhile. Nothing of the program has
/// begun when this fails, or when a supervisor was killed meanwhile, so it can be done again.
pub fn prepare(
    common: Common<'_, '_>,
    mask: &SigSet,
    meanwhile: &mut dyn FnMut(),
) -> Result<Prepared> {
    // So that a program whose supervisor was killed becomes the front's child, which then has its
    // exit status.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    for _ in 0..TRIES {
        if let Some(prepared) = try_to_prepare(common, mask, meanwhile)? {
            return Ok(prepared);
        }
    }
    Err(failed(Errno::EPIPE))
}

fn try_to_prepare(
    common: Common<'_, '_>,
    mask: &SigSet,
    meanwhile: &mut dyn FnMut(),
) -> Result<Option<Prepared>> {
    let (ours, theirs) = Socket::pair().map_err(failed)?;
    let (start, of_program) = Socket::pair().map_err(failed)?;
    // SAFETY: this process has one thread, so the child may do anything.
    let child = match unsafe { fork() }.map_err(|errno| Error::on_self(Attempt::Fork, errno))? {
        ForkResult::Child => {
            // Only then does whoever is at their other end see the front's end.
            drop((ours, start));
            if let Err((front, errno)) = run_first(common, theirs, of_program, mask) {
                front.send(Kind::Refused, errno as i32, None);
            }
            exit()
        }
        ForkResult::Parent { child } => child,
    };
    drop((theirs, of_program));
    meanwhile();
    let Some(answer) = ours.receive() else { return Ok(None) };
    let errno = Errno::from_raw(answer.number);
    if answer.kind != Kind::Prepared {
        // It ends by itself, and counts among the user's processes until it is waited for.
        let _ = kill(child, Signal::SIGKILL);
        let _ = waitpid(child, None);
    }
    match answer.kind {
        Kind::Prepared => Ok(Some(Prepared {
            supervisor: (child, ours),
            program: Pid::from_raw(answer.number),
            start,
            listener: answer.fd,
        })),
        Kind::NotTraced => Err(Error::on_self(Attempt::Seize, errno)),
        Kind::NotFollowing => Err(Error::on_self(Attempt::Filter, errno)),
        _ => Err(failed(errno)),
    }
}

/// Starts a successor of the supervisor `dead`, which was killed. It follows what its predecessor followed,
/// but for those whom that traced, who are the caller's.
pub fn fork_successor(
    common: Common<'_, '_>,
    listener: &OwnedFd,
    dead: Pid,
) -> Result<(Pid, Socket)> {
    let (ours, theirs) = Socket::pair().map_err(failed)?;
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { fork() }.map_err(|errno| Error::on_self(Attempt::Fork, errno))? {
        ForkResult::Child => {
            drop(ours);
            if let Ok(listener) = listener.try_clone() {
                let mut tracer = Tracer::new(common.settings, common.in_flight);
                // Whom it traced are the caller's.
                tracer.succeed(dead);
                run_successor(common, Some(theirs), listener, tracer);
            }
            exit()
        }
        ForkResult::Parent { child } => Ok((child, ours)),
    }
}

fn run_first(
    common: Common<'_, '_>,
    front: Socket,
    start: Socket,
    mask: &SigSet,
) -> std::result::Result<(), (Socket, Errno)> {
    let launch = common.launch;
    keep_ancestry(launch);
    let prepared =
        || -> nix::Result<_> { Ok((own_signals()?, Socket::pair()?, inheritable(launch)?)) };
    let (signals, (ours, theirs), inherited) = match prepared() {
        Ok(prepared) => prepared,
        Err(errno) => return Err((front, errno)),
    };
    // SAFETY: this process has one thread, so the child may do anything.
    let program = match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            drop((ours, front));
            become_program(launch, &start, theirs, inherited, mask)
        }
        Ok(ForkResult::Parent { child }) => child,
        Err(errno) => return Err((front, errno)),
    };
    drop((theirs, start));
    launch.streams.close();
    take_short_turns();
    let_go_of_standard_streams(&[0, 1]);
    let inherited_fd = inherited.as_raw_fd();
    drop(inherited);
    let Some(ready) = ours.receive() else { return Err((front, Errno::EPIPE)) };
    let listener = (ready.kind == Kind::Following).then_some(ready.fd).flatten();
    let spare = listener.as_ref().and_then(|listener| listener.try_clone().ok());
    let by = match listener {
        Some(_) => FileBy::Request,
        None => FileBy::Inheritance(inherited_fd),
    };
    if ready.kind == Kind::NotFollowing && ready.number != 0 {
        let errno = Errno::from_raw(ready.number);
        // Whoever follows it instead may give its children a clock.
        if launch.on_host_clock == OnHostClock::End && errno != Errno::EBUSY {
            front.send(Kind::NotFollowing, ready.number, None);
            return Ok(());
        }
        (launch.notice)(&Notice::NotFollowing { errno });
    }
    let watcher = Watcher::new(common, Some(front), Some(program), spare);
    let tracer = Tracer::new(common.settings, common.in_flight);
    let mut supervisor = supervisor(common, watcher, listener, tracer);
    // Before it starts: a program that cannot be traced is not run at all.
    match supervisor.trace_exec(program, by) {
        Ok(()) => supervisor.observer().tell_prepared(program),
        Err(error) => {
            let errno = if let Error::System { errno, .. } = error { errno } else { Errno::EPERM };
            supervisor.observer().tell(Kind::NotTraced, errno as i32);
            return Ok(());
        }
    }
    supervisor.run(&signals, |watcher, has_reporters| watcher.is_done(has_reporters));
    Ok(())
}

fn supervisor<'a, 'launch>(
    common: Common<'a, 'launch>,
    watcher: Watcher<'a, 'launch>,
    listener: Option<OwnedFd>,
    tracer: Tracer<'a>,
) -> Supervisor<'a, Watcher<'a, 'launch>> {
    let listener = listener.map(|fd| Listener::new(fd, common.in_flight));
    let tick = match common.launch.publisher {
        Some(publisher) => publisher(),
        None => standing(common.launch.payload.file.page()),
    };
    let mut supervisor = Supervisor::new(tracer, listener, tick, watcher);
    supervisor.tick();
    supervisor
}

/// Of a page that needs no publisher, but for what programs set.
fn standing(page: &OwnPage) -> Tick<'_> {
    Box::new(move |turn| {
        if let Turn::Move(moved) = turn {
            move_clocks(page, moved);
        }
        None
    })
}

/// The image's file under a number out of the program's way, for one that nobody follows.
fn inheritable(launch: &Launch<'_>) -> nix::Result<OwnedFd> {
    const AT_LEAST: i32 = 100;
    let duplicate = |at_least| fcntl(&launch.payload.file, FcntlArg::F_DUPFD(at_least));
    // Where so high a number is not allowed, the next one does.
    let fd = duplicate(AT_LEAST).or_else(|_| duplicate(0))?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Follows what a predecessor, now dead, followed.
fn run_successor(
    common: Common<'_, '_>,
    front: Option<Socket>,
    listener: OwnedFd,
    tracer: Tracer<'_>,
) {
    take_short_turns();
    let Ok(signals) = own_signals() else { return };
    keep_ancestry(common.launch);
    let_go_of_standard_streams(&[0, 1]);
    let spare = listener.try_clone().ok();
    let watcher = Watcher::new(common, front, None, spare);
    let mut supervisor = supervisor(common, watcher, Some(listener), tracer);
    supervisor.take_over();
    if supervisor.observer().front.is_none() {
        supervisor.observer().start_standby();
    }
    supervisor.run(&signals, |watcher, has_reporters| watcher.is_done(has_reporters));
}

/// Follows a program that takes the launcher's place, which is told when it may go on.
pub fn run_beside(common: Common<'_, '_>, start: Socket, listener: OwnedFd) {
    take_short_turns();
    let Ok(signals) = own_signals() else { return };
    let_go_of_standard_streams(&[0, 1]);
    let spare = listener.try_clone().ok();
    let watcher = Watcher::new(common, None, None, spare);
    let tracer = Tracer::new(common.settings, common.in_flight);
    let mut supervisor = supervisor(common, watcher, Some(listener), tracer);
    supervisor.observer().start_standby();
    start.send(Kind::Go, 0, None);
    drop(start);
    supervisor.run(&signals, |watcher, has_reporters| watcher.is_done(has_reporters));
}

/// Passes on to the front what it must know.
struct Watcher<'a, 'launch> {
    common: Common<'a, 'launch>,
    /// The front, or a standby, which says nothing, and is told nothing that it understands.
    front: Option<Socket>,
    /// The process at the other end of that.
    front_pid: Pid,
    /// For the supervisor that is its parent: the program, until its end.
    program: Option<Pid>,
    spare_listener: Option<OwnedFd>,
    /// The end of a [`Caller`](super::Caller), for when there is no front; `None` when that has ended.
    caller: Option<BorrowedFd<'launch>>,
}

impl<'a, 'launch> Watcher<'a, 'launch> {
    fn new(
        common: Common<'a, 'launch>,
        front: Option<Socket>,
        program: Option<Pid>,
        spare_listener: Option<OwnedFd>,
    ) -> Self {
        let (front_pid, caller) = (getppid(), common.launch.caller.end());
        Self { common, front, front_pid, program, spare_listener, caller }
    }

    fn is_done(&self, has_reporters: bool) -> bool {
        self.program.is_none() && !has_reporters
    }

    /// Whether anything that came from the program is still under the filter.
    fn has_descendants(&self) -> bool {
        let Some(listener) = &self.spare_listener else { return false };
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::empty())];
        let _ = poll(&mut fds, PollTimeout::ZERO);
        !fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
    }

    fn tell(&self, kind: Kind, number: i32) {
        if let Some(front) = &self.front {
            front.send(kind, number, None);
        }
    }

    fn tell_prepared(&self, program: Pid) {
        let listener = self.spare_listener.as_ref().map(|fd| fd.as_raw_fd());
        if let Some(front) = &self.front {
            front.send(Kind::Prepared, program.as_raw(), listener);
        }
    }

    /// There is no front any more: this process may be killed, too, so another has to watch it.
    fn start_standby(&mut self) {
        let Ok((ours, theirs)) = Socket::pair() else { return };
        let supervisor = Pid::this();
        // SAFETY: this process has one thread, so the child may do anything.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                drop(ours);
                go_first();
                let Some(listener) = self.spare_listener.take() else { exit() };
                Guard::new(self.common.in_flight, supervisor, theirs).stand_by(&listener);
                // First of all, as those whom it traced begin now without a clock.
                let mut tracer = Tracer::new(self.common.settings, self.common.in_flight);
                tracer.adopt(supervisor, Some(listener.as_fd()));
                self.front = None;
                self.spare_listener = Some(listener);
                // It may have ended because nobody is left; then this process is not needed either.
                if self.has_descendants()
                    && let Some(listener) = self.spare_listener.take()
                {
                    run_successor(self.common, None, listener, tracer);
                }
                exit()
            }
            Ok(ForkResult::Parent { child }) => (self.front, self.front_pid) = (Some(ours), child),
            Err(_) => {}
        }
    }
}

impl Observer for Watcher<'_, '_> {
    fn child(&mut self, pid: Pid, status: i32) {
        if self.program != Some(pid) {
            return;
        }
        if libc::WIFSTOPPED(status) {
            return self.tell(Kind::Stopped, libc::WSTOPSIG(status));
        }
        if libc::WIFCONTINUED(status) {
            return self.tell(Kind::Continued, 0);
        }
        (self.common.launch.farewell)();
        let kind = if self.has_descendants() { Kind::EndedAlone } else { Kind::Ended };
        self.tell(kind, status);
        self.program = None;
        // Whoever reads what the program wrote must see its end, though daemons may live on.
        let_go_of_standard_streams(&[2]);
    }

    fn watched(&self) -> Vec<BorrowedFd<'_>> {
        let front = self.front.iter().map(|socket| socket.0.as_fd());
        front.chain(self.caller).collect()
    }

    fn input(&mut self) -> Option<Pid> {
        if has_ended(self.caller) {
            self.caller = None;
            // A standby ends by itself when nobody is left.
            end_all(Some(self.front_pid));
        }
        if !self.front.as_ref().is_some_and(Socket::is_ready) {
            return None;
        }
        self.front = None;
        let dead = self.front_pid;
        if self.spare_listener.is_some() {
            self.start_standby();
        }
        Some(dead)
    }
}

/// Signals that concern the supervisor: only its children's. All others are the front's.
fn own_signals() -> nix::Result<SignalFd> {
    SigSet::all().thread_block()?;
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// Orphans must stay with the supervisor, which they otherwise need not notice, where it is to end them with
/// a caller, or where Yama allows tracing of descendants only (`ptrace_scope` 1).
fn keep_ancestry(launch: &Launch<'_>) {
    if launch.caller.end().is_some() || is_scoped() {
        let _ = nix::sys::prctl::set_child_subreaper(true);
    }
}

/// Whether Yama allows tracing of descendants only.
pub fn is_scoped() -> bool {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    scope.is_ok_and(|scope| scope.trim() == "1")
}

/// Whoever is at their other end must see the program let go of them.
pub fn let_go_of_standard_streams(streams: &[i32]) {
    let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") else {
        return;
    };
    for &stream in streams {
        // SAFETY: replaces a descriptor that this process no longer uses; std's handles go on to
        // work, with nothing behind them.
        unsafe { libc::dup2(null.as_raw_fd(), stream) };
    }
}

fn exit() -> ! {
    // SAFETY: ends the process without running what belongs to its parent.
    unsafe { libc::_exit(0) }
}
