//! Which of the signals that reach the front are the program's, too, without the front.

use nix::sys::signalfd::siginfo;

/// A signal that has reached a process, and what tells its sender. Source: sigaction(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Which signal.
    pub number: i32,
    /// How it was sent, `SI_USER` or another; above 0 by the kernel.
    pub code: i32,
    /// By which process, as the receiver's pid namespace knows it.
    pub sender: i32,
    /// By whom.
    pub uid: u32,
    /// What `sigqueue` sends along.
    pub value: u64,
}

impl Arrival {
    /// As long as it is between processes.
    pub const BYTES: usize = 24;

    /// What a signal is to the program; nothing, if it is about a child of the front's own.
    pub fn of(signal: &siginfo) -> Option<Self> {
        let arrival = Self {
            number: signal.ssi_signo as i32,
            code: signal.ssi_code,
            sender: signal.ssi_pid as i32,
            uid: signal.ssi_uid,
            value: signal.ssi_ptr,
        };
        (arrival.number != libc::SIGCHLD || !arrival.is_from_kernel()).then_some(arrival)
    }

    /// From the terminal, most often.
    pub fn is_from_kernel(&self) -> bool {
        self.code > 0
    }

    /// As bytes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.number.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.code.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.sender.to_ne_bytes());
        bytes[12..16].copy_from_slice(&self.uid.to_ne_bytes());
        bytes[16..].copy_from_slice(&self.value.to_ne_bytes());
        bytes
    }

    /// Out of bytes.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let mut value = [0; 8];
        value.copy_from_slice(&bytes[16..]);
        Self {
            number: i32::from_ne_bytes(word(0)),
            code: i32::from_ne_bytes(word(4)),
            sender: i32::from_ne_bytes(word(8)),
            uid: u32::from_ne_bytes(word(12)),
            value: u64::from_ne_bytes(value),
        }
    }

    fn stops(&self) -> bool {
        [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&self.number)
    }

    fn continues(&self) -> bool {
        self.number == libc::SIGCONT
    }

    /// Real-time signals queue. Others merge while one is pending.
    fn queues(&self) -> bool {
        // The kernel's number; the C library keeps the first ones for itself.
        const FIRST_REAL_TIME: i32 = 32;
        self.number >= FIRST_REAL_TIME
    }
}

/// Where the program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// In the front's process group: what is sent to that reaches it.
    InGroup,
    /// In another.
    Elsewhere,
}

/// Whether the front has read all that the witness has, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It has: what else has reached the witness was for that one alone.
    Complete,
    /// It may come yet.
    Ongoing,
}

/// What has reached the front and the witness, and is not decided upon.
#[derive(Debug, Default)]
pub struct Arrivals {
    front: Vec<Arrival>,
    witness: Vec<Arrival>,
    /// Of those that have reached the group since all was read last, the ones that merge: a process may
    /// be told of two of them once or twice.
    merged: Vec<Arrival>,
    /// Set where there is no witness.
    is_unwitnessed: bool,
}

impl Arrivals {
    /// Something has reached the front. As in the kernel, a stop takes back what continues, and the
    /// other way round.
    pub fn reached_front(&mut self, arrival: Arrival) {
        if arrival.stops() {
            self.front.retain(|earlier| !earlier.continues());
        }
        if arrival.continues() {
            self.front.retain(|earlier| !earlier.stops());
        }
        self.front.push(arrival);
    }

    /// All this has reached the witness; or there is none.
    pub fn reached_witness(&mut self, arrivals: Option<Vec<Arrival>>) {
        self.is_unwitnessed |= arrivals.is_none();
        self.witness.extend(arrivals.into_iter().flatten());
    }

    /// What has reached the witness so far was sent before there was a program.
    pub fn forget_witnessed(&mut self) {
        self.witness.clear();
        self.is_unwitnessed = false;
    }

    /// Who has sent, as far as is known, to the front alone.
    pub fn senders(&self) -> impl Iterator<Item = i32> {
        let alone = self.front.iter().filter(|arrival| !self.witness.contains(arrival));
        alone.filter(|arrival| arrival.code == libc::SI_USER).map(|arrival| arrival.sender)
    }

    /// Whether something has reached the front that stops who does not handle it.
    pub fn stops_front(&self) -> bool {
        self.front.iter().any(Arrival::stops)
    }

    /// Whether something has continued the front.
    pub fn continues_front(&self) -> bool {
        self.front.iter().any(Arrival::continues)
    }

    /// What of it the program must be given, in order.
    pub fn for_program(&mut self, program: Program, reading: Reading) -> Vec<Arrival> {
        let mut given: Vec<Arrival> = Vec::new();
        for arrival in std::mem::take(&mut self.front) {
            let reached_group = self.merged.contains(&arrival) || self.reached_group(&arrival);
            if reached_group && !arrival.queues() {
                self.merged.push(arrival);
            }
            let is_its_own = reached_group && program == Program::InGroup;
            // The terminal speaks to its foreground group. A program in another is not meant.
            let is_not_for_it = reached_group && arrival.is_from_kernel();
            let is_merged = reached_group && !arrival.queues() && given.contains(&arrival);
            if !is_its_own && !is_not_for_it && !is_merged {
                given.push(arrival);
            }
        }
        if reading == Reading::Complete {
            self.witness.clear();
            self.merged.clear();
        }
        self.is_unwitnessed = false;
        given
    }

    /// Whether the signal was sent to all the group. Of one that merges the witness may have got fewer
    /// than the front, or more; of one that queues, as many.
    fn reached_group(&mut self, arrival: &Arrival) -> bool {
        if self.is_unwitnessed {
            // Then most likely: the terminal's does, but for the hang-up of a session's leader.
            return arrival.is_from_kernel() && arrival.number != libc::SIGHUP;
        }
        let found = self.witness.iter().position(|other| other == arrival);
        found.map(|found| self.witness.remove(found)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: i32 = 100;
    const OTHER: i32 = 200;

    fn sent(number: i32, sender: i32) -> Arrival {
        Arrival { number, code: libc::SI_USER, sender, uid: 0, value: 0 }
    }

    fn given(front: &[Arrival], witness: &[Arrival], program: Program) -> Vec<Arrival> {
        let mut arrivals = Arrivals::default();
        front.iter().for_each(|arrival| arrivals.reached_front(*arrival));
        arrivals.reached_witness(Some(witness.to_vec()));
        arrivals.for_program(program, Reading::Complete)
    }

    #[test]
    fn a_signal_of_the_group_is_not_passed_on_and_one_of_the_front_is() {
        let term = sent(libc::SIGTERM, SENDER);
        assert_eq!(given(&[term], &[term], Program::InGroup), []);
        assert_eq!(given(&[term], &[], Program::InGroup), [term]);
        // The same signal of another sender's says nothing.
        assert_eq!(given(&[term], &[sent(libc::SIGTERM, OTHER)], Program::InGroup), [term]);
        assert_eq!(given(&[term], &[sent(libc::SIGINT, SENDER)], Program::InGroup), [term]);
    }

    #[test]
    fn signals_that_merged_in_one_process_and_not_in_the_other_are_the_same() {
        let term = sent(libc::SIGTERM, SENDER);
        assert_eq!(given(&[term, term], &[term], Program::InGroup), []);
        assert_eq!(given(&[term], &[term, term], Program::InGroup), []);
    }

    #[test]
    fn the_second_of_two_that_merged_may_reach_the_front_later() {
        let (program, key) = (Program::InGroup, sent(libc::SIGINT, SENDER));
        for witnessed in [vec![key], vec![key, key]] {
            let mut arrivals = Arrivals::default();
            arrivals.reached_front(key);
            arrivals.reached_witness(Some(witnessed));
            assert_eq!(arrivals.for_program(program, Reading::Ongoing), []);
            arrivals.reached_front(key);
            assert_eq!(arrivals.for_program(program, Reading::Complete), []);
            arrivals.reached_front(key);
            assert_eq!(arrivals.for_program(program, Reading::Complete), [key]);
        }
    }

    #[test]
    fn real_time_signals_are_counted() {
        let (first, second) = (sent(libc::SIGRTMIN(), SENDER), sent(libc::SIGRTMAX(), SENDER));
        let front = [first, second, first, first];
        assert_eq!(given(&front, &[first, second], Program::InGroup), [first, first]);
    }

    #[test]
    fn a_program_outside_the_group_is_given_its_signals_once_but_not_the_terminals() {
        let term = sent(libc::SIGTERM, SENDER);
        let key = Arrival { code: libc::SI_KERNEL, ..sent(libc::SIGINT, 0) };
        assert_eq!(given(&[term, term, key], &[term, key], Program::Elsewhere), [term]);
    }

    #[test]
    fn what_was_sent_to_the_group_before_there_was_a_program_is_given_to_it() {
        let (earlier, later) = (sent(libc::SIGTERM, SENDER), sent(libc::SIGUSR1, SENDER));
        let mut arrivals = Arrivals::default();
        arrivals.reached_front(earlier);
        arrivals.reached_witness(Some(vec![earlier]));
        arrivals.forget_witnessed();
        arrivals.reached_front(later);
        arrivals.reached_witness(Some(vec![later]));
        assert_eq!(arrivals.for_program(Program::InGroup, Reading::Complete), [earlier]);
    }

    #[test]
    fn what_has_reached_the_witness_alone_counts_for_as_long_as_the_front_may_get_it() {
        let (program, signal) = (Program::InGroup, sent(libc::SIGRTMIN(), SENDER));
        for (reading, expected) in [(Reading::Ongoing, vec![]), (Reading::Complete, vec![signal])] {
            let mut arrivals = Arrivals::default();
            arrivals.reached_witness(Some(vec![signal]));
            assert_eq!(arrivals.for_program(program, reading), []);
            arrivals.reached_front(signal);
            assert_eq!(arrivals.for_program(program, Reading::Complete), expected);
        }
    }

    #[test]
    fn what_the_kernel_sends_to_the_front_alone_is_passed_on() {
        let hang_up = Arrival { code: libc::SI_KERNEL, ..sent(libc::SIGHUP, 0) };
        assert_eq!(given(&[hang_up], &[], Program::InGroup), [hang_up]);
        assert_eq!(given(&[hang_up], &[hang_up], Program::InGroup), []);
    }

    #[test]
    fn stops_and_continuations_take_each_other_back() {
        let (stop, go) = (sent(libc::SIGTSTP, SENDER), sent(libc::SIGCONT, SENDER));
        // The stop no longer reaches the witness: the kernel has taken it back there.
        assert_eq!(given(&[stop, go], &[go], Program::InGroup), []);
        assert_eq!(given(&[go, stop], &[stop], Program::InGroup), []);
        assert_eq!(given(&[stop, go], &[], Program::InGroup), [go]);
    }

    #[test]
    fn without_a_witness_the_terminals_signals_are_the_groups() {
        let key = Arrival { code: libc::SI_KERNEL, ..sent(libc::SIGINT, 0) };
        let (term, go) = (sent(libc::SIGTERM, SENDER), sent(libc::SIGCONT, SENDER));
        let mut arrivals = Arrivals::default();
        [key, term, go].into_iter().for_each(|arrival| arrivals.reached_front(arrival));
        arrivals.reached_witness(None);
        assert_eq!(arrivals.for_program(Program::InGroup, Reading::Complete), [term, go]);
    }

    #[test]
    fn bytes_carry_all_of_it() {
        let arrival = Arrival { number: 1, code: -2, sender: 3, uid: 4, value: 5 << 32 };
        assert_eq!(Arrival::from_bytes(&arrival.to_bytes()), arrival);
    }
}
