//! The seccomp filter: reports `execve`, `execveat` and the stub's request, allows all else.

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW,
    SECCOMP_RET_USER_NOTIF, sock_filter,
};

use crate::arch;

/// Offsets within `struct seccomp_data`, `include/uapi/linux/seccomp.h`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// `include/uapi/linux/audit.h`.
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_I386: u32 = 0x4000_0003;

/// Set in the numbers of x32's system calls.
const X32_BIT: u32 = 0x4000_0000;
/// `arch/x86/entry/syscalls/syscall_64.tbl` and `syscall_32.tbl`.
const X32_EXECVE: u32 = X32_BIT | 520;
const X32_EXECVEAT: u32 = X32_BIT | 545;
const I386_EXECVE: u32 = 11;
const I386_EXECVEAT: u32 = 358;

/// The program. Numbers come in an order that gets the common ones through quickly; the kernel
/// remembers which numbers are always allowed and does not even run it for those.
pub fn program() -> Vec<sock_filter> {
    let execve = libc::SYS_execve as u32;
    let execveat = libc::SYS_execveat as u32;
    let prctl = libc::SYS_prctl as u32;
    // A jump's distances count from the instruction behind it.
    vec![
        /* 0 */ load(ARCHITECTURE),
        /* 1 */ jump(BPF_JEQ, AUDIT_ARCH_X86_64, 3, 0),
        /* 2 */ jump(BPF_JEQ, AUDIT_ARCH_I386, 0, 12),
        /* 3 */ load(NUMBER),
        /* 4 */ jump(BPF_JEQ, I386_EXECVE, 9, 8),
        /* 5 */ load(NUMBER),
        /* 6 */ jump(BPF_JEQ, execve, 7, 0),
        /* 7 */ jump(BPF_JEQ, execveat, 6, 0),
        /* 8 */ jump(BPF_JEQ, prctl, 0, 2),
        /* 9 */ load(FIRST_ARGUMENT),
        /* 10 */ jump(BPF_JEQ, arch::REQUEST, 3, 4),
        /* 11 */ jump(BPF_JSET, X32_BIT, 0, 3),
        /* 12 */ jump(BPF_JEQ, X32_EXECVE, 1, 3),
        /* 13 */ jump(BPF_JEQ, I386_EXECVEAT, 0, 1),
        /* 14 */ answer(SECCOMP_RET_USER_NOTIF),
        /* 15 */ answer(SECCOMP_RET_ALLOW),
        /* 16 */ jump(BPF_JEQ, X32_EXECVEAT, 0, 1),
        /* 17 */ answer(SECCOMP_RET_USER_NOTIF),
        /* 18 */ answer(SECCOMP_RET_ALLOW),
    ]
}

const fn load(offset: u32) -> sock_filter {
    sock_filter { code: (BPF_LD | BPF_W | BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

const fn jump(comparison: u32, with: u32, if_true: u8, if_false: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | comparison | BPF_K) as u16, jt: if_true, jf: if_false, k: with }
}

const fn answer(action: u32) -> sock_filter {
    sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: action }
}

#[cfg(test)]
mod tests {
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
                    let is_true = match code & !(BPF_JMP | BPF_K) {
                        BPF_JEQ => accumulator == instruction.k,
                        BPF_JSET => accumulator & instruction.k != 0,
                        other => panic!("comparison {other:#x}"),
                    };
                    at += usize::from(if is_true { instruction.jt } else { instruction.jf });
                }
            }
        }
    }

    #[test]
    fn reports_every_way_to_exec_and_the_stub_and_nothing_else() {
        let reported = [
            (AUDIT_ARCH_X86_64, 59, 0),
            (AUDIT_ARCH_X86_64, 322, 0),
            (AUDIT_ARCH_X86_64, X32_EXECVE, 0),
            (AUDIT_ARCH_X86_64, X32_EXECVEAT, 0),
            (AUDIT_ARCH_X86_64, 157, arch::REQUEST),
            (AUDIT_ARCH_I386, I386_EXECVE, 0),
            (AUDIT_ARCH_I386, I386_EXECVEAT, 0),
        ];
        for (architecture, number, argument) in reported {
            let action = run(architecture, number, argument);
            assert_eq!(action, SECCOMP_RET_USER_NOTIF, "{architecture:#x} {number:#x}");
        }
        for number in (0..600).flat_map(|number| [number, number | X32_BIT]) {
            if reported.iter().any(|r| r.0 == AUDIT_ARCH_X86_64 && r.1 == number) && number != 157 {
                continue;
            }
            assert_eq!(run(AUDIT_ARCH_X86_64, number, 1), SECCOMP_RET_ALLOW, "x86-64 {number:#x}");
        }
        for number in (0..600).filter(|number| ![I386_EXECVE, I386_EXECVEAT].contains(number)) {
            assert_eq!(run(AUDIT_ARCH_I386, number, 1), SECCOMP_RET_ALLOW, "i386 {number}");
        }
        assert_eq!(run(0x1234, 59, 0), SECCOMP_RET_ALLOW);
    }
}
