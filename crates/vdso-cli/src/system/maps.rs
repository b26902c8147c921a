//! A process's mappings, and which of them belong to a vDSO.

use std::ops::Range;

use vdso_host::proc::maps::{Line, lines};

/// A mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its addresses.
    pub addrs: Range<u64>,
    /// As in `r-xp`.
    pub protection: String,
    /// Offset in the file that is mapped.
    pub file_offset: u64,
    /// Inode of that file; zero if there is none.
    pub inode: u64,
    /// The file's path, or what the kernel calls the mapping; empty if it has no name.
    ///
    /// The process page of an image of ours has none from the kernel: it is [`PROCESS_PAGE`].
    pub name: String,
}

impl Mapping {
    /// Size.
    pub fn bytes(&self) -> u64 {
        self.addrs.end - self.addrs.start
    }

    /// The last part of the name, without the mark of a removed file.
    pub fn file_name(&self) -> &str {
        let path = self.name.strip_suffix(" (deleted)").unwrap_or(&self.name);
        path.rsplit('/').next().unwrap_or(path)
    }

    /// Whether the kernel itself gave the mapping this name: a file may be called anything.
    pub fn is_kernels(&self, name: &str) -> bool {
        self.inode == 0 && self.name == name
    }

    /// Whether this is a part of an image of ours: of a file in memory that `vdso run` has made.
    pub fn is_ours(&self) -> bool {
        self.name.starts_with("/memfd:vdso-") && self.name.ends_with(" (deleted)")
    }

    /// Whether this is an image of ours: of what is mapped of the file, it alone can be executed. It begins
    /// there, or behind the first one (x32).
    pub fn is_our_image(&self) -> bool {
        self.is_ours() && self.protection.contains('x')
    }
}

/// What the kernel maps besides its image: data pages, the counters of hypervisors, and the fixed page
/// of three functions that came before the vDSO.
const KERNEL_NAMES: [&str; 4] = ["[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]"];

/// What the page behind an image of ours is shown as.
const PROCESS_PAGE: &str = "(process page of the image)";

/// The mappings of `text`; lines that are not one are left out.
pub fn parse(text: &str) -> Vec<Mapping> {
    let mapping = |line: Line<'_>| Mapping {
        addrs: line.addrs.start..line.addrs.end,
        protection: String::from_utf8_lossy(&line.rights).into_owned(),
        file_offset: line.file_offset,
        inode: line.inode,
        name: String::from_utf8_lossy(line.name).into_owned(),
    };
    lines(text.as_bytes()).map(mapping).collect()
}

/// The mappings that have to do with a vDSO; `announced` is the address in the auxiliary vector.
pub fn of_vdso(all: &[Mapping], announced: Option<u64>) -> Vec<Mapping> {
    let process_pages: Vec<u64> = all
        .iter()
        .filter(|mapping| mapping.is_our_image())
        .map(|image| image.addrs.start + vdso_image::PROCESS_PAGE as u64)
        .collect();
    let is_process_page =
        |mapping: &Mapping| mapping.inode == 0 && process_pages.contains(&mapping.addrs.start);
    let belongs = |mapping: &&Mapping| {
        mapping.is_ours()
            || KERNEL_NAMES.iter().any(|name| mapping.is_kernels(name))
            || announced.is_some_and(|addr| mapping.addrs.contains(&addr))
            || is_process_page(mapping)
    };
    let named = |mapping: &Mapping| match is_process_page(mapping) {
        true => Mapping { name: PROCESS_PAGE.to_owned(), ..mapping.clone() },
        false => mapping.clone(),
    };
    all.iter().filter(belongs).map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the image begins.
    const IMAGE_ADDR: u64 = 0x7f00_0000_0000;
    /// How long it is, and so how far into its file its page is.
    const IMAGE_BYTES: u64 = vdso_image::PROCESS_PAGE as u64 - 0x1000;

    fn maps() -> String {
        let pages: Vec<u64> = (0..4).map(|page| IMAGE_ADDR + IMAGE_BYTES + page * 0x1000).collect();
        let [own, process, file, behind] = pages[..] else { unreachable!("there are four") };
        format!(
            "\
{IMAGE_ADDR:x}-{own:x} r-xp 00000000 00:01 4242                       /memfd:vdso-host (deleted)
{own:x}-{process:x} r--s {IMAGE_BYTES:08x} 00:01 4242                       /memfd:vdso-host (deleted)
{process:x}-{file:x} r--p 00000000 00:00 0 
{file:x}-{behind:x} r--p 00000000 fe:00 77                         /home/a b/[vdso]
7f1000000000-7f1000002000 r-xp 00000000 00:00 0                          [vdso]
7ffff0000000-7ffff0021000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"
        )
    }

    #[test]
    fn lines_are_read_with_their_names() {
        let maps = parse(&maps());
        assert_eq!(maps.len(), 7);
        assert_eq!(maps[0].name, "/memfd:vdso-host (deleted)");
        assert_eq!(maps[0].file_name(), "memfd:vdso-host");
        assert_eq!(maps[1].file_offset, IMAGE_BYTES);
        assert_eq!(maps[2].name, "");
        assert_eq!(maps[2].file_name(), "");
        assert_eq!(maps[3].name, "/home/a b/[vdso]");
        assert_eq!(maps[3].file_name(), "[vdso]");
        assert_eq!((maps[6].bytes(), maps[6].protection.as_str()), (0x1000, "--xp"));
    }

    #[test]
    fn a_file_with_the_name_of_the_vdso_is_none() {
        let names: Vec<_> = of_vdso(&parse(&maps()), None).into_iter().map(|m| m.name).collect();
        let ours = "/memfd:vdso-host (deleted)";
        assert_eq!(names, [ours, ours, PROCESS_PAGE, "[vdso]", "[vsyscall]"]);
    }

    /// Of a file with two images, x32 programs have the second.
    #[test]
    fn an_image_that_is_not_the_first_is_one() {
        let maps = maps().replace("r-xp 00000000 00:01", "r-xp 00007000 00:01");
        let names: Vec<_> = of_vdso(&parse(&maps), None).into_iter().map(|m| m.name).collect();
        assert!(names.iter().any(|name| name == PROCESS_PAGE), "{names:?}");
    }

    #[test]
    fn what_the_auxiliary_vector_points_to_belongs_whatever_it_is_called() {
        let found = of_vdso(&parse(&maps()), Some(IMAGE_ADDR + IMAGE_BYTES + 0x2000));
        assert!(found.iter().any(|mapping| mapping.name == "/home/a b/[vdso]"));
    }
}
