//! `/proc/PID/maps`: proc_pid_maps(5).

use std::fmt::Display;
use std::fs;
use std::io;

/// Where something is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The address of the first byte of the mapping.
    pub start: u64,
    /// The address behind the last byte of the mapping.
    pub end: u64,
}

impl Mapping {
    /// Size.
    pub fn bytes(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether an address is within it.
    pub fn contains(self, addr: u64) -> bool {
        (self.start..self.end).contains(&addr)
    }
}

/// A line of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The addresses of the mapping.
    pub addrs: Mapping,
    /// What the process may do there, as in `r-xp`.
    pub rights: [u8; 4],
    /// Where the mapping begins in the mapped file, in bytes.
    pub file_offset: u64,
    /// The major and the minor number of the device that the mapped file is on.
    pub device: (u32, u32),
    /// The inode of the mapped file; zero if there is no file.
    pub inode: u64,
    /// The file's path, or what the kernel calls the mapping; empty if it has no name. Names of files need not
    /// be UTF-8.
    pub name: &'a [u8],
}

impl Line<'_> {
    /// Whether the process may write there.
    pub fn is_writable(&self) -> bool {
        self.rights[1] == b'w'
    }

    /// Whether the kernel itself gave the mapping this name: a file may be called anything, but has an inode.
    pub fn is_kernels(&self, name: &str) -> bool {
        self.inode == 0 && self.name == name.as_bytes()
    }
}

/// The file of the process whose folder is `/proc/PROCESS`: a number, or `self`.
pub fn read(process: impl Display) -> io::Result<Vec<u8>> {
    fs::read(format!("/proc/{process}/maps"))
}

/// The lines of the file; what is none is left out.
pub fn lines(maps: &[u8]) -> impl Iterator<Item = Line<'_>> {
    maps.split(|&byte| byte == b'\n').filter_map(line)
}

/// The mapping to which the kernel gives this name.
pub fn kernels(maps: &[u8], name: &str) -> Option<Mapping> {
    let ends_so = maps.split(|&byte| byte == b'\n').filter(|line| line.ends_with(name.as_bytes()));
    ends_so.filter_map(line).find(|line| line.is_kernels(name)).map(|line| line.addrs)
}

fn line(line: &[u8]) -> Option<Line<'_>> {
    let mut rest = line;
    let mut field = |separator: u8| {
        let length = rest.iter().position(|&byte| byte == separator);
        let (field, tail) = match length {
            Some(length) => (&rest[..length], &rest[length + 1..]),
            None => (rest, &[][..]),
        };
        rest = tail;
        str::from_utf8(field).ok()
    };
    let start = u64::from_str_radix(field(b'-')?, 16).ok()?;
    let end = u64::from_str_radix(field(b' ')?, 16).ok()?;
    let rights = field(b' ')?.as_bytes().try_into().ok()?;
    let file_offset = u64::from_str_radix(field(b' ')?, 16).ok()?;
    let (major, minor) = field(b' ')?.split_once(':')?;
    let number = |digits| u32::from_str_radix(digits, 16).ok();
    let device = (number(major)?, number(minor)?);
    let inode = field(b' ')?.parse().ok()?;
    // The name is the rest of the line, and may have spaces.
    let name = rest.trim_ascii_start();
    Some(Line { addrs: Mapping { start, end }, rights, file_offset, device, inode, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"\
55a0c0a00000-55a0c0a02000 r--p 00000000 fe:00 131 /usr/bin/cat
7f0e8d000000-7f0e8d001000 rw-s 00004000 00:01 2059                       /memfd:vdso-own (deleted)
7f0000005000-7f0000006000 r--p 00000000 00:00 0 
7f0000006000-7f0000007000 r--p 00000000 fe:00 77                         /home/a \xff/[vdso]
7ffd5b1f6000-7ffd5b218000 rw-p 00000000 00:00 0   [stack]
7ffd5b3c2000-7ffd5b3c6000 r--p 00000000 00:00 0   [vvar]
7ffd5b3c6000-7ffd5b3c8000 r--p 00000000 00:00 0   [vvar_vclock]
7ffd5b3c8000-7ffd5b3ca000 r-xp 00000000 00:00 0   [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
";

    fn bounds(maps: &[u8], name: &str) -> Option<(u64, u64)> {
        kernels(maps, name).map(|it| (it.start, it.end))
    }

    #[test]
    fn a_line_has_all_its_fields() {
        let lines: Vec<Line<'_>> = lines(MAPS).collect();
        assert_eq!(lines.len(), 9);
        let addrs = Mapping { start: 0x7f0e_8d00_0000, end: 0x7f0e_8d00_1000 };
        let name = b"/memfd:vdso-own (deleted)";
        let (rights, file_offset, device, inode) = (*b"rw-s", 0x4000, (0, 1), 2059);
        assert_eq!(lines[1], Line { addrs, rights, file_offset, device, inode, name });
        assert!(lines[1].is_writable() && !lines[0].is_writable());
        assert_eq!((lines[0].device, lines[2].name), ((0xfe, 0), &b""[..]));
        assert_eq!(lines[3].name, b"/home/a \xff/[vdso]");
        assert_eq!(lines[0].addrs.bytes(), 0x2000);
        assert!(addrs.contains(addrs.start) && !addrs.contains(addrs.end));
    }

    #[test]
    fn a_mapping_is_found_by_its_name() {
        assert_eq!(bounds(MAPS, "[vdso]"), Some((0x7ffd5b3c8000, 0x7ffd5b3ca000)));
        assert_eq!(bounds(MAPS, "[vvar]"), Some((0x7ffd5b3c2000, 0x7ffd5b3c6000)));
        assert_eq!(bounds(MAPS, "[vvar_vclock]"), Some((0x7ffd5b3c6000, 0x7ffd5b3c8000)));
        let last = bounds(MAPS, "[vsyscall]");
        assert_eq!(last, Some((0xffff_ffff_ff60_0000, 0xffff_ffff_ff60_1000)));
    }

    /// Files may be called anything, and lie before what they are called by.
    #[test]
    fn a_file_with_the_name_of_the_kernels_mappings_is_none_of_them() {
        for name in ["/tmp/a [vdso]", "/tmp/[vdso]", "/tmp/a [vvar]", "/tmp/ [vvar] b", "/[vvar]"] {
            let file = format!("10000-20000 r-xp 00000000 fe:00 17    {name}\n");
            for kernels in ["[vdso]", "[vvar]"] {
                assert_eq!(bounds(file.as_bytes(), kernels), None, "{name}");
                let both = [file.as_bytes(), MAPS].concat();
                assert_eq!(bounds(&both, kernels), bounds(MAPS, kernels), "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_line_is_left_out() {
        assert_eq!(bounds(MAPS, "[heap]"), None);
        assert_eq!(bounds(b"", "[vdso]"), None);
        for odd in ["[vdso]", "-[vdso]", "1000 [vdso]", "x-y r [vdso]", "1000-[vdso]", "1-2[vdso]"]
        {
            assert_eq!(bounds(odd.as_bytes(), "[vdso]"), None, "{odd}");
        }
        assert_eq!(lines(b"no such line\n7f00-zz r--p 0 00:00 0\n1-2 r- 0 00:00 0\n").count(), 0);
        // More than an address has.
        let long = b"10000000000000000-10000000000001000 r-xp 00000000 00:00 0 [vdso]";
        assert_eq!(bounds(long, "[vdso]"), None);
    }

    #[test]
    fn this_process_has_a_stack() {
        let maps = read("self").expect("/proc is mounted");
        let on_stack = 0_u8;
        let stack = kernels(&maps, "[stack]").expect("every program has one");
        // Of the main thread: this may be another one's.
        let holds = |line: Line<'_>| line.addrs.contains(&raw const on_stack as u64);
        assert!(stack.bytes() > 0 && lines(&maps).any(holds));
    }
}
