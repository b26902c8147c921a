//! Which C library a program uses, and how old it is.
//!
//! Found in the files that are mapped: glibc has a banner, musl its version as a string of its own,
//! a Go program the version that built it. Sources: glibc's `csu/version.c`, musl's
//! `ldso/dynlink.c` and `src/internal/version.c`, Go's `debug/buildinfo`.

use memchr::memmem;

use crate::system::maps::Mapping;
use crate::system::{Accept, Root};

/// No library is as long, and hardly a program. A file may be said to have any length.
pub const LONGEST_BYTES: u64 = 256 << 20;

/// What a program calls the kernel through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Libc {
    Glibc {
        version: Option<(u32, u32)>,
    },
    Musl {
        version: Option<String>,
    },
    /// A Go program without C in it.
    Go {
        version: Option<String>,
    },
    /// Linked into the program.
    StaticGlibc,
    /// None is mapped, and the program shows none.
    NoneFound,
}

/// Looks at the mapped files of `process`, and at its executable.
pub fn find(root: &Root, process: &str, mappings: &[Mapping]) -> Result<Libc, String> {
    let mapped = |is_it: fn(&str) -> bool| mappings.iter().find(|m| is_it(m.file_name()));
    // A process's own view of its files: it may be in a container.
    let library = |mapping: &Mapping| {
        let path = format!("/proc/{process}/root{}", mapping.name);
        // Not its device, too: btrfs and overlayfs have others in mappings than in stat(2).
        let inode = root.is_this_machine().then_some(mapping.inode);
        let accept = Accept { links: false, inode, bytes: LONGEST_BYTES };
        root.bytes_of_ordinary_file(&path, &accept).ok()
    };
    if let Some(mapping) = mapped(is_glibc) {
        return Ok(Libc::Glibc {
            version: library(mapping).and_then(|bytes| glibc_version(&bytes)),
        });
    }
    if let Some(mapping) = mapped(is_musl) {
        return Ok(Libc::Musl { version: library(mapping).and_then(|bytes| musl_version(&bytes)) });
    }
    let accept = Accept { links: true, inode: None, bytes: LONGEST_BYTES };
    let exe = root
        .bytes_of_ordinary_file(&format!("/proc/{process}/exe"), &accept)
        .map_err(|error| format!("its executable cannot be read: {error}"))?;
    Ok(in_executable(&exe))
}

fn is_glibc(file: &str) -> bool {
    file == "libc.so.6" || (file.starts_with("libc-2.") && file.ends_with(".so"))
}

fn is_musl(file: &str) -> bool {
    // Its loader is a link to this one on Debian; glibc's file of that name is a text.
    file == "libc.so" || file.starts_with("ld-musl-") || file.starts_with("libc.musl-")
}

/// From `GNU C Library (…) stable release version 2.36.`
fn glibc_version(bytes: &[u8]) -> Option<(u32, u32)> {
    let at = memmem::find(bytes, b"GNU C Library")?;
    let banner = &bytes[at..bytes.len().min(at + 200)];
    let version = memmem::find(banner, b" version ")? + b" version ".len();
    let mut numbers = banner[version..].split(|byte| !byte.is_ascii_digit());
    let mut number = || std::str::from_utf8(numbers.next()?).ok()?.parse().ok();
    Some((number()?, number()?))
}

/// A string of three numbers, between zero bytes.
fn musl_version(bytes: &[u8]) -> Option<String> {
    memmem::find(bytes, b"musl libc")?;
    let is_version = |text: &&[u8]| {
        let parts: Vec<&[u8]> = text.split(|byte| *byte == b'.').collect();
        let is_number =
            |part: &&[u8]| matches!(part.len(), 1..=3) && part.iter().all(u8::is_ascii_digit);
        parts.len() == 3 && parts.iter().all(is_number)
    };
    let text = bytes.split(|byte| *byte == 0).find(is_version)?;
    String::from_utf8(text.to_vec()).ok()
}

fn in_executable(exe: &[u8]) -> Libc {
    if let Some(at) = memmem::find(exe, b"\xff Go buildinf:") {
        return Libc::Go { version: go_version(&exe[at..]) };
    }
    // Every one since 2.26 has its tunables.
    if memmem::find(exe, b"glibc.malloc.check").is_some() {
        return Libc::StaticGlibc;
    }
    Libc::NoneFound
}

/// Since Go 1.18 the header says that the version is written behind it, its length first.
fn go_version(info: &[u8]) -> Option<String> {
    const FLAGS: usize = 15;
    const INLINE: u8 = 2;
    const HEADER_BYTES: usize = 32;
    if info.get(FLAGS)? & INLINE == 0 {
        return None;
    }
    // A longer one would need two bytes for its length.
    let length = usize::from(*info.get(HEADER_BYTES)?);
    let text = info.get(HEADER_BYTES + 1..HEADER_BYTES + 1 + length)?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use test_support::{Lacking, skip};

    use super::*;
    use crate::system::maps;

    const BANNER: &[u8] = b"\0GNU C Library (x) stable release version 2.36.\n";

    /// What is found of a process whose library is what `make` puts at that path.
    fn found(name: &str, make: impl Fn(&Path)) -> Libc {
        let folder = tempfile::tempdir().expect("a folder");
        let library = folder.path().join("proc/7/root/lib").join(name);
        fs::create_dir_all(library.parent().expect("a folder")).expect("a folder");
        make(&library);
        let maps = maps::parse(&format!("1000-2000 r-xp 0 08:01 12 /lib/{name}\n"));
        find(&Root::new(Some(folder.path())), "7", &maps).expect("it is mapped")
    }

    #[test]
    fn only_an_ordinary_file_of_ordinary_size_is_read() {
        let glibc = |version| Libc::Glibc { version };
        let libc = "libc.so.6";
        assert_eq!(found(libc, |at| fs::write(at, BANNER).unwrap()), glibc(Some((2, 36))));
        let pipe = |at: &Path| nix::unistd::mkfifo(at, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(found("libc.so.6 (deleted)", pipe), glibc(None));
        let link = |at: &Path| {
            fs::write(at.with_extension("else"), BANNER).unwrap();
            std::os::unix::fs::symlink(at.with_extension("else"), at).unwrap();
        };
        assert_eq!(found(libc, link), glibc(None));
        let long = |at: &Path| {
            fs::write(at, BANNER).unwrap();
            let file = fs::File::options().write(true).open(at).unwrap();
            file.set_len(LONGEST_BYTES + 1).unwrap();
        };
        assert_eq!(found(libc, long), glibc(None));
    }

    /// On this machine the mapping says which file it is: another one may have its name now.
    #[test]
    fn only_the_file_that_is_mapped_is_read() {
        let mut mappings = maps::parse(&fs::read_to_string("/proc/self/maps").expect("maps"));
        let root = Root::new(None);
        let known = find(&root, "self", &mappings).expect("it is mapped");
        if !matches!(known, Libc::Glibc { version: Some(_) }) {
            let name = "only_the_file_that_is_mapped_is_read";
            return skip(Lacking::Tool, name, "this test is not linked with glibc");
        }
        mappings.iter_mut().for_each(|mapping| mapping.inode += 1);
        assert_eq!(find(&root, "self", &mappings), Ok(Libc::Glibc { version: None }));
    }

    #[test]
    fn versions_are_found_in_the_libraries_words() {
        let glibc =
            b"\0GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\n";
        assert_eq!(glibc_version(glibc), Some((2, 36)));
        assert_eq!(glibc_version(b"GNU C Library"), None);
        assert_eq!(musl_version(b"\x001.2.3\0musl libc (x86_64)\0").as_deref(), Some("1.2.3"));
        assert_eq!(musl_version(b"\x001.2.3\0"), None);
        assert_eq!(musl_version(b"musl libc\x001.2.x\x001.2\0"), None);
    }

    #[test]
    fn executables_show_what_is_linked_into_them() {
        let mut go = b"..\xff Go buildinf:\x08\x02".to_vec();
        go.extend([0; 16]);
        go.extend(b"\x07go1.19.8");
        assert_eq!(in_executable(&go), Libc::Go { version: Some("go1.19.".to_owned()) });
        let cut = b"\xff Go buildinf:\x08\x02".as_slice();
        assert_eq!(in_executable(cut), Libc::Go { version: None });
        assert_eq!(in_executable(b"\0glibc.malloc.check\0"), Libc::StaticGlibc);
        assert_eq!(in_executable(b""), Libc::NoneFound);
    }
}
