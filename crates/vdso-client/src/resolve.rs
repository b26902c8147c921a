//! Which image this process's calls go to, and the pointer that each call keeps.
//!
//! A call finds its function when it is first made, and not before: nothing runs before `main`, and
//! a program pays for what it calls. Whatever is found is written down in a [`Slot`], one word for
//! each call, which goes through these states:
//!
//! ```text
//! unresolved (null) --first call--> the function's address
//!         ^             |
//!         |             +---------> fallback (1): there is no such function
//!         |             +---------> on page (2): the own page is read
//!         +--reset()-- all
//! ```
//!
//! What the first call does on the way is `#[inline]`, here and in vdso-elf: it is then compiled into the
//! caller's crate, beside code that has just run. Anywhere else in a program most first calls begin with a
//! page fault, which takes as long as all the rest.
//!
//! A function that is there and answers `ENOSYS` keeps its place: it may do so for one clock alone.
//! Several threads, or a signal handler in the midst of it, may resolve the same slot at once. Nobody
//! waits: all of them find the same, and the first one's answer stays.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use vdso_arch::abi::{Abi, Call, Function, Purpose};

use crate::arch::HAS_64_BIT_LONG_TIMES;
use crate::auxv;
use crate::cpu;
use crate::ids;
use crate::line;
use crate::own;
use crate::recent;
use crate::vdso::{NotAdopted, NotFound, Vdso};

/// The image that was named by [`adopt`]; null: the auxiliary vector's; [`FALLBACK`]: none.
static ADOPTED: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Counts changes of the image, so that what was found in an old one is not written down.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// In place of an address: there is none. No function and no image is at address 1.
const FALLBACK: *mut () = ptr::without_provenance_mut(1);

/// In place of the address of `time`: the own page has the answer. That function takes so few cycles that
/// a question for the page before it would show; the other calls ask it first, which costs them nothing on
/// the page and little elsewhere.
const ON_PAGE: *mut () = ptr::without_provenance_mut(2);

/// Every slot, and what it is for. Not in the slots themselves, which so consist of zeros and need
/// nothing from the program's file.
static SLOTS: [(&Slot, Purpose); 8] = [
    (&slots::CLOCK_GETTIME, with_64_bit_times(Call::ClockGettime)),
    (&slots::CLOCK_GETTIME_32, Purpose::Call(Call::ClockGettime)),
    (&slots::CLOCK_GETRES, with_64_bit_times(Call::ClockGetres)),
    (&slots::CLOCK_GETRES_32, Purpose::Call(Call::ClockGetres)),
    (&slots::GETTIMEOFDAY, Purpose::Call(Call::Gettimeofday)),
    (&slots::TIME, Purpose::Call(Call::Time)),
    (&slots::GETCPU, Purpose::Call(Call::Getcpu)),
    (&slots::GETRANDOM, Purpose::Call(Call::Getrandom)),
];

/// The slots of the calls. Those with `_32` have 32-bit times, for kernels before 5.3 on 32-bit
/// architectures.
pub(crate) mod slots {
    use super::Slot;

    pub static CLOCK_GETTIME: Slot = Slot::new();
    pub static CLOCK_GETTIME_32: Slot = Slot::new();
    pub static CLOCK_GETRES: Slot = Slot::new();
    pub static CLOCK_GETRES_32: Slot = Slot::new();
    pub static GETTIMEOFDAY: Slot = Slot::new();
    pub static TIME: Slot = Slot::new();
    pub static GETCPU: Slot = Slot::new();
    pub static GETRANDOM: Slot = Slot::new();
}

const fn with_64_bit_times(call: Call) -> Purpose {
    if HAS_64_BIT_LONG_TIMES { Purpose::Call(call) } else { Purpose::Time64(call) }
}

/// What a call has to do.
pub(crate) enum Found {
    /// Call this.
    Function(NonNull<()>),
    /// Read the own page.
    OnPage,
    /// Nothing of that, or look first.
    NoFunction,
}

/// Where a call keeps its function.
pub(crate) struct Slot {
    function: AtomicPtr<()>,
}

impl Slot {
    const fn new() -> Self {
        Self { function: AtomicPtr::new(ptr::null_mut()) }
    }

    #[inline]
    fn purpose(&self) -> Option<Purpose> {
        let (_, purpose) = SLOTS.iter().find(|(slot, _)| ptr::eq(*slot, self))?;
        Some(*purpose)
    }

    /// The function, if it has been resolved and there is one.
    #[inline(always)]
    pub fn resolved(&self) -> Option<NonNull<()>> {
        // Acquire: pairs with the Release in `resolve`, for an image that another thread has mapped
        // and adopted.
        let function = self.function.load(Ordering::Acquire);
        if function.addr() > ON_PAGE.addr() { NonNull::new(function) } else { None }
    }

    /// What has been resolved.
    #[inline(always)]
    pub fn found(&self) -> Found {
        // Acquire: as above.
        let function = self.function.load(Ordering::Acquire);
        match NonNull::new(function) {
            Some(found) if function.addr() > ON_PAGE.addr() => Found::Function(found),
            Some(_) if function == ON_PAGE => Found::OnPage,
            _ => Found::NoFunction,
        }
    }

    /// The function, which is looked for if nobody has yet. Of `time` on an own page there is none.
    #[inline]
    pub fn get(&self) -> Option<NonNull<()>> {
        // Acquire: as above.
        let function = self.function.load(Ordering::Acquire);
        if !function.is_null() {
            return self.resolved();
        }
        self.resolve()
    }

    #[cold]
    #[inline]
    fn resolve(&self) -> Option<NonNull<()>> {
        // Acquire: pairs with the Release in `forget`; the image that is looked at below is then not
        // older than this number.
        let generation = GENERATION.load(Ordering::Acquire);
        let vdso = vdso().ok();
        let page = own::resolve(vdso.as_ref());
        let purpose = self.purpose();
        let is_on_page = page.is_some() && purpose == Some(Purpose::Call(Call::Time));
        let found = vdso.filter(|_| !is_on_page).and_then(|vdso| vdso_function(&vdso, purpose?));
        let without = if is_on_page { ON_PAGE } else { FALLBACK };
        let function = found.map_or(without, NonNull::as_ptr);
        // Release: pairs with the Acquire in `resolved`. If it fails, somebody else has found it.
        let unresolved = ptr::null_mut();
        let (success, failure) = (Ordering::Release, Ordering::Relaxed);
        let _ = self.function.compare_exchange(unresolved, function, success, failure);
        // A `forget` between the two looks at the number may have come too early to see the store.
        // SeqCst: the store above and this load, and the store and the exchange in `forget`, must not
        // pass each other.
        core::sync::atomic::fence(Ordering::SeqCst);
        if GENERATION.load(Ordering::Relaxed) != generation {
            forget_all();
        }
        found
    }
}

/// The function of an image for a purpose, if this architecture has a name for it.
#[inline]
fn vdso_function(vdso: &Vdso<'_>, purpose: Purpose) -> Option<NonNull<()>> {
    let Function { name, version, .. } = Abi::CURRENT?.with_purpose(purpose)?;
    vdso.lookup(name, Some(version))
}

/// The image that this process's calls go to.
#[inline]
pub fn vdso() -> Result<Vdso<'static>, NotFound> {
    // Acquire: pairs with the Release in `forget`, for the image's content.
    let adopted = ADOPTED.load(Ordering::Acquire);
    if adopted.is_null() {
        return Vdso::from_auxv(auxv::order());
    }
    if adopted == FALLBACK {
        return Err(NotFound::TurnedOff);
    }
    // SAFETY: `adopt` was given a `Vdso<'static>` that begins here, with all bytes that will be read.
    unsafe { Vdso::from_ptr(adopted.cast_const().cast()) }.map_err(NotFound::Unreadable)
}

/// Makes this process's calls go to another image than that of the auxiliary vector.
///
/// # Errors
/// If the image's bytes are not whole pages, as those of a mapped image are; see [`NotAdopted`]. Calls go
/// then where they went before.
///
/// # Safety
/// The image must be mapped executable. Its functions that have the names of this architecture's
/// [table](crate::names) must be such functions. If it has the note of our own page (`vdso_data::note`), the
/// pages must be mapped where it says. The image and its pages must never be unmapped, also after another one
/// was adopted: a [`PageReader`](crate::PageReader) goes on with the one that it was made for.
pub unsafe fn adopt(vdso: Vdso<'static>) -> Result<(), NotAdopted> {
    vdso.check_pages()?;
    forget(vdso.base().cast_mut().cast());
    Ok(())
}

/// Makes every call a system call from now on: for comparisons, and for programs that must be seen
/// by whoever watches system calls.
pub fn without_vdso() {
    forget(FALLBACK);
}

/// Forgets what was found and adopted: each call looks at the auxiliary vector anew when it is next
/// made. For programs that go on in another place than they began, after being restored from a
/// checkpoint or moved to another kernel.
///
/// Lock-free, and safe in a signal handler. Threads that are in a call meanwhile finish it with what
/// they have found before.
pub fn reset() {
    forget(ptr::null_mut());
}

fn forget(adopted: *mut ()) {
    // Release: pairs with the Acquire in `vdso`.
    ADOPTED.store(adopted, Ordering::Release);
    // Release: pairs with the Acquire in `resolve`.
    GENERATION.fetch_add(1, Ordering::Release);
    // SeqCst: pairs with the fence in `resolve`.
    core::sync::atomic::fence(Ordering::SeqCst);
    forget_all();
}

/// Counts the changes of the image.
pub(crate) fn generation() -> u32 {
    // Acquire: pairs with the Release in `forget`.
    GENERATION.load(Ordering::Acquire)
}

/// Whether every call is to be a system call.
pub(crate) fn is_turned_off() -> bool {
    // Relaxed: no image is read.
    ADOPTED.load(Ordering::Relaxed) == FALLBACK
}

fn forget_all() {
    cpu::forget();
    ids::forget();
    own::forget();
    line::forget();
    recent::forget();
    for (slot, _) in SLOTS {
        // Release: as every store to a slot, so that the chain of releases is not broken.
        slot.function.store(ptr::null_mut(), Ordering::Release);
    }
}
