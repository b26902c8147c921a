//! What is called, and who answers: a vDSO's function, the C library's twin, the system call.

use std::ffi::c_long;
use std::mem::transmute;

use vdso_client::names::{self, Abi, Purpose};
use vdso_data::clock;
use vdso_elf::Image;
use vdso_host::Host;
use vdso_map::LocalImage;

use crate::function::{Buffer, Code, Function, Gettimeofday};
use crate::interleave::Subject;

/// A call that a vDSO may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// With a clock's id.
    ClockGettime(u32),
    /// With a clock's id.
    ClockGetres(u32),
    /// With a time, without a time zone.
    Gettimeofday,
    /// With a pointer.
    Time,
    /// The CPU, not its node.
    Getcpu,
    /// Of sixteen bytes.
    Getrandom,
}

/// The calls and clocks that are worth a row, by the name that a person gives them.
pub const CALLS: [(&str, Call); 13] = [
    ("clock_gettime(MONOTONIC)", Call::ClockGettime(clock::MONOTONIC)),
    ("clock_gettime(REALTIME)", Call::ClockGettime(clock::REALTIME)),
    ("clock_gettime(MONOTONIC_RAW)", Call::ClockGettime(clock::MONOTONIC_RAW)),
    ("clock_gettime(BOOTTIME)", Call::ClockGettime(clock::BOOTTIME)),
    ("clock_gettime(TAI)", Call::ClockGettime(clock::TAI)),
    ("clock_gettime(MONOTONIC_COARSE)", Call::ClockGettime(clock::MONOTONIC_COARSE)),
    ("clock_gettime(REALTIME_COARSE)", Call::ClockGettime(clock::REALTIME_COARSE)),
    ("clock_gettime(PROCESS_CPUTIME_ID)", Call::ClockGettime(PROCESS_CPUTIME_ID)),
    ("gettimeofday", Call::Gettimeofday),
    ("time", Call::Time),
    ("clock_getres(MONOTONIC)", Call::ClockGetres(clock::MONOTONIC)),
    ("getcpu", Call::Getcpu),
    ("getrandom", Call::Getrandom),
];

const PROCESS_CPUTIME_ID: u32 = libc::CLOCK_PROCESS_CPUTIME_ID as u32;

/// What a typical caller of getrandom asks for: a key, a seed.
pub(crate) const RANDOM_BYTES: usize = 16;

/// Where there is no `time`, a C library asks for the time of day instead.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
const TIME: c_long = libc::SYS_time;
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
const TIME: c_long = libc::SYS_gettimeofday;

impl Call {
    /// The function's name without a prefix.
    pub const fn name(self) -> &'static str {
        self.kind().name()
    }

    /// Whether only the kernel knows the answer.
    pub const fn always_goes_to_the_kernel(self) -> bool {
        matches!(self, Self::ClockGettime(PROCESS_CPUTIME_ID))
    }

    const fn kind(self) -> names::Call {
        match self {
            Self::ClockGettime(_) => names::Call::ClockGettime,
            Self::ClockGetres(_) => names::Call::ClockGetres,
            Self::Gettimeofday => names::Call::Gettimeofday,
            Self::Time => names::Call::Time,
            Self::Getcpu => names::Call::Getcpu,
            Self::Getrandom => names::Call::Getrandom,
        }
    }

    /// What a vDSO calls its function on this architecture, with times as wide as those of the C
    /// library's types.
    fn symbol(self) -> Option<&'static str> {
        Some(Abi::CURRENT?.with_purpose(Purpose::Call(self.kind()))?.name)
    }

    /// The clock that it is asked of.
    pub(crate) const fn clock(self) -> Option<u32> {
        match self {
            Self::ClockGettime(id) | Self::ClockGetres(id) => Some(id),
            _ => None,
        }
    }

    /// The system call's arguments, given room for what is written.
    const fn arguments(self, out: usize) -> [usize; 3] {
        match self {
            Self::ClockGettime(id) | Self::ClockGetres(id) => [id as usize, out, 0],
            Self::Gettimeofday | Self::Time | Self::Getcpu => [out, 0, 0],
            Self::Getrandom => [out, RANDOM_BYTES, 0],
        }
    }

    const fn number(self) -> c_long {
        match self {
            Self::ClockGettime(_) => libc::SYS_clock_gettime,
            Self::ClockGetres(_) => libc::SYS_clock_getres,
            Self::Gettimeofday => libc::SYS_gettimeofday,
            Self::Time => TIME,
            Self::Getcpu => libc::SYS_getcpu,
            Self::Getrandom => libc::SYS_getrandom,
        }
    }

    /// The C library's own function: of getcpu the one that every C library has.
    pub fn library(self) -> Function<'static> {
        let code = match self {
            Self::ClockGettime(_) => Code::Clock(libc::clock_gettime),
            Self::ClockGetres(_) => Code::Clock(libc::clock_getres),
            Self::Gettimeofday => {
                let function = libc::gettimeofday as *const ();
                // SAFETY: it has this type, but that C libraries differ in what its second pointer,
                // which is always null here, points to.
                Code::Gettimeofday(unsafe { transmute::<*const (), Gettimeofday>(function) })
            }
            Self::Time => Code::Time(libc::time),
            Self::Getcpu => Code::SchedGetcpu(libc::sched_getcpu),
            Self::Getrandom => Code::Getrandom(libc::getrandom),
        };
        // SAFETY: these are the functions for these calls, and the C library stays.
        unsafe { Function::new(self, code) }
    }

    /// The function of the image that is mapped at `addr`, if it has it.
    ///
    /// # Safety
    ///
    /// What `image` says is true of what is mapped there, which is executable and stays for `'mapped`.
    pub unsafe fn of_image<'mapped>(
        self,
        image: &Image<'_>,
        addr: usize,
    ) -> Option<Function<'mapped>> {
        let symbol = image.lookup(self.symbol()?, None)?;
        let address = addr + image.file_offset(symbol.value)?;
        // SAFETY: the function for this call, by its name and by the caller's promise.
        unsafe { Function::of_vdso(self, address) }
    }

    /// The kernel's function, if its vDSO has it.
    pub fn kernels(self, host: &Host) -> Option<Function<'static>> {
        let mapped = host.mapped();
        let image = Image::parse(mapped).ok()?;
        // SAFETY: the kernel's vDSO, which stays mapped, and its own bytes.
        unsafe { self.of_image(&image, mapped.as_ptr().expose_provenance()) }
    }

    /// The function of an image of ours.
    ///
    /// # Safety
    ///
    /// It must be an image of `vdso-image`'s, in a file of its own form, and what its process page was told
    /// must be true of this process, as [`images::map`](crate::images::map) does it: the image calls what
    /// the page has addresses of.
    pub unsafe fn ours(self, image: &LocalImage) -> Option<Function<'_>> {
        let address = image.function(self.symbol()?)?;
        // SAFETY: the function for this call, by its name and by the caller's promise; it is mapped until the
        // image is dropped, which the function does not outlive.
        unsafe { Function::of_vdso(self, address) }
    }

    /// Makes the system call.
    pub fn system_call(self, name: &str) -> Subject<'static> {
        Subject::new(name, move |times| {
            let mut buffer = Buffer::default();
            let [first, second, third] = self.arguments(buffer.addr());
            for _ in 0..times {
                // SAFETY: arguments that it takes, with room for what it writes.
                unsafe { libc::syscall(self.number(), first, second, third) };
            }
        })
    }

    /// Whether the system call works here: a sandbox may refuse it.
    pub fn is_answered(self) -> bool {
        let mut buffer = Buffer::default();
        let [first, second, third] = self.arguments(buffer.addr());
        // SAFETY: as above.
        unsafe { libc::syscall(self.number(), first, second, third) != -1 }
    }
}

#[cfg(test)]
mod tests {
    use test_support::{Lacking, skip};

    use super::*;

    #[test]
    fn every_call_is_answered_by_its_name() {
        let host = Host::find().expect("/proc/self/maps is readable");
        for (name, call) in CALLS {
            assert!(name.starts_with(call.name()), "{name}");
            if !call.is_answered() {
                skip(Lacking::Privilege, name, "a sandbox refuses the system call");
                continue;
            }
            (call.system_call(name).run)(3);
            (call.library().subject(name).run)(3);
            if let Some(function) = call.kernels(&host) {
                (function.subject(name).run)(3);
            }
        }
    }

    /// The fields of a host are anybody's to write, and nothing is called by them.
    #[test]
    fn the_kernels_functions_are_where_the_kernel_has_mapped_them() {
        let mut host = Host::find().expect("/proc/self/maps is readable");
        let has_time = Call::Time.kernels(&host).is_some();
        (host.vdso_addr, host.image) = (0x1000, Vec::new());
        let function = Call::Time.kernels(&host);
        assert_eq!(function.is_some(), has_time);
        function.iter().for_each(Function::call);
    }

    /// The names of a vDSO of this architecture: an image that lacks one has nothing in its place.
    #[test]
    fn the_kernels_functions_are_found_by_their_names() {
        let host = Host::find().expect("/proc/self/maps is readable");
        let Ok(image) = Image::parse(&host.image) else { return };
        let answered = CALLS.iter().filter(|(_, call)| call.kernels(&host).is_some()).count();
        let symbols: Vec<&str> = image.symbols().flatten().map(|symbol| symbol.name).collect();
        let named = CALLS
            .iter()
            .filter(|(_, call)| call.symbol().is_some_and(|name| symbols.contains(&name)));
        assert_eq!(answered, named.count());
    }
}
