//! Into a program that has begun to run: one whose tracer was killed while it stood at its first
//! instruction.
//!
//! The program is stopped, and its tracer makes system calls in its place: it executes a `syscall`
//! instruction of the kernel's vDSO, with registers that hold the call, and nothing else. So nothing is
//! written to the program's stack, whichever it is on. At the end all is put back within a stop that the
//! kernel takes before it looks whether an interrupted call is to be made anew: it then does that as if
//! nothing had been. The program's C library may know the kernel's functions already: in this process's copy
//! of the kernel's vDSO, these are made to jump to the image's, or to make the system call where the image's is hidden.

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_data::PAGE_BYTES;
use vdso_data::process::{ProcessPage, Template};
use vdso_data::sync::Ordering;
use vdso_elf::Image;

use super::Payload;
use super::companion::is_native;
use super::mapping;
use super::memory::{Memory, RunState};
use super::remote::{self, Kept, Remote};
use super::segments::Segments;
use super::stack::{InitialStack, Words};
use crate::arch::jump::{self, Patch};
use crate::error::{Attempt, Error, Result};
use crate::file::ProgramFile;
use crate::kernel_calls::KernelCalls;
use crate::ptrace::Stopped;
use crate::stub::{MemoryMap, REQUEST, REQUEST_FILE};

/// What is to be known if a tracer is killed in the middle.
pub struct Memo<'a> {
    /// Keeps what a successor needs.
    pub keep: &'a dyn Fn(&Kept),
    /// What a predecessor has kept.
    pub kept: Option<Kept>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repaired {
    /// The program has the image from now on.
    Injected,
    /// It had it already.
    WasInjected,
}

/// Functions that are about moved clocks. The image's names are the kernel's.
const FUNCTIONS: [&str; 4] = ["clock_gettime", "gettimeofday", "time", "clock_getres"];

/// Whether a stopped program has not executed an instruction of its own yet: then it is given the image as
/// at the end of `execve`.
pub fn stands_at_its_start(thread: &Stopped) -> bool {
    let look = || -> Result<bool> {
        let (registers, memory) = (thread.registers()?, thread.memory());
        let start_stack = memory.run_state()?.start_stack;
        if registers.stack_addr() != start_stack {
            return Ok(false);
        }
        let mut words = Words::new(&memory, start_stack)?;
        let abi = registers.abi(words.first_bytes()?);
        let stack = InitialStack::read(&mut words, abi.word)?;
        let entry_addr = match stack.interpreter_addr {
            0 => stack.entry_addr,
            addr => Segments::entry_of_file(&memory, abi.word, addr)?,
        };
        Ok(registers.instruction_addr() == entry_addr)
    };
    look().unwrap_or(false)
}

/// Gives the image to a program that runs, wherever it is; it has one thread, which is in a stop after an
/// interrupt. It is in such a stop afterwards, too, whatever came of it, with all registers as they were, and
/// with [`FOLLOW_EXEC`](crate::ptrace::FOLLOW_EXEC) as its options; or it has ended meanwhile, which
/// [`detach`](Stopped::detach) tells.
///
/// It asks for the file as a stub does, with `token`: `serve` is called again and again meanwhile, and must
/// answer such requests as soon as they are reported. If this process is killed in the middle, the program
/// waits, and whoever does this again, with the `memo`, goes on; what has been mapped then stays. A program
/// of another kind than the launcher's is left alone, and so is one with several threads: an error.
pub fn inject_running(
    thread: &mut Stopped,
    payload: &Payload,
    token: u64,
    memo: &Memo<'_>,
    serve: &mut dyn FnMut(),
) -> Result<Repaired> {
    let (pid, memory) = (thread.tid(), thread.memory());
    let vdso = memory.kernel_vdso()?;
    let is_half_done = match (&memo.kept, vdso) {
        (Some(kept), Some((_, vdso_end_addr))) => remote::restore(thread, vdso_end_addr, kept)?,
        _ => false,
    };
    if !is_half_done && memory.has_mapping_of(payload.file.identity())? {
        return Ok(Repaired::WasInjected);
    }
    if memory.threads()? != 1 {
        return Err(Error::ManyThreads { pid });
    }
    let state = memory.run_state()?;
    let mut words = Words::new(&memory, state.start_stack)?;
    let abi = thread.registers()?.abi(words.first_bytes()?);
    if !is_native(abi) {
        return Err(Error::Foreign { pid, abi: abi.name });
    }
    let stack = InitialStack::read(&mut words, abi.word)?;
    let Some((vdso_addr, vdso_end_addr)) = vdso else {
        return Err(Error::NoVdso { pid, abi: abi.name });
    };
    let stage_addr = payload.padding.map(|padding| vdso_addr + padding);
    let instruction_addr = thread.registers()?.instruction_addr();
    // Behind the kernel's vDSO nothing but a stub is ever executed, which will give it the image.
    if stage_addr.is_some_and(|addr| (addr..vdso_end_addr).contains(&instruction_addr)) {
        return Ok(Repaired::WasInjected);
    }
    let mut vdso = memory.mapping_at(vdso_addr)?;
    if let Some(padding) = payload.padding.and_then(|padding| vdso.get_mut(padding as usize..)) {
        // A stub may have been written there, which the program has not come to.
        padding.fill(0);
        thread.write_anywhere(stage_addr.unwrap_or(vdso_addr), padding)?;
    }
    let mut room = jump::Room::behind(vdso_addr, &vdso);
    let patches = patches(pid, &payload.file, vdso_addr, &vdso, &mut room)?;
    let hidden = KernelCalls::of(pid, &vdso, payload.detours.off)?;
    let (call_addr, call) = jump::call_site(vdso_end_addr).ok_or(Error::Architecture)?;
    thread.write_anywhere(call_addr, call)?;
    let is_fit = |addr: u64| {
        patches.iter().all(|patch| !patch.is_within(addr))
            && !hidden.is_within(addr.wrapping_sub(vdso_addr))
    };
    let mut remote = Remote::begin(thread, call_addr, is_fit, memo.keep)?;
    let made = Repair { payload, memory: &memory, stack: &stack, state: &state, vdso_addr, token }
        .make(&mut remote, &patches, &hidden, serve);
    let ended = remote.end();
    if ended.is_ok() {
        thread.write_anywhere(call_addr, &vec![0; call.len()])?;
    }
    made.and(ended).map(|()| Repaired::Injected)
}

/// What is written over the kernel's functions, from where the image will be on.
pub fn patches(
    pid: Pid,
    file: &ProgramFile,
    vdso_addr: u64,
    vdso: &[u8],
    room: &mut jump::Room,
) -> Result<Vec<Patch>> {
    let kernels = Image::parse(vdso).map_err(Error::Image)?;
    let mut patches = Vec::new();
    for plain in FUNCTIONS {
        let Some(export) = file.architecture().export(plain) else { continue };
        let Some(theirs) = kernels.lookup(export.name, None) else { continue };
        let Some(ours) = file.function(export.name) else { continue };
        let code = vdso.get(theirs.value as usize..).unwrap_or_default();
        let patch = room.patch(vdso_addr + theirs.value, code, ours);
        patches.push(patch.ok_or(Error::NoRoom { pid })?);
    }
    Ok(patches)
}

/// The parts of one repair.
struct Repair<'a> {
    payload: &'a Payload,
    memory: &'a Memory,
    stack: &'a InitialStack,
    state: &'a RunState,
    vdso_addr: u64,
    token: u64,
}

impl Repair<'_> {
    fn make(
        &self,
        remote: &mut Remote<'_>,
        patches: &[Patch],
        hidden: &KernelCalls,
        serve: &mut dyn FnMut(),
    ) -> Result<()> {
        let file = remote.call(libc::SYS_eventfd2, [0, libc::EFD_CLOEXEC as u64, 0, 0, 0, 0])?;
        let file = file.map_err(|errno| self.failed(Attempt::MakeDescriptor, errno))?;
        let mapped = self.have_file_and_map(remote, file, serve);
        // Whatever became of it, the program must not find that descriptor.
        remote.call(libc::SYS_close, [file, 0, 0, 0, 0, 0])?.ok();
        let image_addr = mapped?;
        if let Some(value_addr) = self.stack.vdso_value_addr {
            remote.thread().write(value_addr, &image_addr.to_ne_bytes())?;
        }
        for patch in patches {
            for (addr, bytes) in patch.bytes_for(image_addr) {
                remote.thread().write_anywhere(addr, &bytes)?;
            }
        }
        for body in hidden.bodies() {
            remote.thread().write_anywhere(self.vdso_addr + body.offset, &body.code)?;
        }
        Ok(())
    }

    fn have_file_and_map(
        &self,
        remote: &mut Remote<'_>,
        file: u64,
        serve: &mut dyn FnMut(),
    ) -> Result<u64> {
        let request = [REQUEST.into(), REQUEST_FILE, file, self.token, 0, 0];
        let answer = remote.call_served(libc::SYS_prctl, request, serve)?;
        let there = self.memory.descriptor(file)?;
        if there != Some(self.payload.file.identity()) {
            let pid = self.memory.pid();
            return Err(match answer {
                Err(errno) => self.failed(Attempt::GiveFile, errno),
                Ok(_) if there.is_none_or(|there| there.bytes == 0) => Error::NoAnswer { pid },
                Ok(_) => Error::AnotherFile { pid },
            });
        }
        mapping::map(remote, &self.payload.file, 0, file, &mut |remote, page_addr, image_addr| {
            self.tell_kernel(remote, page_addr, image_addr)?;
            Ok(process_page(&self.payload.template, self.vdso_addr))
        })
    }

    /// Changes the kernel's copy of the auxiliary vector; if it does not let us, only debuggers are told the
    /// old one. `scratch_addr` is a page that nothing is on.
    fn tell_kernel(
        &self,
        remote: &mut Remote<'_>,
        scratch_addr: u64,
        image_addr: u64,
    ) -> Result<()> {
        let Some(value_addr) = self.stack.vdso_value_addr else { return Ok(()) };
        let Ok(brk) = remote.call(libc::SYS_brk, [0; 6])? else { return Ok(()) };
        let map = MemoryMap {
            brk,
            auxv: scratch_addr + size_of::<MemoryMap>() as u64,
            auxv_size: (self.stack.auxv_end_addr - self.stack.auxv_addr) as u32,
            exe_fd: -1,
            ..self.state.memory_map
        };
        let mut vector = vec![0; map.auxv_size as usize];
        self.memory.read(self.stack.auxv_addr, &mut vector)?;
        let at = (value_addr - self.stack.auxv_addr) as usize;
        vector[at..at + 8].copy_from_slice(&image_addr.to_ne_bytes());
        remote.thread().write_anywhere(scratch_addr, &[map.as_bytes(), &vector].concat())?;
        let (option, operation) = (libc::PR_SET_MM as u64, libc::PR_SET_MM_MAP as u64);
        let bytes = size_of::<MemoryMap>() as u64;
        let told = remote.call(libc::SYS_prctl, [option, operation, scratch_addr, bytes, 0, 0])?;
        told.ok();
        remote.thread().write_anywhere(scratch_addr, &vec![0; PAGE_BYTES])
    }

    fn failed(&self, attempt: Attempt, errno: Errno) -> Error {
        Error::System { attempt, pid: Some(self.memory.pid()), errno }
    }
}

/// The process page where the clocks' functions of the kernel's vDSO jump to the image: that makes system calls instead.
pub fn process_page(template: &Template, vdso_addr: u64) -> ProcessPage {
    let page = template.page_for(vdso_addr);
    page.functions.clock_gettime.store(0, Ordering::Relaxed);
    page.functions.gettimeofday.store(0, Ordering::Relaxed);
    page
}
