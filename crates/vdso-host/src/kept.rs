//! What the kernel's types have said, kept for the next process: to ask them takes the better part of a
//! millisecond.
//!
//! They say where the kernel's own functions look, and those are in its vDSO. So what is kept goes with the bytes of a
//! vDSO, all of them, and is good for these alone, on whatever day and kernel. It is no more than which of the layouts
//! that are known here it was; a page is believed for what it holds as ever, and where it does not hold that, the types are
//! asked anew.

use std::env;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use vdso_data::linux::{LAYOUTS, Layout};

use super::layout::KnownLayout;

/// A file with what types have said, in a folder of this user's.
#[derive(Clone, Debug)]
pub struct Kept {
    file: PathBuf,
}

/// What types have said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The layouts that fit.
    pub layouts: Vec<KnownLayout>,
    /// Where in `[vvar]` the data of getrandom are.
    pub random_place: Option<usize>,
}

const NAME: &str = "vdso-kernel-types";
/// What a file begins with. The number changes with what is in it.
const MAGIC: &[u8; 16] = b"vdso types    1\n";
/// More than a file of ours has.
const MOST_BYTES: u64 = 1 << 20;
/// In the place of a number that there is none of.
const NONE: u64 = u64::MAX;
/// The others of a [`Layout`].
const LAYOUT_NUMBERS: usize = 6;

impl Kept {
    /// In this user's runtime folder (`XDG_RUNTIME_DIR`, or `/run` for root), which ends with the session or the machine.
    /// `None` if there is none that is this user's alone to write to.
    pub fn for_this_user() -> Option<Self> {
        // SAFETY: only asks.
        let user = unsafe { libc::geteuid() };
        let named = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let roots = (user == 0).then(|| PathBuf::from("/run"));
        let mut folders = named.into_iter().chain(roots).filter(|folder| folder.is_absolute());
        folders.find_map(|folder| Self::in_folder(&folder))
    }

    /// In this folder, if it is this user's alone to write to.
    pub fn in_folder(folder: &Path) -> Option<Self> {
        let metadata = fs::symlink_metadata(folder).ok()?;
        let is_good = metadata.is_dir() && is_ours_alone(&metadata);
        is_good.then(|| Self { file: folder.join(NAME) })
    }

    /// What types have said beside this vDSO; `None` if that is not known, or anything is odd.
    pub(super) fn read(&self, vdso: &[u8]) -> Option<Said> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&self.file).ok()?;
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || !is_ours_alone(&metadata) || metadata.len() > MOST_BYTES {
            return None;
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        Said::parse(bytes.strip_suffix(vdso)?)
    }

    /// Keeps it, if that can be.
    pub(super) fn write(&self, vdso: &[u8], said: &Said) {
        let own = self.file.with_extension(std::process::id().to_string());
        let bytes = [said.bytes(), vdso.to_vec()].concat();
        // Whoever reads meanwhile gets all of it, or nothing.
        if create(&own).and_then(|mut file| file.write_all(&bytes)).is_err()
            || fs::rename(&own, &self.file).is_err()
        {
            let _ = fs::remove_file(&own);
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn is_ours_alone(metadata: &Metadata) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    // SAFETY: only asks.
    let user = unsafe { libc::geteuid() };
    metadata.uid() == user && metadata.mode() & OTHERS_WRITE == 0
}

impl Said {
    fn bytes(&self) -> Vec<u8> {
        let place = self.random_place.map_or(NONE, |place| place as u64);
        let layouts = self.layouts.iter().flat_map(|(_, layout)| numbers(layout));
        let numbers = [self.layouts.len() as u64, place].into_iter().chain(layouts);
        [MAGIC.to_vec(), numbers.flat_map(u64::to_le_bytes).collect()].concat()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.strip_prefix(MAGIC)?.as_chunks();
        let words: Vec<_> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let (&[count, place], layouts) = words.split_first_chunk()?;
        let (layouts, others) = layouts.as_chunks::<LAYOUT_NUMBERS>();
        if count == 0 || layouts.len() as u64 != count || !others.is_empty() || !rest.is_empty() {
            return None;
        }
        let known = |wanted| LAYOUTS.iter().find(|(_, layout)| numbers(layout) == wanted).copied();
        let layouts = layouts.iter().map(|&wanted| known(wanted)).collect::<Option<_>>()?;
        let random_place = (place != NONE).then(|| usize::try_from(place).ok());
        Some(Self { layouts, random_place: random_place.map_or(Some(None), |it| it.map(Some))? })
    }
}

fn numbers(layout: &Layout) -> [u64; LAYOUT_NUMBERS] {
    let &Layout { hres, raw, seq, cycle_last, mult, basetime } = layout;
    [hres, raw, seq, cycle_last, mult, basetime].map(|offset| offset as u64)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::Host;

    const VDSO: &[u8] = b"the bytes of a vDSO";

    fn said() -> Said {
        Said { layouts: LAYOUTS.to_vec(), random_place: Some(4096) }
    }

    fn folder() -> (tempfile::TempDir, Kept) {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Kept::in_folder(folder.path()).expect("it is ours");
        (folder, kept)
    }

    #[test]
    fn what_is_kept_is_known_beside_the_same_vdso_alone() {
        let (_folder, kept) = folder();
        assert_eq!(kept.read(VDSO), None);
        for said in [said(), Said { random_place: None, ..said() }] {
            kept.write(VDSO, &said);
            assert_eq!(kept.read(VDSO), Some(said));
        }
        for other in [&b"the bytes of a vDSo"[..], b"an the bytes of a vDSO", b"vDSO", b""] {
            assert_eq!(kept.read(other), None);
        }
    }

    #[test]
    fn no_beginning_of_it_is_believed_and_no_layout_that_is_not_known() {
        let bytes = said().bytes();
        for length in 0..bytes.len() {
            assert_eq!(Said::parse(&bytes[..length]), None);
        }
        assert_eq!(Said::parse(&[bytes.clone(), vec![0; 8]].concat()), None);
        for at in MAGIC.len() + 16..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0x80;
            assert_eq!(Said::parse(&other), None);
        }
    }

    #[test]
    fn what_others_can_write_to_is_not_read() {
        let (folder, kept) = folder();
        kept.write(VDSO, &said());
        let file = folder.path().join(NAME);
        for (mode, is_good) in [(0o600, true), (0o620, false), (0o602, false), (0o644, true)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("it is ours");
            assert_eq!(kept.read(VDSO).is_some(), is_good, "{mode:o}");
        }
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&file, &elsewhere).expect("it is ours");
        symlink(&elsewhere, &file).expect("a link");
        assert_eq!(kept.read(VDSO), None);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
        assert!(Kept::in_folder(folder.path()).is_none());
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_costs_nothing_but_time() {
        let (folder, kept) = folder();
        fs::create_dir(folder.path().join(NAME)).expect("a folder in the file's place");
        kept.write(VDSO, &said());
        assert_eq!(kept.read(VDSO), None);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    /// What is kept wrongly is noticed by the page, and kept anew.
    #[test]
    fn the_host_is_the_same_whatever_is_kept() {
        let (_folder, kept) = folder();
        let plain = Host::find().expect("/proc is mounted");
        let Ok(page) = &plain.page else {
            let lacking = test_support::Lacking::Kernel;
            return test_support::skip(lacking, "a page by what is kept", "its page is not known");
        };
        let right = *page.layout();
        let (wrong, place) = (LAYOUTS.iter().find(|(_, layout)| *layout != right), 1 << 30);
        let wrong =
            Said { layouts: wrong.into_iter().copied().collect(), random_place: Some(place) };
        let mut found = Vec::new();
        for said in [None, None, Some(wrong)] {
            if let Some(said) = said {
                kept.write(&plain.image, &said);
            }
            let host = Host::find_with(&kept).expect("/proc is mounted");
            assert_eq!(host.page.as_ref().map(|page| *page.layout()).ok(), Some(right));
            assert_eq!(host.random_data.as_ref().ok(), plain.random_data.as_ref().ok());
            found.push(kept.read(&plain.image));
        }
        assert!(found[0].is_some());
        assert!(found.iter().all(|said| *said == found[0]));
    }
}
