//! What the calls that set clocks have in a program's memory.

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_data::arithmetic::{NSEC_PER_SEC, Timespec};
use vdso_data::gettimeofday::Timezone;
use vdso_inject::arch::Word;
use vdso_inject::detour;
use vdso_inject::exec::Memory;
use vdso_timekeeper::settable::Timex;

/// Times in the memory of a thread that waits in its report, with numbers of that size.
#[derive(Clone, Copy, Debug)]
pub struct TimesOf {
    pub pid: Pid,
    pub word: Word,
}

/// `struct timex`: `include/uapi/linux/timex.h`. Its numbers of 32 bits stand in words of either size; all that is not
/// in [`Timex`] is zero. The first 26 words are what either size has of it.
const TIMEX_WORDS: usize = 26;

impl TimesOf {
    /// Numbers of 64 bits.
    pub fn of_64_bits(pid: Pid) -> Self {
        Self { pid, word: Word::Bits64 }
    }

    /// `struct timespec`. A time that is none is the caller's mistake, which the kernel tells.
    pub fn timespec(self, addr: u64) -> nix::Result<Timespec> {
        let [sec, nsec] = self.read(addr)?;
        Ok(Timespec { sec, nsec })
    }

    /// `time_t`.
    pub fn seconds(self, addr: u64) -> nix::Result<i64> {
        let [sec] = self.read(addr)?;
        Ok(sec)
    }

    /// `struct timeval`.
    pub fn timeval(self, addr: u64) -> nix::Result<Timespec> {
        const NSEC_PER_USEC: i64 = 1_000;
        const USEC_PER_SEC: i64 = NSEC_PER_SEC as i64 / NSEC_PER_USEC;
        let [sec, usec] = self.read(addr)?;
        // The kernel takes a whole second here, and refuses it later.
        if !(0..=USEC_PER_SEC).contains(&usec) {
            return Err(Errno::EINVAL);
        }
        Ok(Timespec { sec, nsec: usec * NSEC_PER_USEC })
    }

    /// `struct timex`.
    pub fn timex(self, addr: u64) -> nix::Result<Timex> {
        Ok(timex_of(&self.read(addr)?))
    }

    /// Writes one.
    pub fn write_timex(self, addr: u64, timex: &Timex) -> nix::Result<()> {
        self.write(addr, &words_of(timex))
    }

    fn read<const N: usize>(self, addr: u64) -> nix::Result<[i64; N]> {
        let size = self.word.bytes() as usize;
        let mut bytes = vec![0; size * N];
        Memory::of(self.pid).read(addr, &mut bytes).map_err(|_| Errno::EFAULT)?;
        Ok(std::array::from_fn(|index| number(self.word, &bytes[size * index..])))
    }

    /// Writes numbers where a call has told the kernel to; nothing, to a null pointer.
    pub fn write(self, addr: u64, words: &[i64]) -> nix::Result<()> {
        if addr == 0 {
            return Ok(());
        }
        let bytes: Vec<u8> = words
            .iter()
            .flat_map(|word| word.to_ne_bytes().into_iter().take(self.word.bytes() as usize))
            .collect();
        // SAFETY: the thread waits in its report of a call for which the kernel would write there.
        unsafe { detour::write_for_kernel(self.pid, addr, &bytes) }.map_err(|_| Errno::EFAULT)
    }
}

/// The first number of these, on a machine whose lowest byte comes first, as all have that report such calls.
fn number(word: Word, bytes: &[u8]) -> i64 {
    match word {
        Word::Bits64 => bytes.first_chunk().map_or(0, |bytes| i64::from_ne_bytes(*bytes)),
        Word::Bits32 => bytes.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes).into()),
    }
}

/// `struct timezone`, which is the same everywhere.
pub fn read_zone(pid: Pid, addr: u64) -> nix::Result<Timezone> {
    let [minutes_west, dst_time] =
        TimesOf { pid, word: Word::Bits32 }.read(addr)?.map(|it| it as i32);
    Ok(Timezone { minutes_west, dst_time })
}

/// Writes one where a call has told the kernel to.
pub fn write_zone(pid: Pid, addr: u64, zone: Timezone) -> nix::Result<()> {
    let words = [zone.minutes_west, zone.dst_time].map(i64::from);
    TimesOf { pid, word: Word::Bits32 }.write(addr, &words)
}

/// The host's.
pub fn host_zone() -> Timezone {
    let mut zone = Timezone::default();
    let none = std::ptr::null_mut::<libc::timeval>();
    // SAFETY: the kernel writes two numbers of 32 bits.
    unsafe { libc::syscall(libc::SYS_gettimeofday, none, &raw mut zone) };
    zone
}

/// Whether this kernel has a clock.
pub fn kernel_has(id: u32) -> bool {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is ours.
    unsafe { libc::clock_gettime(id.cast_signed(), &raw mut ts) == 0 }
}

/// What adjtimex(2) says of the host's clock; of one that nobody keeps, where it is not told.
pub fn host_timex() -> Timex {
    let mut words = [0i64; TIMEX_WORDS];
    // SAFETY: the structure is as large, and without a mode nothing is changed.
    unsafe { libc::syscall(libc::SYS_adjtimex, words.as_mut_ptr()) };
    timex_of(&words)
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
