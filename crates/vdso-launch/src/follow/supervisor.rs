//! Answers reports and hears news of those who made them, for as long as anybody is left who could make
//! one.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;

use super::foreign;
use super::in_flight::InFlight;
use super::listener::Listener;
use super::notice::Notice;
use super::report::{Call, Report};
use super::setting::{Caller, OwnClock, waiting_on_set_clocks};
use super::settings::Settings;
use super::target::Target;
use super::tracer::{Followed, Heard, Tracer, is_one_of_us, is_traced_elsewhere};
use vdso_inject::Result;
use vdso_inject::arch::{Setter, TimedCall, Times, Word};
use vdso_inject::detour::VSYSCALL_PAGE;
use vdso_inject::exec::FileBy;
use vdso_inject::ptrace::{self, Alarm, News};
use vdso_inject::stub::{REQUEST_ANNOUNCE, REQUEST_COUNTS, REQUEST_FILE, REQUEST_RESCUE};
use vdso_timekeeper::{How, Moved, move_clocks};

/// Publishes the page of clocks and says when to be called again; `None` if there is no need.
pub type Tick<'a> = Box<dyn FnMut(Turn<'_>) -> Option<Duration> + 'a>;

/// What a publisher is called for.
#[derive(Clone, Copy, Debug)]
pub enum Turn<'a> {
    /// It is time.
    Update,
    /// The clocks are moved otherwise from now on.
    Move(&'a Moved),
}

/// Hears what the supervisor does.
pub trait Observer {
    /// A child of the supervisor's ended, or was stopped or continued; as from `waitpid`.
    fn child(&mut self, pid: Pid, status: i32);
    /// Descriptors to watch besides, and to call [`input`](Self::input) for.
    fn watched(&self) -> Vec<BorrowedFd<'_>>;
    /// One of the watched descriptors is ready, or closed. Gives a process of ours that has ended, if
    /// that may have traced somebody.
    fn input(&mut self) -> Option<Pid>;
}

/// Watches over all that came from one launch.
pub struct Supervisor<'a, O> {
    settings: &'a Settings<'a>,
    in_flight: &'a InFlight,
    listener: Option<Listener<'a>>,
    tick: Tick<'a>,
    next_tick: Option<Instant>,
    /// What programs set, if they have a clock of their own.
    clock: Option<OwnClock<'a>>,
    /// When to look for waits on a clock that was set: who had translated a deadline, and not begun to wait, when it was
    /// set, is not seen at once.
    looks_for_waits: Vec<Instant>,
    /// How many pages of other kinds of programs are moved as the first is.
    other_pages: usize,
    alarm: Option<Alarm>,
    tracer: Tracer<'a>,
    /// Reports of threads beside one that is in `execve` already.
    deferred: Vec<Report>,
    observer: O,
}

impl<'a, O: Observer> Supervisor<'a, O> {
    /// A supervisor; without a listener it follows nobody. Its `tracer` may have taken over from another
    /// already.
    pub fn new(
        tracer: Tracer<'a>,
        listener: Option<Listener<'a>>,
        tick: Tick<'a>,
        observer: O,
    ) -> Self {
        let (settings, in_flight) = (tracer.settings(), tracer.in_flight());
        let payload = settings.payload;
        let clock = payload.detours.is_any().then(|| OwnClock::new(&in_flight.clock, payload));
        let mut supervisor = Self {
            settings,
            in_flight,
            listener,
            tick,
            next_tick: Some(Instant::now()),
            clock,
            looks_for_waits: Vec::new(),
            other_pages: 0,
            alarm: Alarm::new().ok(),
            tracer,
            deferred: Vec::new(),
            observer,
        };
        // A predecessor may have been killed before it published what was set, or had told all who wait.
        if supervisor.clock.as_ref().is_some_and(OwnClock::was_set) {
            supervisor.publish(How::Slewed);
            supervisor.look_for_waits();
        }
        supervisor
    }

    /// Who hears of it.
    pub fn observer(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Publishes if it is time. To be called before the first program starts, too.
    pub fn tick(&mut self) {
        let now = Instant::now();
        if self.next_tick.is_some_and(|next| now >= next) {
            match self.clock.as_mut().and_then(OwnClock::advance) {
                Some(how) => self.clock_has_changed(how),
                None => {
                    let wait = (self.tick)(Turn::Update);
                    self.tick_in(wait);
                }
            }
        }
        let due = self.looks_for_waits.iter().filter(|&&at| now >= at).count();
        if due > 0 {
            self.looks_for_waits.retain(|&at| now < at);
            self.tracer.translate_anew(waiting_on_set_clocks(self.settings.payload));
        }
    }

    fn tick_in(&mut self, wait: Option<Duration>) {
        let clock = self.clock.as_ref().and_then(OwnClock::wait_ns).map(Duration::from_nanos);
        let wait = wait.into_iter().chain(clock).min();
        self.next_tick = wait.and_then(|wait| Instant::now().checked_add(wait));
    }

    /// Moves all pages as the clock is moved now.
    fn publish(&mut self, how: How) {
        let Some(clock) = &self.clock else { return };
        let moved = clock.moved(how);
        let wait = (self.tick)(Turn::Move(&moved));
        self.other_pages = 0;
        for page in self.settings.payload.other_pages() {
            move_clocks(page, &moved);
            self.other_pages += 1;
        }
        self.tick_in(wait);
    }

    fn clock_has_changed(&mut self, how: How) {
        self.publish(how);
        match how {
            How::Set => {
                if let Some(clock) = &mut self.clock {
                    clock.finish_jump();
                }
                self.look_for_waits();
                self.tracer.translate_anew(waiting_on_set_clocks(self.settings.payload));
            }
            // No wait is so long that this matters at once.
            How::Slewed if self.looks_for_waits.is_empty() => {
                self.looks_for_waits.push(Instant::now() + Duration::from_secs(1));
            }
            How::Slewed => {}
        }
    }

    fn look_for_waits(&mut self) {
        const AFTER: [Duration; 3] =
            [Duration::from_millis(2), Duration::from_millis(50), Duration::from_secs(1)];
        let now = Instant::now();
        self.looks_for_waits = AFTER.map(|after| now + after).to_vec();
    }

    /// A program sets the clock.
    fn handle_setting(&mut self, report: Report, setter: Setter, word: Word, args: &[u64; 6]) {
        let (Some(clock), Some(listener)) = (&mut self.clock, &self.listener) else { return };
        let is_gone = || listener.is_gone(report);
        let answer = clock.answer(&Caller { report, word, is_gone: &is_gone }, setter, args);
        if let Some(how) = answer.change {
            self.clock_has_changed(how);
        }
        if let Some(listener) = &self.listener {
            listener.answer(report, answer.result);
        }
        self.in_flight.slot(report.slot).clear();
    }

    /// Traces `pid`, which is about to exec. One that somebody else traces reports that, if it is followed.
    pub fn trace_exec(&mut self, pid: Pid, by: FileBy) -> Result<()> {
        match self.tracer.trace_exec(pid, by) {
            Err(_) if self.listener.is_some() && is_traced_elsewhere(pid) => Ok(()),
            traced => traced,
        }
    }

    /// Answers what predecessors left unanswered.
    pub fn take_over(&mut self) {
        let Some(listener) = &self.listener else { return };
        let unanswered = |report: &Report| self.in_flight.slot(report.slot).tracer().is_none();
        let left: Vec<_> = self.in_flight.taken().filter(unanswered).collect();
        for report in left {
            if listener.is_gone(report) {
                self.in_flight.slot(report.slot).clear();
            } else {
                self.deferred.push(report);
            }
        }
    }

    /// Works until `is_done`, or until nobody is left who could report anything.
    pub fn run(&mut self, signals: &SignalFd, is_done: impl Fn(&O, bool) -> bool) {
        let mut has_reporters = self.listener.is_some();
        while !is_done(&self.observer, has_reporters) {
            self.tick();
            self.tracer.look();
            if let Some(alarm) = &mut self.alarm {
                alarm.stop_if_unused();
            }
            for report in std::mem::take(&mut self.deferred) {
                self.handle(report);
            }
            let ready = self.wait(signals, has_reporters);
            if ready.input
                && let Some(dead) = self.observer.input()
            {
                self.tracer.adopt(dead, self.listener.as_ref().map(Listener::fd));
            }
            if ready.child {
                let _ = signals.read_signal();
                self.reap();
            }
            // It may have been taken since, while a program was repaired.
            if ready.report
                && let Some(report) = self.listener.as_ref().and_then(Listener::receive_waiting)
            {
                self.handle(report);
            }
            has_reporters &= !ready.hang_up;
        }
    }

    fn wait(&self, signals: &SignalFd, has_reporters: bool) -> Ready {
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        for fd in self.observer.watched() {
            push(&mut fds, fd);
        }
        let inputs = 1..fds.len();
        // While all slots are taken, reports wait in the kernel's queue.
        let can_receive = has_reporters && self.in_flight.has_room();
        let listener = self.listener.as_ref().filter(|_| can_receive);
        let listener_at = listener.map(|listener| push(&mut fds, listener.fd()));
        if poll(&mut fds, self.longest_wait()).is_err() {
            return Ready::default();
        }
        let events =
            |at: Option<usize>| at.and_then(|at| fds[at].revents()).unwrap_or(PollFlags::empty());
        let has_input = |at| !events(Some(at)).is_empty();
        Ready {
            child: has_input(0),
            input: inputs.into_iter().any(has_input),
            report: events(listener_at).contains(PollFlags::POLLIN),
            hang_up: events(listener_at).contains(PollFlags::POLLHUP),
        }
    }

    fn longest_wait(&self) -> PollTimeout {
        let until =
            |at: Instant| at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        let until_tick =
            self.next_tick.into_iter().chain(self.looks_for_waits.iter().copied()).min();
        let until_tick = until_tick.map(until);
        let until_look = self.tracer.looks_at().map(until);
        let until_alarm = self.alarm.as_ref().and_then(Alarm::looks_again_in);
        let timeout = [until_tick, until_look, until_alarm].into_iter().flatten().min();
        timeout.map_or(PollTimeout::NONE, |timeout| {
            PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)
        })
    }

    fn handle(&mut self, report: Report) {
        match report.call {
            Call::Exec { .. } if self.tracer.has_traced_thread_beside(report.pid) => {
                // Kept where a successor finds it; looked at again after the next news.
                return self.deferred.push(report);
            }
            Call::Exec { folder, name_addr } => self.handle_exec(report, folder, name_addr),
            Call::Stub { .. } => self.handle_stub(report),
            Call::Start => {
                if let Some(listener) = &self.listener {
                    self.tracer.begin(report, listener);
                }
            }
            Call::Filter { .. } | Call::StrictMode => self.handle_confinement(report),
            Call::Timed {
                call: TimedCall { times: Times::Sets { setter, word }, .. },
                args,
                ..
            } => {
                self.handle_setting(report, *setter, *word, &args);
            }
            Call::Timed { call, args, instruction_addr } => {
                self.handle_timed(report, call, &args, instruction_addr);
            }
        }
        self.in_flight.note_progress();
    }

    fn handle_exec(&mut self, report: Report, folder: i32, name_addr: u64) {
        let Some(listener) = &self.listener else { return };
        let _here = StayHere::new();
        let target = Target::read(report.pid, folder, name_addr);
        if self.tracer.follow_exec(report, listener, &target) == Followed::Untraced
            || target.may_be_missing()
        {
            return;
        }
        // What comes of the exec, usually; others that want to exec wait meanwhile, but not for one that
        // reads from something slow.
        if let Some(news) = self.alarm.as_mut().and_then(Alarm::wait_any) {
            self.hear(news);
        }
    }

    /// A call with times of the program's own clock, which its image makes.
    fn handle_timed(
        &mut self,
        report: Report,
        call: &TimedCall,
        args: &[u64; 6],
        instruction_addr: u64,
    ) {
        let Some(listener) = &self.listener else { return };
        if VSYSCALL_PAGE.contains(&instruction_addr)
            && let Some(clock) = &self.clock
        {
            listener.answer(report, clock.answer_vsyscall(report.pid, call.name, args));
            return self.in_flight.slot(report.slot).clear();
        }
        let _here = StayHere::new();
        let clock = self.clock.as_ref();
        let answer = || clock.and_then(|clock| clock.answer_now(report.pid, call, args));
        let followed = self.tracer.detour(report, listener, call, args, instruction_addr, &answer);
        if followed == Followed::Traced
            && let Some(news) = self.alarm.as_mut().and_then(Alarm::wait_any)
        {
            self.hear(news);
        }
    }

    fn handle_stub(&mut self, report: Report) {
        let Some(listener) = &self.listener else { return };
        let Call::Stub { request, argument, .. } = report.call else { return };
        let pid = report.pid;
        match request {
            // Not a stub of ours: what the kernel would say.
            _ if !is_from_stub(self.settings, report) => listener.refuse(report, Errno::EINVAL),
            REQUEST_FILE => give_file(self.settings, listener, report),
            REQUEST_COUNTS => match &self.settings.payload.counts {
                Some(counts) => listener.give(report, counts.as_fd(), argument as u32),
                None => listener.refuse(report, Errno::ENOENT),
            },
            REQUEST_ANNOUNCE => {
                (self.settings.notice)(&Notice::Injected { pid, image_addr: argument });
                listener.refuse(report, Errno::EINVAL);
            }
            REQUEST_RESCUE => self.tracer.rescue(report, listener, argument),
            _ => listener.refuse(report, Errno::EINVAL),
        }
        self.in_flight.slot(report.slot).clear();
    }

    /// A program installs a filter of its own, which its children inherit, as they do ours.
    fn handle_confinement(&mut self, report: Report) {
        let Some(listener) = &self.listener else { return };
        let pid = report.pid;
        match (report.call, report.abi()) {
            // A launch within this one finds out, and says so, itself.
            (Call::Filter { flags, .. }, _)
                if flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 && is_one_of_us(pid) => {}
            (Call::Filter { flags, .. }, _)
                if flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 =>
            {
                (self.settings.notice)(&Notice::ListenerRefused { pid });
            }
            (Call::Filter { program_addr, .. }, Some(installer)) => {
                if let Some(counts) = &self.settings.payload.counts
                    && !foreign::lets_threads_be_named(pid, installer, program_addr)
                {
                    counts.silence();
                }
                // Where they cannot be counted, all are taken for confined from now on.
                let filters = || foreign::filters_of(pid).map_or(1, |filters| filters + 1);
                for abi in foreign::confined(pid, installer, program_addr) {
                    self.in_flight.note_confined(abi, filters());
                }
            }
            (Call::StrictMode, _) => (self.settings.notice)(&Notice::StrictModeRefused { pid }),
            _ => {}
        }
        listener.carry_on(report);
        self.in_flight.slot(report.slot).clear();
    }

    fn reap(&mut self) {
        while let Some(news) = ptrace::wait_any() {
            self.hear(news);
        }
    }

    fn hear(&mut self, news: News) {
        let mut serve = || {
            let report = self.listener.as_ref().and_then(Listener::receive_waiting);
            match (report, &self.listener) {
                (Some(report), Some(listener)) if is_for_file(self.settings, report) => {
                    give_file(self.settings, listener, report);
                    self.in_flight.slot(report.slot).clear();
                }
                (Some(report), _) => self.deferred.push(report),
                (None, _) => {}
            }
        };
        if let Heard::OfChild { pid, status } = self.tracer.hear(news, &mut serve) {
            self.observer.child(pid, status);
        }
        // The first program of another kind has come, whose page has what the launch had.
        if self.clock.as_ref().is_some_and(OwnClock::was_set)
            && self.settings.payload.other_pages().count() != self.other_pages
        {
            self.publish(How::Slewed);
        }
    }
}

fn is_from_stub(settings: &Settings<'_>, report: Report) -> bool {
    let Call::Stub { token, .. } = report.call else { return false };
    report.abi().is_some_and(|abi| settings.tokens.is_from_stub(report.pid, abi, token))
}

fn is_for_file(settings: &Settings<'_>, report: Report) -> bool {
    matches!(report.call, Call::Stub { request: REQUEST_FILE, .. })
        && is_from_stub(settings, report)
}

fn give_file(settings: &Settings<'_>, listener: &Listener<'_>, report: Report) {
    let Call::Stub { argument, .. } = report.call else { return };
    match report.abi().and_then(|abi| settings.payload.file_for(abi)) {
        Some(file) => listener.give(report, file, argument as u32),
        // It was made by a supervisor that is no more: the stub asks to be taken away.
        None => listener.refuse(report, Errno::ENOENT),
    }
}

/// Keeps this process on the CPU that it is on, which is usually the reporter's: woken elsewhere, it
/// would find every other step's data in the wrong cache, and an idle CPU takes long to wake.
struct StayHere(CpuSet);

impl StayHere {
    /// `None` where that is not allowed; then it only takes longer.
    fn new() -> Option<Self> {
        let this_process = Pid::from_raw(0);
        let all = sched_getaffinity(this_process).ok()?;
        let mut here = CpuSet::new();
        here.set(sched_getcpu().ok()?).ok()?;
        sched_setaffinity(this_process, &here).ok()?;
        Some(Self(all))
    }
}

impl Drop for StayHere {
    fn drop(&mut self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.0);
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    child: bool,
    input: bool,
    report: bool,
    hang_up: bool,
}

fn push<'fd>(fds: &mut Vec<PollFd<'fd>>, fd: BorrowedFd<'fd>) -> usize {
    fds.push(PollFd::new(fd, PollFlags::POLLIN));
    fds.len() - 1
}
