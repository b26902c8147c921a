//! An image with a trap in the place of every instruction.
//!
//! What is written to code is executed at once, as emulators do it: most real CPUs would have to be told.

use core::cell::Cell;
use core::fmt::{self, Display};
use core::ops::Range;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering};

use vdso_data::architecture::Architecture;
use vdso_data::detour::FROM_ENTRY;

use super::calls::Scene;
use super::cover;
use super::layout::{LAYOUT, instruction_bytes};
use super::registers::{self, Registers};
use crate::image::mapped::Mapped;
use crate::image::rules::Tables;
use crate::system::{self, Told};

/// The longest image.
const LONGEST: usize = 56 << 10;

/// As many as a call comes through, and more.
const FUNCTIONS: usize = 16;

/// As kill(2) has them.
const SIGILL: usize = 4;
const SIGTRAP: usize = 5;

/// That of the call that is being made: null for none.
static WATCH: AtomicPtr<Watch<'static>> = AtomicPtr::new(ptr::null_mut());

/// What is known of a byte of the image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// No instruction begins there, or none that is to be reached.
    Nothing,
    /// One that no call has led to.
    Armed,
    /// One from which a backtrace was right.
    Reached,
    /// One at an end of a function, where the rules tell of what is not there.
    Late,
}

/// What has been reached, in all scenes together.
pub struct Marks {
    bytes: [Cell<Mark>; LONGEST],
}

/// What was wrong, and where.
#[derive(Clone, Copy, Debug)]
pub struct Wrong {
    /// Counted from the image's beginning.
    pub vaddr: u64,
    pub what: &'static str,
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vaddr {
            0 => f.write_str(self.what),
            vaddr => write!(f, "at {vaddr:#x}: {}", self.what),
        }
    }
}

impl From<&'static str> for Wrong {
    fn from(what: &'static str) -> Self {
        Self { vaddr: 0, what }
    }
}

/// What was so where a function began.
#[derive(Clone, Copy, Default)]
struct Entered {
    /// Its address, zero for none.
    function: u64,
    sp: u64,
}

/// An image in one scene.
pub struct Watch<'a> {
    scene: &'a Scene,
    /// The image as it is built.
    plain: Mapped,
    /// That with the traps.
    image: Mapped,
    tables: Tables,
    marks: &'a Marks,
    /// The caller of the function that has been called.
    caller: Cell<Option<Registers>>,
    /// The functions that it has come through.
    entered: Cell<[Entered; FUNCTIONS]>,
    /// The lowest stack pointer of the call.
    lowest: Cell<u64>,
    wrong: Cell<Option<Wrong>>,
}

impl<'a> Watch<'a> {
    pub fn new(
        architecture: &'static Architecture,
        source: &str,
        scene: &'a Scene,
        marks: &'a Marks,
    ) -> Result<Self, Wrong> {
        let map = || {
            Mapped::with(architecture, source, |page| (scene.fill)(page))
                .map_err(|_| "the image cannot be mapped")
        };
        let (plain, image) = (map()?, map()?);
        // SAFETY: what refers to the image's bytes reads what the traps leave alone: tables and names.
        unsafe { image.make_writable() }.map_err(|_| "the image cannot be made writable")?;
        let tables = Tables::of(&plain).ok_or("the image has no unwind rules")?;
        let watch = Self {
            scene,
            plain,
            image,
            tables,
            marks,
            caller: Cell::new(None),
            entered: Cell::new([Entered::default(); FUNCTIONS]),
            lowest: Cell::new(u64::MAX),
            wrong: Cell::new(None),
        };
        watch.find_instructions(architecture)?;
        cover::check(watch.plain.image(), &watch.tables)?;
        for signal in [SIGTRAP, SIGILL] {
            let handler = (trapped as *const ()).expose_provenance();
            // SAFETY: the handler is for the traps here; whatever else comes ends the process.
            unsafe { system::set_handler(signal, handler, Told::Registers) }
                .map_err(|_| "rt_sigaction fails")?;
        }
        Ok(watch)
    }

    /// Calls a function of the image's by its name.
    pub fn call(&self, name: &str, function: impl FnOnce(NonNull<()>)) -> Result<(), Wrong> {
        let address = self.image.function(name).ok_or("the image lacks a function")?;
        (self.scene.publish)(self.image.own);
        self.arm();
        self.caller.set(None);
        self.entered.set([Entered::default(); FUNCTIONS]);
        self.lowest.set(u64::MAX);
        WATCH.store((&raw const *self).cast_mut().cast(), Ordering::Relaxed);
        function(address);
        WATCH.store(ptr::null_mut(), Ordering::Relaxed);
        match self.wrong.take() {
            Some(wrong) => Err(wrong),
            None if self.caller.take().is_none() => {
                Err("a function has no first instruction".into())
            }
            None => Ok(()),
        }
    }

    /// Marks the instructions of all functions that a caller may come to.
    fn find_instructions(&self, architecture: &Architecture) -> Result<(), Wrong> {
        let code = self.plain.image().bytes();
        let detours = self.detours(architecture);
        for function in self.tables.functions() {
            let function = function.map_err(|_| "a function's rules cannot be read")?;
            if self.is_left_out(function.start, architecture) || detours.contains(&function.start) {
                continue;
            }
            let mut vaddr = function.start;
            while vaddr < function.end {
                let rest = code.get(vaddr as usize..function.end as usize);
                let rest = rest.ok_or("a function reaches beyond the image")?;
                let bytes = instruction_bytes(rest).filter(|bytes| *bytes <= rest.len());
                let bytes = bytes.ok_or(Wrong { vaddr, what: "no instruction" })?;
                let mark = self.marks.bytes.get(vaddr as usize).ok_or("the image is too long")?;
                if mark.get() == Mark::Nothing {
                    mark.set(Mark::Armed);
                }
                vaddr += bytes as u64;
            }
        }
        Ok(())
    }

    /// A trampoline, which a handler returns to, or where injection enters, which has no caller.
    fn is_left_out(&self, vaddr: u64, architecture: &Architecture) -> bool {
        let is_signal = self.tables.find(vaddr, |row| row.is_signal) == Some(true);
        is_signal || architecture.enters_programs && self.plain.image().entry() == vaddr
    }

    /// The code to which threads are sent for a system call, which nobody does here: the linker script puts it between the
    /// entry point and the first exported function.
    fn detours(&self, architecture: &Architecture) -> Range<u64> {
        let image = self.plain.image();
        let start = image.entry() + FROM_ENTRY as u64;
        let exported = image.symbols().flatten().filter(|it| it.is_defined() && !it.is_absolute());
        match exported.map(|symbol| symbol.value).min() {
            Some(end) if architecture.detours => start..end,
            _ => 0..0,
        }
    }

    fn arm(&self) {
        for (vaddr, mark) in self.marks.bytes.iter().enumerate() {
            if mark.get() != Mark::Nothing {
                self.write(vaddr, LAYOUT.trap);
            }
        }
    }

    /// Writes to code.
    fn write(&self, vaddr: usize, bytes: &[u8]) {
        let code = ptr::with_exposed_provenance_mut::<u8>(self.image.base() + vaddr);
        for (index, byte) in bytes.iter().enumerate() {
            // SAFETY: within the image, as an instruction is there, and writable; nobody refers to code.
            unsafe { code.wrapping_add(index).write_volatile(*byte) };
        }
    }

    /// At a trap: puts the instruction back and makes the backtrace.
    fn trapped(&self, registers: &mut Registers) {
        registers.pc -= LAYOUT.behind_bytes;
        let vaddr = registers.pc.wrapping_sub(self.image.base() as u64);
        let mark = self.marks.bytes.get(vaddr as usize).filter(|mark| mark.get() != Mark::Nothing);
        let Some(mark) = mark else {
            // Not ours, so there is no way to go on.
            system::exit(1);
        };
        let at = vaddr as usize;
        self.write(at, &self.plain.image().bytes()[at..at + LAYOUT.trap.len()]);
        (self.scene.between)(self.image.own);
        let caller = self.caller.take().unwrap_or_else(|| registers.caller());
        // The frame is gone, or what was saved in it is.
        let is_gone = self.is_frame_gone(vaddr, registers);
        let (is_late, what) = match self.backtrace(registers) {
            Ok(found) => (is_gone || found.is_from_below, found.difference(&caller)),
            Err(what) => (is_gone, Some(what)),
        };
        match what {
            None if mark.get() == Mark::Late => {}
            None => mark.set(Mark::Reached),
            Some(_) if LAYOUT.ends_late && is_late => mark.set(Mark::Late),
            Some(what) => {
                // The first one tells the most.
                let first = self.wrong.take().unwrap_or(Wrong { vaddr, what });
                self.wrong.set(Some(first));
            }
        }
        self.caller.set(Some(caller));
    }

    /// Whether a function has given its frame back: the stack pointer is where it was at the beginning.
    fn is_frame_gone(&self, vaddr: u64, registers: &Registers) -> bool {
        let sp = registers.sp();
        // All can be read, or there were no traps.
        let mut functions = self.tables.functions().flatten();
        let Some(function) = functions.find(|function| function.contains(&vaddr)) else {
            return false;
        };
        let mut entered = self.entered.get();
        let known = entered.iter().find(|it| it.function == function.start).copied();
        if known.is_none()
            && let Some(free) = entered.iter_mut().find(|it| it.function == 0)
        {
            *free = Entered { function: function.start, sp };
            self.entered.set(entered);
        }
        let lowest = self.lowest.get().min(sp);
        self.lowest.set(lowest);
        known.is_some_and(|known| known.sp == sp && lowest < sp)
    }

    /// The first caller that is not in the image.
    fn backtrace(&self, registers: &Registers) -> Result<Registers, &'static str> {
        const DEEPEST: usize = 8;
        let base = self.image.base() as u64;
        let mut frame = registers.clone();
        // At a trap, the rules are those of the next instruction; at a call, of the one before it.
        let mut looked_up = frame.pc;
        for _ in 0..DEEPEST {
            frame = frame.step(&self.tables, looked_up - base)?;
            looked_up = frame.pc.wrapping_sub(1);
            if !(base..base + LONGEST as u64).contains(&looked_up) {
                return Ok(frame);
            }
        }
        Err("it comes to no end")
    }
}

/// The handler.
unsafe extern "C" fn trapped(_signal: i32, _information: *const u8, context: *mut u8) {
    // SAFETY: null, or that of the call that this interrupts.
    let Some(watch) = (unsafe { WATCH.load(Ordering::Relaxed).as_ref() }) else {
        system::exit(1);
    };
    // SAFETY: the kernel calls this with a context.
    let mut registers = unsafe { Registers::interrupted(context) };
    watch.trapped(&mut registers);
    // SAFETY: as above.
    unsafe { registers::return_to(context, registers.pc) };
}

impl Marks {
    pub fn new() -> Self {
        Self { bytes: [const { Cell::new(Mark::Nothing) }; LONGEST] }
    }

    /// Those that were reached, and the others.
    pub fn counts(&self) -> Counts<'_> {
        let count = |mark| self.bytes.iter().filter(|it| it.get() == mark).count();
        let [reached, late, missed] = [Mark::Reached, Mark::Late, Mark::Armed].map(count);
        Counts { marks: self, reached, late, missed }
    }
}

/// How many instructions have been reached.
pub struct Counts<'a> {
    marks: &'a Marks,
    pub reached: usize,
    pub late: usize,
    pub missed: usize,
}

/// With the places where others begin, which `objdump` tells more of.
impl Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reached, late, missed, marks } = self;
        write!(f, "{reached} instructions lead to the caller, {late} at functions' ends do not, ")?;
        write!(f, "{missed} were not reached:")?;
        let mut before = Mark::Reached;
        for (vaddr, mark) in marks.bytes.iter().enumerate() {
            let mark = mark.get();
            if mark == Mark::Armed && before != Mark::Armed {
                write!(f, " {vaddr:#x}")?;
            }
            if mark != Mark::Nothing {
                before = mark;
            }
        }
        Ok(())
    }
}
