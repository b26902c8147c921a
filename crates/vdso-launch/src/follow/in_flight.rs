//! What the processes of a launch share: which reports are being worked on.
//!
//! A supervisor may be killed at any moment; whoever takes its place must find each report that it had
//! received and not finished. So the kernel writes a report straight into a [`Slot`] of this memory, in
//! the one system call that takes it out of the queue: there is no moment at which a killed process
//! alone knew of it. A slot is taken until the program is on its way, not just until the report is
//! answered.

use std::ffi::{OsStr, OsString};
use std::ops::Deref;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_data::latch;
use vdso_data::sync::{AtomicU32, AtomicU64, Ordering};

use super::report::Report;
use vdso_inject::arch::{ABIS, Abi};
use vdso_inject::exec::Kept;
use vdso_timekeeper::settable::{self, Settable};

/// How many reports may be in work at a time. Programs that wait for slow file systems take one each.
const SLOTS: usize = 512;

/// More kinds of programs than any kernel executes.
const MOST_ABIS: usize = 4;

/// Size of the kernel's `struct seccomp_notif`, in words.
const NOTIFICATION_WORDS: usize = size_of::<libc::seccomp_notif>() / 8;

/// The memory. All zeros is its first state.
#[derive(Debug)]
#[repr(C)]
pub struct InFlight {
    /// Changes with every report that is dealt with, by whichever supervisor.
    progress: AtomicU64,
    /// See [`InFlight::confined_from`]; by the place in [`ABIS`].
    confined_from: [AtomicU32; MOST_ABIS],
    /// How many programs were ended because they would have run on the host's clock.
    ended: AtomicU32,
    /// The clock that programs set.
    pub(super) clock: KeptClock,
    /// How many slots have been in use, from the first on. The memory of the others is not touched.
    used: AtomicU32,
    slots: [Slot; SLOTS],
}

/// One report in work.
#[derive(Debug)]
#[repr(C)]
pub struct Slot {
    /// `struct seccomp_notif`, written by the kernel; its first word, the report's id, is zero while the
    /// slot is free.
    notification: [AtomicU64; NOTIFICATION_WORDS],
    /// The process of ours that traces the program; zero until the report is answered.
    tracer: AtomicU32,
    /// The program's process, which is not the reporting thread's id where that is no group leader.
    process: AtomicU32,
    /// The beginning of the program's file name, for messages; filled up with zeros.
    name: [AtomicU64; NAME_WORDS],
    /// How many words of `kept` there are.
    kept_words: AtomicU32,
    /// [`Kept`] of a program that is being given its image late: the blocked signals, then the registers.
    kept: [AtomicU64; MOST_KEPT_WORDS],
}

/// What is kept of a clock that was set, twice: whoever is killed while it writes leaves the other.
#[derive(Debug)]
#[repr(C)]
pub(super) struct KeptClock {
    /// Which of both, by the latch; zero: nobody has set it.
    seq: AtomicU32,
    copies: [[AtomicU64; KEPT_CLOCK_WORDS]; latch::COPIES],
}

/// The clock, the report of whoever has set it last, and what that is answered with.
const KEPT_CLOCK_WORDS: usize = settable::WORDS + 2;

/// The last change of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastSet {
    /// The clock since then.
    pub clock: Settable,
    /// The kernel's number of the report; see [`Report::id`].
    pub report_id: u64,
    /// What the call gives.
    pub result: i64,
}

impl KeptClock {
    /// From now on the change has been made, whoever publishes it.
    pub fn store(&self, last: &LastSet) {
        let words =
            last.clock.to_words().into_iter().chain([last.report_id, last.result.cast_unsigned()]);
        latch::write(&self.seq, |_, spare| {
            for (place, word) in self.copies[spare].iter().zip(words) {
                place.store(word, Ordering::Relaxed);
            }
        });
    }

    /// `None` if there was none.
    pub fn load(&self) -> Option<LastSet> {
        // Relaxed: whoever wrote is dead, or is this process.
        if self.seq.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let words = latch::read(
            &self.seq,
            || (),
            |(), copy| self.copies[copy].each_ref().map(|word| word.load(Ordering::Relaxed)),
        );
        let (clock, rest) = words.split_first_chunk()?;
        let clock = Settable::from_words(*clock);
        Some(LastSet { clock, report_id: rest[0], result: rest[1].cast_signed() })
    }
}

/// Room for the general registers of any architecture, and one word more.
const MOST_KEPT_WORDS: usize = 40;

/// Room for the beginning of a program's file name, in words.
const NAME_WORDS: usize = 8;

/// Which slot.
pub type SlotIndex = usize;

impl InFlight {
    /// A number that changes whenever something is dealt with.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Something was dealt with.
    pub fn note_progress(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// With how many seccomp filters, or more, a program of that kind may have one that does not let a stub
    /// do its work; `None` if none such was installed below this launch.
    pub fn confined_from(&self, abi: &Abi) -> Option<u32> {
        Some(self.confined_from_of(abi)?.load(Ordering::Relaxed)).filter(|&filters| filters != 0)
    }

    /// A process with that many filters, the last being one that confines a stub of that kind.
    pub fn note_confined(&self, abi: &Abi, filters: u32) {
        let lowest = |known: u32| Some(if known == 0 { filters } else { known.min(filters) });
        // Relaxed: read in the same process, or after this one's death.
        if let Some(confined_from) = self.confined_from_of(abi) {
            let _ = confined_from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lowest);
        }
    }

    fn confined_from_of(&self, abi: &Abi) -> Option<&AtomicU32> {
        self.confined_from.get(ABIS.iter().position(|known| std::ptr::eq(*known, abi))?)
    }

    /// How many programs were ended because they would have run on the host's clock.
    pub fn ended(&self) -> u32 {
        self.ended.load(Ordering::Relaxed)
    }

    /// One more.
    pub fn note_ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// A free slot, all zeros; `None` if all are taken.
    pub fn free_slot(&self) -> Option<SlotIndex> {
        let used = self.used_slots();
        let index = used.iter().position(Slot::is_free).unwrap_or(used.len());
        // Its last user may have been killed while it was freed.
        self.slots.get(index)?.clear();
        // Release: pairs with the Acquire in `used_slots`. Before anything is in the slot, so that whoever takes over
        // finds that.
        self.used.fetch_max(index as u32 + 1, Ordering::Release);
        Some(index)
    }

    /// Whether one more report can be taken.
    pub fn has_room(&self) -> bool {
        let used = self.used_slots();
        used.len() < SLOTS || used.iter().any(Slot::is_free)
    }

    fn used_slots(&self) -> &[Slot] {
        let used = self.used.load(Ordering::Acquire) as usize;
        self.slots.get(..used).unwrap_or(&self.slots)
    }

    /// By its index.
    pub fn slot(&self, index: SlotIndex) -> &Slot {
        &self.slots[index]
    }

    /// What is in a slot; `None` if that is free.
    pub fn report(&self, index: SlotIndex) -> Option<Report> {
        let slot = &self.slots[index];
        (!slot.is_free()).then(|| Report::of(index, &slot.notification()))
    }

    /// The slots that are taken.
    pub fn taken(&self) -> impl Iterator<Item = Report> {
        (0..self.used_slots().len()).filter_map(|index| self.report(index))
    }
}

impl Slot {
    fn is_free(&self) -> bool {
        // Acquire: pairs with the Release in `clear`; usually the other side is the kernel, or dead.
        self.notification[0].load(Ordering::Acquire) == 0
    }

    /// Frees it. The id goes first: without it the rest means nothing.
    pub fn clear(&self) {
        self.notification[0].store(0, Ordering::Release);
        for word in &self.notification[1..] {
            word.store(0, Ordering::Relaxed);
        }
        for word in &self.name {
            word.store(0, Ordering::Relaxed);
        }
        self.kept_words.store(0, Ordering::Relaxed);
        self.tracer.store(0, Ordering::Relaxed);
        self.process.store(0, Ordering::Relaxed);
    }

    /// For the kernel to write to.
    pub fn for_kernel(&self) -> *mut libc::seccomp_notif {
        self.notification.as_ptr().cast_mut().cast()
    }

    fn notification(&self) -> libc::seccomp_notif {
        let words: [u64; NOTIFICATION_WORDS] =
            std::array::from_fn(|index| self.notification[index].load(Ordering::Relaxed));
        // SAFETY: both are integers alone, of the same size.
        unsafe { std::mem::transmute(words) }
    }

    /// What the program is called, for whoever takes over.
    pub fn set_name(&self, name: Option<&OsStr>) {
        // The last part of a path: what does not fit is cut off.
        let name = name.and_then(|name| Path::new(name).file_name()).unwrap_or_default();
        let mut bytes = [0; 8 * NAME_WORDS];
        for (place, &byte) in bytes.iter_mut().zip(name.as_bytes()) {
            *place = byte;
        }
        for (word, bytes) in self.name.iter().zip(bytes.as_chunks().0) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
    }

    /// What the program is called, if that is known.
    pub fn name(&self) -> Option<OsString> {
        let words = self.name.iter().map(|word| word.load(Ordering::Relaxed));
        let bytes: Vec<u8> =
            words.flat_map(u64::to_ne_bytes).take_while(|&byte| byte != 0).collect();
        (!bytes.is_empty()).then(|| OsString::from_vec(bytes))
    }

    /// Keeps a program's state for whoever takes over.
    pub fn keep(&self, kept: &Kept) {
        let words = [&[kept.signals_blocked], &kept.registers[..]].concat();
        for (place, &word) in self.kept.iter().zip(&words) {
            place.store(word, Ordering::Relaxed);
        }
        self.kept_words.store(words.len() as u32, Ordering::Release);
    }

    /// What was kept, if anything was.
    pub fn kept(&self) -> Option<Kept> {
        // Acquire: pairs with the Release in `keep`.
        let count = self.kept_words.load(Ordering::Acquire) as usize;
        let words = self.kept.get(..count)?.iter().map(|word| word.load(Ordering::Relaxed));
        let words: Vec<u64> = words.collect();
        let (&signals_blocked, registers) = words.split_first()?;
        Some(Kept { registers: registers.to_vec(), signals_blocked })
    }

    /// The report is about to be answered: from now on `tracer` answers for the program.
    pub fn hand_to(&self, tracer: Pid, process: Pid) {
        self.process.store(process.as_raw() as u32, Ordering::Relaxed);
        self.tracer.store(tracer.as_raw() as u32, Ordering::Release);
    }

    /// The report is not answered after all.
    pub fn hand_back(&self) {
        self.tracer.store(0, Ordering::Release);
    }

    /// Who traces the program, and the program's process, once the report is answered.
    pub fn tracer(&self) -> Option<(Pid, Pid)> {
        // Acquire: pairs with the Release in `hand_to` and `hand_back`.
        let tracer = self.tracer.load(Ordering::Acquire) as i32;
        let process = self.process.load(Ordering::Relaxed) as i32;
        (tracer != 0).then(|| (Pid::from_raw(tracer), Pid::from_raw(process)))
    }
}

/// [`InFlight`] in memory that is shared by all processes that come from this one.
#[derive(Debug)]
pub struct SharedInFlight(NonNull<InFlight>);

impl SharedInFlight {
    /// Fresh memory. It is never unmapped.
    pub fn new() -> nix::Result<Self> {
        use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
        let bytes = std::num::NonZeroUsize::new(size_of::<InFlight>()).ok_or(Errno::EINVAL)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let memory = unsafe { mmap_anonymous(None, bytes, protection, MapFlags::MAP_SHARED) };
        Ok(Self(memory?.cast()))
    }
}

impl Deref for SharedInFlight {
    type Target = InFlight;

    fn deref(&self) -> &InFlight {
        // SAFETY: aligned to a page, never unmapped, all atomics, for which the zeros that it came with
        // are values.
        unsafe { self.0.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_until_the_kernel_writes_an_id_and_again_once_it_is_cleared() {
        let shared = SharedInFlight::new().expect("there is memory");
        let index = shared.free_slot().expect("all are free");
        let slot = shared.slot(index);
        // SAFETY: the slot is that large, and nobody else has it.
        unsafe {
            *slot.for_kernel() = libc::seccomp_notif {
                id: 17,
                pid: 4711,
                flags: 0,
                data: libc::seccomp_data { nr: 59, arch: 0, instruction_pointer: 0, args: [5; 6] },
            };
        }
        assert_ne!(shared.free_slot(), Some(index));
        let taken: Vec<_> = shared.taken().collect();
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].slot, taken[0].pid), (index, Pid::from_raw(4711)));
        assert_eq!(slot.tracer(), None);
        assert_eq!(slot.kept(), None);
        let kept = Kept { registers: vec![1, 2, 3], signals_blocked: 4 };
        slot.keep(&kept);
        assert_eq!(slot.kept(), Some(kept));
        assert_eq!(slot.name(), None);
        slot.set_name(Some("/usr/bin/date".as_ref()));
        assert_eq!(slot.name().as_deref(), Some("date".as_ref()));
        slot.set_name(Some("x".repeat(100).as_ref()));
        assert_eq!(slot.name().as_deref(), Some("x".repeat(64).as_ref()));
        slot.hand_to(Pid::from_raw(1), Pid::from_raw(2));
        assert_eq!(slot.tracer(), Some((Pid::from_raw(1), Pid::from_raw(2))));
        slot.clear();
        assert_eq!(shared.taken().count(), 0);
        assert_eq!(slot.kept(), None);
        assert_eq!((shared.free_slot(), slot.tracer(), slot.name()), (Some(index), None, None));
    }

    #[test]
    fn what_was_left_of_a_slot_when_its_user_was_killed_is_wiped_before_it_is_used_again() {
        let shared = SharedInFlight::new().expect("there is memory");
        shared.slot(0).notification[3].store(9, Ordering::Relaxed);
        assert_eq!(shared.free_slot(), Some(0));
        assert_eq!(shared.slot(0).notification[3].load(Ordering::Relaxed), 0);
    }

    #[test]
    fn there_is_room_until_all_slots_are_taken() {
        let shared = SharedInFlight::new().expect("there is memory");
        for expected in 0..SLOTS {
            assert!(shared.has_room());
            let index = shared.free_slot().expect("there is room");
            assert_eq!(index, expected);
            shared.slot(index).notification[0].store(1, Ordering::Relaxed);
        }
        assert_eq!(shared.taken().count(), SLOTS);
        assert!(!shared.has_room());
        assert_eq!(shared.free_slot(), None);
        shared.slot(7).clear();
        assert!(shared.has_room());
    }

    #[test]
    fn slots_that_were_never_given_are_not_looked_at() {
        let shared = SharedInFlight::new().expect("there is memory");
        let index = shared.free_slot().expect("all are free");
        for slot in &shared.slots {
            slot.notification[0].store(1, Ordering::Relaxed);
        }
        assert_eq!(shared.taken().map(|report| report.slot).collect::<Vec<_>>(), [index]);
        assert!(shared.has_room());
    }

    #[test]
    fn the_lowest_number_of_filters_counts_of_each_kind_of_programs() {
        assert!(ABIS.len() <= MOST_ABIS);
        let shared = SharedInFlight::new().expect("there is memory");
        for abi in ABIS {
            assert_eq!(shared.confined_from(abi), None);
            for (noted, known) in [(4, 4), (2, 2), (3, 2)] {
                shared.note_confined(abi, noted);
                assert_eq!(shared.confined_from(abi), Some(known));
            }
        }
    }
}
