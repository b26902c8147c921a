//! What is the same on every architecture about the code that a program executes before its first own
//! instruction.
//!
//! At the end of `execve` a program stands at its first instruction, with empty registers and no
//! signal handlers. The stub has two stages. The first is put somewhere into the program's memory;
//! it gets the image's file, maps it and jumps into it. The second comes with that file, on a page of
//! its own behind the image: it builds the rest of the mapping, announces the image, takes the first
//! stage away, and leaves through the image's entry point, which takes the second one away. The
//! tracer has nothing to do after the one step that makes the program execute the first stage: if
//! it dies, the program goes on.
//!
//! Nothing is mapped that has not been checked. The stub makes a descriptor of its own, which cannot be
//! mapped; the supervisor puts the image's file in its place; and the stub looks whether that file is
//! there ([`Identity`]), whatever it was answered. If anything fails it asks to be taken away, and if
//! nobody does that it unmaps what it has mapped and starts the program by itself.
//!
//! What the stages work on lies below the stack pointer, where nobody reads until the program has
//! pushed something there: [`StubData`], wiped before the program starts. Their instructions are in
//! [`arch`](crate::arch).

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_data::PAGE_BYTES;
use vdso_data::process::ProcessPage;

use crate::error::{Attempt, Error};
use vdso_map::Identity;

/// How far below the stack pointer [`StubData`] lies.
pub const DATA_BELOW_STACK: u64 = 2 * PAGE_BYTES as u64;

/// First argument of the `prctl` by which a stub talks to the supervisor: "vdso" in ASCII, which is
/// no option of the kernel's. The fourth argument is always the token that [`inject`] was given.
///
/// [`inject`]: crate::exec::inject
pub const REQUEST: u32 = u32::from_be_bytes(*b"vdso");
/// Second argument: put the image's file in the place of the descriptor that the third one names, and
/// answer. To do so twice is as good.
pub const REQUEST_FILE: u64 = 0;
/// Second argument: the image is not in place; take the stub away. The third says why: [`failure`].
pub const REQUEST_RESCUE: u64 = 1;
/// Second argument: the image is in place; the third is its address.
pub const REQUEST_ANNOUNCE: u64 = 2;

/// Second argument: as [`REQUEST_FILE`], of the file of counts.
pub const REQUEST_COUNTS: u64 = 3;

/// What a stub was about when it gave up: in the upper half of the 32 bits that it gives as the reason.
/// The lower half is the errno of the call that failed, or zero.
pub(crate) mod step {
    /// Making a descriptor.
    pub const DESCRIPTOR: u32 = 1 << 16;
    /// Asking for the image's file.
    pub const ANSWER: u32 = 2 << 16;
    /// Looking at the file.
    pub const LOOK: u32 = 3 << 16;
    /// Comparing it with the image's.
    pub const COMPARE: u32 = 4 << 16;
    /// Mapping it, and what belongs to it.
    pub const MAP: u32 = 5 << 16;
    /// Giving the program back its first instructions.
    pub const UNCOVER: u32 = 6 << 16;
}

/// Why the stub of process `pid` gave up: the third argument of its [`REQUEST_RESCUE`].
pub fn failure(pid: Pid, reason: u64) -> Error {
    let reason = reason as u32;
    let attempt = match reason & 0xffff_0000 {
        step::DESCRIPTOR => Attempt::MakeDescriptor,
        step::ANSWER => Attempt::GiveFile,
        step::LOOK => Attempt::CheckFile,
        step::COMPARE => return Error::AnotherFile { pid },
        step::UNCOVER => Attempt::Uncover,
        _ => Attempt::Map,
    };
    match (attempt, Errno::from_raw((reason & 0xffff) as i32)) {
        // None, or one of the kernel's own, by which it says that the request was interrupted.
        (Attempt::GiveFile, Errno::UnknownErrno) => Error::NoAnswer { pid },
        // Not `Error::on`: to the stub, whatever it is told, its process is not gone.
        (attempt, errno) => Error::System { attempt, pid: Some(pid), errno },
    }
}

/// The machine code of a stub, between symbols of one piece of read-only data, in this order.
///
/// Nobody else makes one, as what is between is read:
///
/// ```compile_fail,E0451
/// use std::ptr::{null, without_provenance};
///
/// use vdso_inject::stub::{Stub, WithoutEntry};
///
/// let nothing = null();
/// let stub = Stub {
///     first_stage: without_provenance(1),
///     with_file: nothing,
///     give_up: nothing,
///     leave: nothing,
///     second_stage: without_provenance(1 << 20),
///     end: nothing,
///     without_entry: WithoutEntry::Fails,
/// };
/// println!("{:?}", stub.first_stage());
/// ```
#[derive(Debug)]
pub struct Stub {
    /// The first stage; it runs at any address.
    pub(crate) first_stage: *const u8,
    /// Where in the first stage a program starts that has the file's descriptor.
    pub(crate) with_file: *const u8,
    /// Where in the first stage the second one goes when it fails.
    pub(crate) give_up: *const u8,
    /// The end of the first stage, which runs at any other address, too: starts the program.
    pub(crate) leave: *const u8,
    /// The second stage; it runs at any address.
    pub(crate) second_stage: *const u8,
    /// Behind it.
    pub(crate) end: *const u8,
    /// What it can do about an auxiliary vector that has no entry for a vDSO.
    pub(crate) without_entry: WithoutEntry,
}

/// What a stub can do about an auxiliary vector that has no entry for a vDSO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutEntry {
    /// Add one.
    Adds,
    /// Nothing: it must not be used there.
    Fails,
}

// SAFETY: what the pointers bound never changes, and nobody else makes one.
unsafe impl Sync for Stub {}

impl Stub {
    /// What is written into a program.
    pub fn first_stage(&self) -> &'static [u8] {
        between(self.first_stage, self.second_stage)
    }

    /// What comes with the image's file.
    pub fn second_stage(&self) -> &'static [u8] {
        between(self.second_stage, self.end)
    }

    /// Where a program starts, from the first stage's beginning.
    pub fn start(&self, file: Option<i32>) -> u64 {
        if file.is_some() { self.offset(self.with_file) } else { 0 }
    }

    /// Where `give_up` is, from the first stage's beginning.
    pub fn give_up_offset(&self) -> u64 {
        self.offset(self.give_up)
    }

    /// Where `leave` is, from the first stage's beginning.
    pub fn leave_offset(&self) -> u64 {
        self.offset(self.leave)
    }

    fn offset(&self, part: *const u8) -> u64 {
        (part.addr() - self.first_stage.addr()) as u64
    }
}

fn between(start: *const u8, end: *const u8) -> &'static [u8] {
    // SAFETY: a stub's symbols bound one piece of read-only data, in this order.
    unsafe { std::slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// More than any first stage.
pub const MAX_FIRST_STAGE_BYTES: usize = 640;

/// What a stub works on. Written by the tracer, all but what says otherwise. What the first stage uses
/// comes first, where short instructions reach it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct StubData {
    /// By which the supervisor knows the stub's requests.
    pub token: u64,
    /// The descriptor of the image's file. Written by the stub, unless the program has inherited it.
    pub file: u64,
    /// What the request for the file was answered. Written by the stub.
    pub answer: u64,
    /// What the stub is about, a number of [`failure`]'s. Written by the stub where it has no register for it.
    pub step: u64,
    /// Where the mapping is, zero until there is one. Written by the stub.
    pub mapping_addr: u64,
    /// Size of the whole mapping.
    pub mapping_bytes: u64,
    /// The second stage, from the mapping's start.
    pub second_stage_offset: u64,
    /// Where in the file the mapping begins.
    pub file_offset: u64,
    /// Which file it must be.
    pub identity: Identity,
    /// Not zero: the first stage lies over code of the program's own.
    pub covers: u64,
    /// The page with the first stage, if its changed copy is to be dropped; else zero, and the bytes
    /// are copied back.
    pub dropped_page_addr: u64,
    /// Where the program starts.
    pub program_entry_addr: u64,
    /// Where the stub's `give_up` is.
    pub give_up_addr: u64,
    /// Where the stub's `leave` is.
    pub leave_addr: u64,
    /// How long that is.
    pub leave_bytes: u64,
    /// What the kernel says of the file: its `struct stat`. Written by the stub.
    pub status: [u64; STATUS_WORDS],
    /// The page of clocks, from the mapping's start.
    pub own_page_offset: u64,
    /// The process page, from the mapping's start.
    pub process_page_offset: u64,
    /// The image's entry point, from the mapping's start.
    pub entry_offset: u64,
    /// Address of the value of `AT_SYSINFO_EHDR`; zero if there is none and one must be added.
    pub auxv_value_addr: u64,
    /// Bytes from the stack pointer to the end of the auxiliary vector.
    pub stack_block_bytes: u64,
    /// The stack pointer before the stub.
    pub stack_addr: u64,
    /// Where the first stage is.
    pub first_stage_addr: u64,
    /// How long it is.
    pub first_stage_bytes: u64,
    /// Where what was there before is kept.
    pub original_addr: u64,
    /// Not zero: tell the supervisor when the image is in place.
    pub announces: u64,
    /// Where in the mapping the program's table of blocks is to be, with the counts behind it; zero if nothing is counted.
    pub counting_offset: u64,
    /// Which file the counts must be.
    pub counts_identity: Identity,
    /// For `PR_SET_MM_MAP`.
    pub memory_map: MemoryMap,
    /// The process page, but for the addresses within it where they are zero.
    pub process_page: [u64; PROCESS_PAGE_WORDS],
}

/// Words of the largest `struct stat`, that of x86-64.
const STATUS_WORDS: usize = 18;

/// Words of a process page that are worth copying.
pub const PROCESS_PAGE_WORDS: usize = size_of::<ProcessPage>() / 8;

/// `struct prctl_mm_map` of `include/uapi/linux/prctl.h`, as a 64-bit kernel has it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct MemoryMap {
    pub start_code: u64,
    pub end_code: u64,
    pub start_data: u64,
    pub end_data: u64,
    pub start_brk: u64,
    pub brk: u64,
    pub start_stack: u64,
    pub arg_start: u64,
    pub arg_end: u64,
    pub env_start: u64,
    pub env_end: u64,
    pub auxv: u64,
    pub auxv_size: u32,
    pub exe_fd: i32,
}

impl MemoryMap {
    /// As the kernel reads it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: made of integers in C's layout, with no padding between them.
        unsafe { std::slice::from_raw_parts((&raw const *self).cast(), size_of::<Self>()) }
    }
}

// The data, and the original code behind it, must not reach up to what the image's entry keeps right
// below the stack pointer.
const _: () = assert!(
    size_of::<StubData>() + MAX_FIRST_STAGE_BYTES < DATA_BELOW_STACK as usize - 128,
    "a stub's data is too large"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::ABIS;

    #[test]
    fn every_stub_is_in_order_and_fits() {
        for abi in ABIS {
            let Some(stub) = &abi.stub else { continue };
            let parts = [
                stub.first_stage,
                stub.with_file,
                stub.give_up,
                stub.leave,
                stub.second_stage,
                stub.end,
            ];
            assert!(parts.is_sorted_by_key(|part| part.addr()), "{}", abi.name);
            assert!(stub.first_stage().len() <= MAX_FIRST_STAGE_BYTES, "{}", abi.name);
            assert!(stub.second_stage().len() <= PAGE_BYTES, "{}", abi.name);
            // What is copied word by word.
            assert_eq!(stub.first_stage().len() % 8, 0, "{}", abi.name);
        }
    }

    #[test]
    fn the_reason_names_what_failed() {
        let pid = Pid::from_raw(7);
        for (reason, words) in [
            (
                step::DESCRIPTOR | 24,
                "cannot make a descriptor for the image (process 7): Too many open files",
            ),
            (step::ANSWER, "process 7 was given no descriptor of the image"),
            (
                step::ANSWER | 38,
                "cannot give the program a descriptor of the image (process 7): Function not implemented",
            ),
            (step::LOOK | 9, "cannot look at the image's descriptor (process 7): Bad file number"),
            (step::COMPARE, "process 7 was given another file than the image, and has not used it"),
            (step::MAP | 12, "cannot map the image (process 7): Out of memory"),
            (step::MAP | 3, "cannot map the image (process 7): No such process"),
        ] {
            assert_eq!(failure(pid, reason.into()).to_string(), words);
        }
    }
}
