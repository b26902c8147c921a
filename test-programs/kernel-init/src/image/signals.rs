//! The trampolines: a thousand signals whose handler returns through the image, and a backtrace from
//! there by the image's unwind rules, or by the instructions that unwinders know.

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use gimli::{
    BaseAddresses, CfaRule, EhFrameHdr, EndianSlice, NativeEndian, Register, RegisterRule,
    UnwindContext, UnwindContextStorage, UnwindSection,
};
use syscalls::{Errno, Sysno};
use vdso_data::architecture::{Architecture, Export, Means, Rules};
use vdso_elf::abi::PT_GNU_EH_FRAME;

use super::arch::{ENTRY_SP, RETURN_TO, SIGNALS, Signals};
use super::kernel;
use super::mapped::Mapped;
use crate::report::Report;
use crate::system;

const TIMES: usize = 1_000;
/// Where there are trampolines.
const SIGUSR1: usize = 10;
const SA_SIGINFO: usize = 4;

/// How often the handler has run.
static HANDLED: AtomicUsize = AtomicUsize::new(0);

/// What the handler does beside counting: null for nothing.
static BACKTRACE: AtomicPtr<Backtrace> = AtomicPtr::new(ptr::null_mut());

/// Called by a handler's first instructions.
pub unsafe extern "C" fn handled(_signal: i32, _info: usize, _context: usize) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
    let backtrace = BACKTRACE.load(Ordering::Relaxed);
    // SAFETY: null, or that of `unwinds`, which waits for the handler in the same thread.
    if let Some(backtrace) = unsafe { backtrace.as_ref() } {
        backtrace.found.set(step(backtrace));
    }
}

/// A step from the trampoline to what a signal has interrupted, made while the frame is there.
struct Backtrace {
    architecture: &'static Architecture,
    image: Mapped,
    trampoline: usize,
    signals: Signals,
    /// The stack pointer and the program counter.
    found: Cell<Result<[usize; 2], &'static str>>,
}

pub fn run(report: &mut Report, architecture: &'static Architecture, image: &Mapped) {
    for export in architecture.exports {
        if let Means::Trampoline(rules) = export.means {
            let outcome = returns(export, image);
            report.check(format_args!("{}-returns", export.name), outcome);
            let outcome = unwinds(export, rules, architecture, image);
            report.check(format_args!("{}-unwinds", export.name), outcome);
        }
    }
}

fn returns(export: &Export, image: &Mapped) -> Result<&'static str, &'static str> {
    let signals = SIGNALS.ok_or("there is no handler for it")?;
    let trampoline = image.function(export.name).ok_or("the image lacks it")?;
    RETURN_TO.store(trampoline.as_ptr().expose_provenance(), Ordering::Relaxed);
    // The frames of plain signals, where there are any, are of those handlers that want no information.
    let flags =
        if export.name.contains("rt_") || export.name.contains("_rt") { SA_SIGINFO } else { 0 };
    handle(&signals, flags).map_err(|_| "rt_sigaction fails")?;
    HANDLED.store(0, Ordering::Relaxed);
    for _ in 0..TIMES {
        raise(&signals);
    }
    if HANDLED.load(Ordering::Relaxed) != TIMES {
        return Err("handlers have not run as often as signals were sent");
    }
    Ok("1000 signals")
}

/// Sends this process a signal; gives the stack pointer and the program counter that it interrupts.
fn raise(signals: &Signals) -> [usize; 2] {
    let mut before = [0; 2];
    // SAFETY: it takes no arguments and changes nothing.
    let process = unsafe { system::call(Sysno::getpid, [0; 6]) }.unwrap_or(0);
    // SAFETY: it writes to `before`; the signal has a handler.
    unsafe { (signals.raise)(process, SIGUSR1, &raw mut before) };
    before
}

/// `struct sigaction` of the kernel's. Source: `asm/signal.h` of each architecture.
#[repr(C)]
struct Action {
    handler: usize,
    flags: usize,
    #[cfg(not(any(target_arch = "riscv64", target_arch = "loongarch64")))]
    restorer: usize,
    mask: [u8; MASK_BYTES],
}

const MASK_BYTES: usize = 8;

fn handle(signals: &Signals, flags: usize) -> Result<usize, Errno> {
    let action = Action {
        handler: (signals.handler as *const ()).expose_provenance(),
        flags,
        #[cfg(not(any(target_arch = "riscv64", target_arch = "loongarch64")))]
        restorer: 0,
        mask: [0; MASK_BYTES],
    };
    let action = (&raw const action).expose_provenance();
    // SAFETY: the handler does nothing but count.
    unsafe { system::call(Sysno::rt_sigaction, [SIGUSR1, action, 0, MASK_BYTES, 0, 0]) }
}

fn unwinds(
    export: &Export,
    rules: Rules,
    architecture: &'static Architecture,
    image: &Mapped,
) -> Result<&'static str, &'static str> {
    let signals = SIGNALS.ok_or("there is no handler for it")?;
    let trampoline = image.function(export.name).ok_or("the image lacks it")?;
    let trampoline = trampoline.as_ptr().expose_provenance();
    match rules {
        Rules::Written => {
            let found = Cell::new(Err("the handler has not run"));
            let backtrace = Backtrace { architecture, image: *image, trampoline, signals, found };
            BACKTRACE.store((&raw const backtrace).cast_mut(), Ordering::Relaxed);
            let interrupted = raise(&signals);
            BACKTRACE.store(ptr::null_mut(), Ordering::Relaxed);
            if backtrace.found.get()? != interrupted {
                return Err("the rules lead elsewhere");
            }
            Ok("the rules lead to what was interrupted")
        }
        Rules::ByInstructions => {
            if find(architecture, image, trampoline, |_| ()).is_some() {
                return Err("there are rules, which hide the instructions");
            }
            let theirs = kernel::function(export.name).ok_or("the kernel lacks it")?;
            let symbol = image.image().lookup(export.name, None).ok_or("the image lacks it")?;
            let bytes = symbol.size as usize;
            // SAFETY: functions of that many bytes at least.
            let ours = unsafe {
                core::slice::from_raw_parts(
                    core::ptr::with_exposed_provenance::<u8>(trampoline),
                    bytes,
                )
            };
            // SAFETY: as above.
            let theirs =
                unsafe { core::slice::from_raw_parts(theirs.as_ptr().cast::<u8>(), bytes) };
            if ours != theirs {
                return Err("the instructions are not the kernel's");
            }
            Ok("by the kernel's own instructions")
        }
    }
}

/// The stack pointer and the program counter that the rules lead to.
fn step(backtrace: &Backtrace) -> Result<[usize; 2], &'static str> {
    let Backtrace { architecture, image, trampoline, signals, .. } = backtrace;
    let frame = ENTRY_SP.load(Ordering::Relaxed) + signals.popped_bytes;
    let sp_column = Register(signals.sp_column);
    find(architecture, image, *trampoline, |row| {
        if !row.is_signal {
            return Err("the rules are not marked as those of a signal's frame");
        }
        let cfa = match row.cfa {
            CfaRule::RegisterAndOffset { register, offset } if *register == sp_column => {
                frame.wrapping_add_signed(*offset as isize)
            }
            _ => return Err("the frame's address is not one from the stack pointer"),
        };
        let saved = |register: Register| match row.registers.iter().find(|it| it.0 == register) {
            Some((_, RegisterRule::Offset(offset))) => {
                let at = cfa.wrapping_add_signed(*offset as isize);
                // SAFETY: on this process's stack, above its pointer, if the rule is right; if not, this
                // process dies, and that is seen.
                Ok(unsafe { core::ptr::with_exposed_provenance::<usize>(at).read() })
            }
            _ => Err("a register has no rule"),
        };
        Ok([saved(sp_column)?, saved(row.return_column)?])
    })
    .ok_or("there are no rules")?
}

/// What the tables say about one address.
struct Row<'a> {
    is_signal: bool,
    return_column: Register,
    cfa: &'a CfaRule<usize>,
    registers: &'a [(Register, RegisterRule<usize>)],
}

/// Gives `use_row` the row for a return address, which unwinders look for one byte before it.
fn find<T>(
    architecture: &Architecture,
    image: &Mapped,
    address: usize,
    use_row: impl FnOnce(&Row<'_>) -> T,
) -> Option<T> {
    let segment = image.image().segments().find(|it| it.kind == PT_GNU_EH_FRAME)?;
    let bytes = image.image().bytes();
    let header_bytes = bytes.get(segment.file_offset as usize..)?;
    let bases = BaseAddresses::default().set_eh_frame_hdr(segment.vaddr);
    let address_bytes = (architecture.bits / 8) as u8;
    let header = EhFrameHdr::new(header_bytes, NativeEndian).parse(&bases, address_bytes).ok()?;
    let frames_vaddr = header.eh_frame_ptr().direct().ok()?;
    let bases = bases.set_eh_frame(frames_vaddr);
    let frame_bytes = bytes.get(frames_vaddr as usize..)?;
    let mut frames = gimli::EhFrame::from(EndianSlice::new(frame_bytes, NativeEndian));
    frames.set_address_size(address_bytes);
    let mut context: UnwindContext<usize, Storage> = UnwindContext::new_in();
    let vaddr = (address - image.base() - 1) as u64;
    let table = header.table()?;
    let fde =
        table.fde_for_address(&frames, &bases, vaddr, gimli::EhFrame::cie_from_offset).ok()?;
    let row = fde.unwind_info_for_address(&frames, &bases, &mut context, vaddr).ok()?;
    let mut registers = [const { (Register(0), RegisterRule::Undefined) }; Storage::RULES];
    let mut count = 0;
    for ((register, rule), slot) in row.registers().zip(&mut registers) {
        *slot = (*register, rule.clone());
        count += 1;
    }
    Some(use_row(&Row {
        is_signal: fde.is_signal_trampoline(),
        return_column: fde.cie().return_address_register(),
        cfa: row.cfa(),
        registers: &registers[..count],
    }))
}

/// Room for the rules of every register that there is.
struct Storage;

impl Storage {
    const RULES: usize = 128;
}

impl UnwindContextStorage<usize> for Storage {
    type Rules = [(Register, RegisterRule<usize>); Self::RULES];
    type Stack = [gimli::UnwindTableRow<usize, Self>; 2];
}
