//! An image is mapped into a stopped program by system calls that its tracer makes in its place.

use nix::errno::Errno;
use vdso_data::PAGE_BYTES;
use vdso_data::process::ProcessPage;

use super::page_words;
use super::remote::Remote;
use crate::error::{Attempt, Error, Result};
use crate::file::ProgramFile;

/// What the process page is to be: asked for once it is there, at the address given first; the
/// image's address comes next.
pub type Fill<'a> = &'a mut dyn FnMut(&mut Remote<'_>, u64, u64) -> Result<ProcessPage>;

/// Maps the file that the program has as `descriptor`, and its pages, with so many more bytes behind them for `fill` to map
/// something over; gives the image's address. If that fails nothing stays mapped.
pub fn map(
    remote: &mut Remote<'_>,
    file: &ProgramFile,
    more_bytes: u64,
    descriptor: u64,
    fill: Fill<'_>,
) -> Result<u64> {
    let bytes = file.second_stage() + more_bytes;
    let read_execute = (libc::PROT_READ | libc::PROT_EXEC) as u64;
    let private = libc::MAP_PRIVATE as u64;
    let arguments = [0, bytes, read_execute, private, descriptor, file.offset()];
    let mapping = remote.call(libc::SYS_mmap, arguments)?;
    let mapping = mapping.map_err(|errno| failed(remote, errno))?;
    let pages = map_pages(remote, file, mapping, descriptor, fill);
    if pages.is_err() {
        remote.call(libc::SYS_munmap, [mapping, bytes, 0, 0, 0, 0])?.ok();
    }
    pages.map(|()| mapping + vdso_image::IMAGE as u64)
}

/// The page of clocks, and the process page.
fn map_pages(
    remote: &mut Remote<'_>,
    file: &ProgramFile,
    mapping: u64,
    descriptor: u64,
    fill: Fill<'_>,
) -> Result<()> {
    const PAGE: u64 = PAGE_BYTES as u64;
    let read = libc::PROT_READ as u64;
    let architecture = file.architecture();
    let own_page = architecture.own_page() as u64;
    let process_page = mapping + architecture.process_page() as u64;
    let shared = (libc::MAP_SHARED | libc::MAP_FIXED) as u64;
    let anonymous = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED) as u64;
    let calls = [
        (libc::SYS_mmap, [mapping + own_page, PAGE, read, shared, descriptor, own_page]),
        (libc::SYS_mmap, [process_page, PAGE, read, anonymous, u64::MAX, 0]),
    ];
    for (number, arguments) in calls {
        let mapped = remote.call(number, arguments)?;
        mapped.map_err(|errno| failed(remote, errno))?;
    }
    let page = fill(remote, process_page, mapping + vdso_image::IMAGE as u64)?;
    page.place_at(process_page);
    let bytes: Vec<u8> = page_words(&page).iter().flat_map(|word| word.to_ne_bytes()).collect();
    // One call less than where the program may write there meanwhile.
    remote.thread().write_anywhere(process_page, &bytes)
}

fn failed(remote: &mut Remote<'_>, errno: Errno) -> Error {
    Error::System { attempt: Attempt::Map, pid: Some(remote.thread().tid()), errno }
}
