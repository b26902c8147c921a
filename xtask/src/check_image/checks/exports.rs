//! The functions that programs look up, and the ones that nothing in the image may call.

use anyhow::{Result, bail, ensure};
use object::elf::{SHT_DYNSYM, SHT_SYMTAB};
use vdso_elf::{Binding, Kind};

use crate::check_image::file;
use crate::check_image::subject::Subject;

/// A function, and its weak name without the prefix.
pub struct Export {
    pub name: &'static str,
    pub alias: Option<&'static str>,
}

const fn with_alias(name: &'static str, alias: &'static str) -> Export {
    Export { name, alias: Some(alias) }
}

const fn alone(name: &'static str) -> Export {
    Export { name, alias: None }
}

/// What an image exports on x86-64, no more and no less: what Linux 7.2's own does, but for the
/// symbol that GNU ld makes of the version's name.
pub const EXPORTS: &[Export] = &[
    with_alias("__vdso_clock_gettime", "clock_gettime"),
    with_alias("__vdso_gettimeofday", "gettimeofday"),
    with_alias("__vdso_time", "time"),
    with_alias("__vdso_clock_getres", "clock_getres"),
    with_alias("__vdso_getcpu", "getcpu"),
    with_alias("__vdso_getrandom", "getrandom"),
    alone("__vdso_sgx_enter_enclave"),
    alone("__vdso_futex_robust_list64_try_unlock"),
    alone("__vdso_futex_robust_list32_try_unlock"),
];

/// The version of all of them.
pub const VERSION: &str = "LINUX_2.6";

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
    "memcpy",
    "memmove",
    "memset",
    "memcmp",
    "bcmp",
    "__tls_get_addr",
    "__stack_chk_fail",
];

/// All names of the table with the binding of each.
pub fn names() -> impl Iterator<Item = (&'static str, Binding)> {
    EXPORTS.iter().flat_map(|export| {
        let alias = export.alias.map(|alias| (alias, Binding::Weak));
        [Some((export.name, Binding::Global)), alias].into_iter().flatten()
    })
}

pub fn required_exports(subject: &Subject<'_>) -> Result<()> {
    let exports = subject.exports()?;
    for (name, _) in names() {
        let Some(symbol) = exports.iter().find(|symbol| symbol.name == name) else {
            bail!("{name} is not exported");
        };
        ensure!(symbol.kind == Kind::Function, "{name} is no function but {:?}", symbol.kind);
    }
    Ok(())
}

pub fn no_other_export(subject: &Subject<'_>) -> Result<()> {
    for symbol in subject.exports()? {
        ensure!(names().any(|(name, _)| name == symbol.name), "{} is exported", symbol.name);
    }
    Ok(())
}

pub fn export_bindings(subject: &Subject<'_>) -> Result<()> {
    for symbol in subject.exports()? {
        if let Some((name, binding)) = names().find(|(name, _)| *name == symbol.name) {
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
    for export in EXPORTS {
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
