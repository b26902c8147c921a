//! What is changed in a process, and put back.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_data::counts::{COUNTS_BYTES, TABLE_BYTES};
use vdso_data::process::ProcessPage;
use vdso_data::sync::Ordering;
use vdso_host::proc::{self, maps};
use vdso_map::{COUNTING_BYTES, CountsFile, Identity, has_thread_pointer};

use super::Payload;
use super::check;
use super::machine::Parking;
use super::record::{Patch, Process, Record};
use super::threads::Threads;
use crate::arch::jump;
use crate::error::{Attempt, Error, Result};
use crate::exec::remote::Remote;
use crate::exec::{Memory, mapping, running};

/// What is to be changed.
#[derive(Debug)]
pub struct Changes {
    /// What is kept of it.
    pub record: Record,
    patches: Vec<jump::Patch>,
    parking: Parking,
}

impl Changes {
    /// For a process that is let run meanwhile: all this does not change while it runs the same program.
    pub fn plan(pid: Pid, payload: &Payload<'_>) -> Result<Self> {
        let file = payload.file;
        let process = Process::read(pid);
        let process = process.map_err(|error| {
            let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
            Error::on(pid, Attempt::ReadProc, errno)
        })?;
        let memory = Memory::of(pid);
        let (vdso_addr, end_addr) = memory.kernel_vdso()?.ok_or(Error::Gone { pid })?;
        let vdso = memory.mapping_at(vdso_addr)?;
        if let Some(abi) = check::foreign(&vdso) {
            return Err(Error::Foreign { pid, abi });
        }
        let mut room = jump::Room::behind(vdso_addr, &vdso);
        let patches = running::patches(pid, file, vdso_addr, &vdso, &mut room)?;
        let parking_addr = room.take(Parking::BYTES).ok_or(Error::NoRoom { pid })?;
        let kept = |patch: &jump::Patch| {
            let (addr, written) = patch.over_function();
            let at = (addr - vdso_addr) as usize;
            let original = vdso.get(at..at + written.len())?.to_vec();
            is_written_at_once(addr, written).then(|| Patch {
                addr,
                original,
                written: written.to_vec(),
            })
        };
        let kept: Option<_> = patches.iter().map(kept).collect();
        let record = Record {
            process,
            vdso_addr,
            patches: kept.ok_or(Error::NoRoom { pid })?,
            room: parking_addr..end_addr,
            file: file.identity(),
            counts: payload.counts.map(CountsFile::identity),
            mapping_bytes: file.second_stage() + counting_bytes(payload),
        };
        let parking = Parking::at(parking_addr).ok_or(Error::Architecture)?;
        Ok(Self { record, patches, parking })
    }

    /// Makes them in a process whose threads are stopped, outside of what is written over. The functions come last.
    pub fn make(&self, threads: &mut Threads, payload: &Payload<'_>) -> Result<()> {
        let image_addr = with_remote(threads, self.parking, |remote| self.map(remote, payload))?;
        for patch in &self.patches {
            for (addr, bytes) in patch.bytes_for(image_addr) {
                threads.any().write_anywhere(addr, &bytes)?;
            }
        }
        Ok(())
    }

    fn map(&self, remote: &mut Remote<'_>, payload: &Payload<'_>) -> Result<u64> {
        let (image, more_bytes) = (payload.file, counting_bytes(payload));
        self.with_file(remote, image.as_fd(), image.identity(), |remote, file| {
            mapping::map(remote, image, more_bytes, file, &mut |remote, page_addr, _| {
                let page = running::process_page(payload.template, self.record.vdso_addr);
                if let Some(counts) = payload.counts {
                    let mapping = page_addr - image.architecture().process_page() as u64;
                    self.map_counts(remote, counts, mapping + image.second_stage(), &page)?;
                }
                Ok(page)
            })
        })
    }

    /// The program's table of blocks, and the counts behind it.
    fn map_counts(
        &self,
        remote: &mut Remote<'_>,
        counts: &CountsFile,
        table_addr: u64,
        page: &ProcessPage,
    ) -> Result<()> {
        let pid = self.record.process.pid;
        let counts_addr = table_addr + TABLE_BYTES as u64;
        let read_write = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let shared = (libc::MAP_SHARED | libc::MAP_FIXED) as u64;
        let anonymous = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED) as u64;
        let done = |called: nix::Result<u64>| {
            called.map(drop).map_err(|errno| failed(pid, Attempt::Map, errno))
        };
        self.with_file(remote, counts.as_fd(), counts.identity(), |remote, file| {
            let bytes = COUNTS_BYTES as u64;
            let arguments = [counts_addr, bytes, read_write, shared, file, 0];
            done(remote.call(libc::SYS_mmap, arguments)?)
        })?;
        let bytes = TABLE_BYTES as u64;
        let arguments = [table_addr, bytes, read_write, anonymous, u64::MAX, 0];
        done(remote.call(libc::SYS_mmap, arguments)?)?;
        page.counts_addr.store(counts_addr, Ordering::Relaxed);
        let wipe = libc::MADV_WIPEONFORK as u64;
        let wiped = remote.call(libc::SYS_madvise, [table_addr, bytes, wipe, 0, 0, 0])?;
        // Without a table that a child finds empty, threads are not told apart.
        if wiped.is_ok() && has_thread_pointer() {
            page.counts_table_addr.store(table_addr, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Has the program open a file of this process's, and close it again.
    fn with_file<T>(
        &self,
        remote: &mut Remote<'_>,
        file: BorrowedFd<'_>,
        identity: Identity,
        work: impl FnOnce(&mut Remote<'_>, u64) -> Result<T>,
    ) -> Result<T> {
        let pid = self.record.process.pid;
        let path = format!("/proc/{}/fd/{}\0", std::process::id(), file.as_raw_fd());
        debug_assert!(path.len() <= Parking::TEXT_BYTES);
        remote.thread().write_anywhere(self.parking.text_addr(), path.as_bytes())?;
        // Only the counts are mapped to be written to.
        let access =
            if Some(identity) == self.record.counts { libc::O_RDWR } else { libc::O_RDONLY };
        let flags = (access | libc::O_CLOEXEC) as u64;
        let here = i64::from(libc::AT_FDCWD).cast_unsigned();
        let arguments = [here, self.parking.text_addr(), flags, 0, 0, 0];
        let opened = remote.call(libc::SYS_openat, arguments)?;
        let opened = opened.map_err(|errno| failed(pid, Attempt::OpenFile, errno))?;
        let done = if Memory::of(pid).descriptor(opened)? == Some(identity) {
            work(remote, opened)
        } else {
            // It sees other processes under these numbers.
            Err(Error::AnotherFile { pid })
        };
        // Whatever became of it, the program must not find that descriptor.
        remote.call(libc::SYS_close, [opened, 0, 0, 0, 0, 0])?.ok();
        done
    }
}

/// How many bytes a program maps behind the image, to count.
fn counting_bytes(payload: &Payload<'_>) -> u64 {
    payload.counts.map_or(0, |_| COUNTING_BYTES as u64)
}

/// Whether the kernel copies all of it by one copy: it does so by pages.
fn is_written_at_once(addr: u64, bytes: &[u8]) -> bool {
    let page = |addr: u64| addr / vdso_data::PAGE_BYTES as u64;
    page(addr) == page(addr + bytes.len() as u64 - 1)
}

/// Has one of the threads make calls.
fn with_remote<T>(
    threads: &mut Threads,
    parking: Parking,
    work: impl FnOnce(&mut Remote<'_>) -> Result<T>,
) -> Result<T> {
    let worker = threads.worker()?;
    let bytes = parking.bytes_for(worker.registers()?, worker.blocked_signals()?);
    worker.write_anywhere(parking.call_addr(), &bytes.ok_or(Error::Architecture)?)?;
    let mut remote = Remote::begin_resumable(worker, parking.call_addr(), parking.resume_addr())?;
    let done = work(&mut remote);
    let ended = remote.end();
    let done = done?;
    ended.map(|()| done)
}

/// Whether nothing of a record is in a process: nothing had been changed yet, or all was put back.
pub fn is_unchanged(pid: Pid, record: &Record) -> Result<bool> {
    let memory = Memory::of(pid);
    if memory.kernel_vdso()?.is_none_or(|(start, _)| start != record.vdso_addr) {
        return Ok(true);
    }
    let mut room = vec![0; (record.room.end - record.room.start) as usize];
    memory.read(record.room.start, &mut room)?;
    let is_original = |patch: &Patch| -> Result<bool> {
        let mut there = vec![0; patch.original.len()];
        memory.read(patch.addr, &mut there)?;
        Ok(there == patch.original)
    };
    for patch in &record.patches {
        if !is_original(patch)? {
            return Ok(false);
        }
    }
    let is_empty = room.iter().all(|&byte| byte == 0);
    Ok(is_empty && image(pid, record)?.is_none() && descriptors(pid, record)?.is_empty())
}

/// Puts the kernel's functions back, and gives the addresses at which a thread may still be in the image; `None` if
/// nothing is there to be taken away.
pub fn restore_functions(
    pid: Pid,
    record: &Record,
    threads: &mut Threads,
) -> Result<Option<Vec<Range<u64>>>> {
    let memory = Memory::of(pid);
    if memory.kernel_vdso()?.is_none_or(|(start, _)| start != record.vdso_addr) {
        return Ok(None);
    }
    for patch in &record.patches {
        let mut there = vec![0; patch.written.len()];
        memory.read(patch.addr, &mut there)?;
        if there == patch.written {
            threads.any().write_anywhere(patch.addr, &patch.original)?;
        }
    }
    Ok(Some(image(pid, record)?.into_iter().chain([record.room.clone()]).collect()))
}

/// Unmaps the image, closes its file, and clears what is used behind the kernel's vDSO.
pub fn take_image_away(pid: Pid, record: &Record, threads: &mut Threads) -> Result<()> {
    let (image, files) = (image(pid, record)?, descriptors(pid, record)?);
    let parking = Parking::at(record.room.start).ok_or(Error::Architecture)?;
    if image.is_some() || !files.is_empty() {
        with_remote(threads, parking, |remote| {
            for file in files {
                remote.call(libc::SYS_close, [file, 0, 0, 0, 0, 0])?.ok();
            }
            let Some(image) = &image else { return Ok(()) };
            let bytes = image.end - image.start;
            let unmapped = remote.call(libc::SYS_munmap, [image.start, bytes, 0, 0, 0, 0])?;
            unmapped.map(drop).map_err(|errno| failed(pid, Attempt::Unmap, errno))
        })?;
    }
    let zeros = vec![0; (record.room.end - record.room.start) as usize];
    threads.any().write_anywhere(record.room.start, &zeros)
}

/// Where the image is mapped.
fn image(pid: Pid, record: &Record) -> Result<Option<Range<u64>>> {
    let maps = maps::read(pid);
    let maps = maps.map_err(|_| Error::Gone { pid })?;
    let start = maps::lines(&maps).find(|line| is_of(line, record.file));
    Ok(start.map(|line| line.addrs.start..line.addrs.start + record.mapping_bytes))
}

fn is_of(line: &maps::Line<'_>, file: Identity) -> bool {
    let device = (libc::major(file.device), libc::minor(file.device));
    (line.device, line.inode) == (device, file.inode)
}

/// The descriptors that a program has of the image's file, and of that in which it counts.
fn descriptors(pid: Pid, record: &Record) -> Result<Vec<u64>> {
    let is_ours = |there: Identity| there == record.file || Some(there) == record.counts;
    let memory = Memory::of(pid);
    let numbers = proc::numbers_in(format!("/proc/{pid}/fd")).map_err(|_| Error::Gone { pid })?;
    let numbers = numbers.filter_map(|number| u64::try_from(number).ok());
    let is_of_ours =
        |&number: &u64| matches!(memory.descriptor(number), Ok(Some(there)) if is_ours(there));
    Ok(numbers.filter(is_of_ours).collect())
}

/// The processes that have inherited the image, and have not executed another program since.
pub fn forks(record: &Record) -> Vec<Pid> {
    let Ok(pids) = proc::numbers_in("/proc") else { return Vec::new() };
    let pids = pids.map(Pid::from_raw).filter(|&pid| pid != record.process.pid);
    let has_image = |&pid: &Pid| {
        let Ok(maps) = maps::read(pid) else { return false };
        let has_file = maps::lines(&maps).any(|line| is_of(&line, record.file));
        has_file
            && maps::kernels(&maps, "[vdso]").is_some_and(|vdso| vdso.start == record.vdso_addr)
    };
    pids.filter(has_image).collect()
}

fn failed(pid: Pid, attempt: Attempt, errno: Errno) -> Error {
    Error::System { attempt, pid: Some(pid), errno }
}
