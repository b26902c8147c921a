//! A function that answers a call, with what it takes besides the call's own arguments.

use std::ffi::{c_int, c_uint, c_void};
use std::hint::black_box;
use std::marker::PhantomData;
use std::mem::transmute;
use std::ptr;
use std::rc::Rc;

use libc::{c_long, clockid_t, timespec, timeval};

use crate::calls::{Call, RANDOM_BYTES};
use crate::interleave::Subject;
use crate::random::{Getrandom, State};

/// A function, ready to be called any number of times for as long as the image that has it is mapped.
///
/// ```compile_fail,E0505
/// fn call_what_was_unmapped(image: vdso_map::LocalImage) {
///     let function = unsafe { vdso_measure::Call::Time.ours(&image) };
///     drop(image);
///     function.map(|function| function.call());
/// }
/// ```
///
/// A vDSO's getrandom draws from memory that is its caller's alone, so it stays in its thread:
///
/// ```compile_fail,E0277
/// fn is_sent<T: Send>() {}
/// is_sent::<vdso_measure::Function<'static>>();
/// ```
///
/// ```compile_fail,E0277
/// fn is_shared<T: Sync>() {}
/// is_shared::<vdso_measure::Function<'static>>();
/// ```
#[derive(Clone, Debug)]
pub struct Function<'image> {
    call: Call,
    code: Code,
    image: PhantomData<&'image ()>,
}

type Clock = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;
pub(crate) type Gettimeofday = unsafe extern "C" fn(*mut timeval, *mut c_void) -> c_int;
type Time = unsafe extern "C" fn(*mut c_long) -> c_long;
type Getcpu = unsafe extern "C" fn(*mut c_uint, *mut c_uint, *mut c_void) -> c_int;

/// The functions, by what they take: each is called by its own type, as Rust demands.
#[derive(Clone, Debug)]
pub(crate) enum Code {
    Clock(Clock),
    Gettimeofday(Gettimeofday),
    Time(Time),
    Getcpu(Getcpu),
    /// The C library's own.
    SchedGetcpu(unsafe extern "C" fn() -> c_int),
    /// The C library's own.
    Getrandom(unsafe extern "C" fn(*mut c_void, usize, c_uint) -> isize),
    VdsoGetrandom(Getrandom, Rc<State>),
}

impl Code {
    /// The function of a vDSO at this address. None if it does not get what it needs: getrandom has a
    /// state of its own.
    ///
    /// # Safety
    ///
    /// It is the function for `call`.
    unsafe fn of_vdso(call: Call, address: usize) -> Option<Self> {
        // For all six: a function pointer is as large as an address.
        Some(match call {
            Call::ClockGettime(_) | Call::ClockGetres(_) => {
                // SAFETY: a function of this type, by the caller's promise.
                Self::Clock(unsafe { transmute::<usize, Clock>(address) })
            }
            Call::Gettimeofday => {
                // SAFETY: as above.
                Self::Gettimeofday(unsafe { transmute::<usize, Gettimeofday>(address) })
            }
            Call::Time => {
                // SAFETY: as above.
                Self::Time(unsafe { transmute::<usize, Time>(address) })
            }
            Call::Getcpu => {
                // SAFETY: as above.
                Self::Getcpu(unsafe { transmute::<usize, Getcpu>(address) })
            }
            Call::Getrandom => {
                // SAFETY: as above.
                let getrandom = unsafe { transmute::<usize, Getrandom>(address) };
                // SAFETY: as above.
                Self::VdsoGetrandom(getrandom, Rc::new(unsafe { State::map(getrandom) }?))
            }
        })
    }
}

impl<'image> Function<'image> {
    /// The function of a vDSO at this address. None if it does not get what it needs: getrandom has a
    /// state of its own.
    ///
    /// # Safety
    ///
    /// It is the function for `call`, and stays there for `'image`.
    pub unsafe fn of_vdso(call: Call, address: usize) -> Option<Self> {
        // SAFETY: by the caller's promise.
        let code = unsafe { Code::of_vdso(call, address) }?;
        // SAFETY: as above.
        Some(unsafe { Self::new(call, code) })
    }

    /// Made of both.
    ///
    /// # Safety
    ///
    /// The code is of the kind for `call`, and stays for `'image`.
    pub(crate) unsafe fn new(call: Call, code: Code) -> Self {
        Self { call, code, image: PhantomData }
    }

    /// What it answers.
    pub fn answers(&self) -> Call {
        self.call
    }

    /// Calls it. Allocates nothing: a forked child may do so.
    pub fn call(&self) {
        self.repeat(1);
    }

    /// Measures it.
    pub fn subject(self, name: &str) -> Subject<'image> {
        Subject::new(name, move |times| self.repeat(times))
    }

    /// Each loop has the call alone in it: what it is, is known before.
    #[inline(always)]
    fn repeat(&self, times: u32) {
        let mut buffer = Buffer::default();
        let out = buffer.as_mut_ptr();
        let id = self.call.clock().unwrap_or_default() as clockid_t;
        // SAFETY, of all calls: the function is mapped, and has this type; there is room for what it
        // writes, aligned for any of it; null is allowed where it stands.
        match &self.code {
            Code::Clock(code) => repeat(times, || {
                // SAFETY: as said above.
                unsafe { black_box(*code)(id, out.cast()) };
            }),
            Code::Gettimeofday(code) => repeat(times, || {
                // SAFETY: as said above.
                unsafe { black_box(*code)(out.cast(), ptr::null_mut()) };
            }),
            Code::Time(code) => repeat(times, || {
                // SAFETY: as said above.
                unsafe { black_box(*code)(out.cast()) };
            }),
            Code::Getcpu(code) => repeat(times, || {
                // SAFETY: as said above.
                unsafe { black_box(*code)(out.cast(), ptr::null_mut(), ptr::null_mut()) };
            }),
            Code::SchedGetcpu(code) => repeat(times, || {
                // SAFETY: as said above.
                unsafe { black_box(*code)() };
            }),
            Code::Getrandom(code) => repeat(times, || {
                // SAFETY: as said above.
                unsafe { black_box(*code)(out.cast(), RANDOM_BYTES, 0) };
            }),
            Code::VdsoGetrandom(code, state) => {
                let (memory, bytes) = (state.memory(), state.bytes());
                repeat(times, || {
                    // SAFETY: as said above; the state is what it has asked for, and this thread's.
                    unsafe { black_box(*code)(out.cast(), RANDOM_BYTES, 0, memory, bytes) };
                });
            }
        }
    }
}

#[inline(always)]
fn repeat(times: u32, call: impl Fn()) {
    for _ in 0..times {
        call();
    }
}

/// Room for whatever a call writes.
#[derive(Default)]
#[repr(C, align(16))]
pub(crate) struct Buffer([u64; 4]);

impl Buffer {
    /// Where it is, as an argument of a system call.
    pub(crate) fn addr(&mut self) -> usize {
        self.as_mut_ptr().expose_provenance()
    }

    fn as_mut_ptr(&mut self) -> *mut u64 {
        self.0.as_mut_ptr()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static ASKED: AtomicUsize = AtomicUsize::new(0);
    static CALLED: AtomicUsize = AtomicUsize::new(0);
    const STATE_BYTES: usize = 144;

    /// As a vDSO's: asks for memory, and is to be given it. It counts the calls that do.
    extern "C" fn random(
        _: *mut c_void,
        len: usize,
        _: c_uint,
        state: *mut c_void,
        size: usize,
    ) -> isize {
        if size == usize::MAX {
            ASKED.fetch_add(1, Ordering::Relaxed);
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let parameters = [STATE_BYTES as u32, protection as u32, flags as u32];
            // SAFETY: whoever asks has room for sixteen words.
            unsafe { state.cast::<[u32; 3]>().write(parameters) };
            return 0;
        }
        if size == STATE_BYTES && len > 0 {
            // SAFETY: memory of that size, which was asked for.
            unsafe { state.cast::<u8>().write_bytes(1, size) };
            CALLED.fetch_add(1, Ordering::Relaxed);
        }
        len as isize
    }

    #[test]
    fn getrandom_is_given_the_state_that_it_asks_for() {
        let address = random as *const () as usize;
        // SAFETY: a function of that type, which stays.
        let function = unsafe { Function::of_vdso(Call::Getrandom, address) }.expect("a state");
        function.call();
        let Code::VdsoGetrandom(_, state) = &function.code else { panic!("{function:?}") };
        let state = Rc::downgrade(state);
        (function.clone().subject("x").run)(4);
        let counts = [&ASKED, &CALLED].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts, [1, 5]);
        assert!(state.upgrade().is_some(), "a copy shares it");
        drop(function);
        assert!(state.upgrade().is_none(), "it is nobody's any more");
    }

    extern "C" fn without_state(
        _: *mut c_void,
        _: usize,
        _: c_uint,
        _: *mut c_void,
        _: usize,
    ) -> isize {
        -(libc::ENOSYS as isize)
    }

    #[test]
    fn getrandom_without_a_state_is_not_called() {
        let address = without_state as *const () as usize;
        // SAFETY: as above.
        assert!(unsafe { Function::of_vdso(Call::Getrandom, address) }.is_none());
    }

    thread_local! {
        static GIVEN: RefCell<Vec<(clockid_t, bool)>> = const { RefCell::new(Vec::new()) };
    }

    extern "C" fn clock(id: clockid_t, out: *mut timespec) -> c_int {
        GIVEN.with_borrow_mut(|given| given.push((id, out.is_null())));
        // SAFETY: the caller gives room for a time.
        unsafe { out.write(timespec { tv_sec: 7, tv_nsec: 8 }) };
        0
    }

    #[test]
    fn a_clock_is_given_its_id_and_room_for_its_time() {
        let call = Call::ClockGettime(libc::CLOCK_TAI as u32);
        // SAFETY: a function of that type, which stays.
        let function = unsafe { Function::of_vdso(call, clock as *const () as usize) };
        function.expect("it needs no state").call();
        GIVEN.with_borrow(|given| assert_eq!(given[..], [(libc::CLOCK_TAI, false)]));
    }
}
