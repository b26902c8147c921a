//! The seccomp filter: reports `execve`, `execveat`, the stub's request and the installation of further
//! filters, allows all else.

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW,
    SECCOMP_RET_USER_NOTIF, sock_filter,
};

use vdso_inject::arch::{ABIS, Abi};
use vdso_inject::stub::REQUEST;

/// Offsets within `struct seccomp_data`, `include/uapi/linux/seccomp.h`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// The lower half of the first argument.
const FIRST_ARGUMENT: u32 = if cfg!(target_endian = "big") { 20 } else { 16 };

/// The program. This program's own kind of calls comes first, to get it through quickly; the kernel
/// remembers which numbers are always allowed and does not even run it for those.
pub fn program() -> Vec<sock_filter> {
    let mut program = vec![load(ARCHITECTURE)];
    let mut rest = ABIS;
    while let Some(first) = rest.first() {
        // ABIs that share a table of calls follow one another.
        let is_other = |abi: &&Abi| abi.calls.audit_arch != first.calls.audit_arch;
        let (same, others) = rest.split_at(rest.iter().position(is_other).unwrap_or(rest.len()));
        let table = of_table(same);
        program.push(jump(first.calls.audit_arch, 0, table.len() as u8));
        program.extend(table);
        rest = others;
    }
    program.push(answer(SECCOMP_RET_ALLOW));
    program
}

/// What is done with the calls of one table.
fn of_table(abis: &[&Abi]) -> Vec<sock_filter> {
    let execs: Vec<_> =
        abis.iter().flat_map(|abi| [abi.calls.execve, abi.calls.execveat]).collect();
    let prctls: Vec<_> = abis.iter().map(|abi| abi.calls.prctl).collect();
    let seccomps: Vec<_> = abis.iter().map(|abi| abi.calls.seccomp).collect();
    // Distances count from the instruction behind a jump. Behind the numbers: allow, and what is below.
    let numbers = execs.len() + prctls.len() + seccomps.len();
    let (of_prctl, of_seccomp, report) = (numbers + 1, numbers + 4, numbers + 7);
    let targets = [(execs, report), (prctls, of_prctl), (seccomps, of_seccomp)];
    let mut program = vec![load(NUMBER)];
    for (numbers, target) in targets {
        for number in numbers {
            let distance = target - program.len();
            program.push(jump(number, distance as u8, 0));
        }
    }
    program.extend([
        answer(SECCOMP_RET_ALLOW),
        // prctl
        load(FIRST_ARGUMENT),
        jump(REQUEST, 4, 0),
        jump(libc::PR_SET_SECCOMP as u32, 3, 4),
        // seccomp
        load(FIRST_ARGUMENT),
        jump(libc::SECCOMP_SET_MODE_STRICT, 1, 0),
        jump(libc::SECCOMP_SET_MODE_FILTER, 0, 1),
        answer(SECCOMP_RET_USER_NOTIF),
        answer(SECCOMP_RET_ALLOW),
    ]);
    program
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
mod tests {
    use vdso_arch::system_call::X32_BIT;

    use super::*;

    /// What the kernel would do: a few lines of classic BPF.
    fn run(architecture: u32, number: u32, first_argument: u32) -> u32 {
        let program = program();
        let mut accumulator = 0;
        let mut at = 0;
        loop {
            let instruction = program[at];
            at += 1;
            match u32::from(instruction.code) {
                code if code == BPF_LD | BPF_W | BPF_ABS => {
                    accumulator = match instruction.k {
                        NUMBER => number,
                        ARCHITECTURE => architecture,
                        FIRST_ARGUMENT => first_argument,
                        other => panic!("loads from {other}"),
                    };
                }
                code if code == BPF_RET | BPF_K => return instruction.k,
                code => {
                    assert_eq!(code, BPF_JMP | BPF_JEQ | BPF_K);
                    let is_true = accumulator == instruction.k;
                    at += usize::from(if is_true { instruction.jt } else { instruction.jf });
                }
            }
        }
    }

    #[test]
    fn reports_every_way_to_exec_the_stub_and_further_filters_and_nothing_else() {
        let mut reported = Vec::new();
        for abi in ABIS {
            let calls = abi.calls;
            for number in [calls.execve, calls.execveat] {
                assert_eq!(run(calls.audit_arch, number, 0), SECCOMP_RET_USER_NOTIF, "{abi:?}");
                assert_eq!(run(calls.audit_arch, number, 7), SECCOMP_RET_USER_NOTIF, "{abi:?}");
                reported.push((calls.audit_arch, number));
            }
            for option in [REQUEST, libc::PR_SET_SECCOMP as u32] {
                let answer = run(calls.audit_arch, calls.prctl, option);
                assert_eq!(answer, SECCOMP_RET_USER_NOTIF, "{abi:?}");
            }
            for operation in [libc::SECCOMP_SET_MODE_STRICT, libc::SECCOMP_SET_MODE_FILTER] {
                let answer = run(calls.audit_arch, calls.seccomp, operation);
                assert_eq!(answer, SECCOMP_RET_USER_NOTIF, "{abi:?}");
            }
        }
        assert!(!reported.is_empty());
        for abi in ABIS {
            let architecture = abi.calls.audit_arch;
            let bit = abi.calls.execve & X32_BIT;
            for number in (0..600).map(|number| number | bit) {
                if !reported.contains(&(architecture, number)) {
                    // PR_SET_PDEATHSIG, or SECCOMP_GET_ACTION_AVAIL.
                    for argument in [2, 3, 1000] {
                        let answer = run(architecture, number, argument);
                        assert_eq!(answer, SECCOMP_RET_ALLOW, "{number:#x}");
                    }
                }
            }
        }
        assert_eq!(run(0x1234, reported[0].1, 0), SECCOMP_RET_ALLOW);
    }

    #[test]
    fn the_numbers_are_those_of_this_architecture() {
        let numbers = [libc::SYS_execve, libc::SYS_execveat, libc::SYS_prctl, libc::SYS_seccomp];
        let calls = ABIS[0].calls;
        let ours = [calls.execve, calls.execveat, calls.prctl, calls.seccomp];
        assert_eq!(ours, numbers.map(|call| call as u32));
    }
}
