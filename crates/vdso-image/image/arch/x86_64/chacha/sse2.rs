//! Four blocks at once, with what every x86-64 has.

use core::arch::asm;

use super::{CONSTANTS, NUMBERS, SCRATCH_BYTES, double_round};

/// `$a += $b; $d = ($d ^ $a) <<< 16` of two quarter rounds.
macro_rules! add_and_swap_halves {
    ($a:literal $b:literal $d:literal, $e:literal $f:literal $h:literal) => {
        concat!(
            "paddd xmm",
            $a,
            ", xmm",
            $b,
            "\n",
            "paddd xmm",
            $e,
            ", xmm",
            $f,
            "\n",
            "pxor xmm",
            $d,
            ", xmm",
            $a,
            "\n",
            "pxor xmm",
            $h,
            ", xmm",
            $e,
            "\n",
            "pshuflw xmm",
            $d,
            ", xmm",
            $d,
            ", 0xb1\n",
            "pshuflw xmm",
            $h,
            ", xmm",
            $h,
            ", 0xb1\n",
            "pshufhw xmm",
            $d,
            ", xmm",
            $d,
            ", 0xb1\n",
            "pshufhw xmm",
            $h,
            ", xmm",
            $h,
            ", 0xb1\n",
        )
    };
}

/// `$c += $d; $b = ($b ^ $c) <<< n` of two quarter rounds.
macro_rules! add_and_shift {
    ($c:literal $d:literal $b:literal, $g:literal $h:literal $f:literal, $left:literal $right:literal) => {
        concat!(
            "paddd xmm",
            $c,
            ", xmm",
            $d,
            "\n",
            "paddd xmm",
            $g,
            ", xmm",
            $h,
            "\n",
            "pxor xmm",
            $b,
            ", xmm",
            $c,
            "\n",
            "pxor xmm",
            $f,
            ", xmm",
            $g,
            "\n",
            "movdqa xmm10, xmm",
            $b,
            "\n",
            "movdqa xmm11, xmm",
            $f,
            "\n",
            "pslld xmm10, ",
            $left,
            "\n",
            "pslld xmm11, ",
            $left,
            "\n",
            "psrld xmm",
            $b,
            ", ",
            $right,
            "\n",
            "psrld xmm",
            $f,
            ", ",
            $right,
            "\n",
            "por xmm",
            $b,
            ", xmm10\n",
            "por xmm",
            $f,
            ", xmm11\n",
        )
    };
}

macro_rules! two_quarter_rounds {
    ($a:literal $b:literal $c:literal $d:literal, $e:literal $f:literal $g:literal $h:literal) => {
        concat!(
            add_and_swap_halves!($a $b $d, $e $f $h),
            add_and_shift!($c $d $b, $g $h $f, "12" "20"),
            add_and_shift!($a $b $d, $e $f $h, "8" "24"),
            add_and_shift!($c $d $b, $g $h $f, "7" "25"),
        )
    };
}

/// Exchanges the rows of `c` in registers and in memory.
macro_rules! swap {
    () => {
        "movdqu xmm10, [{scratch}]
        movdqu xmm11, [{scratch} + 16]
        movdqu [{scratch}], xmm8
        movdqu [{scratch} + 16], xmm9
        movdqa xmm8, xmm10
        movdqa xmm9, xmm11
        "
    };
}

/// The word at `$from`, four times.
macro_rules! load_word {
    ($row:literal, $from:literal) => {
        concat!(
            "movd xmm",
            $row,
            ", dword ptr ",
            $from,
            "\n",
            "pshufd xmm",
            $row,
            ", xmm",
            $row,
            ", 0\n"
        )
    };
}

/// Adds the word at `$from` to a row.
macro_rules! add_word {
    ($row:literal, $from:literal) => {
        concat!(load_word!("10", $from), "paddd xmm", $row, ", xmm10\n")
    };
}

/// Adds the word at `$from` to a row that is in memory.
macro_rules! add_word_in_scratch {
    ($row:literal, $from:literal) => {
        concat!(
            load_word!("10", $from),
            "movdqu xmm11, [{scratch} + ",
            $row,
            "]\n",
            "paddd xmm10, xmm11\n",
            "movdqu [{scratch} + ",
            $row,
            "], xmm10\n",
        )
    };
}

/// Turns four rows of one word of four blocks into four words of each block, and stores them `$at` bytes
/// into it.
macro_rules! store {
    ($p:literal $q:literal $r:literal $s:literal, $at:literal) => {
        concat!(
            "movdqa xmm10, xmm",
            $p,
            "\n",
            "punpckldq xmm10, xmm",
            $q,
            "\n",
            "punpckhdq xmm",
            $p,
            ", xmm",
            $q,
            "\n",
            "movdqa xmm11, xmm",
            $r,
            "\n",
            "punpckldq xmm11, xmm",
            $s,
            "\n",
            "punpckhdq xmm",
            $r,
            ", xmm",
            $s,
            "\n",
            "movdqa xmm",
            $q,
            ", xmm10\n",
            "punpcklqdq xmm",
            $q,
            ", xmm11\n",
            "punpckhqdq xmm10, xmm11\n",
            "movdqa xmm",
            $s,
            ", xmm",
            $p,
            "\n",
            "punpcklqdq xmm",
            $s,
            ", xmm",
            $r,
            "\n",
            "punpckhqdq xmm",
            $p,
            ", xmm",
            $r,
            "\n",
            "movdqu [{out} + ",
            $at,
            "], xmm",
            $q,
            "\n",
            "movdqu [{out} + 64 + ",
            $at,
            "], xmm10\n",
            "movdqu [{out} + 128 + ",
            $at,
            "], xmm",
            $s,
            "\n",
            "movdqu [{out} + 192 + ",
            $at,
            "], xmm",
            $p,
            "\n",
        )
    };
}

/// Writes blocks, as the folder's documentation says; half a group at once.
///
/// # Safety
/// `out` must be writable for the blocks, `key` readable, `scratch` writable.
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
            "sub {out}, 256",
            "sub {counter:e}, 4",
            load_word!("0", "[rip + {constants}]"),
            load_word!("1", "[rip + {constants} + 4]"),
            load_word!("2", "[rip + {constants} + 8]"),
            load_word!("3", "[rip + {constants} + 12]"),
            load_word!("4", "[{key}]"),
            load_word!("5", "[{key} + 4]"),
            load_word!("6", "[{key} + 8]"),
            load_word!("7", "[{key} + 12]"),
            load_word!("8", "[{key} + 24]"),
            load_word!("9", "[{key} + 28]"),
            "movdqu [{scratch}], xmm8",
            "movdqu [{scratch} + 16], xmm9",
            load_word!("8", "[{key} + 16]"),
            load_word!("9", "[{key} + 20]"),
            "movd xmm12, {counter:e}",
            "pshufd xmm12, xmm12, 0",
            "paddd xmm12, [rip + {numbers}]",
            "movd xmm13, {high:e}",
            "pshufd xmm13, xmm13, 0",
            "pxor xmm14, xmm14",
            "pxor xmm15, xmm15",
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
            add_word_in_scratch!("16", "[{key} + 28]"),
            "movd xmm10, {counter:e}",
            "pshufd xmm10, xmm10, 0",
            "paddd xmm10, [rip + {numbers}]",
            "paddd xmm12, xmm10",
            "movd xmm10, {high:e}",
            "pshufd xmm10, xmm10, 0",
            "paddd xmm13, xmm10",
            // The key has been read for the last time, in the first half of the first group.
            store!("0" "1" "2" "3", "0"),
            store!("4" "5" "6" "7", "16"),
            store!("12" "13" "14" "15", "48"),
            "movdqu xmm0, [{scratch}]",
            "movdqu xmm1, [{scratch} + 16]",
            store!("8" "9" "0" "1", "32"),
            "dec {halves}",
            "jnz 2b",
            "pxor xmm0, xmm0",
            "movdqu [{scratch}], xmm0",
            "movdqu [{scratch} + 16], xmm0",
            "pxor xmm1, xmm1",
            "pxor xmm2, xmm2",
            "pxor xmm3, xmm3",
            "pxor xmm4, xmm4",
            "pxor xmm5, xmm5",
            "pxor xmm6, xmm6",
            "pxor xmm7, xmm7",
            "pxor xmm8, xmm8",
            "pxor xmm9, xmm9",
            "pxor xmm10, xmm10",
            "pxor xmm11, xmm11",
            "pxor xmm12, xmm12",
            "pxor xmm13, xmm13",
            "pxor xmm14, xmm14",
            "pxor xmm15, xmm15",
            out = inout(reg) out.wrapping_add(groups * 512) => _,
            halves = inout(reg) groups * 2 => _,
            key = in(reg) key,
            counter = inout(reg) counter.wrapping_add(groups as u32 * 8) => _,
            high = in(reg) high,
            scratch = in(reg) scratch,
            rounds = out(reg) _,
            constants = sym CONSTANTS,
            numbers = sym NUMBERS,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            options(nostack),
        );
    };
}
