//! The file system that a kernel begins with: an uncompressed cpio archive of a few programs.
//!
//! Source: `Documentation/driver-api/early-userspace/buffer-format.rst` (Linux 6.18).

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use cpio::newc::{Builder, trailer};

/// Writes an archive of these programs, each under its name in the root folder.
pub fn write(archive: impl Write, programs: &[(&str, &Path)]) -> Result<()> {
    const EXECUTABLE: u32 = 0o100_755;
    let mut archive = archive;
    for (number, (name, path)) in programs.iter().enumerate() {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let header = Builder::new(name).ino(number as u32 + 1).nlink(1).mode(EXECUTABLE);
        let length = u32::try_from(bytes.len()).context("a program of 4 GB")?;
        let mut file = header.write(archive, length);
        file.write_all(&bytes)?;
        archive = file.finish()?;
    }
    trailer(archive)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use cpio::newc::Reader;

    use super::*;

    #[test]
    fn the_archive_has_executable_files_with_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, b"seven b").unwrap();
        let mut archive = Vec::new();
        write(&mut archive, &[("init", &path), ("i386", &path)]).unwrap();
        assert_eq!(archive.len() % 4, 0);

        let mut rest = archive.as_slice();
        for name in ["init", "i386"] {
            let mut reader = Reader::new(rest).unwrap();
            assert_eq!((reader.entry().name(), reader.entry().mode()), (name, 0o100_755));
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
            assert_eq!(bytes, b"seven b");
            rest = reader.finish().unwrap();
        }
        assert!(Reader::new(rest).unwrap().entry().is_trailer());
    }
}
