//! What is the same on every architecture about the code that a program executes before its first own
//! instruction.
//!
//! At the end of `execve` a program stands at its first instruction, with empty registers and no
//! signal handlers. The stub has two stages. The first is put somewhere into the program's memory;
//! it maps the image's file and jumps into it. The second comes with that file, on a page of its
//! own behind the image: it builds the rest of the mapping, announces the image, takes the first
//! stage away, and leaves through the image's entry point, which takes the second one away. The
//! tracer has nothing to do after the one step that makes the program execute the first stage: if
//! it dies, the program goes on.
//!
//! What the stages work on lies below the stack pointer, where nobody reads until the program has
//! pushed something there: [`StubData`]. Their instructions are in [`arch`](crate::arch).

use vdso_data::PAGE_BYTES;
use vdso_data::process::ProcessPage;

/// How far below the stack pointer [`StubData`] lies.
pub const DATA_BELOW_STACK: u64 = 2 * PAGE_BYTES as u64;

/// First argument of the `prctl` by which a stub talks to the supervisor: "vdso" in ASCII, which is
/// no option of the kernel's.
pub const REQUEST: u32 = u32::from_be_bytes(*b"vdso");
/// Second argument: answer with a descriptor of the image's file.
pub const REQUEST_FILE: u64 = 0;
/// Second argument: the image could not be mapped; take the stub away. The third is the error.
pub const REQUEST_RESCUE: u64 = 1;
/// Second argument: the image is in place; the third is its address.
pub const REQUEST_ANNOUNCE: u64 = 2;

/// The machine code of a stub, between symbols of one piece of read-only data.
#[derive(Debug)]
pub struct Stub {
    /// The first stage; it runs at any address.
    pub first_stage: *const u8,
    /// Where in the first stage a program starts that has the file's descriptor.
    pub with_file: *const u8,
    /// The second stage; it runs at any address.
    pub second_stage: *const u8,
    /// Behind it.
    pub end: *const u8,
    /// What it can do about an auxiliary vector that has no entry for a vDSO.
    pub without_entry: WithoutEntry,
}

/// What a stub can do about an auxiliary vector that has no entry for a vDSO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutEntry {
    /// Add one.
    Adds,
    /// Nothing: it must not be used there.
    Fails,
}

// SAFETY: what the pointers bound never changes.
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
        let with_file = self.with_file.addr() - self.first_stage.addr();
        if file.is_some() { with_file as u64 } else { 0 }
    }
}

fn between(start: *const u8, end: *const u8) -> &'static [u8] {
    // SAFETY: a stub's symbols bound one piece of read-only data, in this order.
    unsafe { std::slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// More than any first stage.
pub const MAX_FIRST_STAGE_BYTES: usize = 128;

/// What the first stage works on.
#[derive(Clone, Copy, Debug)]
pub struct FirstStage {
    /// Where it is.
    pub addr: u64,
    /// Descriptor of the image's file in the program; without it, it is asked for.
    pub file: Option<i32>,
    /// Where in the file the mapping begins.
    pub file_offset: u64,
    /// The number of the system call by which it asks.
    pub prctl: u32,
    /// Size of the whole mapping.
    pub mapping_bytes: u64,
    /// The second stage, from the mapping's start.
    pub second_stage_offset: u64,
    /// Where its [`StubData`] is.
    pub data_addr: u64,
}

/// What a stub works on. Written by the tracer.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct StubData {
    /// Size of the whole mapping.
    pub mapping_bytes: u64,
    /// The second stage, from the mapping's start.
    pub second_stage_offset: u64,
    /// The page of clocks, from the mapping's start.
    pub own_page_offset: u64,
    /// The process page, from the mapping's start.
    pub process_page_offset: u64,
    /// Where the mapping is, for a stub that has no register to keep it in.
    pub mapping_addr: u64,
    /// The file's descriptor, likewise.
    pub file: u64,
    /// The image's entry point, from the mapping's start.
    pub entry_offset: u64,
    /// Address of the value of `AT_SYSINFO_EHDR`; zero if there is none and one must be added.
    pub auxv_value_addr: u64,
    /// Bytes from the stack pointer to the end of the auxiliary vector.
    pub stack_block_bytes: u64,
    /// The stack pointer before the stub.
    pub stack_addr: u64,
    /// Where the program starts.
    pub program_entry_addr: u64,
    /// Where the first stage is.
    pub first_stage_addr: u64,
    /// How long it is.
    pub first_stage_bytes: u64,
    /// Where what was there before is kept.
    pub original_addr: u64,
    /// The page with the first stage, if its changed copy is to be dropped; else zero, and the bytes
    /// are copied back.
    pub dropped_page_addr: u64,
    /// Not zero: tell the supervisor when the image is in place.
    pub announces: u64,
    /// For `PR_SET_MM_MAP`.
    pub memory_map: MemoryMap,
    /// The process page, but for the addresses within it where they are zero.
    pub process_page: [u64; PROCESS_PAGE_WORDS],
}

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

// The data, and the original code behind it, must not reach up to what the image's entry keeps right
// below the stack pointer.
const _: () = assert!(
    size_of::<StubData>() + MAX_FIRST_STAGE_BYTES < DATA_BELOW_STACK as usize - 128,
    "a stub's data is too large"
);
