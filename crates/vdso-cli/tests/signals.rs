//! A signal reaches the program as often as it would in a plain run, whoever sends it, and to whom:
//! the launcher, its process group, the program, all that is called vdso, a terminal.

mod support;

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use support::processes::{
    children_of, kill_hard, name_of, program_of, state_of, supervisor_of, wait_for, wait_until,
};
use support::shell::Shell;
use support::terminal::{INTERRUPT, Terminal};
use support::{finish, helper, vdso_run};

/// How many signals of each kind.
const SIGNALS: usize = 1000;

const USER: i32 = libc::SIGUSR1;
/// Signals that merge while one is pending, one that queues, and one that the C library keeps.
const KINDS: [i32; 4] = [libc::SIGTERM, libc::SIGCONT, 40, 33];

/// `vdso run` with a program that counts a signal, in a process group of its own.
struct Counting {
    run: Shell,
    program: Pid,
    count: usize,
}

impl Counting {
    #[track_caller]
    fn start(signal: i32) -> Self {
        let mut run = vdso_run(["--offset", "1y"]);
        run.arg(helper("count")).arg(signal.to_string());
        Self::go(Shell::start(&mut run))
    }

    #[track_caller]
    fn go(mut run: Shell) -> Self {
        run.read_to("go\n");
        let program = program_of(run.pid(), "count");
        Self { run, program, count: 0 }
    }

    /// Its launcher, who leads its group.
    fn front(&self) -> Pid {
        self.run.pid()
    }

    fn group(&self) -> Pid {
        Pid::from_raw(-self.front().as_raw())
    }

    /// The program must get what was sent last. Another one shows by a number that comes too early.
    #[track_caller]
    fn got(&mut self, value: i32) {
        self.count += 1;
        let line = format!("got {} value {value}\n", self.count);
        let before = self.run.read_to(&line);
        assert_eq!(before, "", "before {line}");
    }

    #[track_caller]
    fn end(mut self) {
        self.run.send("end");
        assert_eq!(self.run.read_to_end(), format!("total {}\n", self.count));
        assert_eq!(self.run.wait().code(), Some(0));
    }
}

#[track_caller]
fn send(to: Pid, signal: i32) {
    // Not all numbers are in the enumeration.
    // SAFETY: sends a signal.
    Errno::result(unsafe { libc::kill(to.as_raw(), signal) }).expect("it runs");
}

fn witness_of(front: Pid) -> Option<Pid> {
    children_of(front).into_iter().find(|&child| name_of(child) == "signal-witness")
}

/// Waits until the front has read all signals that have been sent to it and to the witness.
#[track_caller]
fn wait_for_rest(front: Pid) {
    // The descriptors that both wait for when they have nothing to do; the front watches its supervisor,
    // too, now by one more and now not. The witness first: what it says wakes the front.
    let witness = wait_for("the witness", || witness_of(front));
    for (pid, at_least) in [(witness, 2), (front, 3), (witness, 2), (front, 3)] {
        wait_until("a process has read its signals", || {
            pending_signals(pid) == 0 && polled_by(pid).is_some_and(|count| count >= at_least)
        });
    }
}

/// Those that have not been read.
fn pending_signals(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap_or("1");
    u64::from_str_radix(set.trim(), 16).expect("a set")
}

/// How many descriptors a process waits for: the second argument of poll and of ppoll.
fn polled_by(pid: Pid) -> Option<u64> {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    u64::from_str_radix(call.split(' ').nth(2)?.strip_prefix("0x")?, 16).ok()
}

// ---------------------------------------------------------------------------------------------
// One process sends

#[test]
fn a_signal_to_the_process_group_reaches_the_program_once() {
    for signal in KINDS {
        let mut counting = Counting::start(signal);
        for _ in 0..SIGNALS {
            send(counting.group(), signal);
            counting.got(0);
        }
        counting.end();
    }
}

#[test]
fn a_signal_to_its_own_group_that_the_program_sends_reaches_it_once() {
    let mut counting = Counting::start(USER);
    for _ in 0..SIGNALS {
        counting.run.send("group");
        counting.got(0);
    }
    counting.end();
}

#[test]
fn a_signal_to_the_launcher_alone_reaches_the_program_once() {
    for signal in KINDS {
        let mut counting = Counting::start(signal);
        for _ in 0..SIGNALS {
            send(counting.front(), signal);
            counting.got(0);
        }
        counting.end();
    }
}

#[test]
fn a_signal_to_the_program_alone_reaches_it_once() {
    for signal in KINDS {
        let mut counting = Counting::start(signal);
        for _ in 0..SIGNALS {
            send(counting.program, signal);
            counting.got(0);
        }
        counting.end();
    }
}

#[test]
fn signals_to_the_launcher_and_to_the_group_in_turns_are_told_apart() {
    // They queue, so each counts, also of those that come together.
    const SIGNAL: i32 = 40;
    let mut counting = Counting::start(SIGNAL);
    for _ in 0..SIGNALS / 4 {
        for to in [counting.front(), counting.group(), counting.program, counting.front()] {
            send(to, SIGNAL);
        }
        for _ in 0..4 {
            counting.got(0);
        }
    }
    counting.end();
}

#[test]
fn a_signal_to_all_that_is_called_vdso_reaches_the_program_once() {
    let mut counting = Counting::start(USER);
    let supervisor = supervisor_of(counting.front());
    for _ in 0..SIGNALS {
        // The last one is what shows.
        send(supervisor, USER);
        send(counting.front(), USER);
        counting.got(0);
    }
    counting.end();
}

#[test]
fn what_sigqueue_sends_along_arrives() {
    let mut counting = Counting::start(USER);
    let front = counting.front().as_raw();
    for round in 1..=9 {
        let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(round) };
        // SAFETY: sends a signal; the value is a number.
        Errno::result(unsafe { libc::sigqueue(front, USER, value) }).expect("it runs");
        counting.got(round as i32);
    }
    counting.end();
}

#[test]
fn a_key_that_interrupts_reaches_the_program_once() {
    let mut bash = Terminal::bash();
    bash.line(&format!("stty -echo; $V {} {}", helper("count").display(), libc::SIGINT));
    bash.expect("go\r\n");
    for round in 1..=SIGNALS {
        bash.keys(INTERRUPT);
        let before = bash.expect(&format!("got {round} value 0\r\n"));
        assert_eq!(before, "");
    }
    bash.line("end");
    bash.expect(&format!("total {SIGNALS}\r\n"));
}

#[test]
fn a_program_that_has_left_the_group_is_given_what_the_launcher_gets() {
    let mut run = vdso_run(["--offset", "1y"]);
    run.arg("setsid").arg(helper("count")).arg(USER.to_string());
    let mut counting = Counting::go(Shell::start(&mut run));
    for _ in 0..SIGNALS {
        for to in [counting.front(), counting.group()] {
            send(to, USER);
            counting.got(0);
        }
    }
    counting.end();
}

// ---------------------------------------------------------------------------------------------
// At the start

/// At whatever moment it comes, and whether there is a program yet.
#[test]
fn a_signal_during_the_start_ends_it_as_it_ends_a_plain_run() {
    const MOMENTS: u32 = 50;
    let start = Instant::now();
    let whole = finish(vdso_run(["--offset", "1y"]).arg("true")).succeeded();
    let takes = start.elapsed();
    drop(whole);
    for moment in 0..MOMENTS {
        for signal in [USER, 40] {
            let mut run = Shell::start(vdso_run(["--offset", "1y"]).args(["sleep", "1000"]));
            std::thread::sleep(takes * moment / MOMENTS);
            send(Pid::from_raw(-run.pid().as_raw()), signal);
            assert_eq!(run.wait().signal(), Some(signal), "{moment}");
        }
    }
}

#[test]
fn what_is_pending_at_the_start_is_pending_in_the_program() {
    let count = |mut command: Command| {
        command.arg(helper("count")).arg(USER.to_string());
        // SAFETY: all calls between fork and exec are system calls.
        unsafe {
            command.pre_exec(|| {
                SigSet::from(Signal::SIGUSR1).thread_block()?;
                Ok(nix::sys::signal::raise(Signal::SIGUSR1)?)
            });
        }
        let mut run = Shell::start(&mut command);
        run.read_to("got 1 value 0\n");
        run.send("end");
        run.read_to_end()
    };
    assert_eq!(count(Command::new("env")), "total 1\n");
    assert_eq!(count(vdso_run(["--offset", "1y"])), "total 1\n");
}

// ---------------------------------------------------------------------------------------------
// timeout(1), which sends to its child, and then to the group

#[test]
fn timeout_ends_the_program_as_in_a_plain_run() {
    for options in [["-s", "TERM"].as_slice(), &["-s", "40"], &["--foreground", "-s", "USR1"]] {
        let status = |prefix: &[&str]| {
            let mut timeout = Command::new("timeout");
            timeout.args(options).arg("1000").args(prefix).arg("cat");
            let mut run = Shell::start(&mut timeout);
            run.send("ready");
            run.read_to("ready\n");
            // Until it knows its child's id, which may already write, it ends without it.
            wait_until("timeout waits", || state_of(run.pid()) == Some('S'));
            // Its time is over.
            send(run.pid(), libc::SIGALRM);
            run.read_to_end();
            run.wait()
        };
        assert_eq!(status(&[support::VDSO, "run", "--"]), status(&[]), "{options:?}");
    }
}

// ---------------------------------------------------------------------------------------------
// The witness

#[test]
fn the_witness_shows_the_programs_arguments_and_no_others() {
    let counting = Counting::start(USER);
    let witness = wait_for("the witness", || witness_of(counting.front()));
    let arguments = std::fs::read(format!("/proc/{witness}/cmdline")).expect("it is there");
    let text = String::from_utf8_lossy(&arguments).replace('\0', " ");
    let program = format!("{} {USER} ", helper("count").display());
    assert!(text.ends_with(&program), "{text}");
    assert!(!text.contains("--offset") && !text.contains("vdso run"), "{text}");
    counting.end();
}

#[test]
fn another_witness_takes_the_place_of_one_that_was_killed() {
    let mut counting = Counting::start(USER);
    for _ in 0..20 {
        let witness = wait_for("the witness", || witness_of(counting.front()));
        kill_hard(witness);
        wait_until("its end", || state_of(witness).is_none());
        wait_for("another", || witness_of(counting.front()));
        for to in [counting.group(), counting.front()] {
            send(to, USER);
            counting.got(0);
            wait_for_rest(counting.front());
        }
    }
    counting.end();
}

#[test]
fn a_signal_to_the_witness_is_nobodys() {
    let mut counting = Counting::start(USER);
    let witness = wait_for("the witness", || witness_of(counting.front()));
    for _ in 0..SIGNALS / 4 {
        send(witness, USER);
        wait_for_rest(counting.front());
        send(counting.front(), USER);
        counting.got(0);
    }
    counting.end();
}

#[test]
fn a_group_that_was_stopped_goes_on_with_its_launcher() {
    let mut run = Shell::start(vdso_run(["--offset", "1y"]).arg("cat"));
    run.send("ready");
    run.read_to("ready\n");
    let (front, group) = (run.pid(), Pid::from_raw(-run.pid().as_raw()));
    let program = program_of(front, "cat");
    for _ in 0..3 {
        send(group, libc::SIGSTOP);
        wait_until("the program stops", || state_of(program) == Some('T'));
        // Only the front: the program, and whoever else is in the group, is for it to continue.
        kill(front, Signal::SIGCONT).expect("it runs");
        wait_until("the program goes on", || state_of(program) != Some('T'));
        send(group, libc::SIGCONT);
        run.send("word");
        run.read_to("word\n");
    }
    run.close_input();
    assert_eq!(run.wait().code(), Some(0));
}

#[test]
fn nothing_but_the_program_is_there_when_it_has_ended() {
    let mut counting = Counting::start(USER);
    let witness = wait_for("the witness", || witness_of(counting.front()));
    counting.run.send("end");
    counting.run.read_to_end();
    assert_eq!(counting.run.wait().signal(), None);
    assert_eq!(state_of(witness), None);
}
