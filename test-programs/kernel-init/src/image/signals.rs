//! The trampolines: a thousand signals whose handler returns through the image, and a backtrace from
//! there by the image's unwind rules, or by the instructions that unwinders know.

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use gimli::{CfaRule, Register, RegisterRule};
use syscalls::{Errno, Sysno};
use vdso_data::architecture::{Architecture, Export, Means, Rules};

use super::arch::{ENTRY_SP, RETURN_TO, SIGNALS, Signals};
use super::kernel;
use super::mapped::Mapped;
use super::rules::Tables;
use crate::report::Report;
use crate::system::{self, Told};

const TIMES: usize = 1_000;
/// Where there are trampolines.
const SIGUSR1: usize = 10;

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
            let outcome = unwinds(export, rules, image);
            report.check(format_args!("{}-unwinds", export.name), outcome);
        }
    }
}

fn returns(export: &Export, image: &Mapped) -> Result<&'static str, &'static str> {
    let signals = SIGNALS.ok_or("there is no handler for it")?;
    let trampoline = image.function(export.name).ok_or("the image lacks it")?;
    RETURN_TO.store(trampoline.as_ptr().expose_provenance(), Ordering::Relaxed);
    // The frames of plain signals, where there are any, are of those handlers that want no information.
    let is_rt = export.name.contains("rt_") || export.name.contains("_rt");
    let told = if is_rt { Told::Registers } else { Told::Signal };
    handle(&signals, told).map_err(|_| "rt_sigaction fails")?;
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

fn handle(signals: &Signals, told: Told) -> Result<(), Errno> {
    let handler = (signals.handler as *const ()).expose_provenance();
    // SAFETY: the handler does nothing but count, and read what is on the stack.
    unsafe { system::set_handler(SIGUSR1, handler, told) }
}

fn unwinds(export: &Export, rules: Rules, image: &Mapped) -> Result<&'static str, &'static str> {
    let signals = SIGNALS.ok_or("there is no handler for it")?;
    let trampoline = image.function(export.name).ok_or("the image lacks it")?;
    let trampoline = trampoline.as_ptr().expose_provenance();
    match rules {
        Rules::Written => {
            let found = Cell::new(Err("the handler has not run"));
            let backtrace = Backtrace { image: *image, trampoline, signals, found };
            BACKTRACE.store((&raw const backtrace).cast_mut(), Ordering::Relaxed);
            let interrupted = raise(&signals);
            BACKTRACE.store(ptr::null_mut(), Ordering::Relaxed);
            if backtrace.found.get()? != interrupted {
                return Err("the rules lead elsewhere");
            }
            Ok("the rules lead to what was interrupted")
        }
        Rules::ByInstructions => {
            let tables = Tables::of(image).ok_or("the image has no unwind rules")?;
            if tables.find(behind_call(image, trampoline), |_| ()).is_some() {
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

/// Where rules are looked for: a byte before the address that is returned to.
fn behind_call(image: &Mapped, return_address: usize) -> u64 {
    (return_address - image.base() - 1) as u64
}

/// The stack pointer and the program counter that the rules lead to.
fn step(backtrace: &Backtrace) -> Result<[usize; 2], &'static str> {
    let Backtrace { image, trampoline, signals, .. } = backtrace;
    let frame = ENTRY_SP.load(Ordering::Relaxed) + signals.popped_bytes;
    let sp_column = Register(signals.sp_column);
    let tables = Tables::of(image).ok_or("the image has no unwind rules")?;
    let step = tables.find(behind_call(image, *trampoline), |row| {
        if !row.is_signal {
            return Err("the rules are not marked as those of a signal's frame");
        }
        let cfa = match row.cfa {
            CfaRule::RegisterAndOffset { register, offset } if *register == sp_column => {
                frame.wrapping_add_signed(*offset as isize)
            }
            _ => return Err("the frame's address is not one from the stack pointer"),
        };
        let saved = |register: Register| match row.rule(register) {
            Some(RegisterRule::Offset(offset)) => {
                let at = cfa.wrapping_add_signed(*offset as isize);
                // SAFETY: on this process's stack, above its pointer, if the rule is right; if not, this
                // process dies, and that is seen.
                Ok(unsafe { core::ptr::with_exposed_provenance::<usize>(at).read() })
            }
            _ => Err("a register has no rule"),
        };
        Ok([saved(sp_column)?, saved(row.return_column)?])
    });
    step.ok_or("there are no rules")?
}
