//! The functions, and memory for their states.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use test_support::{Lacking, skip};
use vdso_data::arithmetic::Transform;
use vdso_data::process::{FLAG_AVX2, Template};
use vdso_host::Host;
use vdso_image::Source;
use vdso_measure::images;

pub const PAGE_BYTES: usize = 4096;
/// Asks for the parameters.
pub const ASK: usize = usize::MAX;
/// `MAP_DROPPABLE`. Source: `include/uapi/linux/mman.h` (Linux 6.18).
pub const MAP_DROPPABLE: c_int = 0x08;

type Code = unsafe extern "C" fn(*mut c_void, usize, c_uint, *mut c_void, usize) -> isize;

/// A function, and whose.
#[derive(Clone, Copy, Debug)]
pub struct Getrandom {
    pub name: &'static str,
    code: Code,
    /// As much as it asks for.
    pub state_bytes: usize,
}

/// `struct vgetrandom_opaque_params`. Source: `include/uapi/linux/random.h` (Linux 6.18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Parameters {
    pub state_bytes: u32,
    pub protection: u32,
    pub flags: u32,
    pub reserved: [u32; 13],
}

impl Parameters {
    /// What no function says.
    pub const UNWRITTEN: Self =
        Self { state_bytes: !7, protection: !7, flags: !7, reserved: [!7; 13] };
}

/// What is tested: the kernel's function first, then that of each image. Empty where the kernel has none.
pub fn functions(test: &str) -> &'static [Getrandom] {
    static ALL: OnceLock<Vec<Getrandom>> = OnceLock::new();
    let all = ALL.get_or_init(find_all);
    if all.is_empty() {
        skip(Lacking::Kernel, test, "its vDSO has no getrandom (Linux 6.11)");
    }
    all
}

fn find_all() -> Vec<Getrandom> {
    let host: &'static Host = Box::leak(Box::new(Host::find().expect("/proc is mounted")));
    let Some(kernels) = host.function(NAME) else { return Vec::new() };
    let mut all = vec![Getrandom::at("kernel", (host.vdso_addr + kernels) as usize)];
    for source in Source::ALL {
        if let Err(reason) = &host.page
            && source != Source::Chain
        {
            skip(Lacking::Kernel, &format!("getrandom {}", source.name()), &reason.to_string());
            continue;
        }
        let mut template = host.template(&vdso_image::FORWARDED);
        all.push(Getrandom::of_image(host, source, source.name(), &template));
        if source == Source::Host && template.flags & FLAG_AVX2 != 0 {
            template.flags &= !FLAG_AVX2;
            all.push(Getrandom::of_image(host, source, "host without AVX2", &template));
        }
    }
    all
}

/// The function's name on the machines that this is for.
const NAME: &str = "__vdso_getrandom";

impl Getrandom {
    fn of_image(
        host: &'static Host,
        source: Source,
        name: &'static str,
        template: &Template,
    ) -> Self {
        let image = images::map_with(host, source, Transform::IDENTITY, template);
        // Mapped for as long as the process lives.
        let image = Box::leak(Box::new(image.expect("an image can be mapped")));
        Self::at(name, image.function(NAME).expect("an image has what the kernel has"))
    }

    /// The function at this address.
    pub fn at(name: &'static str, address: usize) -> Self {
        // SAFETY: the address of a function of this type, which stays mapped.
        let code = unsafe { std::mem::transmute::<usize, Code>(address) };
        let mut found = Self { name, code, state_bytes: 0 };
        found.state_bytes = found.parameters().1.state_bytes as usize;
        found
    }

    /// Where it is.
    pub fn address(&self) -> usize {
        self.code as usize
    }

    /// Whether it is code of its own, not passed on to the kernel's.
    pub fn is_own(&self, all: &[Self]) -> bool {
        self.state_bytes != all[0].state_bytes
    }

    /// Calls it.
    ///
    /// # Safety
    ///
    /// The state is a state of its own, or one that the function must refuse before it looks; what the
    /// buffer leads to is writable or may fault.
    pub unsafe fn call(
        &self,
        buffer: *mut u8,
        length: usize,
        flags: c_uint,
        state: *mut u8,
        state_bytes: usize,
    ) -> isize {
        // SAFETY: the caller's promise.
        unsafe { (self.code)(buffer.cast(), length, flags, state.cast(), state_bytes) }
    }

    /// The answer to the question for parameters, and these.
    pub fn parameters(&self) -> (isize, Parameters) {
        let mut parameters = Parameters::UNWRITTEN;
        let out = (&raw mut parameters).cast();
        // SAFETY: there is room for the parameters.
        let answer = unsafe { self.call(ptr::null_mut(), 0, 0, out, ASK) };
        (answer, parameters)
    }

    /// A state in memory of the kind that it asks for.
    pub fn state(&self) -> State {
        let (_, parameters) = self.parameters();
        State::map(*self, parameters.flags as c_int)
    }

    /// A state in memory that a child has as its parent has it.
    pub fn kept_state(&self) -> State {
        State::map(*self, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)
    }
}

/// Two pages, with a state at the beginning.
#[derive(Debug)]
pub struct State {
    function: Getrandom,
    pub memory: NonNull<u8>,
}

impl State {
    fn map(function: Getrandom, flags: c_int) -> Self {
        Self { function, memory: map(2 * PAGE_BYTES, flags) }
    }

    /// Fills a buffer; what the function answers.
    pub fn try_fill(&self, buffer: &mut [u8], flags: c_uint) -> isize {
        let (at, bytes) = (self.memory.as_ptr(), self.function.state_bytes);
        // SAFETY: a state of this function's, and a buffer of ours.
        unsafe { self.function.call(buffer.as_mut_ptr(), buffer.len(), flags, at, bytes) }
    }

    /// The next bytes.
    #[track_caller]
    pub fn draw<const N: usize>(&self) -> [u8; N] {
        let mut buffer = [0; N];
        let answer = self.try_fill(&mut buffer, 0);
        assert_eq!(answer, N as isize, "{}", self.function.name);
        buffer
    }

    /// What is in it.
    pub fn bytes(&self) -> Vec<u8> {
        // SAFETY: mapped, and nobody writes meanwhile.
        let bytes =
            unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.function.state_bytes) };
        bytes.to_vec()
    }

    /// Puts other bytes there.
    pub fn set(&self, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.function.state_bytes);
        // SAFETY: both are that long, and this one is ours.
        unsafe { self.memory.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// As the kernel does it when it is short of memory.
    pub fn drop_memory(&self) {
        let pages = self.memory.as_ptr().cast();
        // SAFETY: the two pages of ours.
        let result = unsafe { libc::madvise(pages, 2 * PAGE_BYTES, libc::MADV_DONTNEED) };
        assert_eq!(result, 0);
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), 2 * PAGE_BYTES) };
    }
}

/// New pages.
pub fn map(bytes: usize, flags: c_int) -> NonNull<u8> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let pages = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    assert_ne!(pages, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
    NonNull::new(pages.cast()).expect("no mapping is at null")
}

/// The system call, with the answer that a vDSO gives.
///
/// # Safety
///
/// What the buffer leads to is writable, or not mapped.
pub unsafe fn by_system_call(buffer: *mut u8, length: usize, flags: c_uint) -> isize {
    // SAFETY: the kernel checks the buffer; the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
    if result < 0 { -(nix::errno::Errno::last_raw() as isize) } else { result as isize }
}

/// Runs `part` in a child, which has this one thread, and gives how that ended: 0 if it returned.
pub fn in_child(part: impl FnOnce()) -> WaitStatus {
    // SAFETY: the child does what a fork of a C program may, and ends without the test harness.
    match unsafe { fork() }.expect("a process can be forked") {
        ForkResult::Child => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(part));
            // SAFETY: ends this process.
            unsafe { libc::_exit(if outcome.is_ok() { 0 } else { 101 }) }
        }
        ForkResult::Parent { child } => waitpid(child, None).expect("the child is ours"),
    }
}

/// The child must have come to its end.
#[track_caller]
pub fn assert_good(status: WaitStatus, what: &str) {
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{what}: the child ended so: {status:?}");
}

/// The child must have been killed by a fault.
#[track_caller]
pub fn assert_faulted(status: WaitStatus, what: &str) {
    assert!(
        matches!(status, WaitStatus::Signaled(_, Signal::SIGSEGV, _)),
        "{what}: the child ended so: {status:?}"
    );
}
