//! Jumps, for [`jump`](crate::arch::jump).

use crate::arch::jump::Jumps;

/// Those of 64-bit code.
pub static JUMPS: Option<Jumps> = Some(Jumps {
    // syscall; jmp to itself
    call: b"\x0f\x05\xeb\xfe",
    // endbr64
    mark: b"\xf3\x0f\x1e\xfa",
    near,
    far,
    far_bytes: 14,
    make_call,
    refuse,
});

/// `jmp rel32`, from its own end.
fn near(from: u64, to: u64) -> Option<Vec<u8>> {
    let distance = to.wrapping_sub(from.wrapping_add(5)).cast_signed();
    let distance = i32::try_from(distance).ok()?;
    Some([&[0xe9][..], &distance.to_le_bytes()].concat())
}

/// `jmp [rip]`, and the address.
fn far(to: u64) -> Vec<u8> {
    [&[0xff, 0x25, 0, 0, 0, 0][..], &to.to_le_bytes()].concat()
}

/// `mov eax, NUMBER; syscall; ret`: rcx and r11 are the caller's to lose in a function, too.
fn make_call(number: u32) -> Vec<u8> {
    [&[0xb8][..], &number.to_le_bytes(), &[0x0f, 0x05, 0xc3]].concat()
}

/// `mov eax, -ERRNO; ret`
fn refuse(errno: i32) -> Vec<u8> {
    [&[0xb8][..], &(-errno).to_le_bytes(), &[0xc3]].concat()
}
