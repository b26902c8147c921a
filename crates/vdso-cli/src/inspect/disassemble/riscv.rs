//! RISC-V, 32 and 64 bits.

use disc_v::Isa;
use vdso_elf::Class;

use super::{Code, Decoded};

pub fn decode(class: Class, code: &Code<'_>) -> Option<Decoded> {
    let isa = match class {
        Class::Elf32 => Isa::Rv32,
        Class::Elf64 => Isa::Rv64,
    };
    let instruction = disc_v::decode_bytes(isa, code.vaddr, code.bytes)?;
    if instruction.is_illegal() {
        return None;
    }
    let operands = instruction.operands().to_string();
    let mnemonic = instruction.mnemonic();
    let is_branch = mnemonic.starts_with('b') || matches!(mnemonic, "j" | "jal");
    let last = operands.rsplit(',').next().and_then(|operand| operand.strip_prefix("0x"));
    let refers_to =
        last.filter(|_| is_branch).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Some(Decoded { length: instruction.length(), text: instruction.to_string(), refers_to })
}
