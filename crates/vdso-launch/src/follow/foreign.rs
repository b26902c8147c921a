//! Seccomp filters of the programs' own: whether a stub can do its work under one.
//!
//! A stub makes a few system calls before the program's first instruction. A filter that a program has
//! installed before it execs another may refuse those, or kill for them. Whoever installs a filter is
//! reported, so the filter can be read beforehand and asked what it says to each of a stub's calls.

use libc::{
    BPF_A, BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_DIV, BPF_IMM, BPF_IND, BPF_JA, BPF_JEQ, BPF_JGE,
    BPF_JGT, BPF_JMP, BPF_JSET, BPF_LD, BPF_LDX, BPF_LEN, BPF_LSH, BPF_MEM, BPF_MISC, BPF_MUL,
    BPF_NEG, BPF_OR, BPF_RET, BPF_RSH, BPF_ST, BPF_STX, BPF_SUB, BPF_TAX, BPF_TXA, BPF_W, BPF_X,
    BPF_XOR, sock_filter,
};
use nix::unistd::Pid;

use vdso_host::proc::Status;
use vdso_inject::arch::{ABIS, Abi, Need, StubCall, Word};
use vdso_inject::exec::Memory;

/// `BPF_MAXINSNS` of `include/uapi/linux/bpf_common.h`.
const MOST_INSTRUCTIONS: usize = 4096;
/// `BPF_MEMWORDS` of `include/uapi/linux/filter.h`.
const MEMORY_WORDS: usize = 16;

/// The kinds of programs whose stub could not do its work under the filter that `pid`, a program of the kind
/// `installer`, is about to install, with its `struct sock_fprog` at `program_addr`: where at least one call
/// is refused that it needs, or killed for, or if the filter cannot be read.
///
/// A program of one kind may execute others.
pub fn confined(
    pid: Pid,
    installer: &Abi,
    program_addr: u64,
) -> impl Iterator<Item = &'static Abi> {
    let program = read_program(pid, installer.word, program_addr);
    let is_served = move |abi: &Abi| program.as_ref().is_some_and(|program| serves(program, abi));
    ABIS.iter().copied().filter(move |abi| !is_served(abi))
}

/// Whether an image that counts may ask for a thread's name and numbers below the filter that `pid`, a program of the kind `installer`,
/// is about to install, with its `struct sock_fprog` at `program_addr`: it does so when a thread first calls it.
pub fn lets_threads_be_named(pid: Pid, installer: &Abi, program_addr: u64) -> bool {
    const ADDR: u64 = 0x7fff_f7fb_0000;
    let call =
        |number: libc::c_long, args| StubCall { number: number as u32, args, need: Need::Required };
    let calls = [
        call(libc::SYS_prctl, [libc::PR_GET_NAME as u64, ADDR, 0, 0, 0, 0]),
        call(libc::SYS_getpid, [0; 6]),
        call(libc::SYS_gettid, [0; 6]),
    ];
    let (Some(program), Some(native)) =
        (read_program(pid, installer.word, program_addr), ABIS.first())
    else {
        return false;
    };
    calls.iter().all(|call| is_served(&program, native, call))
}

/// How many filters a process has, its parents' among them (Linux 5.9 and later).
pub fn filters_of(pid: Pid) -> Option<u32> {
    Status::read(pid).ok()?.number("Seccomp_filters")
}

fn read_program(pid: Pid, word: Word, addr: u64) -> Option<Vec<sock_filter>> {
    let memory = Memory::of(pid);
    // `struct sock_fprog`: a length of 16 bits, and a pointer at its own alignment.
    let mut header = [0; 16];
    let pointer_at = word.bytes() as usize;
    memory.read(addr, &mut header[..2 * pointer_at]).ok()?;
    let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
    let filter_addr = match word {
        Word::Bits32 => u32::from_ne_bytes(*header[4..].first_chunk()?).into(),
        Word::Bits64 => u64::from_ne_bytes(*header[8..].first_chunk()?),
    };
    if length > MOST_INSTRUCTIONS {
        return None;
    }
    let mut bytes = vec![0; length * 8];
    memory.read(filter_addr, &mut bytes).ok()?;
    let instruction = |bytes: &[u8; 8]| sock_filter {
        code: u16::from_ne_bytes([bytes[0], bytes[1]]),
        jt: bytes[2],
        jf: bytes[3],
        k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    };
    Some(bytes.as_chunks().0.iter().map(instruction).collect())
}

fn serves(program: &[sock_filter], abi: &Abi) -> bool {
    abi.calls.stub.iter().all(|call| is_served(program, abi, call))
}

fn is_served(program: &[sock_filter], abi: &Abi, call: &StubCall) -> bool {
    let action =
        run(program, &Data::of(abi, call)).map(|answer| answer & libc::SECCOMP_RET_ACTION_FULL);
    match action {
        Some(libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG) => true,
        Some(libc::SECCOMP_RET_ERRNO) => call.need == Need::Optional,
        _ => false,
    }
}

/// `struct seccomp_data`, by words of 32 bits.
struct Data([u32; 16]);

impl Data {
    fn of(abi: &Abi, call: &StubCall) -> Self {
        /// A stub runs behind the kernel's vDSO. Few filters look at that.
        const INSTRUCTION_ADDR: u64 = 0x7fff_f7fc_1f80;
        let halves = |word: u64| {
            let [low, high] = [word as u32, (word >> 32) as u32];
            if cfg!(target_endian = "big") { [high, low] } else { [low, high] }
        };
        let mut words = [0; 16];
        words[0] = call.number;
        words[1] = abi.calls.audit_arch;
        words[2..4].copy_from_slice(&halves(INSTRUCTION_ADDR));
        for (index, &argument) in call.args.iter().enumerate() {
            words[4 + 2 * index..][..2].copy_from_slice(&halves(argument));
        }
        Self(words)
    }

    fn load(&self, offset: u32) -> Option<u32> {
        let index = offset.is_multiple_of(4).then_some(offset as usize / 4)?;
        self.0.get(index).copied()
    }
}

/// The answer of a classic BPF program; `None` if it is none that the kernel would take.
fn run(program: &[sock_filter], data: &Data) -> Option<u32> {
    let (mut a, mut x, mut memory) = (0u32, 0u32, [0u32; MEMORY_WORDS]);
    let mut at = 0;
    // Jumps go forward only, so this ends.
    loop {
        let instruction = program.get(at)?;
        at += 1;
        let (code, k) = (u32::from(instruction.code), instruction.k);
        let operand = if code & BPF_X != 0 { x } else { k };
        let cell = k as usize;
        match code & 7 {
            BPF_LD | BPF_LDX => {
                let value = match code & 0xe0 {
                    BPF_ABS if code & 0x18 == BPF_W => data.load(k)?,
                    BPF_IMM => k,
                    BPF_LEN => size_of::<libc::seccomp_data>() as u32,
                    BPF_MEM => *memory.get(cell)?,
                    BPF_IND => return None,
                    _ => return None,
                };
                if code & 7 == BPF_LD { a = value } else { x = value }
            }
            BPF_ST => *memory.get_mut(cell)? = a,
            BPF_STX => *memory.get_mut(cell)? = x,
            BPF_ALU => a = compute(code & 0xf0, a, operand)?,
            BPF_JMP => {
                let is_true = match code & 0xf0 {
                    BPF_JA => {
                        at = at.checked_add(k as usize)?;
                        continue;
                    }
                    BPF_JEQ => a == operand,
                    BPF_JGT => a > operand,
                    BPF_JGE => a >= operand,
                    BPF_JSET => a & operand != 0,
                    _ => return None,
                };
                at += usize::from(if is_true { instruction.jt } else { instruction.jf });
            }
            BPF_RET => return Some(if code & 0x18 == BPF_A { a } else { k }),
            BPF_MISC => match code & 0xf8 {
                BPF_TAX => x = a,
                BPF_TXA => a = x,
                _ => return None,
            },
            _ => return None,
        }
    }
}

fn compute(operation: u32, a: u32, operand: u32) -> Option<u32> {
    Some(match operation {
        BPF_ADD => a.wrapping_add(operand),
        BPF_SUB => a.wrapping_sub(operand),
        BPF_MUL => a.wrapping_mul(operand),
        BPF_DIV => a.checked_div(operand)?,
        BPF_OR => a | operand,
        BPF_AND => a & operand,
        BPF_LSH => a.checked_shl(operand)?,
        BPF_RSH => a.checked_shr(operand)?,
        BPF_NEG => a.wrapping_neg(),
        BPF_XOR => a ^ operand,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use libc::BPF_K;

    use super::*;
    use vdso_inject::arch::ABIS;

    const RETURN: u16 = (BPF_RET | BPF_K) as u16;
    const LOAD: u16 = (BPF_LD | BPF_W | BPF_ABS) as u16;
    const EQUAL: u16 = (BPF_JMP | BPF_JEQ | BPF_K) as u16;

    fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
        sock_filter { code, jt, jf, k }
    }

    /// Answers one call with `answer`, all others with `otherwise`.
    fn but_for(number: u32, answer: u32, otherwise: u32) -> Vec<sock_filter> {
        vec![
            instruction(LOAD, 0, 0, 0),
            instruction(EQUAL, 0, 1, number),
            instruction(RETURN, 0, 0, answer),
            instruction(RETURN, 0, 0, otherwise),
        ]
    }

    #[test]
    fn a_filter_that_lets_all_calls_pass_serves() {
        for abi in ABIS {
            for answer in [libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_LOG] {
                assert!(serves(&[instruction(RETURN, 0, 0, answer)], abi));
            }
        }
    }

    #[test]
    fn each_call_that_is_needed_must_pass_and_each_other_must_not_kill() {
        for abi in ABIS {
            for call in abi.calls.stub {
                for kills in [
                    libc::SECCOMP_RET_KILL_PROCESS,
                    libc::SECCOMP_RET_KILL_THREAD,
                    libc::SECCOMP_RET_TRAP,
                    libc::SECCOMP_RET_TRACE,
                ] {
                    let filter = but_for(call.number, kills, libc::SECCOMP_RET_ALLOW);
                    assert!(!serves(&filter, abi), "{call:?}");
                }
                let refuses =
                    but_for(call.number, libc::SECCOMP_RET_ERRNO | 1, libc::SECCOMP_RET_ALLOW);
                let is_needed = abi
                    .calls
                    .stub
                    .iter()
                    .any(|other| other.number == call.number && other.need == Need::Required);
                assert_eq!(serves(&refuses, abi), !is_needed, "{call:?}");
            }
            let execve =
                but_for(abi.calls.execve, libc::SECCOMP_RET_KILL_PROCESS, libc::SECCOMP_RET_ALLOW);
            assert!(serves(&execve, abi), "a stub does not exec");
        }
    }

    #[test]
    fn arguments_and_all_instructions_count() {
        let Some(abi) = ABIS.first() else { return };
        // ((2 * protection) ^ 0) >> 1 & PROT_EXEC, by memory and both registers; refuses if it is set.
        let mmap = [
            instruction(LOAD, 0, 0, 32),
            instruction((BPF_ALU | BPF_MUL | BPF_K) as u16, 0, 0, 2),
            instruction((BPF_ALU | BPF_XOR | BPF_K) as u16, 0, 0, 0),
            instruction(BPF_ST as u16, 0, 0, 3),
            instruction((BPF_LDX | BPF_MEM) as u16, 0, 0, 3),
            instruction((BPF_MISC | BPF_TXA) as u16, 0, 0, 0),
            instruction((BPF_ALU | BPF_RSH | BPF_K) as u16, 0, 0, 1),
            instruction((BPF_JMP | BPF_JA) as u16, 0, 0, 1),
            instruction(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
            instruction((BPF_JMP | BPF_JSET | BPF_K) as u16, 0, 1, libc::PROT_EXEC as u32),
            instruction(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO),
            instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let answers = |protection: i32| {
            let args = [0, 1, protection as u64, 0, 0, 0];
            let call = StubCall { number: 9, args, need: Need::Required };
            run(&mmap, &Data::of(abi, &call))
        };
        assert_eq!(answers(libc::PROT_READ), Some(libc::SECCOMP_RET_ALLOW));
        assert_eq!(answers(libc::PROT_READ | libc::PROT_EXEC), Some(libc::SECCOMP_RET_ERRNO));
    }

    #[test]
    fn what_is_no_program_is_no_answer() {
        let data = Data([0; 16]);
        for program in [
            vec![],
            vec![instruction(LOAD, 0, 0, 2), instruction(RETURN, 0, 0, 0)],
            vec![instruction(LOAD, 0, 0, 64), instruction(RETURN, 0, 0, 0)],
            vec![instruction((BPF_JMP | BPF_JA) as u16, 0, 0, u32::MAX)],
            vec![instruction((BPF_ALU | BPF_DIV | BPF_K) as u16, 0, 0, 0)],
            vec![instruction(BPF_ST as u16, 0, 0, 16)],
            vec![instruction(0xffff, 0, 0, 0)],
        ] {
            assert_eq!(run(&program, &data), None, "{program:?}");
        }
    }
}
