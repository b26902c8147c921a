//! An image in a file, or the core file of a process.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use anyhow::{Context, Result, bail};

use vdso_vsyscall::code::in_program;

use super::{FoundImage, Origin, Target, core_file};
use crate::message::{Hinted, printable_path};

/// No image is nearly as long. What is longer is not read to find that out.
const LONGEST_BYTES: u64 = 16 << 20;

const MAGIC: &[u8] = b"\x7fELF";
/// `e_type`, in either byte order, of a core file.
const E_TYPE: usize = 16;
const ET_CORE: [[u8; 2]; 2] = [[4, 0], [0, 4]];

/// What is in this file.
pub fn open(path: &Path) -> Result<Target> {
    let shown = printable_path(path);
    let mut file = File::open(path).map_err(|error| cannot_open(path, &error))?;
    let metadata = file.metadata().with_context(|| format!("cannot look at {shown}"))?;
    if metadata.is_dir() {
        bail!("{shown} is a folder, not an image");
    }
    let start = start_of(&mut file).with_context(|| format!("cannot read {shown}"))?;
    if start.is_empty() {
        bail!("{shown} is empty");
    }
    if !start.starts_with(MAGIC) {
        return Err(Hinted::new(
            format!("{shown} is not an ELF file, so it is no vDSO image and no core file"),
            "vdso dump writes the image of a process",
        )
        .into());
    }
    let is_core =
        start.get(E_TYPE..E_TYPE + 2).is_some_and(|kind| ET_CORE.iter().any(|c| c == kind));
    if is_core {
        if !metadata.is_file() {
            bail!("{shown} is a core file, but cannot be searched as it is no ordinary file");
        }
        file.rewind().with_context(|| format!("cannot read {shown}"))?;
        return core_file::read(path, file);
    }
    let bytes = rest_of(start, file).with_context(|| format!("cannot read {shown}"))?;
    if bytes.len() as u64 > LONGEST_BYTES {
        bail!("{shown} is longer than {} MiB, which no vDSO image is", LONGEST_BYTES >> 20);
    }
    // A static program is no image, and may yet be of interest for that.
    if in_program(&bytes).next().is_none() {
        vdso_elf::Image::parse(&bytes)
            .with_context(|| format!("cannot read {shown} as a vDSO image"))?;
    }
    let image = FoundImage { addr: None, bytes, in_use: None };
    Ok(Target { origin: Origin::File(path.to_owned()), mappings: Vec::new(), images: vec![image] })
}

fn cannot_open(path: &Path, error: &io::Error) -> anyhow::Error {
    let what = format!("cannot open {}: {error}", printable_path(path));
    let is_bare = path.components().count() == 1;
    if error.kind() == io::ErrorKind::NotFound && is_bare {
        let hint = "a process is named by its number, which pgrep finds";
        return Hinted::new(what, hint).into();
    }
    anyhow::anyhow!(what)
}

/// The first bytes, as many as tell what a file is. A pipe cannot be read twice.
fn start_of(file: &mut File) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    file.take(E_TYPE as u64 + 2).read_to_end(&mut start)?;
    Ok(start)
}

/// All bytes, or one more than an image may have.
fn rest_of(start: Vec<u8>, file: File) -> io::Result<Vec<u8>> {
    let mut bytes = start;
    file.take(LONGEST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
