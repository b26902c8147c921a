//! The auxiliary vector: the pairs of numbers that the kernel leaves on the stack of every new
//! program. One of them is the address of the vDSO.
//!
//! There are four ways to it, and [`Order`] says which are tried, one after another. The first that
//! there is decides, also when it says that there is no vDSO:
//!
//! 1. [`Source::Getauxval`]: the C library's view (feature `libc-auxv`, part of `std`).
//! 2. [`Source::StartupStack`]: the vector itself, if the program's `_start` has handed it over
//!    ([`set_startup_stack`]).
//! 3. [`Source::Prctl`]: the kernel's copy by `PR_GET_AUXV`, from Linux 6.4 on.
//! 4. [`Source::ProcSelf`]: the same copy as `/proc/self/auxv`.
//!
//! The first two come first as debuggers edit the vector on the stack but not the kernel's copy:
//! valgrind takes the vDSO out of it because it must see every system call, and so does rr. As the copy may
//! so name what is no longer there, [`Vdso::from_auxv`](crate::Vdso::from_auxv) has the kernel look at an
//! address that comes from it before it reads there itself: by madvise(2), and where that does not tell
//! (before Linux 5.14) by rt_sigprocmask(2).
//!
//! Source: getauxval(3), prctl(2); `fs/binfmt_elf.c` (Linux 6.18).

use core::fmt;
use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::arch::{self, NUMBERS};
#[cfg(all(feature = "libc-auxv", not(miri)))]
use crate::c_errno::keeping_errno;
use crate::errno::Errno;
use crate::file;

/// The key of the vDSO's address. Source: `include/uapi/linux/auxvec.h`.
const AT_SYSINFO_EHDR: usize = 33;
/// The key that ends the vector.
const AT_NULL: usize = 0;

/// A way to the auxiliary vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Source {
    /// The C library's `getauxval`. Without the feature `libc-auxv` there is none.
    Getauxval = 1,
    /// The stack that the program began with. There is none before [`set_startup_stack`].
    StartupStack = 2,
    /// `prctl(PR_GET_AUXV)`.
    Prctl = 3,
    /// `/proc/self/auxv`.
    ProcSelf = 4,
}

impl Source {
    /// All of them, in the usual order.
    pub const ALL: [Self; 4] = [Self::Getauxval, Self::StartupStack, Self::Prctl, Self::ProcSelf];

    /// Whether this is the kernel's copy, which nobody changes who takes the vDSO away.
    #[inline]
    pub(crate) fn may_be_stale(self) -> bool {
        matches!(self, Self::Prctl | Self::ProcSelf)
    }

    /// What the vector has under `key`, by this way alone.
    #[inline]
    fn look_up(self, key: usize) -> Answer {
        match self {
            Self::Getauxval => by_getauxval(key),
            Self::StartupStack => by_startup_stack(key),
            Self::Prctl => by_prctl(key),
            Self::ProcSelf => by_proc(key),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Getauxval => "getauxval",
            Self::StartupStack => "the start-up stack",
            Self::Prctl => "prctl(PR_GET_AUXV)",
            Self::ProcSelf => "/proc/self/auxv",
        })
    }
}

/// What a way to the vector has led to.
enum Answer {
    /// There is no such way here.
    NoSource,
    /// What the vector has under the key; zero if it has nothing.
    Value(usize),
}

/// Which ways are tried, in which order. Four bits for each, the first in the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order(u32);

impl Order {
    /// The four in the order of the module's documentation.
    pub const USUAL: Self = Self::of(&Source::ALL);

    /// These, in this order. Those after the eighth are left out.
    pub const fn of(sources: &[Source]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < sources.len() && index < 8 {
            bits |= (sources[index] as u32) << (4 * index);
            index += 1;
        }
        Self(bits)
    }

    fn sources(self) -> impl Iterator<Item = Source> {
        (0..8).filter_map(move |index| match self.0 >> (4 * index) & 0xf {
            1 => Some(Source::Getauxval),
            2 => Some(Source::StartupStack),
            3 => Some(Source::Prctl),
            4 => Some(Source::ProcSelf),
            _ => None,
        })
    }
}

/// How this crate's calls find the vDSO.
static ORDER: AtomicU32 = AtomicU32::new(Order::USUAL.0);

/// Sets the order in which this crate's calls look for the vector. It matters to calls that have not
/// been made yet; [`reset`](crate::reset) makes it matter to all.
pub fn set_order(order: Order) {
    // Relaxed: one word that stands for itself.
    ORDER.store(order.0, Ordering::Relaxed);
}

/// The order that is set.
#[inline]
pub fn order() -> Order {
    Order(ORDER.load(Ordering::Relaxed))
}

/// The vector on the start-up stack; null until somebody has handed it over.
static STARTUP_VECTOR: AtomicPtr<usize> = AtomicPtr::new(ptr::null_mut());

/// Hands over the stack pointer that the kernel gave the program's `_start`, where `argc` is. For
/// programs without a C library.
///
/// # Safety
/// `stack` must be that pointer, and `argc`, `argv`, the environment and the auxiliary vector must
/// stay there, unmoved, from now on.
pub unsafe fn set_startup_stack(stack: *const usize) {
    // SAFETY: the caller promises that `argc` is here.
    let argument_count = unsafe { stack.read() };
    // SAFETY: as many pointers follow, and a null.
    let mut word = unsafe { stack.add(1 + argument_count + 1) };
    // SAFETY: the environment is here, up to another null, and so for the next word.
    while unsafe { word.read() } != 0 {
        // SAFETY: that word was not the null, which is further on.
        word = unsafe { word.add(1) };
    }
    // SAFETY: the vector follows the null.
    let vector = unsafe { word.add(1) };
    // Release: pairs with the Acquire in `by_startup_stack`; the vector is read through it.
    STARTUP_VECTOR.store(vector.cast_mut(), Ordering::Release);
}

/// The vDSO's ELF header, by the first way there is; null if that says that there is none.
/// `None` if no way leads to the vector.
///
/// By the last two ways it may be an address where nothing is any more: see the module.
pub fn vdso_address(order: Order) -> Option<*const u8> {
    find(order).map(|(_, address)| address)
}

/// The same, and the way that has led there.
pub(crate) fn find(order: Order) -> Option<(Source, *const u8)> {
    let (source, address) = look_up(order, AT_SYSINFO_EHDR)?;
    let none = address == 0;
    Some((source, if none { ptr::null() } else { ptr::with_exposed_provenance(address) }))
}

/// What the vector has under `key`, zero if nothing, by the first way there is, and that way.
#[inline]
pub(crate) fn look_up(order: Order, key: usize) -> Option<(Source, usize)> {
    order.sources().find_map(|source| match source.look_up(key) {
        Answer::NoSource => None,
        Answer::Value(value) => Some((source, value)),
    })
}

#[cfg(all(feature = "libc-auxv", not(miri)))]
#[inline]
fn by_getauxval(key: usize) -> Answer {
    unsafe extern "C" {
        safe fn getauxval(key: core::ffi::c_ulong) -> core::ffi::c_ulong;
    }
    // It sets errno where there is no such entry.
    Answer::Value(keeping_errno(|_| getauxval(key as _)) as usize)
}

#[cfg(not(all(feature = "libc-auxv", not(miri))))]
fn by_getauxval(_: usize) -> Answer {
    Answer::NoSource
}

#[inline]
fn by_startup_stack(wanted: usize) -> Answer {
    // Acquire: pairs with the Release in `set_startup_stack`.
    let mut pair = STARTUP_VECTOR.load(Ordering::Acquire).cast_const();
    if pair.is_null() {
        return Answer::NoSource;
    }
    loop {
        // SAFETY: `set_startup_stack` was promised a vector here, and its end has not come.
        let key = unsafe { pair.read() };
        if key == AT_NULL {
            return Answer::Value(0);
        }
        // SAFETY: each key is followed by a value.
        let value = unsafe { pair.add(1) };
        if key == wanted {
            // SAFETY: as above.
            return Answer::Value(unsafe { value.read() });
        }
        // SAFETY: this pair was not the last.
        pair = unsafe { pair.add(2) };
    }
}

/// Room for the kernel's copy, which has about 25 pairs. Source: `AT_VECTOR_SIZE` in
/// `include/linux/mm_types.h` (Linux 6.18).
const VECTOR_WORDS: usize = 128;

fn by_prctl(key: usize) -> Answer {
    /// Source: `include/uapi/linux/prctl.h`.
    const PR_GET_AUXV: usize = 0x4155_5856;
    let mut words = [0usize; VECTOR_WORDS];
    // The last two must be zero.
    let buffer = (&raw mut words).expose_provenance();
    let arguments = [PR_GET_AUXV, buffer, size_of_val(&words), 0, 0, 0];
    // SAFETY: the kernel writes to `words` and not beyond its size.
    match Errno::check(unsafe { arch::system_call(NUMBERS.prctl, arguments) }) {
        Ok(_) => in_vector(&words, key),
        Err(_) => Answer::NoSource,
    }
}

fn by_proc(key: usize) -> Answer {
    let mut words = [0usize; VECTOR_WORDS];
    let bytes = words.as_mut_ptr().cast::<u8>();
    // SAFETY: the bytes of `words`, any of which make words.
    let bytes = unsafe { slice::from_raw_parts_mut(bytes, size_of::<[usize; VECTOR_WORDS]>()) };
    // The kernel gives all of it in one piece.
    match file::read(c"/proc/self/auxv", bytes) {
        Some(bytes) if bytes > 0 => in_vector(&words, key),
        _ => Answer::NoSource,
    }
}

/// The entry in a copy of the vector, which zeros follow.
fn in_vector(words: &[usize; VECTOR_WORDS], key: usize) -> Answer {
    let mut pairs = words.chunks_exact(2).take_while(|pair| pair[0] != AT_NULL);
    Answer::Value(pairs.find(|pair| pair[0] == key).map_or(0, |pair| pair[1]))
}
