//! Another process's memory and what `/proc` says of it.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use vdso_host::mapping;

use super::companion::DataPages;
use super::segments::Extents;
use crate::error::{Attempt, Error, Result};
use crate::proc;
use crate::stub::MemoryMap;
use vdso_map::Identity;

/// The memory of a process whose tracer this is.
///
/// Others may look at it. They may not write to it, as it may be their own:
///
/// ```compile_fail,E0624
/// use nix::unistd::Pid;
///
/// let number = Box::new(7);
/// let memory = vdso_inject::exec::Memory::of(Pid::this());
/// memory.write(&raw const *number as u64, &[8]).unwrap();
/// ```
///
/// ```compile_fail,E0624
/// use nix::unistd::Pid;
///
/// let memory = vdso_inject::exec::Memory::of(Pid::this());
/// memory.write_anywhere("unchanging".as_ptr() as u64, b"nothing is").unwrap();
/// ```
#[derive(Debug)]
pub struct Memory {
    pid: Pid,
}

/// What the kernel says of a program that runs.
#[derive(Clone, Copy, Debug)]
pub struct RunState {
    /// The stack pointer that it began with.
    pub start_stack: u64,
    /// Its layout, but for the end of the heap and the auxiliary vector.
    pub memory_map: MemoryMap,
}

/// Whether a program may write to a page of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It may not.
    ReadOnly,
    /// It may.
    Writable,
}

impl Memory {
    /// That of `pid`. A program that its user may run but not read refuses every access.
    pub fn of(pid: Pid) -> Self {
        Self { pid }
    }

    /// Whose it is.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Fills `buffer`.
    pub fn read(&self, addr: u64, buffer: &mut [u8]) -> Result<()> {
        let length = buffer.len();
        if self.read_some(addr, buffer)? == length {
            Ok(())
        } else {
            Err(Error::on(self.pid, Attempt::ReadMemory, Errno::EFAULT))
        }
    }

    /// Reads up to the end of `buffer`, or of the page, or of what is mapped, and says how much that was.
    pub fn read_up_to(&self, addr: u64, buffer: &mut [u8]) -> Result<usize> {
        // A read across the end of a mapping may give nothing: stop at the page, then go on.
        let in_page = vdso_data::PAGE_BYTES - addr as usize % vdso_data::PAGE_BYTES;
        let bytes = buffer.len().min(in_page);
        self.read_some(addr, &mut buffer[..bytes])
    }

    fn read_some(&self, addr: u64, buffer: &mut [u8]) -> Result<usize> {
        let remote = [RemoteIoVec { base: addr as usize, len: buffer.len() }];
        match process_vm_readv(self.pid, &mut [IoSliceMut::new(buffer)], &remote) {
            // Containers' filters may refuse that call, but not this file.
            Err(Errno::EPERM | Errno::ENOSYS) => File::open(self.path("mem")?)
                .and_then(|file| file.read_at(buffer, addr))
                .map_err(|error| failed(self.pid, Attempt::ReadMemory, &error)),
            read => read.map_err(|errno| Error::on(self.pid, Attempt::ReadMemory, errno)),
        }
    }

    /// Writes where the program itself may, also where its stack has yet to grow to.
    pub(crate) fn write(&self, addr: u64, bytes: &[u8]) -> Result<()> {
        let remote = [RemoteIoVec { base: addr as usize, len: bytes.len() }];
        match process_vm_writev(self.pid, &[IoSlice::new(bytes)], &remote) {
            Ok(written) if written == bytes.len() => Ok(()),
            // That call does not let a stack grow, and may be refused, unlike this.
            Ok(_) | Err(Errno::EFAULT | Errno::EPERM | Errno::ENOSYS) => {
                self.write_by_file(addr, bytes)
            }
            Err(errno) => Err(Error::on(self.pid, Attempt::WriteMemory, errno)),
        }
    }

    /// Writes to pages whatever their protection, as debuggers do.
    pub(crate) fn write_anywhere(&self, addr: u64, bytes: &[u8]) -> Result<()> {
        // Kernels can be told not to let that file do so.
        self.write_by_file(addr, bytes).or_else(|_| self.poke(addr, bytes))
    }

    fn write_by_file(&self, addr: u64, bytes: &[u8]) -> Result<()> {
        let file = File::options().write(true).open(self.path("mem")?);
        file.and_then(|file| file.write_all_at(bytes, addr))
            .map_err(|error| failed(self.pid, Attempt::WriteMemory, &error))
    }

    /// The protection of the page at `addr`.
    pub fn protection(&self, addr: u64) -> Result<Protection> {
        let maps = File::open(self.path("maps")?)
            .map_err(|error| failed(self.pid, Attempt::ReadProc, &error))?;
        if let Some(protection) = query_protection(&maps, addr) {
            return Ok(protection);
        }
        let mut bytes = Vec::new();
        (&maps)
            .read_to_end(&mut bytes)
            .map_err(|error| failed(self.pid, Attempt::ReadProc, &error))?;
        // Names of files need not be UTF-8.
        Ok(listed_protection(&String::from_utf8_lossy(&bytes), addr))
    }

    /// The whole mapping that begins at `addr`.
    pub fn mapping_at(&self, addr: u64) -> Result<Vec<u8>> {
        let maps = self.maps()?;
        let mut bounds = maps.lines().filter_map(bounds);
        let (start, end) = bounds.find(|&(start, _)| start == addr).ok_or(Error::on(
            self.pid,
            Attempt::ReadProc,
            Errno::EINVAL,
        ))?;
        let mut bytes = vec![0; (end - start) as usize];
        self.read(addr, &mut bytes)?;
        Ok(bytes)
    }

    /// Where the kernel has mapped its vDSO, and where that ends; `None` if it has not.
    pub fn kernel_vdso(&self) -> Result<Option<(u64, u64)>> {
        Ok(vdso_in(&self.maps()?))
    }

    /// Whether the kernel's data pages lie around its vDSO at `vdso_addr` as they do in this process.
    pub fn data_pages(&self, vdso_addr: u64) -> Result<DataPages> {
        let this_process = Self::of(Pid::this());
        // Not by the auxiliary vector: below another launcher, that names its image.
        let Some((here, _)) = this_process.kernel_vdso()? else {
            return Ok(DataPages::Elsewhere);
        };
        let (theirs, ours) = (self.maps()?, this_process.maps()?);
        let is_same = data_pages_around(&theirs, vdso_addr) == data_pages_around(&ours, here);
        Ok(if is_same { DataPages::AsInLauncher } else { DataPages::Elsewhere })
    }

    /// The list of mappings. Names of files need not be UTF-8.
    fn maps(&self) -> Result<String> {
        let maps = fs::read(self.path("maps")?)
            .map_err(|error| failed(self.pid, Attempt::ReadProc, &error))?;
        Ok(String::from_utf8_lossy(&maps).into_owned())
    }

    /// Where code and data are, from `/proc/PID/stat`.
    pub fn extents(&self) -> Result<Extents> {
        let text = fs::read(self.path("stat")?)
            .map_err(|error| failed(self.pid, Attempt::ReadProc, &error))?;
        parse_extents(&String::from_utf8_lossy(&text)).ok_or(Error::on(
            self.pid,
            Attempt::ReadProc,
            Errno::EINVAL,
        ))
    }

    /// Whether a file is mapped there.
    pub fn has_mapping_of(&self, file: Identity) -> Result<bool> {
        let (major, minor) = (libc::major(file.device), libc::minor(file.device));
        let (device, inode) = (format!("{major:02x}:{minor:02x}"), file.inode.to_string());
        // Bounds, rights, offset, device, inode, name.
        let is_of_file = |line: &str| {
            let mut fields = line.split(' ').skip(3);
            fields.next() == Some(&device) && fields.next() == Some(&inode)
        };
        Ok(self.maps()?.lines().any(is_of_file))
    }

    /// How many threads the process has.
    pub fn threads(&self) -> Result<usize> {
        let threads = fs::read_dir(self.path("task")?)
            .map_err(|error| failed(self.pid, Attempt::ReadProc, &error))?;
        Ok(threads.count())
    }

    /// The file behind a descriptor of the process's; `None` if there is none.
    pub fn descriptor(&self, number: u64) -> Result<Option<Identity>> {
        let file = fs::metadata(self.path(&format!("fd/{number}"))?);
        Ok(file.ok().map(|file| Identity {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.len(),
        }))
    }

    /// Where the stack began, and what else the kernel keeps of the program's layout.
    pub fn run_state(&self) -> Result<RunState> {
        let text = fs::read(self.path("stat")?)
            .map_err(|error| failed(self.pid, Attempt::ReadProc, &error))?;
        parse_run_state(&String::from_utf8_lossy(&text)).ok_or(Error::on(
            self.pid,
            Attempt::ReadProc,
            Errno::EINVAL,
        ))
    }

    fn path(&self, name: &str) -> Result<String> {
        if proc::is_ours() {
            Ok(format!("/proc/{}/{name}", self.pid))
        } else {
            Err(Error::on(self.pid, Attempt::ReadProc, Errno::ESRCH))
        }
    }

    /// The same word by word.
    fn poke(&self, addr: u64, bytes: &[u8]) -> Result<()> {
        let mut padded = bytes.to_vec();
        let tail = bytes.len().next_multiple_of(size_of::<libc::c_long>()) - bytes.len();
        if tail != 0 {
            let mut after = vec![0; tail];
            self.read(addr + bytes.len() as u64, &mut after)?;
            padded.extend(after);
        }
        for (index, word) in padded.chunks_exact(size_of::<libc::c_long>()).enumerate() {
            let word = libc::c_long::from_ne_bytes(word.try_into().expect("chunks are words"));
            let at = addr + (index * size_of::<libc::c_long>()) as u64;
            nix::sys::ptrace::write(self.pid, at as *mut libc::c_void, word)
                .map_err(|errno| Error::on(self.pid, Attempt::WriteMemory, errno))?;
        }
        Ok(())
    }
}

/// `struct procmap_query` of `include/uapi/linux/fs.h` (Linux 6.11 and later).
#[derive(Default)]
#[repr(C)]
struct ProcmapQuery {
    size: u64,
    query_flags: u64,
    query_addr: u64,
    vma_start: u64,
    vma_end: u64,
    vma_flags: u64,
    vma_page_size: u64,
    vma_offset: u64,
    inode: u64,
    dev_major: u32,
    dev_minor: u32,
    vma_name_size: u32,
    build_id_size: u32,
    vma_name_addr: u64,
    build_id_addr: u64,
}

/// Asks for one mapping instead of reading the text of all.
fn query_protection(maps: &File, addr: u64) -> Option<Protection> {
    const PROCMAP_QUERY_VMA_WRITABLE: u64 = 2;
    const REQUEST: libc::Ioctl = nix::request_code_readwrite!(b'f', 17, size_of::<ProcmapQuery>());
    let mut query = ProcmapQuery {
        size: size_of::<ProcmapQuery>() as u64,
        query_addr: addr,
        ..ProcmapQuery::default()
    };
    // SAFETY: the structure is the one that the request takes, and says how long it is.
    let result = unsafe { libc::ioctl(maps.as_raw_fd(), REQUEST, &mut query) };
    let is_writable = query.vma_flags & PROCMAP_QUERY_VMA_WRITABLE != 0;
    (result == 0).then_some(if is_writable { Protection::Writable } else { Protection::ReadOnly })
}

fn listed_protection(maps: &str, addr: u64) -> Protection {
    let covers =
        |line: &&str| bounds(line).is_some_and(|(start, end)| (start..end).contains(&addr));
    match maps.lines().find(covers).and_then(|line| line.split(' ').nth(1)) {
        Some(rights) if rights.as_bytes().get(1) == Some(&b'w') => Protection::Writable,
        _ => Protection::ReadOnly,
    }
}

/// The mapping of the kernel's vDSO.
fn vdso_in(maps: &str) -> Option<(u64, u64)> {
    mapping(maps, "[vdso]").map(|found| (found.start, found.end))
}

/// The mappings of the kernel's data pages, from its vDSO's start: `[vvar]`, `[vvar_vclock]`.
fn data_pages_around(maps: &str, vdso_addr: u64) -> Vec<(u64, u64)> {
    let data_pages = ["[vvar]", "[vvar_vclock]"].into_iter().filter_map(|name| mapping(maps, name));
    data_pages
        .map(|found| (found.start.wrapping_sub(vdso_addr), found.end.wrapping_sub(vdso_addr)))
        .collect()
}

/// Where a line of `/proc/PID/maps` begins and ends.
fn bounds(line: &str) -> Option<(u64, u64)> {
    let (start, rest) = line.split_once('-')?;
    let (end, _) = rest.split_once(' ')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?))
}

/// The numbers in `/proc/PID/stat`.
fn stat_fields(stat: &str) -> Option<impl Fn(usize) -> Option<u64>> {
    // The second field is the program's name in parentheses, which may hold any character.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // proc_pid_stat(5) counts from 1; the first here is field 3.
    Some(move |number: usize| fields.get(number - 3)?.parse().ok())
}

fn parse_run_state(stat: &str) -> Option<RunState> {
    let field = stat_fields(stat)?;
    let start_stack = field(28)?;
    let memory_map = MemoryMap {
        start_code: field(26)?,
        end_code: field(27)?,
        start_data: field(45)?,
        end_data: field(46)?,
        start_brk: field(47)?,
        brk: 0,
        start_stack,
        arg_start: field(48)?,
        arg_end: field(49)?,
        env_start: field(50)?,
        env_end: field(51)?,
        auxv: 0,
        auxv_size: 0,
        exe_fd: -1,
    };
    // One that ended meanwhile has none.
    (start_stack != 0).then_some(RunState { start_stack, memory_map })
}

fn parse_extents(stat: &str) -> Option<Extents> {
    let field = stat_fields(stat)?;
    Some(Extents {
        start_code: field(26)?,
        end_code: field(27)?,
        start_data: field(45)?,
        end_data: field(46)?,
    })
}

fn failed(pid: Pid, attempt: Attempt, error: &io::Error) -> Error {
    let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    Error::on(pid, attempt, errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files may be called anything, and lie before what they are called by.
    #[test]
    fn a_file_with_the_name_of_the_kernels_mappings_is_none_of_them() {
        let kernels = "f7ef9000-f7efd000 r--p 00000000 00:00 0 [vvar]\n\
                       f7efd000-f7eff000 r--p 00000000 00:00 0 [vvar_vclock]\n\
                       f7eff000-f7f01000 r-xp 00000000 00:00 0 [vdso]\n";
        for name in ["/tmp/a [vdso]", "/tmp/[vdso]", "/tmp/a [vvar]", "/tmp/ [vvar] b", "/[vvar]"] {
            let file = format!("10000-20000 r-xp 00000000 fe:00 17    {name}\n");
            let maps = [&file, kernels].concat();
            assert_eq!(vdso_in(&maps), Some((0xf7ef_f000, 0xf7f0_1000)), "{name}");
            assert_eq!(vdso_in(&file), None, "{name}");
            let pages = data_pages_around(kernels, 0xf7ef_f000);
            assert_eq!(data_pages_around(&maps, 0xf7ef_f000), pages, "{name}");
        }
    }

    #[test]
    fn data_pages_are_where_they_are_from_the_vdso() {
        let low = "f7ef9000-f7efd000 r--p 00000000 00:00 0 [vvar]\n\
                   f7efd000-f7eff000 r--p 00000000 00:00 0 [vvar_vclock]\n\
                   f7eff000-f7f01000 r-xp 00000000 00:00 0 [vdso]\n";
        let high = "7ffc1a7f9000-7ffc1a7fd000 r--p 00000000 00:00 0 [vvar]\n\
                    7ffc1a7fd000-7ffc1a7ff000 r--p 00000000 00:00 0 [vvar_vclock]\n\
                    7ffc1a7ff000-7ffc1a801000 r-xp 00000000 00:00 0 [vdso]\n";
        let pages = data_pages_around(low, 0xf7ef_f000);
        assert_eq!(pages.len(), 2);
        assert_eq!(pages, data_pages_around(high, 0x7ffc_1a7f_f000));
        assert_ne!(pages, data_pages_around(low, 0xf7f0_0000));
        assert_eq!(data_pages_around("", 0xf7ef_f000), []);
    }
}
