//! The calls that are measured, and three ways to make each: by the vDSO's function, through the C
//! library, as a system call.

use std::ffi::{c_int, c_long, c_uint, c_void};
use std::ptr;

use serde::{Deserialize, Serialize};
use vdso_elf::Image;

/// How a call is made.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Through {
    /// The vDSO's own function.
    Vdso,
    /// The C library of this command.
    Libc,
}

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    ClockGettime(c_int, &'static str),
    ClockGetres,
    Gettimeofday,
    Time,
    Getcpu,
    Getrandom,
}

/// The vDSO's functions begin with this.
#[cfg(any(target_arch = "aarch64", target_arch = "powerpc64", target_arch = "s390x"))]
const PREFIX: &str = "__kernel_";
#[cfg(not(any(target_arch = "aarch64", target_arch = "powerpc64", target_arch = "s390x")))]
const PREFIX: &str = "__vdso_";

impl Call {
    pub const ALL: [Self; 13] = [
        Self::ClockGettime(libc::CLOCK_REALTIME, "CLOCK_REALTIME"),
        Self::ClockGettime(libc::CLOCK_MONOTONIC, "CLOCK_MONOTONIC"),
        Self::ClockGettime(libc::CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW"),
        Self::ClockGettime(libc::CLOCK_BOOTTIME, "CLOCK_BOOTTIME"),
        Self::ClockGettime(libc::CLOCK_TAI, "CLOCK_TAI"),
        Self::ClockGettime(libc::CLOCK_REALTIME_COARSE, "CLOCK_REALTIME_COARSE"),
        Self::ClockGettime(libc::CLOCK_MONOTONIC_COARSE, "CLOCK_MONOTONIC_COARSE"),
        Self::ClockGettime(libc::CLOCK_PROCESS_CPUTIME_ID, "CLOCK_PROCESS_CPUTIME_ID"),
        Self::ClockGetres,
        Self::Gettimeofday,
        Self::Time,
        Self::Getcpu,
        Self::Getrandom,
    ];

    /// As a program writes it.
    pub fn name(self) -> String {
        match self {
            Self::ClockGettime(_, clock) => format!("clock_gettime({clock})"),
            Self::ClockGetres => "clock_getres(CLOCK_MONOTONIC)".to_owned(),
            _ => self.function().to_owned(),
        }
    }

    /// Whether only the kernel knows the answer.
    pub fn always_goes_to_the_kernel(self) -> bool {
        matches!(self, Self::ClockGettime(libc::CLOCK_PROCESS_CPUTIME_ID, _))
    }

    fn function(self) -> &'static str {
        match self {
            Self::ClockGettime(..) => "clock_gettime",
            Self::ClockGetres => "clock_getres",
            Self::Gettimeofday => "gettimeofday",
            Self::Time => "time",
            Self::Getcpu => "getcpu",
            Self::Getrandom => "getrandom",
        }
    }

    /// Makes the system call.
    pub fn by_system_call(self) {
        let mut out = Out::default();
        let out = out.pointer() as usize;
        match self {
            Self::ClockGettime(clock, _) => {
                system_call(libc::SYS_clock_gettime, [clock as usize, out, 0]);
            }
            Self::ClockGetres => {
                system_call(libc::SYS_clock_getres, [libc::CLOCK_MONOTONIC as usize, out, 0]);
            }
            Self::Gettimeofday => system_call(libc::SYS_gettimeofday, [out, 0, 0]),
            Self::Time => system_call(TIME, [out, 0, 0]),
            Self::Getcpu => system_call(libc::SYS_getcpu, [out, 0, 0]),
            Self::Getrandom => system_call(libc::SYS_getrandom, [out, RANDOM_BYTES, 0]),
        }
    }

    /// Calls the C library.
    pub fn by_libc(self) {
        let mut out = Out::default();
        let out = out.pointer();
        match self {
            Self::ClockGettime(clock, _) => {
                // SAFETY: `out` has room for a timespec and is aligned for one.
                unsafe { libc::clock_gettime(clock, out.cast()) };
            }
            Self::ClockGetres => {
                // SAFETY: as above.
                unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC, out.cast()) };
            }
            Self::Gettimeofday => {
                // SAFETY: `out` has room for a timeval, and the time zone may be null.
                unsafe { libc::gettimeofday(out.cast(), ptr::null_mut()) };
            }
            Self::Time => {
                // SAFETY: `out` has room for a `time_t`.
                unsafe { libc::time(out.cast()) };
            }
            Self::Getcpu => {
                // SAFETY: takes nothing.
                unsafe { libc::sched_getcpu() };
            }
            Self::Getrandom => {
                // SAFETY: `out` has room for that many bytes.
                unsafe { libc::getrandom(out, RANDOM_BYTES, 0) };
            }
        }
    }
}

/// What a typical caller of getrandom asks for: a key, a seed.
const RANDOM_BYTES: usize = 16;

/// Where there is no `time`, a C library asks for the time of day instead.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
const TIME: c_long = libc::SYS_time;
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
const TIME: c_long = libc::SYS_gettimeofday;

fn system_call(number: c_long, [a, b, c]: [usize; 3]) {
    // SAFETY: the callers above give numbers, nulls, and a pointer to room for what is written.
    unsafe { libc::syscall(number, a, b, c) };
}

/// Room for whatever a call writes.
#[derive(Default)]
#[repr(C, align(16))]
struct Out([u64; 4]);

impl Out {
    fn pointer(&mut self) -> *mut c_void {
        self.0.as_mut_ptr().cast()
    }
}

/// The functions of a vDSO that is mapped in this process, ready to be called.
#[derive(Debug)]
pub struct Table {
    functions: Vec<VdsoFunction>,
}

/// A function of the vDSO.
#[derive(Clone, Copy, Debug)]
pub struct VdsoFunction {
    call: Call,
    addr: usize,
    /// Memory for getrandom, and its size.
    state: (*mut c_void, usize),
}

impl Table {
    /// The vDSO that the kernel announced to this process.
    pub fn of_this_process() -> Result<Self, String> {
        let bytes = image_of_this_process()?;
        // SAFETY: these bytes are the image, executable at their own address.
        unsafe { Self::of_image(bytes, bytes.as_ptr() as usize) }
    }

    /// The functions that `bytes` says are in the image that is mapped at `addr`.
    ///
    /// # Safety
    ///
    /// What `bytes` says is true of that image, and it stays mapped and executable.
    pub unsafe fn of_image(bytes: &[u8], addr: usize) -> Result<Self, String> {
        let image = Image::parse(bytes).map_err(|error| error.to_string())?;
        let mut functions = Vec::new();
        for call in super::all_calls() {
            let name = format!("{PREFIX}{}", call.function());
            let Some(offset) =
                image.lookup(&name, None).and_then(|symbol| image.file_offset(symbol.value))
            else {
                continue;
            };
            let addr = addr + offset;
            let mut function = VdsoFunction { call, addr, state: (ptr::null_mut(), 0) };
            if call == Call::Getrandom {
                // SAFETY: it is that function, by the caller's promise.
                match unsafe { random_state(addr) } {
                    Some(state) => function.state = state,
                    None => continue,
                }
            }
            functions.push(function);
        }
        Ok(Self { functions })
    }

    /// Functions that a test made up.
    ///
    /// # Safety
    ///
    /// Each is the address of a function for its call.
    #[cfg(test)]
    pub unsafe fn of_functions(functions: &[(Call, usize)]) -> Self {
        let state = (ptr::null_mut(), 0);
        let function = |&(call, addr): &(Call, usize)| VdsoFunction { call, addr, state };
        Self { functions: functions.iter().map(function).collect() }
    }

    /// The function for a call, if the vDSO has it.
    pub fn get(&self, call: Call) -> Option<VdsoFunction> {
        self.functions.iter().copied().find(|function| function.call == call)
    }
}

/// The bytes of the vDSO that was announced to this process.
pub fn image_of_this_process() -> Result<&'static [u8], String> {
    // SAFETY: only asks.
    let addr = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) } as usize;
    if addr == 0 {
        return Err("this process has no vDSO".to_owned());
    }
    let maps = std::fs::read("/proc/self/maps").map_err(|error| error.to_string())?;
    let mappings = crate::system::maps::parse(&String::from_utf8_lossy(&maps));
    let mapping = mappings.iter().find(|mapping| mapping.addrs.contains(&(addr as u64)));
    let mapping = mapping.ok_or("nothing is mapped where the vDSO should be")?;
    if !mapping.protection.starts_with('r') {
        return Err("the vDSO may not be read".to_owned());
    }
    let bytes = mapping.addrs.end as usize - addr;
    // SAFETY: the kernel, or whoever announced it, maps the image readable up to there for as long as
    // the process lives, and it does not change.
    Ok(unsafe { std::slice::from_raw_parts(addr as *const u8, bytes) })
}

type Getrandom = unsafe extern "C" fn(*mut c_void, usize, c_uint, *mut c_void, usize) -> isize;

impl VdsoFunction {
    /// Calls it. Allocates nothing: a forked child may do so.
    pub fn call(self) {
        type Two = unsafe extern "C" fn(c_int, *mut c_void) -> c_int;
        type Pointers = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void) -> c_long;
        let mut out = Out::default();
        let out = out.pointer();
        let null = ptr::null_mut();
        let addr = self.addr;
        // That it is the function for this call, was found by `of_image`.
        match self.call {
            Call::ClockGettime(..) | Call::ClockGetres => {
                let clock = match self.call {
                    Call::ClockGettime(clock, _) => clock,
                    _ => libc::CLOCK_MONOTONIC,
                };
                // SAFETY: both have this signature; a function pointer is an address.
                let function = unsafe { std::mem::transmute::<usize, Two>(addr) };
                // SAFETY: `out` has room for a timespec of any width.
                unsafe { function(clock, out) };
            }
            Call::Gettimeofday | Call::Time | Call::Getcpu => {
                // SAFETY: they take one to three pointers, and in every C convention a function may
                // be called with more arguments than it takes.
                let function = unsafe { std::mem::transmute::<usize, Pointers>(addr) };
                // SAFETY: `out` has room for what they write; the others may be null.
                unsafe { function(out, null, null) };
            }
            Call::Getrandom => {
                // SAFETY: it has this signature.
                let function = unsafe { std::mem::transmute::<usize, Getrandom>(addr) };
                // SAFETY: `out` has room for the bytes, and the state is of the size and kind that
                // the function asked for.
                unsafe { function(out, RANDOM_BYTES, 0, self.state.0, self.state.1) };
            }
        }
    }
}

/// What `vgetrandom` says of the memory that it needs: `include/uapi/linux/random.h`.
#[derive(Default)]
#[repr(C)]
struct RandomParameters {
    state_bytes: u32,
    protection: u32,
    flags: u32,
    reserved: [u32; 13],
}

/// Maps memory as `vgetrandom` at `addr` asks for. It is never unmapped: there is one a run.
///
/// # Safety
///
/// That function is there.
unsafe fn random_state(addr: usize) -> Option<(*mut c_void, usize)> {
    let mut parameters = RandomParameters::default();
    // SAFETY: it has this signature, as the caller promises.
    let function = unsafe { std::mem::transmute::<usize, Getrandom>(addr) };
    let out = (&raw mut parameters).cast();
    // SAFETY: these arguments ask for the parameters, which have a place.
    let result = unsafe { function(ptr::null_mut(), 0, 0, out, usize::MAX) };
    if result != 0 {
        return None;
    }
    let bytes = parameters.state_bytes as usize;
    let (protection, flags) = (parameters.protection as c_int, parameters.flags as c_int);
    // SAFETY: a new mapping at an address of the kernel's choice.
    let state = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    (state != libc::MAP_FAILED).then_some((state, bytes))
}
