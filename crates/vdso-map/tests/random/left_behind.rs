//! What a call leaves in registers and below the stack: nothing that leads to a key.
//!
//! The call is made on a stack of its own, whose bytes are known before; then every register is stored at
//! once, and looked through with the stack for what is in the state.

#![cfg(target_arch = "x86_64")]

use std::arch::asm;
use std::collections::HashSet;
use std::ffi::c_void;

use super::support::*;

const STACK_BYTES: usize = 16 << 10;
const STACK_FILL: u8 = 0xa5;
/// Windows this long are not twice in what has nothing to do with each other.
const WINDOW: usize = 8;

/// Everything that a caller may find: vector registers, the others that are the callee's, the stack.
struct Left {
    vectors: Vec<u8>,
    others: [u64; 9],
    stack: Vec<u8>,
}

#[repr(C)]
struct Call {
    buffer: *mut u8,
    len: usize,
    state: *mut c_void,
    state_bytes: usize,
    code: usize,
    stack_top: *mut u8,
    vectors: *mut u8,
    others: *mut u64,
    has_avx: usize,
}

/// Calls it with 32 bytes of a pattern in every vector register.
fn call(function: &Getrandom, state: &State, buffer: &mut [u8]) -> (isize, Left) {
    let mut stack = vec![STACK_FILL; STACK_BYTES];
    let mut vectors = vec![0; 16 * 32];
    let mut others = [0; 9];
    let top = stack.as_mut_ptr().wrapping_add(STACK_BYTES - 64);
    let mut call = Call {
        buffer: buffer.as_mut_ptr(),
        len: buffer.len(),
        state: state.memory.as_ptr().cast(),
        state_bytes: function.state_bytes,
        code: function.address(),
        stack_top: top.wrapping_sub(top.addr() % 64),
        vectors: vectors.as_mut_ptr(),
        others: others.as_mut_ptr(),
        has_avx: usize::from(is_x86_feature_detected!("avx")),
    };
    let result: isize;
    // SAFETY: a call by the C convention, on a stack that is large enough; what comes back is stored in
    // memory of ours. AVX registers are touched only where there are some.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "push r12",
            "mov rbx, rdi",
            "mov r12, rsp",
            "mov rsp, [rbx + 40]",
            "mov rdi, [rbx]",
            "mov rsi, [rbx + 8]",
            "xor edx, edx",
            "mov rcx, [rbx + 16]",
            "mov r8, [rbx + 24]",
            "call [rbx + 32]",
            "mov rbp, [rbx + 56]",
            "mov [rbp], rcx",
            "mov [rbp + 8], rdx",
            "mov [rbp + 16], rsi",
            "mov [rbp + 24], rdi",
            "mov [rbp + 32], r8",
            "mov [rbp + 40], r9",
            "mov [rbp + 48], r10",
            "mov [rbp + 56], r11",
            "mov [rbp + 64], rax",
            "mov rbp, [rbx + 48]",
            "cmp qword ptr [rbx + 64], 0",
            "je 2f",
            "vmovdqu [rbp], ymm0",
            "vmovdqu [rbp + 32], ymm1",
            "vmovdqu [rbp + 64], ymm2",
            "vmovdqu [rbp + 96], ymm3",
            "vmovdqu [rbp + 128], ymm4",
            "vmovdqu [rbp + 160], ymm5",
            "vmovdqu [rbp + 192], ymm6",
            "vmovdqu [rbp + 224], ymm7",
            "vmovdqu [rbp + 256], ymm8",
            "vmovdqu [rbp + 288], ymm9",
            "vmovdqu [rbp + 320], ymm10",
            "vmovdqu [rbp + 352], ymm11",
            "vmovdqu [rbp + 384], ymm12",
            "vmovdqu [rbp + 416], ymm13",
            "vmovdqu [rbp + 448], ymm14",
            "vmovdqu [rbp + 480], ymm15",
            "vzeroupper",
            "jmp 3f",
            "2:",
            "movdqu [rbp], xmm0",
            "movdqu [rbp + 32], xmm1",
            "movdqu [rbp + 64], xmm2",
            "movdqu [rbp + 96], xmm3",
            "movdqu [rbp + 128], xmm4",
            "movdqu [rbp + 160], xmm5",
            "movdqu [rbp + 192], xmm6",
            "movdqu [rbp + 224], xmm7",
            "movdqu [rbp + 256], xmm8",
            "movdqu [rbp + 288], xmm9",
            "movdqu [rbp + 320], xmm10",
            "movdqu [rbp + 352], xmm11",
            "movdqu [rbp + 384], xmm12",
            "movdqu [rbp + 416], xmm13",
            "movdqu [rbp + 448], xmm14",
            "movdqu [rbp + 480], xmm15",
            "3:",
            "mov rsp, r12",
            "pop r12",
            "pop rbp",
            "pop rbx",
            inout("rdi") &raw mut call => _,
            out("rax") result,
            clobber_abi("C"),
        );
    };
    (result, Left { vectors, others, stack })
}

/// Windows of what must stay with the state; those of mostly zeros say nothing.
fn secrets(states: &[Vec<u8>]) -> HashSet<&[u8]> {
    let windows = states.iter().flat_map(|state| state.windows(WINDOW));
    windows.filter(|window| window.iter().filter(|&&byte| byte == 0).count() < 3).collect()
}

#[test]
fn no_key_is_left_in_registers_or_on_the_stack() {
    for function in functions("no_key_is_left_in_registers_or_on_the_stack") {
        for len in [1, 7, 16, 32, 100, 479, 480, 481, 512, 1000, 4096, 5000] {
            let state = function.state();
            // The first call makes a key, the later ones use it and replace it.
            for nth in 0..4 {
                let before = state.bytes();
                let mut buffer = vec![0; len];
                let (given, left) = call(function, &state, &mut buffer);
                assert_eq!(given, len as isize);
                let states = [before, state.bytes()];
                let secrets = secrets(&states);
                let others: Vec<u8> = left.others.iter().flat_map(|it| it.to_ne_bytes()).collect();
                for (place, bytes) in
                    [("registers", &others), ("vectors", &left.vectors), ("stack", &left.stack)]
                {
                    let found = bytes.windows(WINDOW).position(|it| secrets.contains(it));
                    let name = function.name;
                    assert_eq!(found, None, "{name}: in the {place}, call {nth} of {len} bytes");
                }
            }
        }
    }
}

/// Ours leaves nothing at all in vector registers, whatever went through them.
#[test]
fn vector_registers_are_zeros_after_a_new_batch() {
    let all = functions("vector_registers_are_zeros_after_a_new_batch");
    for function in all.iter().filter(|function| function.is_own(all)) {
        for len in [600, 4096] {
            let state = function.state();
            let (given, left) = call(function, &state, &mut vec![0; len]);
            assert_eq!(given, len as isize);
            // Without AVX2, a caller's upper halves are not touched.
            let is_left = left.vectors.chunks(32).position(|it| it[..16].iter().any(|&b| b != 0));
            assert_eq!(is_left, None, "{}, {len} bytes: a register", function.name);
        }
    }
}
