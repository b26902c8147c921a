//! Eight blocks at once, with AVX2.

use core::arch::asm;

use super::{Aligned, CONSTANTS, NUMBERS, SCRATCH_BYTES, double_round};

/// Rotations by whole bytes, as a shuffle of them.
#[unsafe(link_section = ".rodata.chacha")]
static LEFT_16: Aligned<[u8; 32]> = rotation(2);
#[unsafe(link_section = ".rodata.chacha")]
static LEFT_8: Aligned<[u8; 32]> = rotation(1);

const fn rotation(bytes: usize) -> Aligned<[u8; 32]> {
    let mut shuffle = [0; 32];
    let mut at = 0;
    while at < 32 {
        // Within words of four bytes, in halves of sixteen.
        shuffle[at] = (at / 4 * 4 % 16 + (at + 4 - bytes) % 4) as u8;
        at += 1;
    }
    Aligned(shuffle)
}

/// `$a += $b; $d = ($d ^ $a) <<< n` of two quarter rounds, where n is whole bytes.
macro_rules! add_and_shuffle {
    ($a:literal $b:literal $d:literal, $e:literal $f:literal $h:literal, $shuffle:literal) => {
        concat!(
            "vpaddd ymm",
            $a,
            ", ymm",
            $a,
            ", ymm",
            $b,
            "\n",
            "vpaddd ymm",
            $e,
            ", ymm",
            $e,
            ", ymm",
            $f,
            "\n",
            "vpxor ymm",
            $d,
            ", ymm",
            $d,
            ", ymm",
            $a,
            "\n",
            "vpxor ymm",
            $h,
            ", ymm",
            $h,
            ", ymm",
            $e,
            "\n",
            "vpshufb ymm",
            $d,
            ", ymm",
            $d,
            ", [rip + {",
            $shuffle,
            "}]\n",
            "vpshufb ymm",
            $h,
            ", ymm",
            $h,
            ", [rip + {",
            $shuffle,
            "}]\n",
        )
    };
}

/// The same for any n.
macro_rules! add_and_shift {
    ($c:literal $d:literal $b:literal, $g:literal $h:literal $f:literal, $left:literal $right:literal) => {
        concat!(
            "vpaddd ymm",
            $c,
            ", ymm",
            $c,
            ", ymm",
            $d,
            "\n",
            "vpaddd ymm",
            $g,
            ", ymm",
            $g,
            ", ymm",
            $h,
            "\n",
            "vpxor ymm",
            $b,
            ", ymm",
            $b,
            ", ymm",
            $c,
            "\n",
            "vpxor ymm",
            $f,
            ", ymm",
            $f,
            ", ymm",
            $g,
            "\n",
            "vpslld ymm10, ymm",
            $b,
            ", ",
            $left,
            "\n",
            "vpslld ymm11, ymm",
            $f,
            ", ",
            $left,
            "\n",
            "vpsrld ymm",
            $b,
            ", ymm",
            $b,
            ", ",
            $right,
            "\n",
            "vpsrld ymm",
            $f,
            ", ymm",
            $f,
            ", ",
            $right,
            "\n",
            "vpor ymm",
            $b,
            ", ymm",
            $b,
            ", ymm10\n",
            "vpor ymm",
            $f,
            ", ymm",
            $f,
            ", ymm11\n",
        )
    };
}

macro_rules! two_quarter_rounds {
    ($a:literal $b:literal $c:literal $d:literal, $e:literal $f:literal $g:literal $h:literal) => {
        concat!(
            add_and_shuffle!($a $b $d, $e $f $h, "left_16"),
            add_and_shift!($c $d $b, $g $h $f, "12" "20"),
            add_and_shuffle!($a $b $d, $e $f $h, "left_8"),
            add_and_shift!($c $d $b, $g $h $f, "7" "25"),
        )
    };
}

/// Exchanges the rows of `c` in registers and in memory.
macro_rules! swap {
    () => {
        "vmovdqu ymm10, [{scratch}]
        vmovdqu ymm11, [{scratch} + 32]
        vmovdqu [{scratch}], ymm8
        vmovdqu [{scratch} + 32], ymm9
        vmovdqa ymm8, ymm10
        vmovdqa ymm9, ymm11
        "
    };
}

/// Adds the word at `$from` to a row.
macro_rules! add_word {
    ($row:literal, $from:literal) => {
        concat!(
            "vpbroadcastd ymm10, dword ptr ",
            $from,
            "\n",
            "vpaddd ymm",
            $row,
            ", ymm",
            $row,
            ", ymm10\n"
        )
    };
}

/// Adds the word at `$from` to a row that is in memory.
macro_rules! add_word_in_scratch {
    ($row:literal, $from:literal) => {
        concat!(
            "vpbroadcastd ymm10, dword ptr ",
            $from,
            "\n",
            "vpaddd ymm10, ymm10, [{scratch} + ",
            $row,
            "]\n",
            "vmovdqu [{scratch} + ",
            $row,
            "], ymm10\n",
        )
    };
}

/// Turns four rows of one word of eight blocks into four words of each block, and stores them `$at` bytes
/// into it.
macro_rules! store {
    ($p:literal $q:literal $r:literal $s:literal, $at:literal) => {
        concat!(
            "vpunpckldq ymm10, ymm",
            $p,
            ", ymm",
            $q,
            "\n",
            "vpunpckhdq ymm",
            $p,
            ", ymm",
            $p,
            ", ymm",
            $q,
            "\n",
            "vpunpckldq ymm11, ymm",
            $r,
            ", ymm",
            $s,
            "\n",
            "vpunpckhdq ymm",
            $r,
            ", ymm",
            $r,
            ", ymm",
            $s,
            "\n",
            "vpunpcklqdq ymm",
            $q,
            ", ymm10, ymm11\n",
            "vpunpckhqdq ymm10, ymm10, ymm11\n",
            "vpunpcklqdq ymm",
            $s,
            ", ymm",
            $p,
            ", ymm",
            $r,
            "\n",
            "vpunpckhqdq ymm",
            $p,
            ", ymm",
            $p,
            ", ymm",
            $r,
            "\n",
            "vmovdqu [{out} + ",
            $at,
            "], xmm",
            $q,
            "\n",
            "vmovdqu [{out} + 64 + ",
            $at,
            "], xmm10\n",
            "vmovdqu [{out} + 128 + ",
            $at,
            "], xmm",
            $s,
            "\n",
            "vmovdqu [{out} + 192 + ",
            $at,
            "], xmm",
            $p,
            "\n",
            "vextracti128 [{out} + 256 + ",
            $at,
            "], ymm",
            $q,
            ", 1\n",
            "vextracti128 [{out} + 320 + ",
            $at,
            "], ymm10, 1\n",
            "vextracti128 [{out} + 384 + ",
            $at,
            "], ymm",
            $s,
            ", 1\n",
            "vextracti128 [{out} + 448 + ",
            $at,
            "], ymm",
            $p,
            ", 1\n",
        )
    };
}

/// Writes blocks, as the folder's documentation says.
///
/// # Safety
/// The processor must have AVX2; `out` be writable for the blocks, `key` readable, `scratch` writable.
#[inline(never)]
pub unsafe fn blocks(
    out: *mut u8,
    groups: usize,
    key: *const [u32; 8],
    counter: u32,
    high: u32,
    scratch: *mut [u8; SCRATCH_BYTES],
) {
    // SAFETY: the caller's promise. What is left in registers and in `scratch` is zeros.
    unsafe {
        asm!(
            "2:",
            "sub {out}, 512",
            "sub {counter:e}, 8",
            "vpbroadcastd ymm0, dword ptr [rip + {constants}]",
            "vpbroadcastd ymm1, dword ptr [rip + {constants} + 4]",
            "vpbroadcastd ymm2, dword ptr [rip + {constants} + 8]",
            "vpbroadcastd ymm3, dword ptr [rip + {constants} + 12]",
            "vpbroadcastd ymm4, dword ptr [{key}]",
            "vpbroadcastd ymm5, dword ptr [{key} + 4]",
            "vpbroadcastd ymm6, dword ptr [{key} + 8]",
            "vpbroadcastd ymm7, dword ptr [{key} + 12]",
            "vpbroadcastd ymm10, dword ptr [{key} + 24]",
            "vpbroadcastd ymm11, dword ptr [{key} + 28]",
            "vmovdqu [{scratch}], ymm10",
            "vmovdqu [{scratch} + 32], ymm11",
            "vpbroadcastd ymm8, dword ptr [{key} + 16]",
            "vpbroadcastd ymm9, dword ptr [{key} + 20]",
            "vmovd xmm12, {counter:e}",
            "vpbroadcastd ymm12, xmm12",
            "vpaddd ymm12, ymm12, [rip + {numbers}]",
            "vmovd xmm13, {high:e}",
            "vpbroadcastd ymm13, xmm13",
            "vpxor xmm14, xmm14, xmm14",
            "vpxor xmm15, xmm15, xmm15",
            "mov {rounds:e}, 10",
            "3:",
            double_round!(two_quarter_rounds, swap!()),
            "dec {rounds:e}",
            "jnz 3b",
            add_word!("0", "[rip + {constants}]"),
            add_word!("1", "[rip + {constants} + 4]"),
            add_word!("2", "[rip + {constants} + 8]"),
            add_word!("3", "[rip + {constants} + 12]"),
            add_word!("4", "[{key}]"),
            add_word!("5", "[{key} + 4]"),
            add_word!("6", "[{key} + 8]"),
            add_word!("7", "[{key} + 12]"),
            add_word!("8", "[{key} + 16]"),
            add_word!("9", "[{key} + 20]"),
            add_word_in_scratch!("0", "[{key} + 24]"),
            add_word_in_scratch!("32", "[{key} + 28]"),
            "vmovd xmm10, {counter:e}",
            "vpbroadcastd ymm10, xmm10",
            "vpaddd ymm10, ymm10, [rip + {numbers}]",
            "vpaddd ymm12, ymm12, ymm10",
            "vmovd xmm10, {high:e}",
            "vpbroadcastd ymm10, xmm10",
            "vpaddd ymm13, ymm13, ymm10",
            // The key has been read for the last time.
            store!("0" "1" "2" "3", "0"),
            store!("4" "5" "6" "7", "16"),
            store!("12" "13" "14" "15", "48"),
            "vmovdqu ymm0, [{scratch}]",
            "vmovdqu ymm1, [{scratch} + 32]",
            store!("8" "9" "0" "1", "32"),
            "dec {groups}",
            "jnz 2b",
            "vpxor xmm0, xmm0, xmm0",
            "vmovdqu [{scratch}], ymm0",
            "vmovdqu [{scratch} + 32], ymm0",
            "vzeroall",
            out = inout(reg) out.wrapping_add(groups * 512) => _,
            groups = inout(reg) groups => _,
            key = in(reg) key,
            counter = inout(reg) counter.wrapping_add(groups as u32 * 8) => _,
            high = in(reg) high,
            scratch = in(reg) scratch,
            rounds = out(reg) _,
            constants = sym CONSTANTS,
            numbers = sym NUMBERS,
            left_16 = sym LEFT_16,
            left_8 = sym LEFT_8,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            options(nostack),
        );
    };
}
