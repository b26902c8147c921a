//! What an access to the page is: the first decision, made where a program's access faults, or would.

use crate::{Entry, Mode, PageFault, Segv, contains};

/// What a program did at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It read.
    Read,
    /// It wrote.
    Write,
    /// It jumped or called there, so the address is that of the next instruction.
    Execute,
}

/// What a kernel makes of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// The address is not in the page.
    Elsewhere,
    /// The program reads [`PAGE`](crate::PAGE).
    Bytes,
    /// A function is called: [`Entry::call`] is next.
    Enter(Entry),
    /// It is refused; all registers are as they were.
    Signal(Segv),
}

/// What a kernel in this mode makes of an access at this address.
///
/// An access that covers several bytes is one at the first of them that faults, as the processor has it. Accesses of others to a
/// program's page (`ptrace`, `process_vm_readv`, `/proc/PID/mem`) are as the program's own: the bytes in
/// [`Mode::Emulate`], an error otherwise; nobody can write there.
#[must_use]
pub const fn react(mode: Mode, access: Access, addr: u64) -> Reaction {
    if !contains(addr) {
        return Reaction::Elsewhere;
    }
    match (access, mode) {
        (Access::Read, Mode::Emulate) => Reaction::Bytes,
        (Access::Read, _) => Reaction::Signal(Segv::of_kernel_address(addr, 0)),
        (Access::Write, _) => Reaction::Signal(Segv::of_kernel_address(addr, PageFault::WRITE)),
        (Access::Execute, Mode::None) => {
            Reaction::Signal(Segv::of_kernel_address(addr, PageFault::FETCH))
        }
        (Access::Execute, _) => match Entry::at(addr) {
            Some(entry) => Reaction::Enter(entry),
            // Only whole functions are there to be called.
            None => Reaction::Signal(Segv::FORCED),
        },
    }
}
