//! `__kernel_vsyscall`: the function of the kernel's own vDSO in which i386 programs make their calls. An image's `detour` has
//! an entry of its own for those, by which a backtrace leads past that function.
//!
//! Source: `arch/x86/entry/vdso/vdso32/system_call.S` (Linux 6.18).

/// How far behind `detour` that entry is, bytes.
pub const FROM_DETOUR: usize = 256;

/// What is behind its instruction: `pop ebp`, `pop edx`, `pop ecx`, `ret`.
pub const REST: [u8; 4] = [0x5d, 0x5a, 0x59, 0xc3];

/// How far from the stack pointer the address of its caller is then, bytes.
pub const CALLER: u64 = 3 * 4;
