//! Fits an image to the kernel that it will run on, and to whoever wants to do without some of its functions, in small
//! ways that leave its build-id.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use vdso_arch::abi::CallSet;
use vdso_data::architecture::Architecture;
use vdso_elf::{Image, Kind};

use crate::{ARCHITECTURE, Source, bytes};

/// An image for one kernel.
#[derive(Clone, Debug)]
pub struct Tailored {
    /// The image's bytes, as they are mapped.
    pub bytes: Vec<u8>,
    /// Exports of the kernel's vDSO that this image lacks. A program that looks for one of them
    /// finds nothing, as on a kernel that is older.
    pub missing: Vec<String>,
    architecture: &'static Architecture,
}

impl Tailored {
    /// Hides the functions that answer these calls: a program finds none of them, and makes the system call. The ELF file
    /// stays, with all other functions.
    pub fn hide(&mut self, calls: CallSet) {
        let whole = self.bytes.clone();
        let Ok(image) = Image::parse(&whole) else { return };
        for export in self.architecture.exports {
            let call = self.architecture.abi.named(export.name).and_then(|it| it.call());
            if call.is_some_and(|call| calls.contains(call)) {
                for name in [Some(export.name), export.alias].into_iter().flatten() {
                    hide(&mut self.bytes, self.architecture, &image, name);
                }
            }
        }
    }
}

/// The image for `source`, for a kernel whose own vDSO is `kernel`; empty if it has none.
///
/// - A function that is only passed on, and that this kernel lacks, loses its symbols.
/// - The "Linux" version note is the kernel's.
pub fn tailor(source: Source, kernel: &[u8]) -> Tailored {
    tailor_for(ARCHITECTURE, bytes(source), kernel)
}

/// The same for the image that counts; `None` if there is none for this architecture.
pub fn tailor_counting(source: Source, kernel: &[u8]) -> Option<Tailored> {
    Some(tailor_for(ARCHITECTURE, crate::counting(source)?, kernel))
}

/// The same for the other kind of programs that the kernel executes, which get the source `chain`;
/// `None` if this build has no image for them.
pub fn tailor_companion(kernel: &[u8]) -> Option<Tailored> {
    let (architecture, chain) = crate::companion()?;
    Some(tailor_for(architecture, chain, kernel))
}

/// The same for programs of the kind that reads the same pages, which get the same source.
pub fn tailor_twin(source: Source, kernel: &[u8]) -> Option<Tailored> {
    let (architecture, original) = crate::twin(source)?;
    Some(tailor_for(architecture, original, kernel))
}

fn tailor_for(architecture: &'static Architecture, original: &[u8], kernel: &[u8]) -> Tailored {
    let mut tailored = Tailored { bytes: original.to_vec(), missing: Vec::new(), architecture };
    let Ok(image) = Image::parse(original) else {
        return tailored;
    };
    let kernel = Image::parse(kernel).ok();
    let kernel_has = |name: &str| kernel.as_ref().is_some_and(|k| k.lookup(name, None).is_some());
    for export in architecture.passed_on() {
        for name in [Some(export.name), export.alias].into_iter().flatten() {
            if !kernel_has(name) {
                hide(&mut tailored.bytes, architecture, &image, name);
            }
        }
    }
    let Some(kernel) = kernel else {
        return tailored;
    };
    if let (Some((_, at)), Some((version, _))) = (image.linux_version(), kernel.linux_version())
        && let Some(note) = tailored.bytes.get_mut(at..at + 4)
    {
        note.copy_from_slice(&version.to_ne_bytes());
    }
    let lacks = |name: &&str| image.lookup(name, None).is_none();
    let functions =
        kernel.symbols().flatten().filter(|s| s.is_defined() && s.kind == Kind::Function);
    tailored.missing = functions.map(|s| s.name).filter(lacks).map(str::to_owned).collect();
    tailored
}

/// Makes the symbol an undefined one, which every reader of the table passes over.
fn hide(bytes: &mut [u8], architecture: &Architecture, image: &Image<'_>, name: &str) {
    let Some(symbol) = image.lookup(name, None) else {
        return;
    };
    // With the address and the size, which follow the index in `Elf64_Sym`, and in `Elf32_Sym` go before
    // it and two bytes: gdb takes an undefined symbol that has an address for a trampoline there, and
    // names all that comes behind it after that.
    let at = symbol.section_index_offset;
    let fields = match architecture.bits() {
        32 => [at..at + 2, at - 10..at - 2],
        _ => [at..at + 2, at + 2..at + 18],
    };
    for field in fields {
        if let Some(field) = bytes.get_mut(field) {
            field.fill(0);
        }
    }
}
