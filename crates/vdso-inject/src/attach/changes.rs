//! What is changed in a process, and put back.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_host::proc::{self, maps};
use vdso_map::Identity;

use super::Payload;
use super::check;
use super::machine::Parking;
use super::record::{Patch, Process, Record};
use super::threads::Threads;
use crate::arch::jump;
use crate::error::{Attempt, Error, Result};
use crate::exec::remote::Remote;
use crate::exec::{Memory, mapping, running};
use crate::file::ProgramFile;

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
    pub fn plan(pid: Pid, file: &ProgramFile) -> Result<Self> {
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
            mapping_bytes: file.second_stage(),
        };
        let parking = Parking::at(parking_addr).ok_or(Error::Architecture)?;
        Ok(Self { record, patches, parking })
    }

    /// Makes them in a process whose threads are stopped, outside of what is written over. The functions come last.
    pub fn make(&self, threads: &mut Threads, payload: &Payload<'_>) -> Result<()> {
        let path = format!("/proc/{}/fd/{}", std::process::id(), payload.file.as_fd().as_raw_fd());
        let image_addr =
            with_remote(threads, self.parking, &path, |remote| self.map(remote, payload))?;
        for patch in &self.patches {
            for (addr, bytes) in patch.bytes_for(image_addr) {
                threads.any().write_anywhere(addr, &bytes)?;
            }
        }
        Ok(())
    }

    fn map(&self, remote: &mut Remote<'_>, payload: &Payload<'_>) -> Result<u64> {
        let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as u64;
        let path = self.parking.text_addr();
        let here = i64::from(libc::AT_FDCWD).cast_unsigned();
        let pid = self.record.process.pid;
        let file = remote.call(libc::SYS_openat, [here, path, flags, 0, 0, 0])?;
        let file = file.map_err(|errno| failed(pid, Attempt::OpenFile, errno))?;
        let there = Memory::of(pid).descriptor(file)?;
        let mapped = if there == Some(payload.file.identity()) {
            mapping::map(remote, payload.file, file, &mut |_, _, _| {
                Ok(running::process_page(payload.template, self.record.vdso_addr))
            })
        } else {
            // It sees other processes under these numbers.
            Err(Error::AnotherFile { pid })
        };
        // Whatever became of it, the program must not find that descriptor.
        remote.call(libc::SYS_close, [file, 0, 0, 0, 0, 0])?.ok();
        mapped
    }
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
    text: &str,
    work: impl FnOnce(&mut Remote<'_>) -> Result<T>,
) -> Result<T> {
    let worker = threads.worker()?;
    let bytes = parking.bytes_for(worker.registers()?, worker.blocked_signals()?, text);
    worker.write_anywhere(parking.call_addr(), &bytes.ok_or(Error::Architecture)?)?;
    let mut remote = Remote::begin_resumable(worker, parking.call_addr(), parking.resume_addr())?;
    let done = work(&mut remote);
    let ended = remote.end();
    let done = done?;
    ended.map(|()| done)
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
    let (image, files) = (image(pid, record)?, descriptors(pid, record.file)?);
    let parking = Parking::at(record.room.start).ok_or(Error::Architecture)?;
    if image.is_some() || !files.is_empty() {
        with_remote(threads, parking, "", |remote| {
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

/// The descriptors that a program has of the file.
fn descriptors(pid: Pid, file: Identity) -> Result<Vec<u64>> {
    let memory = Memory::of(pid);
    let numbers = proc::numbers_in(format!("/proc/{pid}/fd")).map_err(|_| Error::Gone { pid })?;
    let numbers = numbers.filter_map(|number| u64::try_from(number).ok());
    let is_of =
        |&number: &u64| matches!(memory.descriptor(number), Ok(Some(there)) if there == file);
    Ok(numbers.filter(is_of).collect())
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
