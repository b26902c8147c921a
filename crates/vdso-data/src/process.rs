//! The process page: what one process's image must know of that process.
//!
//! Injection fills it in and maps it read-only before the program's first instruction, so nobody
//! writes while the image reads. Addresses are zero where the kernel has nothing to point at.

use crate::sync::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// "vdsoproc" in ASCII, in the machine's byte order.
pub const MAGIC: u64 = u64::from_be_bytes(*b"vdsoproc");
/// Changes when an image of the old layout would misread the new one.
pub const VERSION: u32 = 1;

/// The CPU has RDPID (x86: CPUID leaf 7, ECX bit 22), and the kernel keeps its word where that reads: every
/// one of 64 bits does.
pub const FLAG_RDPID: u32 = 1 << 0;

/// The CPU has CNTVCTSS_EL0 (arm64: FEAT_ECV, which Linux reports as `HWCAP2_ECV`).
pub const FLAG_CNTVCTSS: u32 = 1 << 1;

/// The kernel keeps the CPU's number in the programmable field of the time-of-day clock (IBM Z).
pub const FLAG_CPU_IN_TOD: u32 = 1 << 2;

/// The CPU has AVX2, and the kernel keeps its registers (x86-64).
pub const FLAG_AVX2: u32 = 1 << 3;

/// No Linux is below: nothing of it may be looked for, such as a segment with the CPU's number. The coarse clocks
/// are the page's fine ones, rounded down to its [`coarse_res_ns`](crate::own::Header::coarse_res_ns). An x86-64 CPU
/// without [`FLAG_RDPID`] has its number and node in TSC_AUX all the same, as Linux has them there. For the
/// source `own`.
pub const FLAG_NO_LINUX: u32 = 1 << 4;

/// Nobody is below who answers system calls, so none is made: what the pages do not tell is an error. For the source
/// `own`, beside [`FLAG_NO_LINUX`].
pub const FLAG_NO_SYSTEM_CALLS: u32 = 1 << 5;

/// The CPU has RDRAND (x86: CPUID leaf 1, ECX bit 30), and whoever made the page trusts it. Where no system call is
/// made, new keys of `getrandom` are its numbers.
pub const FLAG_RDRAND: u32 = 1 << 6;

/// What an image knows of its process.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct ProcessPage {
    /// Always [`MAGIC`]: that this is such a page.
    pub magic: AtomicU64,
    /// The [`VERSION`] of the layout that the page was written by.
    pub version: AtomicU32,
    /// A set of `FLAG_` bits.
    pub flags: AtomicU32,
    /// Address of the `clock_mode` (u32) that must be [`CLOCK_MODE_COUNTER`] for the counter to be
    /// used: the kernel's, or else that of `counter_mode` here.
    ///
    /// [`CLOCK_MODE_COUNTER`]: crate::linux::CLOCK_MODE_COUNTER
    pub clock_mode_addr: AtomicU64,
    /// Always [`CLOCK_MODE_COUNTER`](crate::linux::CLOCK_MODE_COUNTER).
    pub counter_mode: AtomicU32,
    /// Always 1, which is odd: what `seq_addr` names where the kernel's page is unknown.
    pub never_even_seq: AtomicU32,
    /// Always [`CLOCK_MODE_TIMENS`](crate::linux::CLOCK_MODE_TIMENS): "the clocks are elsewhere".
    pub never_even_mode: AtomicU32,
    /// By which a filter knows the calls that the image makes in a program's place: 32 bits, in a part of an
    /// argument that the kernel does not look at. Zero: nobody looks for them.
    pub call_mark: AtomicU32,
    /// The kernel's page: REALTIME, MONOTONIC, BOOTTIME, TAI and the coarse clocks.
    pub hres: KernelClock,
    /// The kernel's page: MONOTONIC_RAW.
    pub raw: KernelClock,
    /// Functions of the kernel's own vDSO.
    pub functions: Functions,
    /// How the kernel steers the counter, if it does: IBM Z.
    pub steering: Steering,
    /// Address of the [`RandomData`] by which this image generates random bytes: the kernel's, or else
    /// that of `always_ready` here. Zero: it passes the call on to the kernel's function.
    pub random_data_addr: AtomicU64,
    /// For makers of pages without a kernel of Linux's below, such as a kernel: ready, and of generation 0,
    /// so that the page of clocks has the only [generation](crate::own::Header::random_generation).
    pub always_ready: RandomData,
    /// Address of this process's own [`Table`](crate::counts::Table), by which an image that counts finds a thread's block. Zero: threads
    /// are not told apart.
    pub counts_table_addr: AtomicU64,
    /// Address of the launch's [`Counts`](crate::counts::Counts). Zero: nothing is counted.
    pub counts_addr: AtomicU64,
    /// Zero. The page is copied word by word, so it has no byte that is not a field's.
    pub unused: [AtomicU64; 3],
}

/// The kernel's `struct vdso_rng_data`. Source: `include/vdso/datapage.h` (Linux 6.18).
#[derive(Debug, Default)]
#[repr(C)]
pub struct RandomData {
    /// Grows whenever the kernel takes a new seed. A key is good for one generation.
    pub generation: AtomicU64,
    /// Not zero once the kernel has a seed at all.
    pub is_ready: AtomicU8,
    /// Padding, which nobody reads.
    pub unused: [AtomicU8; 7],
}

/// Where a process can read how the kernel steers its counter; zero for not at all. Source:
/// `arch/s390/include/asm/vdso/data.h` (Linux 6.12).
#[derive(Debug, Default)]
#[repr(C)]
pub struct Steering {
    /// Address of `tod_steering_end` (u64): the counter's value at which it ends.
    pub end_addr: AtomicU64,
    /// Address of `tod_steering_delta` (i64): by how much the counter has jumped.
    pub delta_addr: AtomicU64,
}

/// Where a process can read one `struct vdso_clock` of the kernel's.
#[derive(Debug, Default)]
#[repr(C)]
pub struct KernelClock {
    /// Address of `seq` (u32), with `clock_mode` (u32) behind it; of `never_even_seq` if it is unknown.
    pub seq_addr: AtomicU64,
    /// Address of `cycle_last` (u64).
    pub cycle_last_addr: AtomicU64,
    /// Address of `mult` (u32), with `shift` (u32) behind it.
    pub mult_addr: AtomicU64,
    /// Address of `basetime[0]`, an array of u64 seconds and u64 nanoseconds indexed by clock id.
    pub basetime_addr: AtomicU64,
    /// How many cycles after `cycle_last` 64-bit arithmetic cannot overflow.
    pub max_cycles: AtomicU64,
}

/// Addresses of functions in the kernel's own vDSO, zero for one it lacks.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Functions {
    /// Address of `__vdso_clock_gettime`, or whatever it is called there.
    pub clock_gettime: AtomicU64,
    /// Address of `__vdso_gettimeofday`.
    pub gettimeofday: AtomicU64,
    /// Address of `__vdso_getcpu`.
    pub getcpu: AtomicU64,
    /// Addresses of the functions that the image only passes on, in the order of its forwarders.
    pub forwarded: [AtomicU64; FORWARDED],
}

/// How many functions an image can pass on.
pub const FORWARDED: usize = 4;

impl ProcessPage {
    /// A page for a process without any vDSO of the kernel's, which does not know its place yet: see
    /// [`at`](Self::at).
    pub fn new() -> Self {
        Self {
            magic: AtomicU64::new(MAGIC),
            version: AtomicU32::new(VERSION),
            flags: AtomicU32::new(0),
            clock_mode_addr: AtomicU64::new(0),
            counter_mode: AtomicU32::new(crate::linux::CLOCK_MODE_COUNTER),
            never_even_seq: AtomicU32::new(1),
            never_even_mode: AtomicU32::new(crate::linux::CLOCK_MODE_TIMENS),
            call_mark: AtomicU32::new(0),
            hres: KernelClock::default(),
            raw: KernelClock::default(),
            functions: Functions::default(),
            steering: Steering::default(),
            random_data_addr: AtomicU64::new(0),
            always_ready: RandomData { is_ready: AtomicU8::new(1), ..RandomData::default() },
            counts_table_addr: AtomicU64::new(0),
            counts_addr: AtomicU64::new(0),
            unused: core::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// The page of a process without any vDSO of the kernel's, to be mapped at `page_addr` there: every slow
    /// path is a system call.
    pub fn at(page_addr: u64) -> Self {
        let page = Self::new();
        page.place_at(page_addr);
        page
    }

    /// The page of a process of a kernel that is not Linux, to be mapped at `page_addr` there. What the processor has
    /// ([`FLAG_RDPID`] and others) is to be added to its flags.
    pub fn without_linux(page_addr: u64, system_calls: SystemCalls) -> Self {
        let page = Self::new();
        let flags = match system_calls {
            SystemCalls::Answered => FLAG_NO_LINUX,
            SystemCalls::Unanswered => FLAG_NO_LINUX | FLAG_NO_SYSTEM_CALLS,
        };
        page.flags.store(flags, Ordering::Relaxed);
        page.place_at(page_addr);
        page
    }

    /// Has the page name itself where the kernel's is unknown: `page_addr` is where the process will have it.
    /// One of the kernel's clocks may be known without the other. Where [no Linux](FLAG_NO_LINUX) is below, the
    /// page also says when random bytes' keys are good.
    pub fn place_at(&self, page_addr: u64) {
        let has_no_linux = self.flags.load(Ordering::Relaxed) & FLAG_NO_LINUX != 0;
        let always_ready = has_no_linux.then_some((&self.random_data_addr, ALWAYS_READY));
        let places = [
            (&self.clock_mode_addr, COUNTER_MODE),
            (&self.hres.seq_addr, NEVER_EVEN_SEQ),
            (&self.raw.seq_addr, NEVER_EVEN_SEQ),
        ];
        for (place, within) in places.into_iter().chain(always_ready) {
            if place.load(Ordering::Relaxed) == 0 {
                place.store(page_addr.wrapping_add(within as u64), Ordering::Relaxed);
            }
        }
    }
}

/// Whether a kernel that is not Linux answers the system calls of Linux that an image falls back to: clock_gettime,
/// clock_getres, gettimeofday, getcpu, getrandom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemCalls {
    /// It does: they are made for what the pages do not tell, such as the clock of a thread's CPU time.
    Answered,
    /// It does not: none is made.
    Unanswered,
}

impl Default for ProcessPage {
    fn default() -> Self {
        Self::new()
    }
}

/// What is the same in every process of a kernel: the process page with addresses relative to the
/// kernel's vDSO.
#[derive(Clone, Debug, Default)]
pub struct Template {
    /// The value of [`ProcessPage::flags`].
    pub flags: u32,
    /// [`ProcessPage::hres`], if the kernel's page is known.
    pub hres: Option<ClockTemplate>,
    /// [`ProcessPage::raw`], if the kernel's page is known.
    pub raw: Option<ClockTemplate>,
    /// [`Functions::clock_gettime`], from the start of the kernel's vDSO.
    pub clock_gettime: Option<u64>,
    /// [`Functions::gettimeofday`], from there.
    pub gettimeofday: Option<u64>,
    /// [`Functions::getcpu`], from there.
    pub getcpu: Option<u64>,
    /// [`Functions::forwarded`], from there.
    pub forwarded: [Option<u64>; FORWARDED],
    /// [`ProcessPage::random_data_addr`], if the kernel's is known.
    pub random_data: Option<i64>,
    /// What [`ProcessPage::call_mark`] is to be; zero if no filter looks for it.
    pub call_mark: u32,
}

/// [`KernelClock`], relative to the kernel's vDSO.
#[derive(Clone, Copy, Debug)]
pub struct ClockTemplate {
    /// [`KernelClock::seq_addr`], from the start of the kernel's vDSO.
    pub seq: i64,
    /// [`KernelClock::cycle_last_addr`], from there.
    pub cycle_last: i64,
    /// [`KernelClock::mult_addr`], from there.
    pub mult: i64,
    /// [`KernelClock::basetime_addr`], from there.
    pub basetime: i64,
    /// The value of [`KernelClock::max_cycles`].
    pub max_cycles: u64,
}

/// Byte offset of `counter_mode`, which `clock_mode_addr` names where the kernel's is unknown.
pub const COUNTER_MODE: usize = core::mem::offset_of!(ProcessPage, counter_mode);
/// Byte offset of `never_even_seq`, which `seq_addr` names where the kernel's is unknown.
pub const NEVER_EVEN_SEQ: usize = core::mem::offset_of!(ProcessPage, never_even_seq);
/// Byte offset of `always_ready`, which `random_data_addr` may name.
pub const ALWAYS_READY: usize = core::mem::offset_of!(ProcessPage, always_ready);
/// Byte offset of `clock_mode_addr`.
pub const CLOCK_MODE_ADDR: usize = core::mem::offset_of!(ProcessPage, clock_mode_addr);
/// Byte offset of `hres.seq_addr`.
pub const HRES_SEQ_ADDR: usize = core::mem::offset_of!(ProcessPage, hres);
/// Byte offset of `raw.seq_addr`.
pub const RAW_SEQ_ADDR: usize = core::mem::offset_of!(ProcessPage, raw);

impl Template {
    /// The page of a process that has the kernel's vDSO at `vdso_addr`, zero for none. Addresses wrap.
    ///
    /// Where the kernel's page is unknown, `clock_mode_addr` and the two `seq_addr` are zero:
    /// [`ProcessPage::place_at`] puts what belongs there.
    pub fn page_for(&self, vdso_addr: u64) -> ProcessPage {
        let page = ProcessPage::new();
        page.flags.store(self.flags, Ordering::Relaxed);
        page.call_mark.store(self.call_mark, Ordering::Relaxed);
        if vdso_addr == 0 {
            return page;
        }
        if let Some(hres) = &self.hres {
            hres.store(&page.hres, vdso_addr);
            let mode = vdso_addr.wrapping_add_signed(hres.seq).wrapping_add(4);
            page.clock_mode_addr.store(mode, Ordering::Relaxed);
        }
        if let Some(raw) = &self.raw {
            raw.store(&page.raw, vdso_addr);
        }
        let address =
            |offset: Option<u64>| offset.map_or(0, |offset| vdso_addr.wrapping_add(offset));
        let functions = &page.functions;
        functions.clock_gettime.store(address(self.clock_gettime), Ordering::Relaxed);
        functions.gettimeofday.store(address(self.gettimeofday), Ordering::Relaxed);
        functions.getcpu.store(address(self.getcpu), Ordering::Relaxed);
        for (slot, offset) in functions.forwarded.iter().zip(self.forwarded) {
            slot.store(address(offset), Ordering::Relaxed);
        }
        if let Some(random_data) = self.random_data {
            let addr = vdso_addr.wrapping_add_signed(random_data);
            page.random_data_addr.store(addr, Ordering::Relaxed);
        }
        page
    }
}

impl ClockTemplate {
    fn store(&self, clock: &KernelClock, vdso_addr: u64) {
        let at = |displacement: i64| vdso_addr.wrapping_add_signed(displacement);
        clock.seq_addr.store(at(self.seq), Ordering::Relaxed);
        clock.cycle_last_addr.store(at(self.cycle_last), Ordering::Relaxed);
        clock.mult_addr.store(at(self.mult), Ordering::Relaxed);
        clock.basetime_addr.store(at(self.basetime), Ordering::Relaxed);
        clock.max_cycles.store(self.max_cycles, Ordering::Relaxed);
    }
}
