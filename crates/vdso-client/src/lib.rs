//! Finds the vDSO and calls it: without a C library, without allocation, without anything that runs
//! before `main`, and with the system call behind each call.
//!
//! ```
//! use vdso_client::{ClockId, Instant, clock_gettime, getcpu};
//!
//! let start = Instant::now();
//! let now = clock_gettime(ClockId::REALTIME)?;
//! println!("{now} s since 1970, on CPU {}, in {:?}", getcpu()?.cpu, start.elapsed());
//! # Ok::<(), vdso_client::Errno>(())
//! ```
//!
//! # What happens in a call
//!
//! The first time, the call looks for the vDSO in the [auxiliary vector](auxv), and in that image for
//! its own function, by the name and version that the architecture has ([`names`]). It writes the
//! address down in one word ([`reset`] makes it look again). From then on it calls that. If there is
//! no function, or it answers `ENOSYS`, the [system call](system_call) is made. One call never
//! depends on another's symbol.
//!
//! In a process that runs on an image of ours with an own page (`vdso run --source own`), clocks are
//! read from that page, inlined into the caller, without any call.
//!
//! [`Capabilities`] tells which of these it is for each call, and why; [`self_test()`] compares the
//! answers with the kernel's.
//!
//! # Features
//!
//! | feature | what |
//! |---|---|
//! | `std` (on unless turned off) | conversions to and from std's times; a [state](random) for each thread; `libc-auxv` |
//! | `libc-auxv` | the auxiliary vector by the C library's `getauxval` |
//! | `libc-syscall` | system calls by the C library's `syscall`; mips needs it |
//! | `rustix`, `libc` | conversions to and from their types |
//! | `rand_core` | `random::Random`, a generator |
//!
//! Without any of them nothing but `core` is needed, and what that itself takes from a C library or from
//! the program (`memcpy` and its kin). A program without a C library hands its stack
//! over in `_start` ([`auxv::set_startup_stack`]), or does nothing and lets the kernel be asked.
//!
//! # Safety of what is read
//!
//! The image's bytes are taken for hostile until its parser (`vdso-elf`) has looked at them: a broken
//! image is an error, and system calls are made. The machine code at the addresses of the image's symbols is
//! trusted, as every C library trusts it; so is the address in the auxiliary vector, but for that in the
//! kernel's [copy](auxv), which a debugger may have left behind.
//!
//! # Under Miri
//!
//! Miri runs neither machine code nor system calls, so a stub answers: no vDSO, and clocks that go on
//! by a microsecond at each read.

#![no_std]

#[cfg(feature = "std")]
extern crate std;

mod arch;
mod at_once;
pub mod auxv;
#[cfg(not(miri))]
#[cfg(any(
    feature = "libc-auxv",
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "mips32r6",
    target_arch = "mips64r6"
))]
mod c_errno;
mod calls;
mod capabilities;
mod clock_id;
mod convert;
pub mod cpu;
mod errno;
mod file;
pub mod ids;
mod instant;
mod line;
mod memory;
mod own;
mod page_reader;
pub mod random;
mod readable;
mod recent;
mod resolve;
pub mod rseq;
mod self_test;
pub mod system_call;
mod system_time;
mod timespec;
mod unordered;
mod vdso;

pub use at_once::{AtOnce, read_at_once, read_at_once_within};
pub use calls::clock_getres::clock_getres;
pub use calls::clock_gettime::clock_gettime;
pub use calls::getcpu::{Cpu, getcpu};
pub use calls::gettimeofday::{Timeval, Timezone, gettimeofday, timezone};
pub use calls::time::time;
pub use capabilities::{Answer, Capabilities, Reason};
pub use clock_id::ClockId;
pub use errno::Errno;
pub use instant::Instant;
pub use page_reader::PageReader;
pub use resolve::{adopt, reset, vdso, without_vdso};
pub use self_test::{Finding, Outcome, self_test};
pub use system_time::{SystemTime, SystemTimeError, UNIX_EPOCH};
pub use timespec::Timespec;
pub use unordered::UnorderedInstant;
pub use vdso::{NotAdopted, NotFound, Vdso};
/// What vDSOs export on each architecture, and how they report errors.
pub use vdso_arch::abi as names;
pub use vdso_arch::abi::Call;
/// The reader of the image: its types are in [`Vdso`], [`names`] and [`NotFound`].
pub use vdso_elf as elf;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
