//! The functions of the page.

use vdso_arch::system_call::numbers::X86_64;

use crate::PAGE_ADDR;

/// A function of the page. `enum vsyscall_num` of `arch/x86/include/uapi/asm/vsyscall.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// `long gettimeofday(struct timeval *, struct timezone *)`.
    Gettimeofday,
    /// `long time(long *)`.
    Time,
    /// `long getcpu(unsigned *cpu, unsigned *node, void *)`; what the third argument points to is not looked at.
    Getcpu,
}

/// How far an entry is from the next.
const DISTANCE_BYTES: usize = 1024;

impl Entry {
    /// All of them, in their order in the page.
    pub const ALL: [Self; 3] = [Self::Gettimeofday, Self::Time, Self::Getcpu];

    /// The function that begins at this address; no address within one begins another.
    #[must_use]
    pub const fn at(addr: u64) -> Option<Self> {
        let mut index = 0;
        while index < Self::ALL.len() {
            if Self::ALL[index].addr() == addr {
                return Some(Self::ALL[index]);
            }
            index += 1;
        }
        None
    }

    /// Where it begins in the page.
    #[must_use]
    pub const fn offset(self) -> usize {
        self as usize * DISTANCE_BYTES
    }

    /// Where it begins in every program.
    #[must_use]
    pub const fn addr(self) -> u64 {
        PAGE_ADDR + self.offset() as u64
    }

    /// The system call that it stands for.
    #[must_use]
    pub const fn number(self) -> u32 {
        let number = match self {
            Self::Gettimeofday => X86_64.gettimeofday,
            Self::Time => X86_64.time,
            Self::Getcpu => Some(X86_64.getcpu),
        };
        number.expect("x86-64 has all three")
    }

    /// The call's name, which is the function's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gettimeofday => "gettimeofday",
            Self::Time => "time",
            Self::Getcpu => "getcpu",
        }
    }

    /// How many bytes it writes to where its first and its second argument point. Zero: it has no such argument.
    pub(crate) const fn result_bytes(self) -> [u64; 2] {
        match self {
            // `struct timeval` and `struct timezone`.
            Self::Gettimeofday => [16, 8],
            Self::Time => [8, 0],
            Self::Getcpu => [4, 4],
        }
    }
}
