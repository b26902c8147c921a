//! A call of one of the page's functions, from its entry to its return.
//!
//! The kernel stands in for the code in the page: it makes the system call and then returns for the program. It is no
//! system call on the way in: tracers see no syscall-stop, `orig_rax` stays -1, syscall user dispatch does not apply, and
//! nothing is restarted after a signal, as none of the three calls waits. Only seccomp filters are asked, as if the system call
//! had been made from the entry itself.

use crate::{Entry, Fault, Segv};

/// The registers that a call looks at or changes. All others, RCX, R11 and the flags among them, stay as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// The result.
    pub rax: u64,
    /// The first argument.
    pub rdi: u64,
    /// The second argument.
    pub rsi: u64,
    /// The stack pointer: at the address to return to.
    pub rsp: u64,
    /// The next instruction.
    pub rip: u64,
}

/// What is known of a program's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserMemory {
    /// The 64-bit word that the stack pointer points to; `None` if it cannot be read.
    pub return_addr: Option<u64>,
    /// Behind the last address that the kernel takes for a program's: `TASK_SIZE_MAX`, 0x7fff_ffff_f000 with four levels of page
    /// tables. Linux 6.4 to 6.11 take the whole lower half, 1 << 63.
    pub end_addr: u64,
}

/// A call whose stack and pointers have been found good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    entry: Entry,
    registers: Registers,
    return_addr: u64,
}

impl Entry {
    /// Begins a call of this function: where to return to is read from the stack, and results must not go where no program
    /// has memory. A null pointer is a result that is not asked for. Whether memory is there is seen when the system call
    /// writes ([`Call::made`]).
    pub fn call(self, registers: Registers, memory: UserMemory) -> Result<Call, Fault> {
        let registers = Registers { rip: self.addr(), ..registers };
        let Some(return_addr) = memory.return_addr else {
            return Err(Fault { segv: Segv::FORCED, registers });
        };
        let pointers = [registers.rdi, registers.rsi].into_iter().zip(self.result_bytes());
        for (pointer, bytes) in pointers.filter(|&(_, bytes)| bytes != 0) {
            let end = pointer.checked_add(bytes);
            if end.is_none_or(|end| end > memory.end_addr) {
                return Err(Fault { segv: Segv::of_pointer(pointer), registers });
            }
        }
        Ok(Call { entry: self, registers, return_addr })
    }
}

/// What seccomp filters, and tracers that they call, have made of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// It may be made: `SECCOMP_RET_ALLOW`, `_LOG`, `_USER_NOTIF` that is continued, and `_TRACE` when the tracer has let it
    /// go on. Without a filter it is this, too.
    Allowed {
        /// The system call's number, which a tracer can change: `orig_rax`.
        number: u64,
        /// RIP, likewise.
        rip: u64,
    },
    /// It is not made, and the program goes on: `SECCOMP_RET_ERRNO`, `_USER_NOTIF` that is answered, `_TRAP`, and `_TRACE` when
    /// the tracer has made the number -1, or there is no tracer.
    Skipped {
        /// The result: an error as a negative number, what the tracer or the listener chose; and with `SECCOMP_RET_TRAP`
        /// the number of the system call. The SIGSYS of that one has the entry as `si_call_addr`, and is delivered behind the
        /// return.
        rax: u64,
        /// RIP, which a tracer can change.
        rip: u64,
    },
}

/// What comes after a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFilter {
    /// The system call is made; [`Call::made`] is next.
    Make,
    /// The program goes on with these registers.
    Return(Registers),
    /// The program ends by SIGSYS, whatever it does with that: another system call, or one from elsewhere, cannot be made in
    /// place of this one. A tracer that wants this changes the registers at a stop of its own.
    End,
}

impl Call {
    /// The function that is called.
    #[must_use]
    pub const fn entry(&self) -> Entry {
        self.entry
    }

    /// The system call's number, as a filter sees it.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.entry.number()
    }

    /// The arguments of the system call. A filter sees all six registers as they are; here getcpu's third is null, whatever
    /// RDX has.
    #[must_use]
    pub const fn arguments(&self) -> [u64; 3] {
        [self.registers.rdi, self.registers.rsi, 0]
    }

    /// The registers that a filter, and a tracer that it calls, see: RIP is the entry, and RAX is `-ENOSYS`.
    #[must_use]
    pub const fn seen_by_filter(&self) -> Registers {
        Registers { rax: negative(ENOSYS), ..self.registers }
    }

    /// What is next, after a filter has said what it makes of the call.
    #[must_use]
    pub const fn after_filter(&self, filtered: Filtered) -> AfterFilter {
        match filtered {
            Filtered::Allowed { number, rip }
                if number == self.number() as u64 && rip == self.entry.addr() =>
            {
                AfterFilter::Make
            }
            Filtered::Skipped { rax, rip } if rip == self.entry.addr() => {
                AfterFilter::Return(self.returned(rax))
            }
            _ => AfterFilter::End,
        }
    }

    /// Ends the call with what the system call gave: a result, or an error as a negative number. `-EFAULT`, which a
    /// function in user space could not give, is a signal as it would be there, without an address; what was written
    /// before stays.
    pub const fn made(&self, result: i64) -> Result<Registers, Fault> {
        if result == -EFAULT {
            return Err(Fault { segv: Segv::FORCED, registers: self.seen_by_filter() });
        }
        Ok(self.returned(result as u64))
    }

    /// As the function's `ret` would leave the registers.
    const fn returned(&self, rax: u64) -> Registers {
        let rsp = self.registers.rsp.wrapping_add(8);
        Registers { rax, rsp, rip: self.return_addr, ..self.registers }
    }
}

/// Source: `include/uapi/asm-generic/errno-base.h`, `errno.h`.
const EFAULT: i64 = 14;
const ENOSYS: i64 = 38;

const fn negative(errno: i64) -> u64 {
    (-errno) as u64
}
