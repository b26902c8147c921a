//! A panic is a failed check, and the end of its process.

use core::panic::PanicInfo;

use crate::{report, system};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    report::panicked(info);
    if system::is_first_process() {
        system::power_off();
    }
    system::exit(1)
}

/// Named by the unwind tables of a `core` that comes compiled; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
