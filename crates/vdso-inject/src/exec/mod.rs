//! Puts an image into a program that stands at its first instruction.

mod memory;
mod stack;

use nix::unistd::Pid;
use vdso_data::process::Template;

use crate::arch::{self, MemoryMap, Registers, StubData};
use crate::error::Result;
use crate::file::ImageFile;

use memory::{Memory, Protection};
use stack::InitialStack;

/// What is put into programs, the same for each.
#[derive(Debug)]
pub struct Payload {
    /// The image and its page.
    pub file: ImageFile,
    /// For the process pages.
    pub template: Template,
}

/// How a stub comes by a descriptor of the image's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileBy {
    /// The program has it already, under this number, and loses it.
    Inheritance(i32),
    /// It asks its supervisor.
    Request,
}

/// What must be undone if the stub fails.
#[derive(Clone, Debug)]
pub struct Injected {
    entry_addr: u64,
    stack_addr: u64,
    patch_addr: u64,
    original: Vec<u8>,
}

/// Makes the program `pid`, which its tracer holds at `PTRACE_EVENT_EXEC`, begin with the image.
///
/// Everything is prepared below the program's stack; a single write of less than a page then puts
/// the stub in place. Before that write nothing has happened, after it nothing more is needed.
pub fn inject(pid: Pid, payload: &Payload, by: FileBy) -> Result<Injected> {
    let registers = Registers::read(pid)?;
    let memory = Memory::of(pid)?;
    let stack = InitialStack::read(&memory, registers.stack_addr())?;
    let entry_addr = registers.instruction_addr();
    let patch = Patch::at(entry_addr);
    let mut original = vec![0; patch.bytes.len()];
    memory.read(patch.addr, &mut original)?;
    let data_addr = registers.stack_addr() - arch::DATA_BELOW_STACK;
    let mut data = StubData {
        fd: match by {
            FileBy::Inheritance(fd) => i64::from(fd),
            FileBy::Request => arch::ASK_FOR_FILE,
        },
        mapping_bytes: payload.file.mapping_bytes() as u64,
        entry_offset: vdso_image::IMAGE as u64 + payload.file.entry(),
        auxv_value_addr: stack.vdso_value_addr.unwrap_or(0),
        stack_block_bytes: stack.auxv_end_addr - registers.stack_addr(),
        program_entry_addr: entry_addr,
        restore_call: arch::RESTORE_BY_MADVISE,
        stub_page_addr: patch.addr & !(vdso_data::PAGE_BYTES as u64 - 1),
        restore_bytes: 0,
        restore_to_addr: 0,
        restore_from_addr: 0,
        memory_map: memory_map(&memory, &stack)?,
        process_page: process_page(payload, stack.vdso_addr),
    };
    if memory.protection(entry_addr)? == Protection::Writable {
        // The page may hold more than its file does: copy instead of dropping it.
        data.restore_call = arch::RESTORE_BY_COPY;
        data.restore_bytes = original.len() as u64;
        data.restore_to_addr = patch.addr;
        data.restore_from_addr = data_addr + size_of::<StubData>() as u64;
        memory.write(data.restore_from_addr, &original)?;
    }
    memory.write(data_addr, as_bytes(&data))?;
    memory.write_protected(patch.addr, &patch.bytes)?;
    Ok(Injected { entry_addr, stack_addr: registers.stack_addr(), patch_addr: patch.addr, original })
}

/// Takes a stub away that could not do its work, and puts the stopped program back to its start.
pub fn rescue(pid: Pid, injected: &Injected) -> Result<()> {
    let memory = Memory::of(pid)?;
    memory.write_protected(injected.patch_addr, &injected.original)?;
    Registers::restart(pid, injected.entry_addr, injected.stack_addr)
}

/// Where the stub goes: on one page, so that it is written at once, and so that the program comes
/// to it by itself.
struct Patch {
    addr: u64,
    bytes: Vec<u8>,
}

impl Patch {
    fn at(entry_addr: u64) -> Self {
        let stub = arch::stub();
        let page_bytes = vdso_data::PAGE_BYTES as u64;
        let left = page_bytes - entry_addr % page_bytes;
        if stub.len() as u64 <= left {
            return Self { addr: entry_addr, bytes: stub.to_vec() };
        }
        // In front of the entry, which jumps back to it. Only an entry within the last bytes of a
        // page is written in two parts.
        let addr = entry_addr - stub.len() as u64;
        let mut bytes = stub.to_vec();
        bytes.extend(arch::jump(entry_addr, addr));
        Self { addr, bytes }
    }
}

fn process_page(payload: &Payload, vdso_addr: u64) -> [u64; arch::PROCESS_PAGE_WORDS] {
    let page = payload.template.page_for(vdso_addr);
    let mut words = [0; arch::PROCESS_PAGE_WORDS];
    // SAFETY: both are as long, and a page is plain words without padding that matters.
    unsafe {
        std::ptr::copy_nonoverlapping(
            (&raw const page).cast::<u64>(),
            words.as_mut_ptr(),
            arch::PROCESS_PAGE_WORDS,
        );
    }
    words
}

fn as_bytes(data: &StubData) -> &[u8] {
    // SAFETY: made of integers in C's layout, with no padding between them.
    unsafe { std::slice::from_raw_parts((&raw const *data).cast(), size_of::<StubData>()) }
}

/// What `PR_SET_MM_MAP` is told: all as it is, but for the auxiliary vector, which it copies anew
/// from the stack.
fn memory_map(memory: &Memory, stack: &InitialStack) -> Result<MemoryMap> {
    let stat = memory.stat()?;
    // An entry that has to be added moves the stack down by its size.
    let added = if stack.vdso_value_addr.is_some() { 0 } else { stack::ENTRY_BYTES };
    Ok(MemoryMap {
        start_code: stat.start_code,
        end_code: stat.end_code,
        start_data: stat.start_data,
        end_data: stat.end_data,
        start_brk: stat.start_brk,
        // A program that has not run has no heap yet.
        brk: stat.start_brk,
        start_stack: stat.start_stack - added,
        arg_start: stat.arg_start,
        arg_end: stat.arg_end,
        env_start: stat.env_start,
        env_end: stat.env_end,
        auxv: stack.auxv_addr - added,
        auxv_size: (stack.auxv_end_addr - stack.auxv_addr + added) as u32,
        exe_fd: -1,
    })
}
