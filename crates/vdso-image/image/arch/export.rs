//! The functions that programs look up, as macros: `exports.rs` of each architecture says which there
//! are, and by what names.

/// The functions of the image's own.
macro_rules! export {
    ($($function:ident as $name:ident;)*) => {
        $($crate::arch::export::export_one!($function as $name);)*
    };
}

macro_rules! export_one {
    (clock_gettime as $name:ident) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            id: core::ffi::c_int,
            ts: *mut vdso_data::arithmetic::Timespec,
        ) -> core::ffi::c_int {
            // SAFETY: the caller's promise is passed on, here and below.
            unsafe { $crate::clock_gettime::clock_gettime(id, ts) }
        }
    };
    (old_clock_gettime as $name:ident) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            id: core::ffi::c_int,
            ts: *mut $crate::time32::OldTimespec,
        ) -> core::ffi::c_int {
            // SAFETY: as above.
            unsafe { $crate::time32::clock_gettime(id, ts) }
        }
    };
    (old_clock_getres as $name:ident) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            id: core::ffi::c_int,
            res: *mut $crate::time32::OldTimespec,
        ) -> core::ffi::c_int {
            // SAFETY: as above.
            unsafe { $crate::time32::clock_getres(id, res) }
        }
    };
    (gettimeofday as $name:ident) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            tv: *mut $crate::gettimeofday::Timeval,
            tz: *mut core::ffi::c_void,
        ) -> core::ffi::c_int {
            // SAFETY: as above.
            unsafe { $crate::gettimeofday::gettimeofday(tv, tz) }
        }
    };
    (time as $name:ident) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(seconds: *mut $crate::arch::Long) -> $crate::arch::Long {
            // SAFETY: as above.
            unsafe { $crate::time::time(seconds) }
        }
    };
    (clock_getres as $name:ident) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            id: core::ffi::c_int,
            res: *mut vdso_data::arithmetic::Timespec,
        ) -> core::ffi::c_int {
            // SAFETY: as above.
            unsafe { $crate::clock_getres::clock_getres(id, res) }
        }
    };
    (getrandom as $name:ident) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            buffer: *mut u8,
            len: usize,
            flags: u32,
            state: *mut core::ffi::c_void,
            state_len: usize,
        ) -> isize {
            // SAFETY: as above.
            unsafe { $crate::getrandom::getrandom(buffer, len, flags, state.cast(), state_len) }
        }
    };
    (getcpu as $name:ident) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            cpu: *mut u32,
            node: *mut u32,
            _cache: *mut core::ffi::c_void,
        ) -> core::ffi::c_int {
            // SAFETY: as above.
            unsafe { $crate::getcpu::getcpu(cpu, node) }
        }
    };
}

/// Functions of the kernel's that are only passed on: `$jump` is the instructions that jump through the
/// process page at `{slot}`, with every register that has an argument, and the stack, as the caller left
/// them.
macro_rules! pass_on {
    ($jump:tt $(options $options:tt)? $($name:literal),* $(,)?) => {
        $crate::arch::export::pass_on!(@each $jump, ($(options $options)?), $($name)*);
    };
    (@each $jump:tt, $options:tt, $($name:literal)*) => {
        $($crate::arch::export::pass_on_one!($jump $options $name);)*
    };
}

macro_rules! pass_on_one {
    ([$($jump:literal),+ $(,)?] ($($options:tt)*) $name:literal) => {
        core::arch::global_asm!(
            ".pushsection .text.forward,\"ax\",%progbits",
            ".p2align 4",
            concat!(".globl ", $name),
            concat!(".type ", $name, ", %function"),
            concat!($name, ":"),
            ".cfi_startproc",
            $($jump,)+
            ".cfi_endproc",
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            slot = const $crate::forward::slot($name),
            $($options)*
        );
    };
}

pub(super) use {export, export_one, pass_on, pass_on_one};
