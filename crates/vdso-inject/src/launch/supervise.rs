//! The supervisor's process: its start, its successors, and what it tells the front.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{ForkResult, Pid, fork};

use super::message::{Kind, Message, Socket};
use super::program::become_program;
use super::{Launch, SharedInFlight, failed};
use crate::error::{Attempt, Error, Result};
use crate::exec::FileBy;
use crate::follow::{Listener, Notice, Observer, Supervisor};

/// What the front knows once the program is on its way.
pub struct Started {
    /// The supervisor.
    pub supervisor: Pid,
    /// The program, or why there is none.
    pub program: std::result::Result<Pid, Refusal>,
    /// For a successor of the supervisor's.
    pub listener: Option<OwnedFd>,
}

/// Why a program was not started.
pub enum Refusal {
    /// It could not be executed.
    Exec(Errno),
    /// It could not be traced.
    Trace(Errno),
    /// Something that it takes could not be had.
    Start(Errno),
}

/// Starts the first supervisor, which starts the program.
pub fn fork_first(
    launch: &Launch<'_>,
    in_flight: &SharedInFlight,
    mask: &SigSet,
) -> Result<(Started, Socket)> {
    let (ours, theirs) = Socket::pair().map_err(failed)?;
    // So that a program whose supervisor was killed becomes the front's child, which then has its
    // exit status.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { fork() }.map_err(|errno| Error::on_self(Attempt::Fork, errno))? {
        ForkResult::Child => {
            // Only then does the supervisor see the front's end.
            drop(ours);
            if let Err((front, errno)) = run_first(launch, in_flight, theirs, mask) {
                front.send(Kind::Refused, errno as i32, None);
            }
            exit()
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            let answer = ours.receive().ok_or_else(|| failed(Errno::EPIPE))?;
            let errno = Errno::from_raw(answer.number);
            let program = match answer.kind {
                Kind::Started => Ok(Pid::from_raw(answer.number)),
                Kind::ExecFailed => Err(Refusal::Exec(errno)),
                Kind::NotTraced => Err(Refusal::Trace(errno)),
                _ => Err(Refusal::Start(errno)),
            };
            Ok((Started { supervisor: child, program, listener: answer.fd }, ours))
        }
    }
}

/// Starts a successor of a supervisor that was killed. It follows what its predecessor followed.
pub fn fork_successor(
    launch: &Launch<'_>,
    in_flight: &SharedInFlight,
    listener: &OwnedFd,
) -> Result<(Pid, Socket)> {
    let (ours, theirs) = Socket::pair().map_err(failed)?;
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { fork() }.map_err(|errno| Error::on_self(Attempt::Fork, errno))? {
        ForkResult::Child => {
            drop(ours);
            if let Ok(listener) = listener.try_clone() {
                run_successor(launch, in_flight, Some(theirs), listener);
            }
            exit()
        }
        ForkResult::Parent { child } => Ok((child, ours)),
    }
}

fn run_first(
    launch: &Launch<'_>,
    in_flight: &SharedInFlight,
    front: Socket,
    mask: &SigSet,
) -> std::result::Result<(), (Socket, Errno)> {
    keep_ancestry_for_yama();
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
            become_program(launch, &theirs, inherited, mask)
        }
        Ok(ForkResult::Parent { child }) => child,
        Err(errno) => return Err((front, errno)),
    };
    drop(theirs);
    let_go_of_standard_streams(&[0, 1]);
    let inherited_fd = inherited.as_raw_fd();
    drop(inherited);
    let Some(ready) = ours.receive() else { return Err((front, Errno::EPIPE)) };
    let listener = (ready.kind == Kind::Following).then_some(ready.fd).flatten();
    in_flight.set_waiting(ready.number);
    let spare = listener.as_ref().and_then(|listener| listener.try_clone().ok());
    let is_following = listener.is_some();
    if ready.kind == Kind::NotFollowing && ready.number != 0 {
        (launch.notice)(&Notice::NotFollowing { errno: Errno::from_raw(ready.number) });
    }
    let watcher = Watcher::new(launch, in_flight, Some(front), program, spare, Some(ours));
    let listener = listener.map(|fd| Listener::new(fd, in_flight));
    let tick = launch.publisher.map(|publisher| publisher());
    let mut supervisor = Supervisor::new(launch.payload, listener, tick, watcher);
    supervisor.tick();
    let by = if is_following { FileBy::Request } else { FileBy::Inheritance(inherited_fd) };
    // Before it starts: a program that cannot be traced is not run at all.
    if let Err(error) = supervisor.trace_exec(program, by) {
        let errno = if let Error::System { errno, .. } = error { errno } else { Errno::EPERM };
        supervisor.observer().refuse(errno);
        return Ok(());
    }
    supervisor.observer().go();
    supervisor.run(&signals, |watcher, has_reporters| watcher.is_done(has_reporters));
    Ok(())
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

fn run_successor(
    launch: &Launch<'_>,
    in_flight: &SharedInFlight,
    front: Option<Socket>,
    listener: OwnedFd,
) {
    let Ok(signals) = own_signals() else { return };
    keep_ancestry_for_yama();
    let_go_of_standard_streams(&[0, 1]);
    let spare = listener.try_clone().ok();
    let nobody = Pid::from_raw(0);
    let mut watcher = Watcher::new(launch, in_flight, front, nobody, spare, None);
    watcher.has_ended = true;
    let listener = Some(Listener::new(listener, in_flight));
    let tick = launch.publisher.map(|publisher| publisher());
    let mut supervisor = Supervisor::new(launch.payload, listener, tick, watcher);
    supervisor.tick();
    supervisor.take_over();
    if supervisor.observer().front.is_none() {
        supervisor.observer().start_standby();
    }
    supervisor.run(&signals, |watcher, has_reporters| watcher.is_done(has_reporters));
}

/// Passes on to the front what it must know.
struct Watcher<'a, 'launch> {
    launch: &'a Launch<'launch>,
    in_flight: &'a SharedInFlight,
    front: Option<Socket>,
    program: Pid,
    spare_listener: Option<OwnedFd>,
    /// To the program, until it has exec'd.
    start: Option<Socket>,
    has_ended: bool,
}

impl<'a, 'launch> Watcher<'a, 'launch> {
    fn new(
        launch: &'a Launch<'launch>,
        in_flight: &'a SharedInFlight,
        front: Option<Socket>,
        program: Pid,
        spare_listener: Option<OwnedFd>,
        start: Option<Socket>,
    ) -> Self {
        Self { launch, in_flight, front, program, spare_listener, start, has_ended: false }
    }

    fn is_done(&self, has_reporters: bool) -> bool {
        self.has_ended && !has_reporters
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

    fn go(&mut self) {
        if let Some(start) = &self.start {
            start.send(Kind::Go, 0, None);
        }
    }

    fn refuse(&mut self, errno: Errno) {
        self.tell(Kind::NotTraced, errno as i32);
    }

    /// The program has said that it could not be executed, or nothing, which means that it was.
    fn started(&mut self, answer: Option<Message>) {
        self.start = None;
        let listener = self.spare_listener.as_ref().map(|fd| fd.as_raw_fd());
        match (answer, &self.front) {
            (Some(failure), _) => self.tell(Kind::ExecFailed, failure.number),
            (None, Some(front)) => front.send(Kind::Started, self.program.as_raw(), listener),
            (None, None) => {}
        }
    }

    /// There is no front any more: this process may be killed, too, so another has to watch it.
    fn start_standby(&mut self) {
        let Ok((ours, theirs)) = Socket::pair() else { return };
        // SAFETY: this process has one thread, so the child may do anything.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                drop(ours);
                // Nothing is ever said here: this ends when the other end's process does.
                let _ = theirs.receive();
                // It may have ended because nobody is left; then this process is not needed either.
                if self.has_descendants()
                    && let Some(listener) = self.spare_listener.take()
                {
                    run_successor(self.launch, self.in_flight, None, listener);
                }
                exit()
            }
            Ok(ForkResult::Parent { .. }) => self.front = Some(ours),
            Err(_) => {}
        }
    }
}

impl Observer for Watcher<'_, '_> {
    fn notice(&mut self, notice: &Notice) {
        (self.launch.notice)(notice);
    }

    fn child(&mut self, pid: Pid, status: i32) {
        if pid != self.program {
            return;
        }
        if libc::WIFSTOPPED(status) {
            return self.tell(Kind::Stopped, libc::WSTOPSIG(status));
        }
        if libc::WIFCONTINUED(status) {
            return self.tell(Kind::Continued, 0);
        }
        (self.launch.farewell)();
        let kind = if self.has_descendants() { Kind::EndedAlone } else { Kind::Ended };
        self.tell(kind, status);
        self.has_ended = true;
        // Whoever reads what the program wrote must see its end, though daemons may live on.
        let_go_of_standard_streams(&[2]);
    }

    fn wants_addresses(&self) -> bool {
        self.launch.tell_addresses
    }

    fn watched(&self) -> Vec<BorrowedFd<'_>> {
        [&self.front, &self.start].into_iter().flatten().map(|socket| socket.0.as_fd()).collect()
    }

    fn input(&mut self) {
        if let Some(start) = &self.start
            && start.is_ready()
        {
            let answer = start.receive();
            self.started(answer);
        }
        if self.front.as_ref().is_some_and(Socket::is_ready) {
            self.front = None;
            if self.spare_listener.is_some() {
                self.start_standby();
            }
        }
    }
}

/// Signals that concern the supervisor: only its children's. All others are the front's.
fn own_signals() -> nix::Result<SignalFd> {
    SigSet::all().thread_block()?;
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// Yama may allow tracing of descendants only (`ptrace_scope` 1). Then orphans must stay with the
/// supervisor, which they otherwise need not notice.
fn keep_ancestry_for_yama() {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    if scope.is_ok_and(|scope| scope.trim() == "1") {
        let _ = nix::sys::prctl::set_child_subreaper(true);
    }
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
