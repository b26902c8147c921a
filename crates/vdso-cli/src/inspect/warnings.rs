//! What is wrong with an image, or unusual enough that some program will stumble over it.

use vdso_elf::{HashKind, Image, Kind, abi};

use crate::subject::{Origin, Target};

/// Of the target as a whole.
pub fn of_target(target: &Target) -> Vec<String> {
    let mut warnings = Vec::new();
    let is_running = matches!(target.origin, Origin::ThisProcess | Origin::Process { .. });
    if target.images.is_empty() {
        warnings.push(
            "there is no vDSO: kernels that were booted with vdso=0 give none, and neither do some \
             emulators and sandboxes"
                .to_owned(),
        );
    } else if is_running && target.images.iter().all(|image| image.in_use != Some(true)) {
        warnings.push(
            "the auxiliary vector does not announce the image, so libraries do not find it; valgrind \
             and rr do that on purpose"
                .to_owned(),
        );
    }
    warnings
}

/// Of an image that could be read.
pub fn of_image(image: &Image<'_>) -> Vec<String> {
    // A table that is cut off is met again by each of its users.
    let mut warnings: Vec<String> = Vec::new();
    for problem in image.problems() {
        let text = problem.to_string();
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }
    warnings.extend(segments(image));
    warnings.extend(lookups(image));
    warnings
}

fn segments(image: &Image<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let loads = image.segments().filter(|segment| segment.kind == abi::PT_LOAD).count();
    if loads > 1 {
        warnings.push(format!(
            "{loads} segments are to be mapped, a vDSO has one: this may be an ordinary library"
        ));
    }
    if image.segments().any(|s| s.kind == abi::PT_LOAD && s.flags & abi::PF_W != 0) {
        warnings.push("a segment is writable".to_owned());
    }
    warnings
}

/// Who will not find a function that is there.
fn lookups(image: &Image<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let has_functions =
        image.symbols().flatten().any(|s| s.is_defined() && s.kind == Kind::Function);
    if !has_functions {
        warnings.push("no function is exported".to_owned());
    }
    if !image.has_hash_table(HashKind::SystemV) {
        warnings.push("there is no DT_HASH: musl up to 1.2.5 finds no function".to_owned());
    }
    if image.versions().next().is_none() {
        warnings.push(
            "no version is defined (DT_VERDEF), without which Go's runtime crashes".to_owned(),
        );
    }
    warnings
}
