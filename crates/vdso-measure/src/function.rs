//! A function that answers a call, with what it takes besides the call's own arguments.

use std::hint::black_box;

use crate::calls::Call;
use crate::interleave::Subject;
use crate::random::{Getrandom, State};

/// Any of the functions, by what they have in common. In every C convention a function may be called
/// with more arguments than it takes.
type Address = unsafe extern "C" fn(usize, usize, usize, usize, usize) -> i64;

/// A function, ready to be called any number of times.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    call: Call,
    address: Address,
    /// Of a vDSO's getrandom; the others take none.
    state: State,
}

impl Function {
    /// The function of a vDSO at this address. None if it does not get what it needs: getrandom has a
    /// state of its own.
    ///
    /// # Safety
    ///
    /// It is the function for `call`, and stays there.
    pub unsafe fn of_vdso(call: Call, address: usize) -> Option<Self> {
        let state = match call {
            Call::Getrandom => {
                // SAFETY: it is that function, by the caller's promise.
                let getrandom = unsafe { std::mem::transmute::<usize, Getrandom>(address) };
                // SAFETY: as above.
                unsafe { State::map(getrandom) }?
            }
            _ => State::default(),
        };
        // SAFETY: by the caller's promise.
        Some(Self { state, ..unsafe { Self::at(call, address) } })
    }

    /// The function at this address, which takes the call's own arguments only.
    ///
    /// # Safety
    ///
    /// It is the function for `call`, and stays there.
    pub(crate) unsafe fn at(call: Call, address: usize) -> Self {
        // SAFETY: a function, by the caller's promise, whose arguments are the first of these; a
        // function pointer is as large as an address.
        let address = unsafe { std::mem::transmute::<usize, Address>(address) };
        Self { call, address, state: State::default() }
    }

    /// What it answers.
    pub fn answers(self) -> Call {
        self.call
    }

    /// Calls it. Allocates nothing: a forked child may do so.
    pub fn call(self) {
        self.repeat(1);
    }

    /// Measures it.
    pub fn subject(self, name: &str) -> Subject<'static> {
        Subject::new(name, move |times| self.repeat(times))
    }

    #[inline(always)]
    fn repeat(self, times: u32) {
        let Self { call, address, state } = self;
        let mut buffer = Buffer::default();
        let [first, second, third] = call.arguments(buffer.addr());
        for _ in 0..times {
            // SAFETY: the function for this call, with arguments that it takes: there is room for what
            // it writes, and the state is of the kind that it asked for.
            unsafe { black_box(address)(first, second, third, state.addr, state.bytes) };
        }
    }
}

/// Room for whatever a call writes.
#[derive(Default)]
#[repr(C, align(16))]
pub(crate) struct Buffer([u64; 4]);

impl Buffer {
    /// Where it is.
    pub(crate) fn addr(&mut self) -> usize {
        self.0.as_mut_ptr().expose_provenance()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static ASKED: AtomicUsize = AtomicUsize::new(0);
    static CALLED: AtomicUsize = AtomicUsize::new(0);
    const STATE_BYTES: usize = 144;

    /// As a vDSO's: asks for memory, and is to be given it. It counts the calls that do.
    extern "C" fn random(_: *mut u8, len: usize, _: u32, state: *mut u8, size: usize) -> isize {
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
            unsafe { state.write_bytes(1, size) };
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
        (function.subject("x").run)(4);
        let counts = [&ASKED, &CALLED].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts, [1, 5]);
    }

    extern "C" fn without_state(_: *mut u8, _: usize, _: u32, _: *mut u8, _: usize) -> isize {
        -(libc::ENOSYS as isize)
    }

    #[test]
    fn getrandom_without_a_state_is_not_called() {
        let address = without_state as *const () as usize;
        // SAFETY: as above.
        assert!(unsafe { Function::of_vdso(Call::Getrandom, address) }.is_none());
    }

    #[test]
    fn an_answer_is_written_where_the_arguments_say() {
        let mut buffer = Buffer::default();
        let call = Call::ClockGettime(libc::CLOCK_MONOTONIC as u32);
        let [first, second, third] = call.arguments(buffer.addr());
        // SAFETY: the C library's clock_gettime, and room for a timespec.
        let result = unsafe { (call.library().address)(first, second, third, 0, 0) };
        assert_eq!(result as i32, 0);
        assert!(buffer.0[0] > 0 || buffer.0[1] > 0);
    }
}
