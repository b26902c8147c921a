//! Calls of i386 programs that have younger siblings: with times of 32 bits, or with their arguments elsewhere than in
//! registers. What their siblings do is done for them, so a deadline beyond 2038 is the host's, too.

use super::{Call, memory};
use crate::arch::number;
use vdso_data::clock;
use vdso_data::detour::Mark;

use super::memory::Form;

/// The sibling of a call; what it gives, made as it is, if what it points to cannot be read.
pub fn sibling(call: Call) -> Result<Call, i64> {
    let [first, second, third, _, fifth, sixth] = call.args;
    match call.number {
        number::SOCKETCALL => of_sockets(call),
        number::OLD_SELECT => Ok(Call {
            number: number::SELECT,
            args: words(call, first, 5)?,
            form: Form::OLD,
        }),
        number::IPC => {
            /// `include/uapi/linux/ipc.h`.
            const SEMTIMEDOP: u64 = 4;
            if first & 0xffff != SEMTIMEDOP {
                return Err(call.make_as_it_is());
            }
            let args = [second, fifth, third, sixth, 0, 0];
            Ok(Call { number: number::SEMTIMEDOP, args, form: Form::OLD })
        }
        number::NANOSLEEP => {
            let args = [clock::MONOTONIC.into(), 0, first, second, 0, 0];
            Ok(Call { number: number::CLOCK_NANOSLEEP, args, form: Form::OLD })
        }
        _ => Ok(Call { number: younger(call.number), form: form(call.number), ..call }),
    }
}

/// `socketcall`: what is called, and the address of its arguments.
fn of_sockets(call: Call) -> Result<Call, i64> {
    let [operation, args_addr, ..] = call.args;
    /// `include/uapi/linux/net.h`.
    const SETSOCKOPT: u64 = 14;
    const GETSOCKOPT: u64 = 15;
    const RECVMMSG: u64 = 19;
    let (number, form) = match operation {
        SETSOCKOPT => (number::SETSOCKOPT, Form::Time64),
        GETSOCKOPT => (number::GETSOCKOPT, Form::Time64),
        RECVMMSG => (number::RECVMMSG, Form::OLD),
        _ => return Err(call.make_as_it_is()),
    };
    Ok(Call { number, args: words(call, args_addr, 5)?, form })
}

/// Words of 32 bits in memory as arguments, with as many as there are.
fn words(call: Call, addr: u64, count: usize) -> Result<[u64; 6], i64> {
    const WORD_BYTES: u64 = 4;
    let mut words = [0; 6];
    for (index, word) in words.iter_mut().enumerate().take(count) {
        // The last of them may lie at the end of memory: what is looked at has eight bytes.
        let read = match index {
            0 => memory::read_halves(addr).map(|[first, _]| first),
            _ => memory::read_halves(addr + WORD_BYTES * (index as u64 - 1)).map(|[_, second]| second),
        };
        *word = match read {
            Some(read) => read.into(),
            // The kernel says so.
            None => return Err(call.make(Mark::Low(5))),
        };
    }
    Ok(words)
}

/// The call with times of 64 bits.
fn younger(call: u32) -> u32 {
    match call {
        number::OLD_CLOCK_GETTIME => number::CLOCK_GETTIME,
        number::OLD_CLOCK_NANOSLEEP => number::CLOCK_NANOSLEEP,
        number::OLD_FUTEX => number::FUTEX,
        number::OLD_PPOLL => number::PPOLL,
        number::OLD_PSELECT6 => number::PSELECT6,
        number::OLD_TIMER_SETTIME => number::TIMER_SETTIME,
        number::OLD_TIMER_GETTIME => number::TIMER_GETTIME,
        number::OLD_TIMERFD_SETTIME => number::TIMERFD_SETTIME,
        number::OLD_TIMERFD_GETTIME => number::TIMERFD_GETTIME,
        number::OLD_MQ_TIMEDSEND => number::MQ_TIMEDSEND,
        number::OLD_MQ_TIMEDRECEIVE => number::MQ_TIMEDRECEIVE,
        number::OLD_RT_SIGTIMEDWAIT => number::RT_SIGTIMEDWAIT,
        number::OLD_RECVMMSG => number::RECVMMSG,
        number::OLD_IO_PGETEVENTS => number::IO_PGETEVENTS,
        other => other,
    }
}

/// In which form a call has its times.
fn form(call: u32) -> Form {
    match call {
        number::GETTIMEOFDAY
        | number::SELECT
        | number::SETITIMER
        | number::GETITIMER
        | number::IO_GETEVENTS => Form::OLD,
        _ if younger(call) != call => Form::OLD,
        _ => Form::Time64,
    }
}
