//! Which calls are answered without the kernel, and why the others are not.

use core::fmt;
use core::ptr::NonNull;

use vdso_arch::abi::{Abi, Call, Function, Purpose};

use crate::arch::{self, HAS_64_BIT_LONG_TIMES};
use crate::clock_id::ClockId;
use crate::errno::Errno;
use crate::own::OwnPages;
use crate::random;
use crate::resolve;
use crate::system_call;
use crate::vdso::{NotFound, Vdso};

/// What the vDSO of this process can do.
///
/// ```
/// use vdso_client::{Call, Capabilities};
///
/// let capabilities = Capabilities::probe();
/// for call in Call::ALL {
///     println!("{call}: {}", capabilities.answer(call));
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    vdso: Result<Vdso<'static>, NotFound>,
    has_own_page: bool,
}

/// Who answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// This function of the vDSO's. For some clocks it may itself ask the kernel.
    Function {
        /// The symbol.
        symbol: &'static str,
        /// Its version.
        version: &'static str,
    },
    /// A system call.
    SystemCall(Reason),
}

/// Why no function answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no vDSO, or it cannot be read.
    NoVdso(NotFound),
    /// No vDSO of this architecture has such a function.
    NotOnThisArchitecture,
    /// This vDSO lacks the function: the kernel is older than it, or configured without.
    NotExported {
        /// The symbol.
        symbol: &'static str,
        /// Its version.
        version: &'static str,
    },
    /// There is such a function, under another version, which may be another function.
    OtherVersion {
        /// The symbol.
        symbol: &'static str,
        /// The version that it should have.
        version: &'static str,
    },
    /// There is a function, and it says that it does not know.
    AnswersEnosys {
        /// The symbol.
        symbol: &'static str,
    },
}

impl Capabilities {
    /// Looks at the image that this process's calls go to. Each function is called once, by
    /// [`answer`](Self::answer).
    pub fn probe() -> Self {
        let vdso = resolve::vdso();
        // The first call looks for the page, too.
        let _ = crate::clock_gettime(ClockId::MONOTONIC);
        Self { vdso, has_own_page: OwnPages::get().is_some() }
    }

    /// The image, or why there is none.
    pub fn vdso(&self) -> Result<Vdso<'static>, NotFound> {
        self.vdso
    }

    /// Whether clocks are read from a page of ours, inlined into the caller.
    pub fn has_own_page(&self) -> bool {
        self.has_own_page
    }

    /// Who answers `call`.
    pub fn answer(&self, call: Call) -> Answer {
        self.function(call).unwrap_or_else(Answer::SystemCall)
    }

    fn function(&self, call: Call) -> Result<Answer, Reason> {
        let abi = Abi::CURRENT.ok_or(Reason::NotOnThisArchitecture)?;
        let candidates = || candidates(call).into_iter().flatten();
        let mut functions = candidates().filter_map(|purpose| abi.with_purpose(purpose)).peekable();
        let first = functions.peek().copied().ok_or(Reason::NotOnThisArchitecture)?;
        let vdso = self.vdso.map_err(Reason::NoVdso)?;
        let found = functions.find_map(|function| {
            let address = vdso.lookup(function.name, Some(function.version))?;
            Some((function, address))
        });
        let Some((Function { name: symbol, version, purpose, .. }, address)) = found else {
            return Err(is_lacking(&vdso, first));
        };
        if answers_enosys(address, *purpose) {
            return Err(Reason::AnswersEnosys { symbol });
        }
        Ok(Answer::Function { symbol, version })
    }
}

/// Why a function is not found.
fn is_lacking(vdso: &Vdso<'_>, function: &Function) -> Reason {
    let Function { name: symbol, version, .. } = *function;
    if vdso.lookup(symbol, None).is_some() {
        Reason::OtherVersion { symbol, version }
    } else {
        Reason::NotExported { symbol, version }
    }
}

/// What the functions are for by which this crate makes a call: the first that the image has is called.
fn candidates(call: Call) -> [Option<Purpose>; 2] {
    let clock_gettime = if HAS_64_BIT_LONG_TIMES {
        [Some(Purpose::Call(Call::ClockGettime)), None]
    } else {
        // Behind the system call, which so is there only before Linux 5.1.
        let has_system_call =
            system_call::clock_gettime64(ClockId::MONOTONIC) != Err(Errno::ENOSYS);
        let old = Purpose::Call(Call::ClockGettime);
        [Some(Purpose::Time64(Call::ClockGettime)), (!has_system_call).then_some(old)]
    };
    match call {
        Call::ClockGettime => clock_gettime,
        // What ends in 2038 is done by clock_gettime.
        Call::Gettimeofday | Call::Time if !HAS_64_BIT_LONG_TIMES => clock_gettime,
        // What most lack, likewise.
        Call::Time => [Some(Purpose::Call(call)), clock_gettime[0]],
        Call::ClockGetres if !HAS_64_BIT_LONG_TIMES => {
            [Some(Purpose::Time64(call)), Some(Purpose::Call(call))]
        }
        _ => [Some(Purpose::Call(call)), None],
    }
}

/// Calls the function with arguments that are right for its purpose.
fn answers_enosys(function: NonNull<()>, purpose: Purpose) -> bool {
    let (Purpose::Call(call) | Purpose::Time64(call)) = purpose else { return false };
    // More than any of them writes.
    let mut written = [0u64; 4];
    let first = (&raw mut written[0]).expose_provenance();
    let second = (&raw mut written[2]).expose_provenance();
    let monotonic = ClockId::MONOTONIC.raw() as usize;
    let (first, second) = match call {
        Call::ClockGettime | Call::ClockGetres => (monotonic, first),
        Call::Getcpu => (first, second),
        Call::Gettimeofday | Call::Time => (first, 0),
        Call::Getrandom => return random::answers_enosys(function),
        // None that this crate makes.
        _ => return false,
    };
    // SAFETY: a function of this purpose, which writes to `written`.
    let result = unsafe { arch::call(function, first, second) };
    Errno::check(result as i32 as isize) == Err(Errno::ENOSYS)
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function { symbol, version } => write!(formatter, "{symbol} ({version})"),
            Self::SystemCall(reason) => write!(formatter, "system call: {reason}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVdso(reason) => reason.fmt(formatter),
            Self::NotOnThisArchitecture => {
                formatter.write_str("no vDSO of this architecture answers it")
            }
            Self::NotExported { symbol, version } => {
                write!(formatter, "the vDSO lacks {symbol} ({version})")
            }
            Self::OtherVersion { symbol, version } => {
                write!(formatter, "the vDSO has {symbol}, but not as {version}")
            }
            Self::AnswersEnosys { symbol } => write!(formatter, "{symbol} answers ENOSYS"),
        }
    }
}
