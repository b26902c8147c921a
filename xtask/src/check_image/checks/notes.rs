//! The notes: by which a debugger finds the debug file, a C library the kernel's version, and a client
//! the pages.

use anyhow::{Context, Result, ensure};

use vdso_data::note::{OWNER, Pages, TYPE};

use crate::check_image::subject::Subject;

/// Size of a SHA-1.
const BUILD_ID_BYTES: usize = 20;

pub fn build_id(subject: &Subject<'_>) -> Result<()> {
    let build_id = subject.image()?.build_id().context("there is no GNU build-id note")?;
    let bytes = build_id.len();
    ensure!(bytes == BUILD_ID_BYTES, "the build-id has {bytes} bytes, not {BUILD_ID_BYTES}");
    Ok(())
}

pub fn linux_version(subject: &Subject<'_>) -> Result<()> {
    let (code, _) = subject.image()?.linux_version().context("there is no Linux version note")?;
    let major = code >> 16;
    ensure!((2..100).contains(&major), "the note says Linux {major}, from {code:#x}");
    Ok(())
}

/// Which images have the note is tested in vdso-client; here, that it is right where it is.
pub fn pages(subject: &Subject<'_>) -> Result<()> {
    for note in subject.image()?.notes() {
        let note = note?;
        if note.owner != OWNER {
            continue;
        }
        ensure!(note.kind == TYPE, "the note of {OWNER} has the type {}, not {TYPE}", note.kind);
        let pages = Pages::read_in(subject.architecture.byte_order, note.description)
            .context("the note of the pages is no such note")?;
        let expected = Pages::on(subject.architecture);
        ensure!(pages == expected, "the note says {pages:x?}, not {expected:x?}");
    }
    Ok(())
}
