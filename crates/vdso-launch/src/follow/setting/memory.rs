//! What the calls that set clocks have in a program's memory, as x86-64's and other 64-bit programs lay it out.

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_data::arithmetic::{NSEC_PER_SEC, Timespec};
use vdso_data::gettimeofday::Timezone;
use vdso_inject::detour;
use vdso_inject::exec::Memory;
use vdso_timekeeper::settable::Timex;

/// `struct timespec`: a time that is none is `EINVAL`.
pub fn read_timespec(pid: Pid, addr: u64) -> nix::Result<Timespec> {
    let [sec, nsec] = read_words(pid, addr)?;
    Ok(Timespec { sec, nsec })
}

/// `struct timeval`.
pub fn read_timeval(pid: Pid, addr: u64) -> nix::Result<Timespec> {
    const NSEC_PER_USEC: i64 = 1_000;
    const USEC_PER_SEC: i64 = NSEC_PER_SEC as i64 / NSEC_PER_USEC;
    let [sec, usec] = read_words(pid, addr)?;
    // The kernel takes a whole second, too, which no time has.
    if !(0..=USEC_PER_SEC).contains(&usec) {
        return Err(Errno::EINVAL);
    }
    Ok(Timespec { sec, nsec: usec * NSEC_PER_USEC })
}

/// `struct timezone`.
pub fn read_zone(pid: Pid, addr: u64) -> nix::Result<Timezone> {
    let [both] = read_words(pid, addr)?;
    let [west, dst] = [both as i32, (both >> 32) as i32];
    Ok(Timezone { minutes_west: west, dst_time: dst })
}

/// `struct timex`, 26 words: `include/uapi/linux/timex.h`. All that is not in [`Timex`] is zero.
const TIMEX_WORDS: usize = 26;

/// Reads one.
pub fn read_timex(pid: Pid, addr: u64) -> nix::Result<Timex> {
    Ok(timex_of(&read_words(pid, addr)?))
}

/// Writes one where a call has told the kernel to.
pub fn write_timex(pid: Pid, addr: u64, timex: &Timex) -> nix::Result<()> {
    write_words(pid, addr, &words_of(timex))
}

/// Writes words where a call has told the kernel to; nothing, to a null pointer.
pub fn write_words(pid: Pid, addr: u64, words: &[i64]) -> nix::Result<()> {
    if addr == 0 {
        return Ok(());
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    // SAFETY: the thread waits in its report of a call for which the kernel would write there.
    unsafe { detour::write_for_kernel(pid, addr, &bytes) }.map_err(|_| Errno::EFAULT)
}

/// Writes a `struct timezone` so.
pub fn write_zone(pid: Pid, addr: u64, zone: Timezone) -> nix::Result<()> {
    let [west, dst] = [zone.minutes_west, zone.dst_time].map(|half| i64::from(half as u32));
    write_words(pid, addr, &[west | dst << 32])
}

/// The host's.
pub fn host_zone() -> Timezone {
    let mut zone = Timezone::default();
    let none = std::ptr::null_mut::<libc::timeval>();
    // SAFETY: the kernel writes two numbers of 32 bits.
    unsafe { libc::syscall(libc::SYS_gettimeofday, none, &raw mut zone) };
    zone
}

/// What adjtimex(2) says of the host's clock; of one that nobody keeps, where it is not told.
pub fn host_timex() -> Timex {
    let mut words = [0i64; TIMEX_WORDS];
    // SAFETY: the structure is as large, and without a mode nothing is changed.
    unsafe { libc::syscall(libc::SYS_adjtimex, words.as_mut_ptr()) };
    timex_of(&words)
}

fn read_words<const N: usize>(pid: Pid, addr: u64) -> nix::Result<[i64; N]> {
    let mut bytes = vec![0; 8 * N];
    Memory::of(pid).read(addr, &mut bytes).map_err(|_| Errno::EFAULT)?;
    let (words, _) = bytes.as_chunks();
    Ok(std::array::from_fn(|index| i64::from_ne_bytes(words[index])))
}

fn timex_of(words: &[i64; TIMEX_WORDS]) -> Timex {
    Timex {
        modes: words[0] as u32,
        offset: words[1],
        freq: words[2],
        maxerror: words[3],
        esterror: words[4],
        status: words[5] as i32,
        constant: words[6],
        precision: words[7],
        tolerance: words[8],
        time: [words[9], words[10]],
        tick: words[11],
        // Behind eight words of a signal that nobody has here.
        tai: words[20] as i32,
    }
}

fn words_of(timex: &Timex) -> [i64; TIMEX_WORDS] {
    let mut words = [0; TIMEX_WORDS];
    words[0] = timex.modes.into();
    words[1..5].copy_from_slice(&[timex.offset, timex.freq, timex.maxerror, timex.esterror]);
    words[5] = timex.status.into();
    words[6..9].copy_from_slice(&[timex.constant, timex.precision, timex.tolerance]);
    words[9..12].copy_from_slice(&[timex.time[0], timex.time[1], timex.tick]);
    words[20] = timex.tai.into();
    words
}
