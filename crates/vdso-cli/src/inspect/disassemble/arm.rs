//! arm64 and arm.

use unarm::Ins;
use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8;

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
    let word = u32::from_le_bytes(*code.bytes.first_chunk::<LENGTH>()?);
    if let Some(text) = barrier(word).or_else(|| wide_move(word)) {
        return Some(Decoded { length: LENGTH, text, refers_to: None });
    }
    let options = unarm::Options::default();
    let instruction = unarm::parse_arm(word, code.vaddr as u32, &options);
    let refers_to = match instruction {
        Ins::Illegal => return None,
        Ins::B { target, .. } | Ins::Bl { target, .. } => Some(target.addr.into()),
        _ => None,
    };
    let text = instruction.display(&options).to_string();
    Some(Decoded { length: LENGTH, text, refers_to })
}

// The decoder knows ARMv6K. Of what ARMv7 has beyond that, these are in images.

/// DMB, DSB and ISB, which every clock read has.
///
/// Source: ARM Architecture Reference Manual ARMv7-A, A8.8.43, A8.8.44, A8.8.53.
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
        other => format!("#{other:#x}"),
    };
    Some(format!("{name} {domain}"))
}

/// MOVW and MOVT, which load one half of a constant.
///
/// Source: the same, A8.8.102 (encoding A2) and A8.8.106; A8.3 for the conditions.
fn wide_move(word: u32) -> Option<String> {
    const CONDITIONS: [&str; 15] =
        ["eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", ""];
    const REGISTERS: [&str; 16] = [
        "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "sp",
        "lr", "pc",
    ];
    let name = match word & 0x0ff0_0000 {
        0x0300_0000 => "movw",
        0x0340_0000 => "movt",
        _ => return None,
    };
    let condition = CONDITIONS.get((word >> 28) as usize)?;
    let register = REGISTERS[(word >> 12 & 0xf) as usize];
    let value = (word >> 4 & 0xf000) | (word & 0xfff);
    Some(format!("{name}{condition} {register}, #{value:#x}"))
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
