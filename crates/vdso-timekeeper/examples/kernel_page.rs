//! What a kernel needs that gives its programs a vDSO, and nothing of Linux's: the image, a page of clocks that it
//! publishes from the processor's counter, and a process page.
//!
//! `cargo check --target x86_64-unknown-none` compiles it for a machine without an operating system. On Linux it plays
//! the kernel and one program: it puts all of it into memory of its own, calls the image as the program would, and
//! prints:
//!
//! ```text
//! 1000 reads of each clock by the image, none of them back, and all as the kernel has it
//! ```

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::ptr;

use vdso_data::PAGE_BYTES;
use vdso_data::arithmetic::{Timespec, Transform};
use vdso_data::clock;
use vdso_data::own::OwnPage;
use vdso_data::process::ProcessPage;
use vdso_image::{IMAGE, OWN_PAGE, PROCESS_PAGE, Source};
use vdso_timekeeper::{Reference, Resolutions, Sample, Slopes, Timekeeper, counter, initialise};

/// How much memory a program has mapped: the image, then the page of clocks, then its process page.
pub const MAPPING_BYTES: usize = PROCESS_PAGE + PAGE_BYTES;

/// The kernel's clocks, all over one counter.
#[derive(Clone, Copy)]
pub struct Clocks {
    /// The counter's value at boot.
    pub booted_at_cycles: u64,
    /// REALTIME at boot, ns since 1970.
    pub boot_time_ns: u64,
    /// How fast the counter counts. `vdso_timekeeper::calibration` finds out.
    pub counter_hz: u64,
}

impl Clocks {
    fn slope(&self) -> Slopes {
        Slopes::of_hz(self.counter_hz)
    }

    /// All clocks at one value of the counter, units of 2^-32 ns.
    fn at(&self, cycles: u64) -> [i128; clock::LINES] {
        let passed = u128::from(cycles.wrapping_sub(self.booted_at_cycles));
        let since_boot = ((passed * self.slope().raw) >> 32) as i128;
        let mut clocks = [since_boot; clock::LINES];
        for id in [clock::REALTIME, clock::TAI] {
            clocks[id as usize] += i128::from(self.boot_time_ns) << 32;
        }
        clocks
    }
}

impl Reference for Clocks {
    fn counter(&self) -> u64 {
        counter::read()
    }

    fn sample(&mut self) -> Option<Sample> {
        let cycles = self.counter();
        Some(Sample { cycles, fixed: self.at(cycles) })
    }

    fn slopes(&self) -> Slopes {
        self.slope()
    }

    fn resolutions(&self) -> Resolutions {
        Resolutions { fine_ns: 1, coarse_ns: 4_000_000 }
    }
}

/// Fills the memory that a program is to have mapped at `program_addr`. The image has to be executable there, and nothing
/// writable. The page of clocks is the same memory for all programs: a kernel fills that once.
///
/// # Safety
/// `memory` must be that of [`MAPPING_BYTES`] bytes, aligned to a page, zero, and nobody else's yet.
pub unsafe fn fill(memory: *mut u8, program_addr: u64) {
    let image = vdso_image::bytes(Source::Own);
    // SAFETY: the caller's promise; an image ends before the page of clocks begins.
    unsafe { ptr::copy_nonoverlapping(image.as_ptr(), memory.wrapping_add(IMAGE), image.len()) };
    let own_page = memory.wrapping_add(OWN_PAGE).cast::<OwnPage>();
    // SAFETY: the caller's promise; aligned as pages are, and large enough.
    unsafe { own_page.write(OwnPage::new()) };
    let process_page = memory.wrapping_add(PROCESS_PAGE).cast::<ProcessPage>();
    // SAFETY: as above.
    unsafe { process_page.write(ProcessPage::at(program_addr + PROCESS_PAGE as u64)) };
}

/// Publishes for the first time; the timekeeper wants to be called again after each time that it says.
pub fn publish(page: &OwnPage, clocks: Clocks) -> Timekeeper<'_, Clocks> {
    let unmoved = [Transform::IDENTITY; clock::LINES];
    initialise(page, clocks.resolutions(), &unmoved);
    let mut timekeeper = Timekeeper::new(page, clocks, unmoved);
    let _next = timekeeper.update();
    timekeeper
}

/// `clock_gettime`, as the image exports it.
pub type ClockGettime = unsafe extern "C" fn(i32, *mut Timespec) -> i32;

/// A kernel would go on from here.
#[cfg(target_os = "none")]
mod kernel {
    use super::*;

    #[repr(align(4096))]
    struct Memory([u8; MAPPING_BYTES]);

    #[unsafe(no_mangle)]
    extern "C" fn _start() -> ! {
        let mut memory = Memory([0; MAPPING_BYTES]);
        // SAFETY: aligned, zero, and nobody else's.
        unsafe { fill(memory.0.as_mut_ptr(), 0x7000_0000_0000) };
        // SAFETY: filled above.
        let page = unsafe { &*memory.0.as_ptr().wrapping_add(OWN_PAGE).cast::<OwnPage>() };
        let counter_hz = 1_000_000_000;
        let clocks = Clocks { booted_at_cycles: counter::read(), boot_time_ns: 0, counter_hz };
        let mut timekeeper = publish(page, clocks);
        loop {
            let _next = timekeeper.update();
        }
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }
}

#[cfg(not(target_os = "none"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let memory = unsafe { libc::mmap(ptr::null_mut(), MAPPING_BYTES, writable, flags, -1, 0) };
    if memory == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error().into());
    }
    let memory = memory.cast::<u8>();
    // SAFETY: mapped above, by pages, as zeros.
    unsafe { fill(memory, memory as u64) };
    // SAFETY: filled above; it lives as long as this process.
    let page = unsafe { &*memory.wrapping_add(OWN_PAGE).cast::<OwnPage>() };
    // SAFETY: the image's part of the mapping, to which nothing refers.
    let protected =
        unsafe { libc::mprotect(memory.cast(), OWN_PAGE, libc::PROT_READ | libc::PROT_EXEC) };
    if protected != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    // How fast the counter really counts does not matter here: what is compared is over the same counter.
    let clocks = Clocks {
        booted_at_cycles: counter::read(),
        boot_time_ns: 1_700_000_000_000_000_000,
        counter_hz: 2_000_000_000,
    };
    let _timekeeper = publish(page, clocks);
    let name = vdso_image::ARCHITECTURE.export("clock_gettime").ok_or("no clock_gettime")?.name;
    let image = vdso_elf::Image::parse(vdso_image::bytes(Source::Own))?;
    let offset = image.lookup(name, None).and_then(|symbol| symbol.file_offset).ok_or(name)?;
    let function = memory.wrapping_add(IMAGE + offset);
    // SAFETY: a function of this type, executable, mapped for as long as this process lives.
    let clock_gettime: ClockGettime = unsafe { std::mem::transmute(function) };
    for id in clock::HIGH_RESOLUTION_IDS {
        compare(clock_gettime, clocks, id)?;
    }
    println!(
        "1000 reads of each clock by the image, none of them back, and all as the kernel has it"
    );
    Ok(())
}

/// Compares reads of one clock by the image with the kernel's own.
#[cfg(not(target_os = "none"))]
fn compare(image: ClockGettime, clocks: Clocks, id: u32) -> Result<(), String> {
    let kernels = || Timespec::from_nanos(clocks.at(counter::read())[id as usize] >> 32);
    let mut last = Timespec { sec: 0, nsec: 0 };
    for _ in 0..1000 {
        let mut time = Timespec { sec: 0, nsec: 0 };
        let before = kernels().ok_or("the kernel's time is out of range")?;
        // SAFETY: a clock_gettime, and the structure is ours: two words, as a timespec is.
        let answer = unsafe { image(id as i32, &raw mut time) };
        let after = kernels().ok_or("the kernel's time is out of range")?;
        // Both round down, at other places.
        let most = after.wrapping_add(Timespec { sec: 0, nsec: 1 });
        let least = before.wrapping_sub(Timespec { sec: 0, nsec: 1 });
        if answer != 0 || !(least <= time && time <= most) || time < last {
            return Err(format!("clock {id}: {time:?} is not between {before:?} and {after:?}"));
        }
        last = time;
    }
    Ok(())
}
