//! Puts an image into a program that stands at its first instruction, or has begun to run.

mod companion;
pub(crate) mod mapping;
mod memory;
mod probe;
pub(crate) mod remote;
pub(crate) mod running;
mod segments;
mod site;
mod stack;

use std::mem::offset_of;

use vdso_data::process::{ProcessPage, Template};
use vdso_host::proc::maps;
use vdso_map::{COUNTING_BYTES, CountsFile, Identity, has_thread_pointer};

use crate::arch::{ABIS, Abi};
use crate::detour::Detours;
use crate::error::{Error, Result};
use crate::file::ProgramFile;
use crate::ptrace::Stopped;
use crate::stub::{
    DATA_BELOW_STACK, MAX_FIRST_STAGE_BYTES, MemoryMap, PROCESS_PAGE_WORDS, Stub, StubData,
};

pub use companion::{Companion, CompanionFile, DataPages, KernelVdso, Make};
pub use memory::Memory;
pub use probe::Probe;
pub use remote::Kept;
pub use running::{Memo, Repaired, inject_running, stands_at_its_start};
use segments::Segments;
use site::{Covers, Program, Site};
use stack::{InitialStack, Words};

/// What is put into programs, the same for each.
#[derive(Debug)]
pub struct Payload {
    /// The image and its page.
    pub file: ProgramFile,
    /// What each program's process page is made from.
    pub template: Template,
    /// Unused room in the kernel's vDSO, from its start; see [`find_padding`].
    pub padding: Option<u64>,
    /// Which calls programs report, to have them made by the image.
    pub detours: Detours,
    /// Where programs count their calls, if the image is one that does.
    pub counts: Option<CountsFile>,
    /// For programs of other kinds; those that have none here run untouched.
    pub companions: Vec<Companion>,
}

/// How a stub comes by a descriptor of the image's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileBy {
    /// The program has it already, under this number, and loses it.
    Inheritance(i32),
    /// It asks its supervisor.
    Request,
}

/// Whether a program tells when the image is in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announce {
    /// It does not: one call less.
    No,
    /// It does, if there is a supervisor that listens.
    ToSupervisor,
}

/// Makes the program that `thread`, stopped at [`Stop::Exec`](crate::ptrace::Stop::Exec), is about to execute
/// begin with the image.
///
/// Everything is prepared where the program does not look; a single step, the write of its
/// registers, then makes it execute the stub. Before that step nothing has happened, after it
/// nothing more is needed: the tracer may detach or die at any time.
///
/// The stub's requests come with `token`, or with its lower half from a program of 32 bits
/// ([`Abi::token`](crate::arch::Abi::token)). The program's own code cannot find it out.
pub fn inject(
    thread: &mut Stopped,
    payload: &Payload,
    by: FileBy,
    announce: Announce,
    token: u64,
) -> Result<()> {
    let (pid, registers, memory) = (thread.tid(), thread.registers()?, thread.memory());
    let mut words = Words::new(&memory, registers.stack_addr())?;
    let abi = registers.abi(words.first_bytes()?);
    let Some(stub) = &abi.stub else {
        return Err(Error::Foreign { pid, abi: abi.name });
    };
    let stack = InitialStack::read(&mut words, abi.word)?;
    let payload = payload.for_program(abi, &memory, stack.vdso_addr, by)?;
    let segments = Segments::of_program(&memory, &stack)?;
    let program = Program {
        registers: &registers,
        memory: &memory,
        stack: &stack,
        segments: segments.as_ref(),
    };
    let site = Site::choose(payload, stub, &program)?;
    let file = match by {
        FileBy::Inheritance(fd) => Some(fd),
        FileBy::Request => None,
    };
    let data_addr = registers.stack_addr() - DATA_BELOW_STACK;
    let data = StubData {
        token: abi.token(token),
        file: file.unwrap_or_default() as u64,
        announces: u64::from(announce == Announce::ToSupervisor),
        program_entry_addr: registers.instruction_addr(),
        original_addr: data_addr + size_of::<StubData>() as u64,
        memory_map: memory_map(&memory, &stack, segments.as_ref())?,
        ..stub_data(payload, stub, &stack, &site)
    };
    let data = with_counts(data, payload);
    thread.write(data_addr, &[as_bytes(&data), &site.original].concat())?;
    thread.write_anywhere(site.addr, stub.first_stage())?;
    registers.start(thread, site.addr + stub.start(file), data_addr)
}

/// The kind of program that a thread is about to execute, which is stopped as for [`inject`].
pub fn abi_at_start(thread: &Stopped) -> Result<&'static Abi> {
    let (registers, memory) = (thread.registers()?, thread.memory());
    let words = Words::new(&memory, registers.stack_addr())?;
    Ok(registers.abi(words.first_bytes()?))
}

/// What follows from what is put into a program, and where.
fn stub_data(payload: &Payload, stub: &Stub, stack: &InitialStack, site: &Site) -> StubData {
    let file = &payload.file;
    StubData {
        token: 0,
        file: 0,
        answer: 0,
        step: 0,
        mapping_addr: 0,
        mapping_bytes: file.mapping_bytes() as u64,
        second_stage_offset: file.second_stage(),
        file_offset: file.offset(),
        identity: file.identity(),
        covers: u64::from(site.covers == Covers::Code),
        dropped_page_addr: site.dropped_page_addr,
        program_entry_addr: 0,
        give_up_addr: site.addr + stub.give_up_offset(),
        leave_addr: site.addr + stub.leave_offset(),
        leave_bytes: stub.first_stage().len() as u64 - stub.leave_offset(),
        status: Default::default(),
        own_page_offset: file.architecture().own_page() as u64,
        process_page_offset: file.architecture().process_page() as u64,
        entry_offset: vdso_image::IMAGE as u64 + file.entry(),
        auxv_value_addr: stack.vdso_value_addr.unwrap_or(0),
        stack_block_bytes: stack.auxv_end_addr - stack.addr,
        stack_addr: stack.addr,
        first_stage_addr: site.addr,
        first_stage_bytes: site.original.len() as u64,
        original_addr: 0,
        announces: 0,
        counting_offset: 0,
        counts_identity: Identity { device: 0, inode: 0, bytes: 0 },
        memory_map: MemoryMap::default(),
        process_page: process_page(payload, stack.vdso_addr),
    }
}

/// The same for a program that counts its calls: the stub puts addresses where this asks for them.
fn with_counts(mut data: StubData, payload: &Payload) -> StubData {
    const TABLE: usize = offset_of!(ProcessPage, counts_table_addr) / size_of::<u64>();
    const WANTED: u64 = 1;
    if let Some(counts) = &payload.counts {
        data.counting_offset = data.mapping_bytes;
        data.mapping_bytes += COUNTING_BYTES as u64;
        data.counts_identity = counts.identity();
        data.process_page[TABLE] = if has_thread_pointer() { WANTED } else { 0 };
    }
    data
}

/// Takes a stub away that could not do its work, and puts the program, which is stopped in the
/// stub's call for help, back to its start.
pub fn rescue(thread: &mut Stopped) -> Result<()> {
    let (registers, memory) = (thread.registers()?, thread.memory());
    let mut data = [0; size_of::<StubData>()];
    memory.read(registers.stub_data_addr(), &mut data)?;
    let data = from_bytes(&data);
    let mut original = vec![0; data.first_stage_bytes.min(MAX_FIRST_STAGE_BYTES as u64) as usize];
    memory.read(data.original_addr, &mut original)?;
    thread.write_anywhere(data.first_stage_addr, &original)?;
    // The program must not find what it could make requests by.
    thread.write(registers.stub_data_addr(), &[0; size_of::<StubData>()])?;
    registers.restart(thread, data.program_entry_addr, data.stack_addr)
}

/// Where in the kernel's vDSO, from its start, there is room for a first stage that can be dropped again:
/// zeros behind the image's end, and a kernel that has not sealed the mapping. It is looked for in this
/// process, which has the same one; `None` if it has none.
pub fn find_padding() -> Option<u64> {
    let mapped = maps::kernels(&maps::read("self").ok()?, "[vdso]")?;
    // SAFETY: the kernel maps its vDSO readable, at these addresses, for as long as the process lives, and
    // it does not change.
    let vdso = unsafe { std::slice::from_raw_parts(mapped.start as *const u8, mapped.bytes()) };
    let padding = padding_in(vdso, ABIS.first()?.stub.as_ref()?)?;
    let page = page_of(mapped.end - 1) as *mut libc::c_void;
    // SAFETY: drops this process's copy of a page that it has not changed; the next read gets the
    // kernel's again.
    let dropped = unsafe { libc::madvise(page, page_bytes() as usize, libc::MADV_DONTNEED) };
    (dropped == 0).then_some(padding)
}

/// Where in a vDSO there are zeros behind the image's end, enough for a first stage.
fn padding_in(vdso: &[u8], stub: &Stub) -> Option<u64> {
    let stage_bytes = stub.first_stage().len().next_multiple_of(ALIGNMENT);
    let zeros = vdso.iter().rev().take_while(|&&byte| byte == 0).count();
    let start = (vdso.len() - zeros).next_multiple_of(ALIGNMENT);
    let room = vdso.len().checked_sub(start)?.min(page_bytes() as usize);
    (room >= stage_bytes).then(|| (vdso.len() - stage_bytes) as u64)
}

/// Of the stack at a program's start.
const STACK_ALIGNMENT: u64 = 16;

/// Of a first stage.
const ALIGNMENT: usize = 16;

fn page_of(addr: u64) -> u64 {
    addr & !(page_bytes() - 1)
}

/// Size of a page of this kernel's memory.
fn page_bytes() -> u64 {
    // SAFETY: only asks.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(vdso_data::PAGE_BYTES as u64)
}

fn process_page(payload: &Payload, vdso_addr: u64) -> [u64; PROCESS_PAGE_WORDS] {
    page_words(&payload.template.page_for(vdso_addr))
}

fn page_words(page: &ProcessPage) -> [u64; PROCESS_PAGE_WORDS] {
    let mut words = [0; PROCESS_PAGE_WORDS];
    // SAFETY: both are as long, and the page is made of integers without padding between them.
    unsafe {
        std::ptr::copy_nonoverlapping(
            (&raw const *page).cast::<u64>(),
            words.as_mut_ptr(),
            PROCESS_PAGE_WORDS,
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
fn memory_map(
    memory: &Memory,
    stack: &InitialStack,
    program: Option<&Segments>,
) -> Result<MemoryMap> {
    let extents = match program {
        Some(program) => program.extents(),
        None => memory.extents()?,
    };
    // Costly, and so only where speed does not count.
    if cfg!(debug_assertions)
        && let Ok(told) = memory.extents()
        // One that was killed meanwhile has none.
        && told.end_code != 0
    {
        assert_eq!(extents, told);
    }
    // An entry that has to be added moves the stack down, by as much as keeps its alignment.
    let added = if stack.vdso_value_addr.is_some() { 0 } else { STACK_ALIGNMENT };
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
