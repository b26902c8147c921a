//! PowerPC, 32 and 64 bits, both byte orders.

use powerpc::{Argument, Extension, Extensions, Ins, Opcode};
use vdso_elf::ByteOrder;

use super::{Code, Decoded};

pub fn decode(byte_order: ByteOrder, code: &Code<'_>) -> Option<Decoded> {
    let word: [u8; 4] = code.bytes.get(..4)?.try_into().ok()?;
    let word = match byte_order {
        ByteOrder::Little => u32::from_le_bytes(word),
        ByteOrder::Big => u32::from_be_bytes(word),
    };
    let extensions = Extension::Ppc64.bitmask() | Extension::AltiVec.bitmask();
    let instruction = Ins::new(word, Extensions::from_bitmask(extensions));
    if instruction.op == Opcode::Illegal {
        return None;
    }
    let mut parsed = instruction.simplified();
    let refers_to =
        instruction.branch_offset().map(|offset| code.vaddr.wrapping_add_signed(offset.into()));
    if let Some(target) = refers_to {
        for argument in &mut parsed.args {
            if matches!(argument, Argument::BranchDest(_)) {
                *argument = Argument::BranchDest(powerpc::BranchDest(target as i32));
            }
        }
    }
    Some(Decoded { length: 4, text: parsed.to_string(), refers_to })
}
