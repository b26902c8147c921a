//! A detour: one system call of a thread's, which it has reported, is made by the image that its process has, with
//! times of the program's own clock. Nobody stays attached.
//!
//! The thread waits in its report. It is seized and told to stop; the report is answered with [`RESTART`], an error
//! that no program ever sees: unless something else is done the kernel makes the call anew, and it is reported
//! anew. At the stop [`divert`] sends the thread to the image's `detour` (`vdso_data::detour`), and it is let
//! go. So whoever does this may be killed between any two of these steps.

use std::io::IoSlice;
use std::mem::offset_of;
use std::ops::Range;

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_writev};
use nix::unistd::Pid;
use vdso_arch::abi::{Call, CallSet};
use vdso_data::arithmetic::{Rate, Transform};
use vdso_data::clock;
use vdso_data::detour::{AGAIN, FROM_ENTRY, vsyscall};
use vdso_data::process::{self, ProcessPage};

use crate::arch::{ABIS, Abi, TimedCall, Times, Word};
use crate::error::{Attempt, Error, Result};
use crate::exec::{Memory, Payload};
use crate::file::ProgramFile;
use crate::ptrace::Stopped;
use crate::vsyscall::Vsyscalls;

/// What a report is answered with: `ERESTARTNOINTR` of `include/linux/errno.h`.
pub const RESTART: i32 = 513;

/// The calls that tell the time.
const CLOCKS: [Call; 3] = [Call::ClockGettime, Call::Gettimeofday, Call::Time];

/// Which calls are reported, for programs whose clocks are moved in a certain way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detours {
    /// The clocks on which deadlines are not the host's, as a bit set of ids.
    pub deadlines: u32,
    /// Whether spans last longer or shorter than the host's.
    pub spans: bool,
    /// Whether any clock runs faster or slower than the host's.
    pub rates: bool,
    /// Who may set a clock.
    pub setting: Setting,
    /// What becomes of call sites that report often.
    pub call_sites: CallSites,
    /// Whose times files have.
    pub file_times: FileTimes,
    /// Whose calls of the legacy vsyscall page are sent elsewhere.
    pub vsyscalls: Vsyscalls,
    /// The calls whose functions programs do not find in their image.
    pub off: CallSet,
    /// By which a filter knows the image's own calls: [`process::ProcessPage::call_mark`]. Zero if no call is
    /// reported.
    pub mark: u32,
}

/// Who may set a clock of a program's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Setting {
    /// Whoever may set the kernel's: `CAP_SYS_TIME`.
    #[default]
    Privileged,
    /// Every program that has it.
    Anybody,
}

impl Detours {
    /// What clocks that are moved so need, with a mark of the caller's: a number that no program has in arguments
    /// that it does not use.
    pub fn of(
        transforms: &[Transform; clock::LINES],
        setting: Setting,
        call_sites: CallSites,
        mark: u32,
    ) -> Self {
        /// Those that may be moved any time, once there is a clock of its own.
        const SET: u32 = clock::SETTABLE | 1 << clock::REALTIME_COARSE;
        let moved = |&id: &usize| transforms[id] != Transform::IDENTITY;
        let deadlines = (0..clock::LINES).filter(moved).fold(0, |set, id| set | 1 << id);
        let spans = transforms[clock::MONOTONIC as usize].rate != Rate::ONE;
        if deadlines == 0 && setting == Setting::Privileged {
            return Self::default();
        }
        // Whoever sets a clock may make it faster, too.
        let rates = setting == Setting::Anybody
            || transforms.iter().any(|transform| transform.rate != Rate::ONE);
        let (deadlines, mark) = (deadlines | SET, mark.max(1));
        Self { deadlines, spans, rates, setting, call_sites, mark, ..Self::default() }
    }

    /// Whether any call is reported.
    pub fn is_any(&self) -> bool {
        self.mark != 0
    }

    /// The calls that a program without the image has to make as system calls: it would find other functions than it should,
    /// or the host's clocks. If there are any, programs report their start.
    pub fn by_call(&self) -> CallSet {
        let clocks = CLOCKS.into_iter().filter(|_| self.is_any());
        self.off.iter().chain(clocks).collect()
    }

    /// The calls whose functions can be hidden from programs of that kind: all that are off, but where calls for a clock that
    /// is moved are not reported, none that tells the time.
    pub fn hidden_from(&self, abi: &Abi) -> CallSet {
        let is_now = |call: &TimedCall| matches!(call.times, Times::Now { .. });
        let can_be_all = !self.is_any() || abi.calls.timed.iter().any(is_now);
        self.off.iter().filter(|call| can_be_all || !CLOCKS.contains(call)).collect()
    }

    /// Whether all that is off can be hidden from programs of this program's own kind.
    ///
    /// # Errors
    /// [`Error::Off`].
    pub fn check_off(&self) -> Result<()> {
        match ABIS.first() {
            Some(abi) if self.hidden_from(abi) != self.off => Err(Error::Off),
            _ => Ok(()),
        }
    }
}

/// What becomes of call sites that report often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallSites {
    /// They are rewritten to jump to the image: [`call_site`](crate::call_site).
    #[default]
    Rewritten,
    /// They stay as they are in the program's file.
    Kept,
}

/// Whose times a program sees files to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileTimes {
    /// The host's, as they are stored.
    #[default]
    Host,
    /// Those of its own clock, as if that had stored them. Not for 32-bit programs.
    Clock,
}

impl FileTimes {
    /// Whether programs of this program's own kind can see such times here.
    ///
    /// # Errors
    /// [`Error::FileTimes`].
    pub fn check_support(self) -> Result<()> {
        let calls = ABIS.first().map_or(&[][..], |abi| abi.calls.timed);
        match self {
            Self::Clock if !calls.iter().any(|call| call.times == Times::OfFile) => {
                Err(Error::FileTimes)
            }
            _ => Ok(()),
        }
    }
}

/// Who can make a call that a thread has reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The image in its process: the address of that's `detour`.
    Image(u64),
    /// The kernel: the image asks for the host's time, by the kernel's own vDSO.
    Kernel,
    /// It is not known who: the process has no image of this launch's.
    NoImage,
    /// Nobody, as the process has unmapped its image (valgrind does that), and makes a call for every clock.
    Unmapped,
}

/// Who makes a call that a thread of process `pid`, a program of that kind, has reported at `instruction_addr`. The image's
/// `detour` is looked for where it was `before` first, if that is known.
pub fn find(
    pid: Pid,
    abi: &Abi,
    payload: &Payload,
    before: Option<u64>,
    call: &TimedCall,
    instruction_addr: u64,
) -> Maker {
    let Some(file) = payload.image_file(abi) else { return Maker::NoImage };
    let from_image = file.entry() + FROM_ENTRY as u64;
    let page_of = |addr: u64| process_page(pid, file, addr, payload.detours.mark);
    let before = before.map(|detour_addr| detour_addr.wrapping_sub(from_image));
    let found = before.and_then(|addr| Some((addr, page_of(addr)?)));
    let found =
        found.or_else(|| image_addr(pid, abi).and_then(|addr| Some((addr, page_of(addr)?))));
    let Some((addr, page)) = found else { return Maker::NoImage };
    // It waits for nothing.
    let is_for_image = matches!(call.times, Times::Now { .. })
        && is_from_kernel_vdso(pid, abi, &page, instruction_addr);
    if is_for_image {
        return Maker::Kernel;
    }
    match Memory::of(pid).read(addr + from_image, &mut [0]) {
        Ok(()) => Maker::Image(addr + from_image),
        Err(_) => Maker::Unmapped,
    }
}

/// Where process `pid`, a program of that kind, has an image of this launch's.
pub(crate) fn find_image(pid: Pid, abi: &Abi, payload: &Payload) -> Option<u64> {
    let file = payload.image_file(abi)?;
    let addr = image_addr(pid, abi)?;
    process_page(pid, file, addr, payload.detours.mark).map(|_| addr)
}

/// Whether it was the kernel's vDSO that made a call, for a function of its own.
fn is_from_kernel_vdso(pid: Pid, abi: &Abi, page: &StartOfPage, instruction_addr: u64) -> bool {
    /// More than any such vDSO has.
    const FAR_BYTES: u64 = 1 << 16;
    let function_addr = word_at(page, KERNEL_FUNCTION);
    // The list of mappings takes long to read.
    if function_addr == 0 || function_addr.abs_diff(instruction_addr) >= FAR_BYTES {
        return false;
    }
    let Some((start, end)) = Memory::of(pid).kernel_vdso().ok().flatten() else { return false };
    let from = match abi.word {
        Word::Bits64 => Some(instruction_addr),
        // Programs have calls made there, too.
        Word::Bits32 => caller_of_vsyscall(pid, instruction_addr).or(Some(instruction_addr)),
    };
    from.is_some_and(|addr| (start..end).contains(&addr))
}

/// Whether a call's instruction is that of `__kernel_vsyscall` of i386.
#[allow(dead_code, reason = "where there are no such programs")]
pub(crate) fn is_vsyscall(pid: Pid, instruction_addr: u64) -> bool {
    let mut rest = [0; vsyscall::REST.len()];
    Memory::of(pid).read(instruction_addr, &mut rest).is_ok() && rest == vsyscall::REST
}

/// Who has called that function. `None` if the instruction is in another.
fn caller_of_vsyscall(pid: Pid, instruction_addr: u64) -> Option<u64> {
    is_vsyscall(pid, instruction_addr).then_some(())?;
    // proc_pid_syscall(5): the stack pointer is the last but one.
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    let stack_addr = call.split_ascii_whitespace().rev().nth(1)?.trim_start_matches("0x");
    let stack_addr = u64::from_str_radix(stack_addr, 16).ok()?;
    let mut caller = [0; 4];
    Memory::of(pid).read(stack_addr + vsyscall::CALLER, &mut caller).ok()?;
    Some(u32::from_ne_bytes(caller).into())
}

/// What the auxiliary vector says, which a stub has changed.
fn image_addr(pid: Pid, abi: &Abi) -> Option<u64> {
    let auxv = auxv(pid, abi)?;
    auxv.chunks_exact(2).find(|entry| entry[0] == libc::AT_SYSINFO_EHDR).map(|entry| entry[1])
}

/// The words of its auxiliary vector.
fn auxv(pid: Pid, abi: &Abi) -> Option<Vec<u64>> {
    let auxv = std::fs::read(format!("/proc/{pid}/auxv")).ok()?;
    let word = |bytes: &[u8]| match abi.word {
        Word::Bits64 => Some(u64::from_ne_bytes(bytes.try_into().ok()?)),
        Word::Bits32 => Some(u64::from(u32::from_ne_bytes(bytes.try_into().ok()?))),
    };
    Some(auxv.chunks_exact(abi.word.bytes() as usize).map_while(word).collect())
}

const MAGIC: usize = offset_of!(ProcessPage, magic);
const MARK: usize = offset_of!(ProcessPage, call_mark);
const KERNEL_FUNCTION: usize = offset_of!(ProcessPage, functions.clock_gettime);

/// The part of a process page that is looked at.
type StartOfPage = [u8; KERNEL_FUNCTION + 8];

fn word_at(page: &StartOfPage, at: usize) -> u64 {
    page[at..].first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// The process page of an image of this launch's, which has the launch's mark.
fn process_page(pid: Pid, file: &ProgramFile, image_addr: u64, mark: u32) -> Option<StartOfPage> {
    let mut page = [0; KERNEL_FUNCTION + 8];
    let page_addr = image_addr.wrapping_add(file.architecture().process_page() as u64);
    Memory::of(pid).read(page_addr, &mut page).ok()?;
    let is_ours =
        word_at(&page, MAGIC) == process::MAGIC && page[MARK..MARK + 4] == mark.to_ne_bytes();
    is_ours.then_some(page)
}

/// The addresses of the image of this launch's that process `pid` has, a program of that kind.
pub fn image_range(pid: Pid, abi: &Abi, payload: &Payload) -> Option<Range<u64>> {
    let file = payload.image_file(abi)?;
    let image_addr = image_addr(pid, abi)?;
    process_page(pid, file, image_addr, payload.detours.mark)?;
    Some(image_addr..image_addr + file.architecture().own_page() as u64)
}

/// Has a thread translate a deadline anew that is stopped in a wait which its image has made, at an address within
/// `image`: that is told so instead of what the wait gives ([`AGAIN`]).
///
/// # Errors
/// [`Error::Gone`] if the thread has ended meanwhile.
pub fn translate_anew(thread: &mut Stopped, image: &Range<u64>) -> Result<Diverted> {
    match thread.registers()?.told(thread, image, -i64::from(AGAIN)) {
        Some(told) => thread.set_registers(&told).map(|()| Diverted::Sent),
        None => Ok(Diverted::Elsewhere),
    }
}

/// Writes to the memory of a program that waits in a report, where its call has told the kernel to write.
///
/// # Errors
/// As the kernel has them.
///
/// # Safety
/// `pid` must be a thread that waits in its report, so none of this process's; whatever its own code takes `addr` for, the
/// kernel would write there.
pub unsafe fn write_for_kernel(pid: Pid, addr: u64, bytes: &[u8]) -> Result<()> {
    let remote = [RemoteIoVec { base: addr as usize, len: bytes.len() }];
    // Not by the process's file in /proc, which writes to pages that it may not write to.
    match process_vm_writev(pid, &[IoSlice::new(bytes)], &remote) {
        Ok(written) if written == bytes.len() => Ok(()),
        Ok(_) => Err(Error::on(pid, Attempt::WriteMemory, Errno::EFAULT)),
        Err(errno) => Err(Error::on(pid, Attempt::WriteMemory, errno)),
    }
}

/// Where a thread is to be sent from the answer of its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detour {
    /// The number of the call that it has reported.
    pub number: u32,
    /// The address behind the call's instruction.
    pub instruction_addr: u64,
    /// The address of the image's `detour`: [`find`].
    pub detour_addr: u64,
    /// The clock of the timer that the call sets or asks about; [`vdso_data::detour::NO_TIMER`] if that is none.
    pub timer_clock: u32,
}

/// Sends a thread there that is stopped behind its report's answer.
///
/// # Errors
/// [`Error::Gone`] if the thread has ended meanwhile.
pub fn divert(thread: &mut Stopped, to: &Detour) -> Result<Diverted> {
    thread.registers()?.divert(thread, to)
}

/// What became of a thread that was to be sent to its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diverted {
    /// It goes on there.
    Sent,
    /// It was not behind its report any more, and is left as it is.
    Elsewhere,
    /// Its stack may have no room for the way back, or a shadow stack guards it: it is left as it is, and cannot be sent there.
    NoRoom,
}
