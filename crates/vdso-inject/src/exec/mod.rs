//! Puts an image into a program that stands at its first instruction.

mod memory;
mod segments;
mod stack;

use std::os::fd::{AsFd, AsRawFd};

use nix::unistd::Pid;
use vdso_data::process::Template;

use crate::arch::{self, MemoryMap, Registers, StubData};
use crate::error::Result;
use crate::file::ImageFile;

use memory::{Memory, Protection};
use segments::Segments;
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
    /// It opens it by way of its supervisor's `/proc/PID/fd`, or asks for it.
    Request,
}

/// Makes the program `pid`, which its tracer holds at `PTRACE_EVENT_EXEC`, begin with the image.
///
/// Everything is prepared below the program's stack; a single write of less than a page then puts
/// the stub in place. Before that write nothing has happened, after it nothing more is needed: the
/// tracer may detach or die at any time.
pub fn inject(pid: Pid, payload: &Payload, by: FileBy) -> Result<()> {
    let registers = Registers::read(pid)?;
    let memory = Memory::of(pid)?;
    let stack = InitialStack::read(&memory, registers.stack_addr())?;
    let patch = Patch::at(registers.instruction_addr());
    let mut original = vec![0; patch.bytes.len()];
    memory.read(patch.addr, &mut original)?;

    let data_addr = registers.stack_addr() - arch::DATA_BELOW_STACK;
    let original_addr = data_addr + size_of::<StubData>() as u64;
    let program = Segments::of_program(&memory, &stack)?;
    let program = program.as_ref();
    // A page that is writable may hold more than its file does: copied back, not dropped.
    let is_writable = protection(&memory, &stack, program, patch.addr)? == Protection::Writable;
    let (device, inode) = payload.file.identity();
    let data = StubData {
        path: file_path(payload),
        device,
        inode,
        file_status: [0; arch::FILE_STATUS_WORDS],
        fd: match by {
            FileBy::Inheritance(fd) => i64::from(fd),
            FileBy::Request => arch::ASK_FOR_FILE,
        },
        mapping_bytes: payload.file.mapping_bytes() as u64,
        entry_offset: vdso_image::IMAGE as u64 + payload.file.entry(),
        auxv_value_addr: stack.vdso_value_addr.unwrap_or(0),
        stack_block_bytes: stack.auxv_end_addr - registers.stack_addr(),
        program_entry_addr: registers.instruction_addr(),
        restore_call: if is_writable { arch::RESTORE_BY_COPY } else { arch::RESTORE_BY_MADVISE },
        stub_page_addr: patch.addr & !(vdso_data::PAGE_BYTES as u64 - 1),
        restore_bytes: if is_writable { original.len() as u64 } else { 0 },
        patch_addr: patch.addr,
        patch_bytes: original.len() as u64,
        original_addr,
        stack_addr: registers.stack_addr(),
        memory_map: memory_map(&memory, &stack, program)?,
        process_page: process_page(payload, stack.vdso_addr),
    };
    memory.write(data_addr, &[as_bytes(&data), &original].concat())?;
    memory.write_protected(patch.addr, &patch.bytes)
}

/// Where this process's file can be opened by others of the same user, in the same namespaces.
fn file_path(payload: &Payload) -> [u8; arch::PATH_BYTES] {
    let fd = payload.file.as_fd().as_raw_fd();
    let path = format!("/proc/{}/fd/{fd}", std::process::id());
    let mut bytes = [0; arch::PATH_BYTES];
    bytes[..path.len()].copy_from_slice(path.as_bytes());
    bytes
}

/// Takes a stub away that could not do its work, and puts the program, which is stopped in the
/// stub's call for help, back to its start.
pub fn rescue(pid: Pid) -> Result<()> {
    let memory = Memory::of(pid)?;
    let mut data = [0; size_of::<StubData>()];
    memory.read(Registers::read(pid)?.stub_data_addr(), &mut data)?;
    let data = from_bytes(&data);
    let mut original = vec![0; data.patch_bytes.min(arch::MAX_PATCH_BYTES as u64) as usize];
    memory.read(data.original_addr, &mut original)?;
    memory.write_protected(data.patch_addr, &original)?;
    Registers::restart(pid, data.program_entry_addr, data.stack_addr)
}

/// Where an image is in `pid`, if the kernel gives that out as its vDSO's address by now.
pub fn announced_image(pid: Pid) -> Option<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let kernels = maps.lines().find(|line| line.ends_with("[vdso]")).and_then(|line| {
        let (start, _) = line.split_once('-')?;
        u64::from_str_radix(start, 16).ok()
    });
    announced_vdso(pid).filter(|&announced| Some(announced) != kernels)
}

fn announced_vdso(pid: Pid) -> Option<u64> {
    let vector = std::fs::read(format!("/proc/{pid}/auxv")).ok()?;
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).ok();
    vector
        .chunks_exact(stack::ENTRY_BYTES as usize)
        .find(|entry| word(&entry[..8]) == Some(libc::AT_SYSINFO_EHDR))
        .and_then(|entry| word(&entry[8..]))
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
    // SAFETY: both are as long, and the page is made of integers without padding between them.
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

fn from_bytes(bytes: &[u8; size_of::<StubData>()]) -> StubData {
    // SAFETY: any bytes are integers; the read does not rely on alignment.
    unsafe { bytes.as_ptr().cast::<StubData>().read_unaligned() }
}

/// What `PR_SET_MM_MAP` is told: all as it is, but for the auxiliary vector, which it copies anew
/// from the stack. The stub fills in the heap, which it can ask for.
fn memory_map(memory: &Memory, stack: &InitialStack, program: Option<&Segments>) -> Result<MemoryMap> {
    let extents = match program {
        Some(program) => program.extents(),
        None => memory.extents()?,
    };
    // Costly, and so only where speed does not count.
    debug_assert_eq!(Some(extents), memory.extents().ok());
    // An entry that has to be added moves the stack down by its size.
    let added = if stack.vdso_value_addr.is_some() { 0 } else { stack::ENTRY_BYTES };
    Ok(MemoryMap {
        start_code: extents.start_code,
        end_code: extents.end_code,
        start_data: extents.start_data,
        end_data: extents.end_data,
        start_brk: 0,
        brk: 0,
        start_stack: stack.addr - added,
        arg_start: stack.arguments_addr,
        arg_end: stack.environment_addr,
        env_start: stack.environment_addr,
        env_end: stack.file_name_addr,
        auxv: stack.auxv_addr - added,
        auxv_size: (stack.auxv_end_addr - stack.auxv_addr + added) as u32,
        exe_fd: -1,
    })
}

/// The protection of the page that the stub is written to.
fn protection(memory: &Memory, stack: &InitialStack, program: Option<&Segments>, addr: u64) -> Result<Protection> {
    let in_program = program.and_then(|program| program.protection(addr));
    if let Some(protection) = in_program {
        return Ok(protection);
    }
    if stack.interpreter_addr != 0
        && let Some(interpreter) = Segments::of_file(memory, stack.interpreter_addr)?
        && let Some(protection) = interpreter.protection(addr)
    {
        return Ok(protection);
    }
    memory.protection(addr)
}
