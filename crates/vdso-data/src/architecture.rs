//! The architectures that there are images for: the one table that the image, its build and its checks
//! look things up in.
//!
//! A row says what an image must be like to be taken for the kernel's own there, which is what `vdso-arch` says
//! of that ([`Abi`]: names, versions, SONAME), and how far apart pages are. What its code does is in `image/arch/` of the crate `vdso-image`, in the
//! folder that the row names. `docs/ARCHITECTURES.md` tells how a row is added.
//!
//! The rows are in `architecture/rows.rs`.
//!
//! Sources: the linker scripts `arch/*/…/vdso*.lds.S` of Linux 6.1 to 7.3, and vdso(7).

mod rows;

use vdso_arch::abi::{Abi, is_same};

pub use rows::ALL;
pub use vdso_arch::ByteOrder;

/// What an image is like on one architecture.
#[derive(Clone, Copy, Debug)]
pub struct Architecture {
    /// The name that people choose it by.
    pub name: &'static str,
    /// Rust's name for the instruction set (`target_arch`), which is that of the folder in `image/arch`.
    pub folder: &'static str,
    /// The target that an image is compiled for where none is asked for.
    pub target: &'static str,
    /// What the compiler is told beyond the target.
    pub compiler_flags: &'static [&'static str],
    /// What the kernel's own image is like there: this one is to be taken for it.
    pub abi: &'static Abi,
    /// The order of bytes in a word.
    pub byte_order: ByteOrder,
    /// What programs look names up by.
    pub hash_style: HashStyle,
    /// The largest page of memory that kernels have there, bytes: how far apart the pages must be to be
    /// protected differently.
    pub page_bytes: usize,
    /// Room for the image itself, whole pages.
    pub image_bytes: usize,
    /// Whether the dynamic table names a table of addresses, which the image does not have, with a number of
    /// entries that must be zero: a loader writes to each.
    pub names_address_table: bool,
    /// What the time is computed from.
    pub counter: &'static str,
    /// Whether a backtrace steps through the image by DWARF's unwind tables.
    pub unwinding: Unwinding,
    /// Whether the image's ELF entry point is the last step of injection.
    pub enters_programs: bool,
    /// Whether the image makes system calls in a program's place: [`detour`](crate::detour).
    pub detours: bool,
    /// Whether there are images, too, that [count](crate::counts) how often they are called.
    pub counts: bool,
    /// The other architecture whose programs the same kernels execute, if there is injection into them.
    pub companion: Option<&'static str>,
    /// The same for an architecture whose images read the very pages that this one's do: another size of
    /// pointers, and nothing else. The one's image and the other's are in one file, with one page of clocks.
    pub twin: Option<&'static str>,
    /// The functions that the image exports.
    pub exports: &'static [Export],
}

/// The hash tables of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashStyle {
    /// `DT_HASH` and `DT_GNU_HASH`.
    Both,
    /// `DT_GNU_HASH` alone.
    Gnu,
    /// `DT_HASH` alone.
    SystemV,
}

/// How backtraces step through an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwinding {
    /// By `.eh_frame`.
    Dwarf,
    /// Not at all: the architecture has tables of its own, which no C library looks for in a vDSO.
    Nothing,
}

/// A function of an image's.
#[derive(Clone, Copy, Debug)]
pub struct Export {
    /// The symbol's name, which programs look up.
    pub name: &'static str,
    /// The version under which programs look the name up.
    pub version: &'static str,
    /// Another, weak name of it.
    pub alias: Option<&'static str>,
    /// By what means the function answers.
    pub means: Means,
}

/// By what means a function answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// By the image's own code.
    Own,
    /// By a jump to the kernel's function, which the process page has the address of.
    PassedOn,
    /// By the image's own code where the process page says from what, and otherwise by such a jump. In an
    /// image of the `chain` source always by a jump.
    OwnOrPassedOn,
    /// Returns from a signal handler.
    Trampoline(Rules),
}

impl Means {
    const fn may_pass_on(self) -> bool {
        matches!(self, Self::PassedOn | Self::OwnOrPassedOn)
    }
}

/// How a backtrace gets from a trampoline to what the signal interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// By unwind rules that say where the kernel has saved each register.
    Written,
    /// By its instructions, which unwinders know by heart. Rules, of whatever kind, would hide them.
    ByInstructions,
}

impl Architecture {
    /// That of this program; `None` on an architecture that there is no image for.
    pub const CURRENT: Option<&'static Self> = rows::current();

    /// The row of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().copied().find(|row| row.name == name)
    }

    /// The row for cargo's `target_arch`, width of pointers and order of bytes.
    pub fn of(folder: &str, bits: u32, byte_order: ByteOrder) -> Option<&'static Self> {
        let is_it = |row: &&Self| row.folder == folder && row.bits() == bits;
        ALL.iter().copied().find(|row| is_it(row) && row.byte_order == byte_order)
    }

    /// Bits of an address.
    pub const fn bits(&self) -> u32 {
        self.abi.class.bits()
    }

    /// `DT_SONAME`: that of the newest kernel.
    pub const fn soname(&self) -> &'static str {
        self.abi.sonames[0]
    }

    /// Offset of the page of clocks from the image's ELF header; the image is at most this long.
    pub const fn own_page(&self) -> usize {
        self.image_bytes
    }

    /// Offset of the process page from the image's ELF header.
    pub const fn process_page(&self) -> usize {
        self.own_page() + self.page_bytes
    }

    /// Bytes of a mapping of the image and both pages.
    pub const fn mapping_bytes(&self) -> usize {
        self.process_page() + self.page_bytes
    }

    /// The function of this name without its prefix, such as `clock_gettime`: of two, that with 64-bit
    /// times.
    pub fn export(&self, plain: &str) -> Option<&'static Export> {
        let ends_with = |suffix: &'static str| {
            self.exports.iter().find(move |export| {
                let name = export.name;
                let rest = name.strip_prefix("__vdso_").or_else(|| name.strip_prefix("__kernel_"));
                rest.and_then(|rest| rest.strip_prefix(plain)) == Some(suffix)
            })
        };
        ["64", "_time64", ""].into_iter().find_map(ends_with)
    }

    /// The functions that may be passed on, in the order of the process page's slots.
    pub fn passed_on(&self) -> impl Iterator<Item = &'static Export> {
        self.exports.iter().filter(|export| export.means.may_pass_on())
    }

    /// Whether images that need not chain generate random bytes themselves.
    pub fn has_own_getrandom(&self) -> bool {
        self.export("getrandom").is_some_and(|it| it.means == Means::OwnOrPassedOn)
    }

    /// The slot of the process page that has the address of this function; `None` if it is not passed
    /// on.
    pub const fn slot(&self, name: &str) -> Option<usize> {
        let (mut index, mut slot) = (0, 0);
        while index < self.exports.len() {
            let export = &self.exports[index];
            if export.means.may_pass_on() {
                if is_same(export.name, name) {
                    return Some(slot);
                }
                slot += 1;
            }
            index += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::FORWARDED;

    #[test]
    fn every_row_has_a_name_of_its_own_and_fits_the_pages() {
        for (index, row) in ALL.iter().enumerate() {
            let twin = ALL[..index].iter().any(|other| other.name == row.name);
            assert!(!twin, "two rows are called {}", row.name);
            assert!(core::ptr::eq(Architecture::named(row.name).unwrap(), *row));
            let by_target = Architecture::of(row.folder, row.bits(), row.byte_order);
            assert!(core::ptr::eq(by_target.unwrap(), *row), "{}", row.name);
            assert!(row.page_bytes.is_power_of_two() && row.page_bytes >= crate::PAGE_BYTES);
            assert!(row.image_bytes % row.page_bytes == 0 && row.image_bytes > 0);
            assert!(row.passed_on().count() <= FORWARDED, "{}", row.name);
            for (slot, export) in row.passed_on().enumerate() {
                assert_eq!(row.slot(export.name), Some(slot), "{}", export.name);
            }
            assert_eq!(row.slot(""), None);
        }
    }

    /// The images of this project are to be taken for the kernel's: the same functions, all of them.
    #[test]
    fn an_image_has_every_function_of_the_kernels() {
        for row in ALL {
            for function in row.abi.functions {
                let is_there = row.exports.iter().any(|export| export.name == function.name);
                assert!(is_there, "{}: the image lacks {}", row.name, function.name);
            }
        }
    }

    #[test]
    fn a_twin_reads_the_same_pages() {
        for row in ALL {
            let Some(twin) = row.twin else { continue };
            let twin = Architecture::named(twin).expect("a row");
            assert_eq!((twin.folder, twin.byte_order), (row.folder, row.byte_order));
            assert_eq!(twin.own_page(), row.own_page(), "{}", twin.name);
            assert_eq!(twin.process_page(), row.process_page(), "{}", twin.name);
        }
    }

    #[test]
    fn this_program_has_its_row() {
        let Some(row) = Architecture::CURRENT else { return };
        assert_eq!(row.bits(), usize::BITS);
        assert_eq!(row.byte_order, ByteOrder::CURRENT);
    }
}
