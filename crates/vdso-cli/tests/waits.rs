//! Waits and timers go by the program's own clock: each call, with times of each kind, under each way to move the
//! clocks, gives what it gives in a plain run, and when its own clock says so.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use support::{Source, Times, compile, finish, helper, i386_helper, vdso_run};

/// A way to move the clocks.
#[derive(Clone, Copy, Debug)]
struct Mode {
    options: &'static [&'static str],
    /// How long a short wait is, of the program's time.
    span_ms: u32,
    /// How long it takes at most, of the host's. Much longer than it should take, and shorter than on the host's clocks.
    most_host_ms: Option<u64>,
    /// The clocks that stand still.
    frozen: &'static [u32],
    needs_rate: bool,
}

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
const BOOTTIME: u32 = 7;
const TAI: u32 = 11;

impl Mode {
    const PLAIN: Self =
        Self { options: &[], span_ms: 200, most_host_ms: None, frozen: &[], needs_rate: false };
    const ALL: [Self; 9] = [
        Self { options: &["--clocks", "all"], ..Self::PLAIN },
        Self { options: &["--offset", "+400d"], ..Self::PLAIN },
        Self { options: &["--offset", "-400d"], ..Self::PLAIN },
        Self { options: &["--offset", "+400d", "--clocks", "all"], ..Self::PLAIN },
        Self { options: &["--rate", ".5", "--clocks", "all"], needs_rate: true, ..Self::PLAIN },
        Self {
            options: &["--rate", "3", "--clocks", "all"],
            span_ms: 12_000,
            most_host_ms: Some(10_000),
            needs_rate: true,
            ..Self::PLAIN
        },
        Self {
            options: &["--rate", "1000", "--clocks", "all"],
            span_ms: 200_000,
            most_host_ms: Some(60_000),
            needs_rate: true,
            ..Self::PLAIN
        },
        Self { options: &["--freeze"], frozen: &[REALTIME, TAI], needs_rate: true, ..Self::PLAIN },
        Self {
            options: &["--freeze", "--clocks", "all"],
            frozen: &[REALTIME, MONOTONIC, BOOTTIME, TAI],
            needs_rate: true,
            ..Self::PLAIN
        },
    ];
}

/// What a call of the helper's saw.
#[derive(Clone, Debug)]
struct Seen {
    kind: String,
    clock: u32,
    result: i64,
    host_ms: u64,
    ended_ns: i128,
    wanted_ns: i128,
}

/// Which call, and with which input.
type Key = (String, String);

fn parse(line: &str) -> (Key, Seen) {
    let fields: Vec<&str> = line.split(' ').collect();
    let [call, input, kind, clock, result, host_ms, _, ended_ns, wanted_ns] = fields[..] else {
        panic!("{line:?} is no result");
    };
    let number = |text: &str| text.parse::<i128>().unwrap_or_else(|_| panic!("{line:?}"));
    let seen = Seen {
        kind: kind.to_owned(),
        clock: number(clock) as u32,
        result: number(result) as i64,
        host_ms: number(host_ms) as u64,
        ended_ns: number(ended_ns),
        wanted_ns: number(wanted_ns),
    };
    ((call.to_owned(), input.to_owned()), seen)
}

impl Seen {
    /// Whether it has waited for the whole time, as a plain run's result says.
    fn has_waited(&self, input: &str) -> bool {
        const OVER: [i32; 4] = [0, -libc::ETIMEDOUT, -libc::EAGAIN, -libc::ETIME];
        // What is left could not be written.
        let is_over = OVER.map(i64::from).contains(&self.result)
            || input == "readonly" && self.result == i64::from(-libc::EFAULT);
        matches!(self.kind.as_str(), "span" | "deadline")
            && matches!(input, "short" | "readonly")
            && is_over
    }

    /// Whether it has waited for that second which some calls make of a thousand million nanoseconds.
    fn has_waited_for_a_second(&self, input: &str) -> bool {
        self.kind == "span"
            && matches!(input, "second" | "below")
            && [0, i64::from(-libc::ETIME)].contains(&self.result)
            && self.host_ms >= 900
    }
}

/// Longer than anything takes, of the host's time.
const LIMIT: Duration = Duration::from_secs(60);
/// For how long it is seen that nothing more comes back.
const QUIET: Duration = Duration::from_millis(400);

/// The helper, running.
struct Waits {
    child: Child,
    lines: Receiver<String>,
}

impl Waits {
    fn start(mut command: Command, span_ms: u32, times: u32) -> Self {
        command.args([span_ms.to_string(), times.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the helper runs");
        let output = child.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// What has come back, once all of `expected` has and nothing more comes for a while.
    fn see(&self, expected: &BTreeSet<Key>) -> BTreeMap<Key, Seen> {
        let (start, mut seen) = (Instant::now(), BTreeMap::new());
        loop {
            let is_all = expected.iter().all(|key| seen.contains_key(key));
            let patience = if is_all { QUIET } else { LIMIT.saturating_sub(start.elapsed()) };
            match self.lines.recv_timeout(patience) {
                Ok(line) => seen.extend([parse(&line)]),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return seen,
            }
        }
    }

    /// Ends it, and gives what it complained of.
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let mut said = String::new();
        let _ = self.child.stderr.take().expect("it is piped").read_to_string(&mut said);
        let status = self.child.wait().expect("it is a child");
        if status.success() { said } else { format!("{status} {said}") }
    }
}

/// All that comes back in a plain run.
fn plain(program: &Path) -> BTreeMap<Key, Seen> {
    let waits = Waits::start(Command::new(program), Mode::PLAIN.span_ms, 0);
    // The last ones take a second; an i386 program's second and four thousand million nanoseconds take five.
    let last = [("io_getevents", "second"), ("io_getevents", "below"), ("io_uring_enter", "below")];
    let last = last.map(|(call, input)| (call.to_owned(), input.to_owned()));
    let shorts = ["alarm", "setitimer-interval", "futex-wait", "timerfd_settime-until-realtime"];
    let shorts = shorts.map(|call| (call.to_owned(), "short".to_owned()));
    let seen = waits.see(&last.into_iter().chain(shorts).collect());
    waits.end();
    seen
}

/// What is wrong under one mode and source.
fn wrong(program: &Path, mode: &Mode, source: &Source, plain: &BTreeMap<Key, Seen>) -> Vec<String> {
    let options = source.and(mode.options);
    let mut command = vdso_run(&options);
    command.arg(program);
    let comes_back = |(key, seen): (&Key, &Seen)| {
        let has_waited = seen.has_waited(&key.1) || seen.has_waited_for_a_second(&key.1);
        let is_for_ever = has_waited && mode.frozen.contains(&seen.clock);
        (!is_for_ever).then(|| key.clone())
    };
    let expected: BTreeSet<Key> = plain.iter().filter_map(comes_back).collect();
    // With one of the sources from a call site that has waited often, and may have been rewritten.
    let times = if *source == Source::CHAIN { 10 } else { 0 };
    let waits = Waits::start(command, mode.span_ms, times);
    let seen = waits.see(&expected);
    let mut wrong = Vec::new();
    for (key, seen) in &seen {
        let Some(plain) = plain.get(key).filter(|_| expected.contains(key)) else {
            wrong.push(format!("{key:?} came back: {seen:?}"));
            continue;
        };
        if let Some(reason) = differs(mode, key, seen, plain) {
            wrong.push(format!("{key:?} {reason}: {seen:?}"));
        }
    }
    let missing = expected.iter().filter(|key| !seen.contains_key(key));
    wrong.extend(missing.map(|key| format!("{key:?} did not come back")));
    let said = waits.end();
    if !said.is_empty() {
        wrong.push(said);
    }
    wrong.into_iter().map(|wrong| format!("{options:?}: {wrong}")).collect()
}

fn differs(mode: &Mode, (call, input): &Key, seen: &Seen, plain: &Seen) -> Option<String> {
    // These count in the kernel's ticks.
    let is_coarse = call.starts_with("so_");
    if seen.result != plain.result {
        return Some(format!("gave {}, and {} plain", seen.result, plain.result));
    }
    if seen.kind == "left" {
        // Nothing passes on a clock that stands still, so more may be left.
        let is_frozen = mode.frozen.contains(&seen.clock);
        let is_so = is_frozen && (is_coarse || seen.ended_ns >= seen.wanted_ns)
            || seen.ended_ns <= seen.wanted_ns && seen.ended_ns > seen.wanted_ns / 2;
        return (!is_so).then(|| "has another time left than was set".to_owned());
    }
    if !plain.has_waited(input) {
        return None;
    }
    let tick_ns = if is_coarse { i128::from(mode.span_ms) * 100_000 } else { 0 };
    if seen.ended_ns < seen.wanted_ns - tick_ns {
        return Some(format!("was {} ns early", seen.wanted_ns - seen.ended_ns));
    }
    mode.most_host_ms.filter(|&most| seen.host_ms > most).map(|_| "took too long".to_owned())
}

#[test]
fn every_call_with_a_time_goes_by_the_programs_own_clock() {
    let sources = |mode: &Mode| {
        let known = if mode.needs_rate { Source::with_rate() } else { Source::all() };
        known.into_iter().skip(1).collect()
    };
    assert_by_own_clock(&helper("waits"), sources);
}

/// Their image has one source of time.
fn assert_i386_by_own_clock(times: Times) {
    let Some(program) = i386_helper("waits", times, &[]) else { return };
    assert_by_own_clock(&program, |_| vec![Source::AUTO]);
}

#[test]
fn every_call_of_an_i386_program_goes_by_its_own_clock() {
    assert_i386_by_own_clock(Times::Bits32);
}

#[test]
fn every_call_of_an_i386_program_with_times_of_64_bits_goes_by_its_own_clock() {
    assert_i386_by_own_clock(Times::Bits64);
}

fn assert_by_own_clock(program: &Path, sources: impl Fn(&Mode) -> Vec<Source>) {
    /// A machine has 256 message queues by default, and each helper takes 24.
    static TAKES_QUEUES: Mutex<()> = Mutex::new(());
    let _alone = TAKES_QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    let plain = plain(program);
    assert!(plain.len() > 500, "{plain:#?}");
    let of_mode = |mode: &'static Mode| sources(mode).into_iter().map(move |source| (mode, source));
    let runs = Mutex::new(Mode::ALL.iter().flat_map(of_mode).collect::<Vec<_>>());
    let failures = Mutex::new(Vec::new());
    let work = || {
        while let Some((mode, source)) = { runs.lock().expect("nobody panics with it").pop() } {
            let wrong = wrong(program, mode, &source, &plain);
            failures.lock().expect("nobody panics with it").extend(wrong);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().expect("nobody panics with it");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn call_sites_are_rewritten_in_each_process_but_where_threads_are_cancelled() {
    let sites = compile("sites.c", "sites", &["-O2"]);
    let run = finish(vdso_run(["--offset", "1y"]).arg(&sites)).succeeded();
    assert_eq!(
        run.stdout,
        format!(
            "{}plain rewritten\ncancelled kept\nthrough came back\n",
            "worker rewritten\n".repeat(3)
        )
    );
    let run = finish(vdso_run(["--offset", "1y", "--no-patch"]).arg(&sites)).succeeded();
    assert!(!run.stdout.contains("rewritten"), "{run:?}");
}
