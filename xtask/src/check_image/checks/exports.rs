//! The functions that programs look up, and the ones that nothing in the image may call.

use anyhow::{Result, bail, ensure};
use object::elf::{SHT_DYNSYM, SHT_SYMTAB};
use vdso_data::architecture::Export;
use vdso_elf::{Binding, Kind};

use crate::check_image::file;
use crate::check_image::subject::Subject;

/// Parts of the names of what a compiler calls when code panics, divides wide integers, or copies
/// memory. Nothing of it can be in an image: there is no runtime that it could be taken from.
const RUNTIME: &[&str] = &[
    "panic",
    "unwrap_failed",
    "expect_failed",
    "bounds_check",
    "slice_index",
    "slice_start_index",
    "slice_end_index",
    "rust_begin_unwind",
    "rust_eh_personality",
    "_Unwind_",
    "4core3fmt",
    "__udivti3",
    "__umodti3",
    "__udivmodti4",
    "__divti3",
    "__modti3",
    "__multi3",
    "__udivdi3",
    "__umoddi3",
    "__divdi3",
    "__moddi3",
    "__aeabi_",
    "memcpy",
    "memmove",
    "memset",
    "memcmp",
    "bcmp",
    "__tls_get_addr",
    "__stack_chk_fail",
];

/// All names of the table with the binding of each: no more and no less than what Linux's own image
/// exports, but for the symbol that GNU ld makes of the version's name.
pub fn names(subject: &Subject<'_>) -> impl Iterator<Item = (&'static str, Binding)> {
    subject.architecture.exports.iter().flat_map(|export| {
        let alias = export.alias.map(|alias| (alias, Binding::Weak));
        [Some((export.name, Binding::Global)), alias].into_iter().flatten()
    })
}

/// The row about this name.
pub fn promised(subject: &Subject<'_>, name: &str) -> Option<&'static Export> {
    let mut exports = subject.architecture.exports.iter();
    exports.find(|export| export.name == name || export.alias == Some(name))
}

pub fn required_exports(subject: &Subject<'_>) -> Result<()> {
    let exports = subject.exports()?;
    for (name, _) in names(subject) {
        let Some(symbol) = exports.iter().find(|symbol| symbol.name == name) else {
            bail!("{name} is not exported");
        };
        ensure!(symbol.kind == Kind::Function, "{name} is no function but {:?}", symbol.kind);
    }
    Ok(())
}

pub fn no_other_export(subject: &Subject<'_>) -> Result<()> {
    for symbol in subject.exports()? {
        ensure!(names(subject).any(|(name, _)| name == symbol.name), "{} is exported", symbol.name);
    }
    Ok(())
}

pub fn export_bindings(subject: &Subject<'_>) -> Result<()> {
    for symbol in subject.exports()? {
        if let Some((name, binding)) = names(subject).find(|(name, _)| *name == symbol.name) {
            ensure!(symbol.binding == binding, "{name} is {:?}, not {binding:?}", symbol.binding);
        }
    }
    Ok(())
}

pub fn export_sizes(subject: &Subject<'_>) -> Result<()> {
    for symbol in subject.exports()? {
        ensure!(symbol.size > 0, "{} has size 0", symbol.name);
    }
    Ok(())
}

pub fn exports_in_text(subject: &Subject<'_>) -> Result<()> {
    let text = subject.section(".text")?;
    for symbol in subject.exports()? {
        let name = symbol.name;
        let index = usize::from(symbol.section_index);
        ensure!(index == text.index, "{name} is in section {index}, not in .text");
        let end = symbol.value.saturating_add(symbol.size);
        let is_inside = symbol.value >= text.vaddr && end <= text.end();
        ensure!(is_inside, "{name} is at {:#x} to {end:#x}, outside .text", symbol.value);
    }
    Ok(())
}

pub fn aliases(subject: &Subject<'_>) -> Result<()> {
    let exports = subject.exports()?;
    let find = |name: &str| exports.iter().find(|symbol| symbol.name == name);
    for export in subject.architecture.exports {
        let Some(alias) = export.alias else { continue };
        let Some((function, alias)) = find(export.name).zip(find(alias)) else { continue };
        let is_same = (alias.value, alias.size) == (function.value, function.size);
        ensure!(is_same, "{} is not where {} is", alias.name, function.name);
    }
    Ok(())
}

pub fn no_undefined_symbol(subject: &Subject<'_>) -> Result<()> {
    for (name, bytes, kind) in symbol_tables(subject) {
        for symbol in file::symbols(bytes, kind)? {
            ensure!(!symbol.is_undefined, "{} in {name} is undefined", symbol.name);
        }
    }
    Ok(())
}

pub fn no_panic_path(subject: &Subject<'_>) -> Result<()> {
    for (name, bytes, kind) in symbol_tables(subject) {
        for symbol in file::symbols(bytes, kind)? {
            let part = RUNTIME.iter().find(|part| symbol.name.contains(**part));
            ensure!(part.is_none(), "{} in {name} belongs to a runtime", symbol.name);
        }
    }
    Ok(())
}

/// The dynamic symbols, and if there is a debug file, all symbols.
fn symbol_tables<'a>(
    subject: &Subject<'a>,
) -> impl Iterator<Item = (&'static str, &'a [u8], object::elf::SectionType)> {
    let dynamic = Some(("the dynamic symbols", subject.bytes, SHT_DYNSYM));
    let all = subject.debug.map(|bytes| ("the debug file's symbols", bytes, SHT_SYMTAB));
    [dynamic, all].into_iter().flatten()
}
