//! What a kernel needs that gives its programs a vDSO, and nothing of Linux's: the image, a page of clocks that it
//! publishes from the processor's counter, and a process page.
//!
//! `cargo check --target x86_64-unknown-none` compiles it for a machine without an operating system. On Linux it plays
//! the kernel and one program: it puts all of it into memory of its own, gives up all system calls but write and exit
//! (Linux ends whoever makes another one then), calls every function of the image as the program would, and prints:
//!
//! ```text
//! without a system call: 1000 reads of each clock by the image, none of them back, and all as the kernel has it
//! ```
//!
//! A real kernel gives its programs what `vdso_image::tailor` makes of the image for an empty one: without the names of
//! functions that would only be passed on to Linux's.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::ptr;

use vdso_data::PAGE_BYTES;
use vdso_data::arithmetic::Transform;
use vdso_data::clock;
use vdso_data::own::OwnPage;
use vdso_data::process::{ProcessPage, SystemCalls};
use vdso_data::sync::Ordering;
use vdso_image::{IMAGE, OWN_PAGE, PROCESS_PAGE, Source};
use vdso_timekeeper::{
    Fallback, Reference, Resolutions, Sample, Slopes, Timekeeper, counter, initialise,
};

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
        Resolutions { fine_ns: 1, coarse_ns: TICK_NS }
    }

    /// Programs have the page alone: it tells the time also when it is published late.
    fn fallback(&self) -> Fallback {
        Fallback::Nobody
    }
}

/// The steps of the coarse clocks.
const TICK_NS: u32 = 4_000_000;

/// What the image may use of the processor. A kernel that sets the first keeps the CPU's number in TSC_AUX, below 12
/// bits, and the node above; that is read without the instruction, too. The second says that it trusts the processor's
/// random numbers.
#[cfg(target_arch = "x86_64")]
fn processor_flags() -> u32 {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    use vdso_data::process::{FLAG_RDPID, FLAG_RDRAND};
    let has_rdpid = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ecx & 1 << 22 != 0;
    let has_rdrand = __cpuid(1).ecx & 1 << 30 != 0;
    (if has_rdpid { FLAG_RDPID } else { 0 }) | (if has_rdrand { FLAG_RDRAND } else { 0 })
}

/// Nothing that has to be said.
#[cfg(not(target_arch = "x86_64"))]
fn processor_flags() -> u32 {
    0
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
    let page_addr = program_addr + PROCESS_PAGE as u64;
    let page = ProcessPage::without_linux(page_addr, SystemCalls::Unanswered);
    page.flags.fetch_or(processor_flags(), Ordering::Relaxed);
    // SAFETY: as above.
    unsafe { process_page.write(page) };
}

/// Publishes for the first time; the timekeeper wants to be called again after each time that it says.
pub fn publish(page: &OwnPage, clocks: Clocks) -> Timekeeper<'_, Clocks> {
    let unmoved = [Transform::IDENTITY; clock::LINES];
    initialise(page, clocks.resolutions(), &unmoved);
    let mut timekeeper = Timekeeper::new(page, clocks, unmoved);
    let _next = timekeeper.update();
    timekeeper
}

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
    let program = program::Program::load(memory)?;
    program.run_without_system_calls(clocks)
}

/// A program of that kernel's.
#[cfg(not(target_os = "none"))]
mod program {
    use std::ffi::c_void;
    use std::mem;

    use vdso_data::arithmetic::Timespec;

    use super::*;

    const SUCCESS: &str = "without a system call: 1000 reads of each clock by the image, none of them back, and all as \
                           the kernel has it\n";

    type ClockFunction = unsafe extern "C" fn(i32, *mut Timespec) -> i32;
    type Gettimeofday = unsafe extern "C" fn(*mut [i64; 2], *mut [i32; 2]) -> i32;
    type Time = unsafe extern "C" fn(*mut i64) -> i64;
    type Getcpu = unsafe extern "C" fn(*mut u32, *mut u32, *mut c_void) -> i32;
    type Getrandom = unsafe extern "C" fn(*mut u8, usize, u32, *mut c_void, usize) -> isize;

    /// What the program has found in its image. Not every architecture has the last three.
    pub struct Program {
        clock_gettime: ClockFunction,
        clock_getres: ClockFunction,
        gettimeofday: Gettimeofday,
        time: Option<Time>,
        getcpu: Option<Getcpu>,
        getrandom: Option<Getrandom>,
    }

    /// The first call whose answer was not the kernel's.
    type Wrong = &'static str;

    impl Program {
        /// Finds the image's functions, in memory that the kernel has filled.
        pub fn load(memory: *mut u8) -> Result<Self, Box<dyn std::error::Error>> {
            let image = vdso_elf::Image::parse(vdso_image::bytes(Source::Own))?;
            let address = |plain: &str| {
                let name = vdso_image::ARCHITECTURE.export(plain)?.name;
                let offset = image.lookup(name, None)?.file_offset?;
                Some(memory.wrapping_add(IMAGE + offset))
            };
            let must = |plain| address(plain).ok_or(plain);
            let getrandom = address("getrandom")
                .filter(|_| vdso_image::ARCHITECTURE.has_own_getrandom() && has_rdrand());
            // Elsewhere only Linux tells, by a system call or a register that it keeps.
            let getcpu = address("getcpu").filter(|_| cfg!(target_arch = "x86_64"));
            // SAFETY: functions of these types, executable, mapped for as long as this process lives; so all below.
            let clock_gettime =
                unsafe { mem::transmute::<*mut u8, ClockFunction>(must("clock_gettime")?) };
            // SAFETY: as above.
            let clock_getres =
                unsafe { mem::transmute::<*mut u8, ClockFunction>(must("clock_getres")?) };
            // SAFETY: as above.
            let gettimeofday =
                unsafe { mem::transmute::<*mut u8, Gettimeofday>(must("gettimeofday")?) };
            // SAFETY: as above.
            let time = address("time").map(|it| unsafe { mem::transmute::<*mut u8, Time>(it) });
            // SAFETY: as above.
            let getcpu = getcpu.map(|it| unsafe { mem::transmute::<*mut u8, Getcpu>(it) });
            // SAFETY: as above.
            let getrandom = getrandom.map(|it| unsafe { mem::transmute::<*mut u8, Getrandom>(it) });
            Ok(Self { clock_gettime, clock_getres, gettimeofday, time, getcpu, getrandom })
        }

        /// Does not come back, as a process that has given up its system calls can only end.
        pub fn run_without_system_calls(
            self,
            clocks: Clocks,
        ) -> Result<(), Box<dyn std::error::Error>> {
            let state = &mut State([0; 4096]);
            give_up_system_calls()?;
            let outcome = self.check_all(clocks, state);
            let (said, code) = match outcome {
                Ok(()) => (SUCCESS, 0),
                Err(wrong) => (wrong, 1),
            };
            // SAFETY: writes what is there.
            unsafe { libc::write(libc::STDOUT_FILENO, said.as_ptr().cast(), said.len()) };
            // SAFETY: ends this process.
            unsafe { libc::syscall(libc::SYS_exit_group, code) };
            unreachable!("it has ended")
        }

        fn check_all(&self, clocks: Clocks, state: &mut State) -> Result<(), Wrong> {
            for id in clock::HIGH_RESOLUTION_IDS.into_iter().chain(COARSE) {
                self.check_clock(clocks, id)?;
            }
            self.check_what_no_page_has()?;
            self.check_days(clocks)?;
            self.check_cpu_and_bytes(state)
        }

        /// Compares reads of one clock by the image with the kernel's own.
        fn check_clock(&self, clocks: Clocks, id: u32) -> Result<(), Wrong> {
            let fine = clock::fine_twin(id);
            let step_ns = if fine == id { 1 } else { i128::from(TICK_NS) };
            let kernels = || clocks.at(counter::read())[fine as usize] >> 32;
            let mut last = 0;
            for _ in 0..1000 {
                let before = kernels();
                let now = call(self.clock_gettime, id as i32).ok_or("no clock\n")?.as_nanos();
                // Both round down, at other places.
                if now < last
                    || !(before - step_ns..=kernels() + 1).contains(&now)
                    || now % step_ns != 0
                {
                    return Err("another time than the kernel's\n");
                }
                last = now;
            }
            let resolution = call(self.clock_getres, id as i32).ok_or("no resolution\n")?;
            let is_right = resolution.as_nanos() == step_ns;
            if is_right { Ok(()) } else { Err("another resolution than the kernel's\n") }
        }

        fn check_what_no_page_has(&self) -> Result<(), Wrong> {
            const PROCESS_CPU_TIME: i32 = 2;
            for id in [PROCESS_CPU_TIME, 12, -1] {
                for function in [self.clock_gettime, self.clock_getres] {
                    if call(function, id).is_some() {
                        return Err("a clock that there is not\n");
                    }
                }
            }
            Ok(())
        }

        fn check_days(&self, clocks: Clocks) -> Result<(), Wrong> {
            let kernels = || (clocks.at(counter::read())[clock::REALTIME as usize] >> 32) / 1000;
            let (mut timeval, mut zone) = ([0; 2], [7; 2]);
            let before = kernels();
            // SAFETY: a gettimeofday, and both structures are ours.
            let answer = unsafe { (self.gettimeofday)(&mut timeval, &mut zone) };
            let after = kernels();
            let micros = i128::from(timeval[0]) * 1_000_000 + i128::from(timeval[1]);
            if answer != 0 || zone != [0; 2] || !(before - 1..=after).contains(&micros) {
                return Err("another gettimeofday than the kernel's\n");
            }
            let Some(time) = self.time else { return Ok(()) };
            let before = kernels() / 1_000_000;
            // SAFETY: a time, which takes null.
            let seconds = unsafe { time(ptr::null_mut()) };
            let is_right = (before..=kernels() / 1_000_000).contains(&i128::from(seconds));
            if is_right { Ok(()) } else { Err("another time(2) than the kernel's\n") }
        }

        fn check_cpu_and_bytes(&self, state: &mut State) -> Result<(), Wrong> {
            let (mut cpu, mut node) = (u32::MAX, u32::MAX);
            // SAFETY: a getcpu, and both words are ours.
            let mut ask = |it: Getcpu| unsafe { it(&mut cpu, &mut node, ptr::null_mut()) };
            if self.getcpu.is_some_and(|it| ask(it) != 0) {
                return Err("no CPU\n");
            }
            let Some(getrandom) = self.getrandom else { return Ok(()) };
            let mut parameters = [0_u32; 16];
            let out = parameters.as_mut_ptr().cast();
            // SAFETY: a getrandom that is asked for its parameters, for which there is room.
            if unsafe { getrandom(ptr::null_mut(), 0, 0, out, usize::MAX) } != 0 {
                return Err("no parameters\n");
            }
            let (mut bytes, state_bytes) = ([0; 1000], parameters[0] as usize);
            let state = state.0.as_mut_ptr().cast();
            // SAFETY: the state is as large as it asked for, at a page's begin; the buffer is ours.
            let count = unsafe { getrandom(bytes.as_mut_ptr(), 1000, 0, state, state_bytes) };
            let is_random = count == 1000 && bytes[..32] != bytes[968..];
            if is_random { Ok(()) } else { Err("no random bytes\n") }
        }
    }

    /// From now on Linux ends this process at any call but write and exit_group. Its strict mode would do, but takes
    /// the counter away as well. Source: seccomp(2).
    fn give_up_system_calls() -> std::io::Result<()> {
        const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
        const IS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        const SAY: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
        let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
        let number = mem::offset_of!(libc::seccomp_data, nr) as u32;
        let mut steps = [
            step(LOAD, number, 0, 0),
            step(IS, libc::SYS_write as u32, 1, 0),
            step(IS, libc::SYS_exit_group as u32, 0, 1),
            step(SAY, libc::SECCOMP_RET_ALLOW, 0, 0),
            step(SAY, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
        ];
        let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
        // SAFETY: changes only what this process may do.
        let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        // SAFETY: as above; the filter is read before the call returns.
        let filtered = unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, &raw const filter) };
        if given_up != 0 || filtered != 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(())
    }

    const COARSE: [u32; 2] = [clock::REALTIME_COARSE, clock::MONOTONIC_COARSE];

    /// Memory for a state of getrandom's.
    #[repr(align(4096))]
    struct State([u8; 4096]);

    /// Whether the kernel has said that there are random numbers.
    fn has_rdrand() -> bool {
        processor_flags() & vdso_data::process::FLAG_RDRAND != 0
    }

    /// What a function writes for a clock; `None` if it refuses.
    fn call(function: ClockFunction, id: i32) -> Option<Timespec> {
        let mut time = Timespec { sec: 0, nsec: 0 };
        // SAFETY: a function of clocks, and the structure is ours: two words, as a timespec is.
        let answer = unsafe { function(id, &raw mut time) };
        (answer == 0).then_some(time)
    }
}
