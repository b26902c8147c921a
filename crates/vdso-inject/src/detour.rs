//! A detour: one system call of a thread's, which it has reported, is made by the image that its process has, with
//! times of the program's own clock. Nobody stays attached.
//!
//! The thread waits in its report. It is seized and told to stop; the report is answered with [`RESTART`], an error
//! that no program ever sees: unless something else is done the kernel makes the call anew, and it is reported
//! anew. At the stop [`divert`] sends the thread to the image's `detour` (`vdso_data::detour`), and it is let
//! go. So whoever does this may be killed between any two of these steps.

use nix::unistd::Pid;
use vdso_data::arithmetic::{Rate, Transform};
use vdso_data::clock;
use vdso_data::detour::{FROM_ENTRY, SMALL_STACK};
use vdso_data::process;

use crate::arch::{ABIS, Abi, Times, Word};
use crate::error::{Error, Result};
use crate::exec::{Memory, Payload};
use crate::file::ProgramFile;
use crate::goroutine::{self, Stack};
use crate::ptrace::Stopped;

/// What a report is answered with: `ERESTARTNOINTR` of `include/linux/errno.h`.
pub const RESTART: i32 = 513;

/// Which calls are reported, for programs whose clocks are moved in a certain way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detours {
    /// The clocks on which deadlines are not the host's, as a bit set of ids.
    pub deadlines: u32,
    /// Whether spans last longer or shorter than the host's.
    pub spans: bool,
    /// Whether any clock runs faster or slower than the host's.
    pub rates: bool,
    /// What becomes of call sites that report often.
    pub call_sites: CallSites,
    /// Whose times files have.
    pub file_times: FileTimes,
    /// By which a filter knows the image's own calls: [`process::ProcessPage::call_mark`]. Zero if no call is
    /// reported.
    pub mark: u32,
}

impl Detours {
    /// What clocks that are moved so need, with a mark of the caller's: a number that no program has in arguments
    /// that it does not use.
    pub fn of(transforms: &[Transform; clock::LINES], call_sites: CallSites, mark: u32) -> Self {
        let moved = |&id: &usize| transforms[id] != Transform::IDENTITY;
        let deadlines = (0..clock::LINES).filter(moved).fold(0, |set, id| set | 1 << id);
        let spans = transforms[clock::MONOTONIC as usize].rate != Rate::ONE;
        let rates = transforms.iter().any(|transform| transform.rate != Rate::ONE);
        if deadlines == 0 && !spans {
            return Self::default();
        }
        let file_times = FileTimes::default();
        Self { deadlines, spans, rates, call_sites, file_times, mark: mark.max(1) }
    }

    /// Whether any call is reported.
    pub fn is_any(&self) -> bool {
        self.mark != 0
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
    /// Those of its own clock, as if that had stored them. On x86-64 alone.
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

/// Where in process `pid`, a program of that kind, a thread goes on: the address of its image's `detour`. `None`
/// if it has no image of this launch's. It is looked for where it was `before` first, if that is known.
pub fn find(pid: Pid, abi: &Abi, payload: &Payload, before: Option<u64>) -> Option<u64> {
    let file = payload.image_file(abi)?;
    let from_image = file.entry() + FROM_ENTRY as u64;
    let is_ours = |&addr: &u64| is_ours(pid, file, addr, payload.detours.mark);
    let before = before.map(|detour_addr| detour_addr.wrapping_sub(from_image));
    let addr = before.filter(is_ours).or_else(|| image_addr(pid, abi).filter(is_ours))?;
    Some(addr + from_image)
}

/// What the auxiliary vector says, which a stub has changed.
fn image_addr(pid: Pid, abi: &Abi) -> Option<u64> {
    let auxv = auxv(pid, abi)?;
    auxv.chunks_exact(2).find(|entry| entry[0] == libc::AT_SYSINFO_EHDR).map(|entry| entry[1])
}

/// How much stack all threads of process `pid` have when they report.
pub fn stack(pid: Pid, abi: &Abi) -> Stack {
    match (abi.word, auxv(pid, abi)) {
        (Word::Bits64, Some(auxv)) => goroutine::of_program(pid, &auxv),
        _ => Stack::Usual,
    }
}

/// How much one has that reports a call whose instruction is in front of this address.
pub fn stack_at(pid: Pid, instruction_addr: u64) -> Stack {
    goroutine::of_call_site(pid, instruction_addr)
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

/// Whether an image of this launch's is there: its process page has the launch's mark.
fn is_ours(pid: Pid, file: &ProgramFile, image_addr: u64, mark: u32) -> bool {
    const MAGIC: usize = std::mem::offset_of!(process::ProcessPage, magic);
    const MARK: usize = std::mem::offset_of!(process::ProcessPage, call_mark);
    let mut start = [0; MARK + 4];
    let page_addr = image_addr.wrapping_add(file.architecture().process_page() as u64);
    if Memory::of(pid).read(page_addr, &mut start).is_err() {
        return false;
    }
    start[MAGIC..MAGIC + 8] == process::MAGIC.to_ne_bytes() && start[MARK..] == mark.to_ne_bytes()
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
    /// How much stack the thread has.
    pub stack: Stack,
}

impl Detour {
    /// What the thread comes there with beside its call.
    #[allow(dead_code, reason = "not where there are no detours")]
    pub(crate) fn sender_word(&self) -> u32 {
        match self.stack {
            Stack::Usual => self.timer_clock,
            Stack::Small => self.timer_clock | SMALL_STACK,
        }
    }
}

/// Sends a thread there that is stopped behind its report's answer.
///
/// # Errors
/// [`Error::Gone`](crate::Error::Gone).
pub fn divert(thread: &mut Stopped, to: &Detour) -> Result<Diverted> {
    match thread.registers()?.diverted(to) {
        Some(diverted) => thread.set_registers(&diverted).map(|()| Diverted::Sent),
        None => Ok(Diverted::Elsewhere),
    }
}

/// What became of a thread that was to be sent to its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diverted {
    /// It goes on there.
    Sent,
    /// It was not behind its report any more, and is left as it is.
    Elsewhere,
}
