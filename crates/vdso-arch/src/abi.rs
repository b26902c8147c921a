//! What a vDSO is like on each architecture: the one table that everything else looks names, versions and
//! numbers up in.
//!
//! The rows are in [`rows`]. Sources: the linker scripts `arch/*/…/vdso*.lds.S` of Linux 6.1 to 7.3, and
//! vdso(7), which is wrong about mips. A kernel may lack any of the functions: newer ones came with newer
//! kernels, and some depend on its configuration.

mod functions;
pub mod rows;

use core::{fmt, str};

use crate::elf::{ByteOrder, Class, Machine};
use crate::system_call::Numbers;

pub use rows::ABIS;

/// A call that the C library would make, and that a vDSO may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// `clock_gettime(2)`.
    ClockGettime,
    /// `clock_getres(2)`.
    ClockGetres,
    /// `gettimeofday(2)`.
    Gettimeofday,
    /// `time(2)`.
    Time,
    /// `getcpu(2)`.
    Getcpu,
    /// `getrandom(2)`, which needs a state of its own for each thread.
    Getrandom,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ClockGettime,
        Self::ClockGetres,
        Self::Gettimeofday,
        Self::Time,
        Self::Getcpu,
        Self::Getrandom,
    ];

    /// The name of its manual page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClockGettime => "clock_gettime",
            Self::ClockGetres => "clock_getres",
            Self::Gettimeofday => "gettimeofday",
            Self::Time => "time",
            Self::Getcpu => "getcpu",
            Self::Getrandom => "getrandom",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Several of [`Call`]; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallSet(u8);

impl CallSet {
    /// No call.
    pub const NONE: Self = Self(0);
    /// Each of [`Call::ALL`].
    pub const ALL: Self = Self((1 << Call::ALL.len()) - 1);

    /// Whether the call is one of them.
    pub const fn contains(self, call: Call) -> bool {
        self.0 & 1 << call as u8 != 0
    }

    /// Whether there is no call.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order of [`Call::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Call> {
        Call::ALL.into_iter().filter(move |&call| self.contains(call))
    }
}

impl From<Call> for CallSet {
    fn from(call: Call) -> Self {
        Self(1 << call as u8)
    }
}

impl<const N: usize> From<[Call; N]> for CallSet {
    fn from(calls: [Call; N]) -> Self {
        calls.into_iter().collect()
    }
}

impl FromIterator<Call> for CallSet {
    fn from_iter<I: IntoIterator<Item = Call>>(calls: I) -> Self {
        calls.into_iter().fold(Self::NONE, |set, call| Self(set.0 | Self::from(call).0))
    }
}

/// `clock_gettime, time`.
impl fmt::Display for CallSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, call) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(formatter, "{comma}{call}")?;
        }
        Ok(())
    }
}

/// The call that an exported function answers, and with what kind of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// Answers this call, with times in the architecture's own `long`: 64 bits on 64-bit ones and
    /// on x32, 32 bits on the others, which end in 2038.
    Call(Call),
    /// Answers this call with 64-bit times on a 32-bit architecture.
    Time64(Call),
    /// Does something that none of these calls does.
    Other,
}

/// How a function reports an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorConvention {
    /// The result is the negative errno.
    NegativeErrno,
    /// The result is the errno, and the bit SO of the condition register's field 0 is set.
    /// Source: `arch/powerpc/kernel/vdso/gettimeofday.S`.
    SummaryOverflow,
}

/// A function that the vDSO of an architecture exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Function {
    /// The symbol's name, which programs look up.
    pub name: &'static str,
    /// The version under which programs look the name up.
    pub version: &'static str,
    /// The call that the function answers.
    pub purpose: Purpose,
}

impl Function {
    /// The call that the function answers, with times of whatever size.
    pub const fn call(&self) -> Option<Call> {
        match self.purpose {
            Purpose::Call(call) | Purpose::Time64(call) => Some(call),
            Purpose::Other => None,
        }
    }
}

/// What a vDSO is like on one architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abi {
    /// The name of the architecture, as `x86-64`: one for both byte orders.
    pub name: &'static str,
    /// `e_machine` of the image.
    pub machine: Machine,
    /// `EI_CLASS` of the image: 32-bit on x32.
    pub class: Class,
    /// `DT_SONAME`; where kernels differ, the newest first.
    pub sonames: &'static [&'static str],
    /// The version of (nearly) all functions; [`Function::version`] has that of each.
    pub version: &'static str,
    /// With what the names of (nearly) all functions begin.
    pub prefix: &'static str,
    /// Whether each function that answers a call has a weak twin without the prefix.
    pub has_plain_aliases: bool,
    /// How system calls and the functions report an error.
    pub errors: ErrorConvention,
    /// Each function that some kernel of that architecture exports.
    pub functions: &'static [Function],
    /// The numbers of the architecture's system calls, where this crate has them.
    pub numbers: Option<&'static Numbers>,
}

impl Abi {
    /// That of this program; `None` on an architecture that no row is about.
    pub const CURRENT: Option<&'static Self> = current();

    /// The row for an image.
    pub fn of(machine: Machine, class: Class) -> Option<&'static Self> {
        ABIS.iter().copied().find(|abi| abi.machine == machine && abi.class == class)
    }

    /// The function that answers `call`: in a 32-bit ABI the one with 64-bit times, if there is one.
    #[inline]
    pub fn function(&self, call: Call) -> Option<&'static Function> {
        self.with_purpose(Purpose::Time64(call)).or_else(|| self.with_purpose(Purpose::Call(call)))
    }

    /// The function with exactly this purpose.
    #[inline]
    pub fn with_purpose(&self, purpose: Purpose) -> Option<&'static Function> {
        self.functions.iter().find(|function| function.purpose == purpose)
    }

    /// The function of this name.
    pub const fn named(&self, name: &str) -> Option<&'static Function> {
        let mut index = 0;
        while index < self.functions.len() {
            let function = &self.functions[index];
            if is_same(function.name, name) {
                return Some(function);
            }
            index += 1;
        }
        None
    }

    /// The weak name of a function beside its own, which links programs that were not told of a vDSO: the name
    /// without the prefix.
    pub const fn plain_alias(&self, function: &Function) -> Option<&'static str> {
        if !self.has_plain_aliases || matches!(function.purpose, Purpose::Other) {
            return None;
        }
        let (name, prefix) = (function.name.as_bytes(), self.prefix.as_bytes());
        if name.len() < prefix.len() {
            return None;
        }
        let (start, plain) = name.split_at(prefix.len());
        match (str::from_utf8(start), str::from_utf8(plain)) {
            (Ok(start), Ok(plain)) if is_same(start, self.prefix) => Some(plain),
            _ => None,
        }
    }

    /// `AUDIT_ARCH_*`: by which the kernel tells a seccomp filter, or a tracer, whose system calls' numbers it
    /// sees. Source: `include/uapi/linux/audit.h`.
    pub const fn audit_arch(&self, byte_order: ByteOrder) -> u32 {
        const IS_64_BIT: u32 = 0x8000_0000;
        const IS_LITTLE_ENDIAN: u32 = 0x4000_0000;
        // x32's calls are x86-64's, with other numbers.
        let is_64_bit = matches!(self.class, Class::Elf64) || self.machine.0 == Machine::X86_64.0;
        let width = if is_64_bit { IS_64_BIT } else { 0 };
        let order = match byte_order {
            ByteOrder::Little => IS_LITTLE_ENDIAN,
            ByteOrder::Big => 0,
        };
        self.machine.0 as u32 | width | order
    }
}

/// Whether two names are the same, for constants: `==` is none.
pub const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// The row that this program is compiled for.
const fn current() -> Option<&'static Abi> {
    let Some(machine) = Machine::CURRENT else { return None };
    let mut index = 0;
    while index < ABIS.len() {
        let abi = ABIS[index];
        if abi.machine.0 == machine.0 && abi.class.bits() == Class::CURRENT.bits() {
            return Some(abi);
        }
        index += 1;
    }
    None
}
