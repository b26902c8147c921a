//! The times of files: what the kernel tells becomes what the program's own clock would have stored, and what the
//! program sets is stored so that it is told the same. What is stored by the kernel's own doing, "now" among it, is the
//! host's.

use vdso_data::arithmetic::{NSEC_PER_SEC, Timespec, Transform};
use vdso_data::clock;
use vdso_data::detour::Mark;

use super::{Call, addr_of, memory, transform};
use crate::arch::number;

const MARK: Mark = Mark::Low(5);

/// `stat`, `lstat`, `fstat`, `newfstatat`.
#[inline(never)]
pub fn stat(call: Call) -> i64 {
    /// `st_atime`, `st_mtime` and `st_ctime` of `struct stat`, words of 64 bits: `arch/x86/include/uapi/asm/stat.h` and
    /// `include/uapi/asm-generic/stat.h` have them in the same places.
    const FIELDS: [u64; 3] = [72, 88, 104];
    let place = if call.number == number::NEWFSTATAT { 2 } else { 1 };
    let result = call.make(MARK);
    if result == 0 {
        let transform = transform(clock::REALTIME);
        let move_time = |field| {
            let time_addr = call.arg(place).wrapping_add(field);
            // SAFETY: the kernel has just written there. Memory that another thread unmaps meanwhile is its mistake.
            let stored = unsafe { memory::load(time_addr) };
            // SAFETY: as above.
            unsafe { memory::store(time_addr, shown(&transform, stored)) };
        };
        FIELDS.into_iter().for_each(move_time);
    }
    result
}

/// `statx`, which tells which times it has.
#[inline(never)]
pub fn statx(call: Call) -> i64 {
    /// Bits of `stx_mask`, with the places of `struct statx_timestamp`: `include/uapi/linux/stat.h`.
    const FIELDS: [(u32, u64); 4] = [(0x20, 64), (0x800, 80), (0x80, 96), (0x40, 112)];
    /// `struct statx_timestamp`.
    #[derive(Clone, Copy)]
    #[repr(C)]
    struct Time {
        sec: i64,
        nsec: u32,
        reserved: i32,
    }
    let status_addr = call.arg(4);
    let result = call.make(MARK);
    if result == 0 {
        let transform = transform(clock::REALTIME);
        // SAFETY: the kernel has just written there, as above.
        let mask = unsafe { (status_addr as *const u32).read_unaligned() };
        let move_time = |(_, field): (u32, u64)| {
            let time_addr = status_addr.wrapping_add(field) as *mut Time;
            // SAFETY: as above.
            let time = unsafe { time_addr.read_unaligned() };
            let [sec, nsec] = shown(&transform, [time.sec as u64, time.nsec.into()]);
            let time = Time { sec: sec as i64, nsec: nsec as u32, ..time };
            // SAFETY: as above.
            unsafe { time_addr.write_unaligned(time) };
        };
        FIELDS.into_iter().filter(|&(bit, _)| mask & bit != 0).for_each(move_time);
    }
    result
}

/// `utimensat`: two times, of last access and last change.
#[inline(never)]
pub fn set(call: Call) -> i64 {
    let times_addr = call.arg(2);
    let words = memory::read_pair(call.form, times_addr);
    let Some([access, change]) = words else { return call.make(MARK) };
    let transform = transform(clock::REALTIME);
    let times = [access, change].map(|time| stored(&transform, time));
    call.with(2, addr_of(&times)).make(MARK)
}

/// `utimes`, `futimesat`, by `utimensat`, as what is stored has nanoseconds.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub fn set_by_micros(call: Call) -> i64 {
    const USEC_PER_SEC: u64 = 1_000_000;
    let (folder, name, times_addr) = match call.number {
        number::UTIMES => (AT_FDCWD, call.arg(0), call.arg(1)),
        _ => (call.arg(0), call.arg(1), call.arg(2)),
    };
    let words = memory::read_pair(call.form, times_addr);
    let Some([access, change]) = words else { return call.make(MARK) };
    let [[_, access_usec], [_, change_usec]] = [access, change];
    if access_usec >= USEC_PER_SEC || change_usec >= USEC_PER_SEC {
        return call.make(MARK);
    }
    set_both(call, folder, name, [access, change].map(|[sec, usec]| [sec, usec * 1_000]))
}

/// `utime`, likewise.
#[inline(never)]
pub fn set_by_seconds(call: Call) -> i64 {
    match memory::read(call.form, call.arg(1)) {
        Some([access, change]) => set_both(call, AT_FDCWD, call.arg(0), [[access, 0], [change, 0]]),
        None => call.make(MARK),
    }
}

fn set_both(call: Call, folder: u64, name: u64, times: [[u64; 2]; 2]) -> i64 {
    let transform = transform(clock::REALTIME);
    let times = times.map(|time| stored(&transform, time));
    Call { number: number::UTIMENSAT, args: [folder, name, addr_of(&times), 0, 0, 0], ..call }.make(MARK)
}

/// The folder that the program is in: `include/uapi/linux/fcntl.h`.
const AT_FDCWD: u64 = -100i64 as u64;

#[inline(never)]
fn shown(transform: &Transform, [sec, nsec]: [u64; 2]) -> [u64; 2] {
    memory::words(transform.file_time(Timespec { sec: sec as i64, nsec: nsec as i64 }))
}

/// `UTIME_NOW`, `UTIME_OMIT` and what the kernel refuses stay.
#[inline(never)]
fn stored(transform: &Transform, [sec, nsec]: [u64; 2]) -> [u64; 2] {
    if nsec >= NSEC_PER_SEC {
        return [sec, nsec];
    }
    memory::words(transform.stored_file_time(Timespec { sec: sec as i64, nsec: nsec as i64 }))
}
