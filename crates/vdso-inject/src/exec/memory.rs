//! Another process's memory and what `/proc` says of it.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use vdso_host::proc::{self, Stat, maps};

use super::companion::DataPages;
use super::segments::Extents;
use crate::error::{Attempt, Error, Result};
use crate::ptrace::Stopped;
use crate::stub::MemoryMap;
use vdso_map::Identity;

/// The memory of another process, to be looked at. Only that of a stopped thread is written to:
/// [`Stopped`], and by this crate alone, as it may be shared with the writer:
///
/// ```compile_fail,E0624
/// fn change(thread: &mut vdso_inject::ptrace::Stopped, addr: u64) {
///     thread.write(addr, &[8]).unwrap();
/// }
/// ```
///
/// ```compile_fail,E0624
/// fn change_code(thread: &mut vdso_inject::ptrace::Stopped, addr: u64) {
///     thread.write_anywhere(addr, b"nothing is").unwrap();
/// }
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
        Ok(listed_protection(&bytes, addr))
    }

    /// The whole mapping that begins at `addr`.
    pub fn mapping_at(&self, addr: u64) -> Result<Vec<u8>> {
        let maps = self.maps()?;
        let mut mappings = maps::lines(&maps).map(|line| line.addrs);
        let mapping = mappings.find(|mapping| mapping.start == addr).ok_or(Error::on(
            self.pid,
            Attempt::ReadProc,
            Errno::EINVAL,
        ))?;
        let mut bytes = vec![0; mapping.bytes()];
        self.read(addr, &mut bytes)?;
        Ok(bytes)
    }

    /// Where the kernel has mapped its vDSO, and where that ends; `None` if it has not.
    pub fn kernel_vdso(&self) -> Result<Option<(u64, u64)>> {
        Ok(maps::kernels(&self.maps()?, "[vdso]").map(|vdso| (vdso.start, vdso.end)))
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

    fn maps(&self) -> Result<Vec<u8>> {
        maps::read(self.visible()?).map_err(|error| failed(self.pid, Attempt::ReadProc, &error))
    }

    fn stat(&self) -> Result<Stat> {
        Stat::read(self.visible()?).map_err(|error| failed(self.pid, Attempt::ReadProc, &error))
    }

    /// Where code and data are, from `/proc/PID/stat`.
    pub fn extents(&self) -> Result<Extents> {
        extents(&self.stat()?).ok_or(Error::on(self.pid, Attempt::ReadProc, Errno::EINVAL))
    }

    /// Whether a file is mapped there.
    pub fn has_mapping_of(&self, file: Identity) -> Result<bool> {
        let device = (libc::major(file.device), libc::minor(file.device));
        let maps = self.maps()?;
        Ok(maps::lines(&maps).any(|line| (line.device, line.inode) == (device, file.inode)))
    }

    /// How many threads the process has.
    pub fn threads(&self) -> Result<usize> {
        let threads = proc::numbers_in(self.path("task")?);
        let threads = threads.map_err(|error| failed(self.pid, Attempt::ReadProc, &error))?;
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
        run_state(&self.stat()?).ok_or(Error::on(self.pid, Attempt::ReadProc, Errno::EINVAL))
    }

    /// Whose folder in `/proc` it is, if that can be told.
    fn visible(&self) -> Result<Pid> {
        match proc::is_ours() {
            true => Ok(self.pid),
            false => Err(Error::on(self.pid, Attempt::ReadProc, Errno::ESRCH)),
        }
    }

    fn path(&self, name: &str) -> Result<String> {
        Ok(format!("/proc/{}/{name}", self.visible()?))
    }
}

impl Stopped {
    /// The memory of its process.
    pub fn memory(&self) -> Memory {
        Memory::of(self.tid())
    }

    /// Writes where the program itself may, also where its stack has yet to grow to.
    pub(crate) fn write(&mut self, addr: u64, bytes: &[u8]) -> Result<()> {
        self.held()?;
        let (pid, remote) = (self.tid(), [RemoteIoVec { base: addr as usize, len: bytes.len() }]);
        match process_vm_writev(pid, &[IoSlice::new(bytes)], &remote) {
            Ok(written) if written == bytes.len() => Ok(()),
            // That call does not let a stack grow, and may be refused, unlike this.
            Ok(_) | Err(Errno::EFAULT | Errno::EPERM | Errno::ENOSYS) => {
                self.write_by_file(addr, bytes)
            }
            Err(errno) => Err(Error::on(pid, Attempt::WriteMemory, errno)),
        }
    }

    /// Writes to pages whatever their protection, as debuggers do.
    pub(crate) fn write_anywhere(&mut self, addr: u64, bytes: &[u8]) -> Result<()> {
        self.held()?;
        // Kernels can be told not to let that file do so.
        self.write_by_file(addr, bytes).or_else(|_| self.write_by_words(addr, bytes))
    }

    /// The same, by the one way in which a process's memory is written as it is asked for: not by whole words.
    pub(crate) fn write_by_file(&self, addr: u64, bytes: &[u8]) -> Result<()> {
        let file = File::options().write(true).open(self.memory().path("mem")?);
        file.and_then(|file| file.write_all_at(bytes, addr))
            .map_err(|error| failed(self.tid(), Attempt::WriteMemory, &error))
    }

    fn write_by_words(&mut self, addr: u64, bytes: &[u8]) -> Result<()> {
        let mut padded = bytes.to_vec();
        let tail = bytes.len().next_multiple_of(size_of::<libc::c_long>()) - bytes.len();
        if tail != 0 {
            let mut after = vec![0; tail];
            self.memory().read(addr + bytes.len() as u64, &mut after)?;
            padded.extend(after);
        }
        for (index, word) in padded.chunks_exact(size_of::<libc::c_long>()).enumerate() {
            let word = libc::c_long::from_ne_bytes(word.try_into().expect("chunks are words"));
            self.poke(addr + (index * size_of::<libc::c_long>()) as u64, word)?;
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

fn listed_protection(maps: &[u8], addr: u64) -> Protection {
    match maps::lines(maps).find(|line| line.addrs.contains(addr)) {
        Some(line) if line.is_writable() => Protection::Writable,
        _ => Protection::ReadOnly,
    }
}

/// The mappings of the kernel's data pages, from its vDSO's start: `[vvar]`, `[vvar_vclock]`.
fn data_pages_around(maps: &[u8], vdso_addr: u64) -> Vec<(u64, u64)> {
    let names = ["[vvar]", "[vvar_vclock]"];
    let data_pages = names.into_iter().filter_map(|name| maps::kernels(maps, name));
    data_pages
        .map(|found| (found.start.wrapping_sub(vdso_addr), found.end.wrapping_sub(vdso_addr)))
        .collect()
}

fn run_state(stat: &Stat) -> Option<RunState> {
    let field = |number| stat.field(number);
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

fn extents(stat: &Stat) -> Option<Extents> {
    Some(Extents {
        start_code: stat.field(26)?,
        end_code: stat.field(27)?,
        start_data: stat.field(45)?,
        end_data: stat.field(46)?,
    })
}

fn failed(pid: Pid, attempt: Attempt, error: &io::Error) -> Error {
    let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    Error::on(pid, attempt, errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_pages_are_where_they_are_from_the_vdso() {
        let low = b"f7ef9000-f7efd000 r--p 00000000 00:00 0 [vvar]\n\
                   f7efd000-f7eff000 r--p 00000000 00:00 0 [vvar_vclock]\n\
                   f7eff000-f7f01000 r-xp 00000000 00:00 0 [vdso]\n";
        let high = b"7ffc1a7f9000-7ffc1a7fd000 r--p 00000000 00:00 0 [vvar]\n\
                    7ffc1a7fd000-7ffc1a7ff000 r--p 00000000 00:00 0 [vvar_vclock]\n\
                    7ffc1a7ff000-7ffc1a801000 r-xp 00000000 00:00 0 [vdso]\n";
        let pages = data_pages_around(low, 0xf7ef_f000);
        assert_eq!(pages.len(), 2);
        assert_eq!(pages, data_pages_around(high, 0x7ffc_1a7f_f000));
        assert_ne!(pages, data_pages_around(low, 0xf7f0_0000));
        assert_eq!(data_pages_around(b"", 0xf7ef_f000), []);
    }
}
