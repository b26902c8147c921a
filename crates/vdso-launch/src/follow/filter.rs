//! The seccomp filter: reports `execve`, `execveat`, the stub's request, the installation of further filters, the start of
//! programs where one without the image would have other clocks or code is searched, and calls with times that are not
//! the host's ([`timed`]); allows all else.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W,
    SECCOMP_RET_ALLOW, SECCOMP_RET_USER_NOTIF, sock_filter,
};
use vdso_data::detour::Mark;

use vdso_inject::arch::{ABIS, Abi, Times, Word as AbiWord};
use vdso_inject::detour::Detours;
use vdso_inject::stub::REQUEST;
use vdso_inject::vsyscall::Vsyscalls;

use super::timed;

/// Offsets within `struct seccomp_data`, `include/uapi/linux/seccomp.h`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The program, for programs whose clocks are moved as `detours` says. This program's own kind of calls comes first, to
/// get it through quickly; the kernel remembers which numbers are always allowed and does not even run it for those.
pub fn program(detours: &Detours) -> Vec<sock_filter> {
    let mut program = vec![load(ARCHITECTURE)];
    let mut rest = ABIS;
    while let Some(first) = rest.first() {
        // ABIs that share a table of calls follow one another.
        let is_other = |abi: &&Abi| abi.calls.audit_arch != first.calls.audit_arch;
        let (same, others) = rest.split_at(rest.iter().position(is_other).unwrap_or(rest.len()));
        let table = of_table(same, detours);
        // A conditional jump reaches 255 instructions, another as far as one likes.
        program.extend([jump(first.calls.audit_arch, 1, 0), go_on(table.len())]);
        program.extend(table);
        rest = others;
    }
    program.push(answer(SECCOMP_RET_ALLOW));
    program
}

/// What is done with the calls of one table: each number's rule stands behind the comparison with it.
fn of_table(abis: &[&Abi], detours: &Detours) -> Vec<sock_filter> {
    let mut program = vec![load(NUMBER)];
    let mut add = |number: u32, rule: Vec<sock_filter>| {
        program.push(jump(number, 0, rule.len() as u8));
        program.extend(rule);
    };
    for abi in abis {
        for call in abi.calls.timed {
            let ways = timed::reported(call.times, detours);
            if !ways.is_empty() {
                // The image sets no clock; nor does anybody who knows the mark.
                let is_made_by_image = !matches!(call.times, Times::Sets { .. });
                let mark = is_made_by_image.then_some((call.mark, detours.mark));
                add(call.number, rule(mark, &ways));
            }
        }
    }
    for abi in abis {
        let first_is = |value: u32| vec![Test::Equals(Word::Low(0), value)];
        for number in [abi.calls.execve, abi.calls.execveat] {
            add(number, rule(None, &[vec![]]));
        }
        let prctl = [REQUEST, libc::PR_SET_SECCOMP as u32].map(first_is);
        add(abi.calls.prctl, rule(None, &prctl));
        let seccomp = [libc::SECCOMP_SET_MODE_STRICT, libc::SECCOMP_SET_MODE_FILTER].map(first_is);
        add(abi.calls.seccomp, rule(None, &seccomp));
        let is_searched = detours.vsyscalls != Vsyscalls::Kept && abi.word == AbiWord::Bits64;
        let is_reported = is_searched || !detours.by_call().is_empty();
        if let Some(start) = abi.calls.start.filter(|_| is_reported) {
            let way = start.first.map(|first| Test::Equals(Word::Low(0), first));
            add(start.number, rule(None, &[way.into_iter().collect()]));
        }
    }
    program.push(answer(SECCOMP_RET_ALLOW));
    program
}

/// What is done with one call: it is reported if all tests of one of the `ways` say yes, unless it is marked as the
/// image's own.
fn rule(mark: Option<(Mark, u32)>, ways: &[Vec<Test>]) -> Vec<sock_filter> {
    let mut rule = Vec::new();
    if let Some((mark, value)) = mark {
        rule.extend(match mark {
            Mark::Low(place) => vec![load(Word::Low(place).offset()), jump(value, 0, 1)],
            Mark::High(place) => vec![load(Word::High(place).offset()), jump(value, 0, 1)],
            Mark::Address(place) => {
                let last_byte = Mark::last_byte(value).into();
                vec![load(Word::Low(place).offset()), keep(u8::MAX.into()), jump(last_byte, 0, 1)]
            }
        });
        rule.push(answer(SECCOMP_RET_ALLOW));
    }
    for way in ways {
        let tests: Vec<_> = way.iter().map(|test| test.instructions()).collect();
        let mut left: usize = tests.iter().map(Vec::len).sum();
        for mut test in tests {
            left -= test.len();
            // Behind the answer that follows the last test.
            let next_way = left as u8 + 1;
            let last = test.len() - 1;
            let decides = &mut test[last];
            for target in [&mut decides.jt, &mut decides.jf] {
                if *target == NO {
                    *target = next_way;
                }
            }
            rule.extend(test);
        }
        rule.push(answer(SECCOMP_RET_USER_NOTIF));
    }
    rule.push(answer(SECCOMP_RET_ALLOW));
    rule
}

/// Half an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Its lower 32 bits.
    Low(u8),
    /// Its upper 32 bits.
    High(u8),
}

impl Word {
    fn offset(self) -> u32 {
        let (place, half) = match self {
            Self::Low(place) => (place, u32::from(cfg!(target_endian = "big"))),
            Self::High(place) => (place, u32::from(cfg!(target_endian = "little"))),
        };
        ARGUMENTS + 8 * u32::from(place) + 4 * half
    }
}

/// A question about a call's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// Whether the word is this.
    Equals(Word, u32),
    /// Whether the word's bits of the first number are the second.
    Masked(Word, u32, u32),
    /// Whether the word has any of these bits.
    Any(Word, u32),
    /// Whether the word has none of these bits.
    None(Word, u32),
    /// Whether the whole argument is not zero.
    NotZero(u8),
}

/// In a test's last instruction: where to go if it says no.
const NO: u8 = u8::MAX;

impl Test {
    /// They go on behind themselves if it says yes.
    fn instructions(self) -> Vec<sock_filter> {
        match self {
            Self::Equals(word, value) => vec![load(word.offset()), jump(value, 0, NO)],
            Self::Masked(word, mask, value) => {
                vec![load(word.offset()), keep(mask), jump(value, 0, NO)]
            }
            Self::Any(word, bits) => vec![load(word.offset()), keep(bits), jump(0, NO, 0)],
            Self::None(word, bits) => vec![load(word.offset()), keep(bits), jump(0, 0, NO)],
            Self::NotZero(place) => vec![
                load(Word::Low(place).offset()),
                jump(0, 0, 2),
                load(Word::High(place).offset()),
                jump(0, NO, 0),
            ],
        }
    }
}

const fn keep(bits: u32) -> sock_filter {
    sock_filter { code: (BPF_ALU | BPF_AND | BPF_K) as u16, jt: 0, jf: 0, k: bits }
}

const fn go_on(behind: usize) -> sock_filter {
    sock_filter { code: (BPF_JMP | BPF_JA) as u16, jt: 0, jf: 0, k: behind as u32 }
}

const fn load(offset: u32) -> sock_filter {
    sock_filter { code: (BPF_LD | BPF_W | BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

const fn jump(if_equal_to: u32, if_true: u8, if_false: u8) -> sock_filter {
    let code = (BPF_JMP | BPF_JEQ | BPF_K) as u16;
    sock_filter { code, jt: if_true, jf: if_false, k: if_equal_to }
}

const fn answer(action: u32) -> sock_filter {
    sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: action }
}

#[cfg(test)]
mod tests;
