//! Whether an image's rules cover its code: what they leave out would be looked at by no backtrace.

use core::ops::Range;

use vdso_elf::Image;

use super::watch::Wrong;
use crate::image::rules::Tables;

/// What functions are aligned to at most, so the room between two of them is smaller.
const ALIGNMENT: u64 = 64;

/// That the rules have each exported function, and that nothing but room for alignment is between functions
/// and before the image's end: the code is the last of it.
pub fn check(image: &Image<'_>, tables: &Tables) -> Result<(), Wrong> {
    for symbol in image.symbols() {
        let symbol = symbol.map_err(|_| "a symbol cannot be read")?;
        let vaddr = symbol.value;
        let is_code = symbol.is_defined() && !symbol.is_absolute() && !is_trampoline(symbol.name);
        if is_code && !tables.functions().flatten().any(|function| function.contains(&vaddr)) {
            return Err(Wrong { vaddr, what: "an exported function has no rules" });
        }
    }
    let image_end = image.bytes().len() as u64;
    for Range { end, .. } in known(image, tables) {
        let near = end..end.saturating_add(ALIGNMENT);
        let is_followed = known(image, tables).any(|next| near.contains(&next.start));
        if !is_followed && !near.contains(&image_end) {
            return Err(Wrong { vaddr: end, what: "code behind a function has no rules" });
        }
    }
    Ok(())
}

/// All functions with rules, and trampolines.
fn known(image: &Image<'_>, tables: &Tables) -> impl Iterator<Item = Range<u64>> {
    let symbols = image.symbols().flatten();
    let trampolines = symbols.filter(|symbol| is_trampoline(symbol.name));
    let trampolines =
        trampolines.map(|symbol| symbol.value..symbol.value.saturating_add(symbol.size));
    // What is empty covers nothing.
    tables.functions().flatten().chain(trampolines).filter(|it| !it.is_empty())
}

/// Some architectures' have no rules: unwinders know their instructions.
fn is_trampoline(name: &str) -> bool {
    name.contains("sigreturn")
}
