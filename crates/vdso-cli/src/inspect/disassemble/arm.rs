//! arm64 and arm.

use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::{armv7, armv8};

use super::{Code, Decoded};

/// Every instruction, in both.
const LENGTH: usize = 4;

pub fn decode_64(code: &Code<'_>) -> Option<Decoded> {
    let word = code.bytes.get(..LENGTH)?;
    let decoder = armv8::a64::InstDecoder::default();
    let instruction = decoder.decode(&mut U8Reader::new(word)).ok()?;
    Some(with_target(instruction.to_string(), code.vaddr))
}

pub fn decode_32(code: &Code<'_>) -> Option<Decoded> {
    let word = *code.bytes.first_chunk::<LENGTH>()?;
    if let Some(text) = barrier(u32::from_le_bytes(word)) {
        return Some(Decoded { length: LENGTH, text, refers_to: None });
    }
    let decoder = armv7::InstDecoder::default();
    let instruction = decoder.decode(&mut U8Reader::new(&word)).ok()?;
    let mut decoded = with_target(instruction.to_string(), code.vaddr);
    decoded.refers_to = decoded.refers_to.map(|target| target & u64::from(u32::MAX));
    Some(decoded)
}

/// The barriers, which every clock read has and the decoder does not know.
///
/// Source: ARM Architecture Reference Manual ARMv7-A, A8.8.43 (DMB), A8.8.44 (DSB), A8.8.53 (ISB).
fn barrier(word: u32) -> Option<String> {
    let name = match word & !0xf {
        0xf57f_f040 => "dsb",
        0xf57f_f050 => "dmb",
        0xf57f_f060 => "isb",
        _ => return None,
    };
    let domain = match word & 0xf {
        0xf => "sy".to_owned(),
        0xe => "st".to_owned(),
        0xb => "ish".to_owned(),
        0xa => "ishst".to_owned(),
        0x7 => "nsh".to_owned(),
        0x6 => "nshst".to_owned(),
        0x3 => "osh".to_owned(),
        0x2 => "oshst".to_owned(),
        other => format!("{other:#x}"),
    };
    Some(format!("{name} {domain}"))
}

/// The decoder writes what an instruction refers to as `$+0x10`, from the instruction itself.
fn with_target(text: String, vaddr: u64) -> Decoded {
    let ahead = text.split_once("$+0x").map(|(before, digits)| (before, digits, 1));
    let behind = || text.split_once("$-0x").map(|(before, digits)| (before, digits, -1));
    let found = ahead.or_else(behind).and_then(|(before, digits, sign)| {
        let distance = i64::from_str_radix(digits, 16).ok()?;
        // ADRP counts from the beginning of its page.
        let from = if before.starts_with("adrp") { vaddr & !0xfff } else { vaddr };
        let target = from.wrapping_add_signed(sign * distance);
        Some((format!("{before}{target:#x}"), target))
    });
    match found {
        Some((text, target)) => Decoded { length: LENGTH, text, refers_to: Some(target) },
        None => Decoded { length: LENGTH, text, refers_to: None },
    }
}
