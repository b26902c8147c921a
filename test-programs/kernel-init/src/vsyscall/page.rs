//! Reads, writes and jumps at addresses of the page.

use core::fmt;

use vdso_vsyscall::{Access, Entry, Mode, PAGE, PAGE_ADDR, PageFault, Reaction, Segv, react};

use super::touch::{Outcome, Signal, touch};
use crate::report::Report;
use crate::system::{self, Sysno};

/// Entries, what is beside and within them, and the page's ends.
const OFFSETS: [u64; 14] =
    [0, 1, 7, 9, 0x3ff, 0x400, 0x401, 0x407, 0x800, 0x808, 0xc00, 0xc01, 0xff8, 0xfff];

pub fn run(report: &mut Report, mode: Mode) {
    for (access, name) in
        [(Access::Read, "reads"), (Access::Write, "writes"), (Access::Execute, "jumps")]
    {
        report.check(name, first_different(mode, access).map_or(Ok("14 addresses"), Err));
    }
    report.check("bytes", bytes(mode));
    report.check("bytes-of-another", bytes_of_another(mode));
}

/// What differs from what was to be expected.
struct Differs {
    addr: u64,
    expected: Reaction,
    outcome: Outcome,
}

impl fmt::Display for Differs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { addr, expected, outcome } = self;
        write!(formatter, "at {addr:#x}: {expected:x?} was expected, and {outcome:x?} is what came")
    }
}

fn first_different(mode: Mode, access: Access) -> Option<Differs> {
    for addr in OFFSETS.map(|offset| PAGE_ADDR + offset) {
        let expected = react(mode, access, addr);
        // With null pointers the functions write nothing.
        let outcome = touch(access, addr, 0x77, 0, 0);
        let is_right = match (expected, &outcome.signal) {
            (Reaction::Bytes, None) => outcome.byte == PAGE[(addr - PAGE_ADDR) as usize],
            (Reaction::Enter(_), None) => access == Access::Execute,
            (Reaction::Signal(segv), Some(signal)) => {
                // A call has pushed its return address.
                let pushed = if access == Access::Execute { -8i64 as u64 } else { 0 };
                let at_access = access != Access::Execute || signal.registers.rip == addr;
                is_like(&segv, signal)
                    && signal.registers.rsp == pushed
                    && signal.registers.rax == 0x77
                    && at_access
            }
            _ => false,
        };
        if !is_right {
            return Some(Differs { addr, expected, outcome });
        }
    }
    None
}

/// Whether a signal is what was expected.
pub fn is_like(segv: &Segv, signal: &Signal) -> bool {
    let is_same_fault = segv.page_fault.is_none_or(|fault| {
        (signal.trap, signal.error_code, signal.cr2)
            == (PageFault::TRAP, fault.error_code, segv.addr)
    });
    (segv.code.number(), segv.addr) == (signal.code, signal.addr) && is_same_fault
}

/// The whole page, where it can be read.
fn bytes(mode: Mode) -> Result<&'static str, &'static str> {
    if mode != Mode::Emulate {
        return Ok("cannot be read");
    }
    let is_there = |(addr, byte)| touch(Access::Read, addr, 0, 0, 0).byte == byte;
    if (PAGE_ADDR..).zip(PAGE).all(is_there) { Ok("4096 bytes") } else { Err("differ") }
}

/// As `process_vm_readv` has them.
fn bytes_of_another(mode: Mode) -> Result<&'static str, &'static str> {
    let mut there = [0u8; 16];
    let addr = Entry::Time.addr() as usize;
    let local = [(&raw mut there).expose_provenance(), there.len()];
    let remote = [addr, there.len()];
    // SAFETY: it takes no arguments and changes nothing.
    let pid = unsafe { system::call(Sysno::getpid, [0; 6]) }.unwrap_or(0);
    let lists = [&raw const local, &raw const remote].map(|list| list.expose_provenance());
    // SAFETY: it writes to `there`.
    let read = unsafe { system::call(Sysno::process_vm_readv, [pid, lists[0], 1, lists[1], 1, 0]) };
    let is_same = there == PAGE[Entry::Time.offset()..][..16];
    match (read, mode) {
        (Ok(16), Mode::Emulate) if is_same => Ok("16 bytes"),
        (Err(_), Mode::Xonly | Mode::None) => Ok("cannot be read"),
        _ => Err("otherwise than the process's own reads"),
    }
}
