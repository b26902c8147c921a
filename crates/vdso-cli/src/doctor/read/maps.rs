//! `/proc/PID/maps`. Source: proc_pid_maps(5).

use std::ops::Range;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub addrs: Range<u64>,
    /// As the kernel writes them: `r-xp`.
    pub rights: String,
    /// The file or the kernel's name; empty for neither.
    pub name: String,
}

impl Mapping {
    /// The last part of the name, without the mark of a removed file.
    pub fn file_name(&self) -> &str {
        let path = self.name.strip_suffix(" (deleted)").unwrap_or(&self.name);
        path.rsplit('/').next().unwrap_or(path)
    }
}

/// All mappings, in their order.
pub fn parse(text: &str) -> Vec<Mapping> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mapping> {
    let (addrs, rest) = line.split_once(' ')?;
    let (start, end) = addrs.split_once('-')?;
    let addr = |text| u64::from_str_radix(text, 16).ok();
    let mut rest = rest.splitn(5, ' ');
    let rights = rest.next()?.to_owned();
    // Offset, device and inode; the name may have spaces of its own.
    let name = rest.nth(3).unwrap_or_default().trim_start().to_owned();
    Some(Mapping { addrs: addr(start)?..addr(end)?, rights, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_spaces_or_be_missing() {
        let text = "\
00400000-00401000 r-xp 00000000 08:01 12                         /a file/libc.so.6 (deleted)
7fff00000000-7fff00001000 rw-p 00000000 00:00 0
7fff00002000-7fff00004000 r-xp 00000000 00:00 0                          [vdso]
nonsense
";
        let mappings = parse(text);
        let names: Vec<&str> = mappings.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["/a file/libc.so.6 (deleted)", "", "[vdso]"]);
        assert_eq!(mappings[0].file_name(), "libc.so.6");
        assert_eq!(mappings[2].addrs, 0x7fff_0000_2000..0x7fff_0000_4000);
        assert_eq!(mappings[2].rights, "r-xp");
    }
}
