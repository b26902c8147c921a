//! What an image's architecture is called: as in the client's table, but for what `uname -m` calls
//! otherwise.

use vdso_client::names::Abi;
use vdso_elf::abi::Machine;
use vdso_elf::{ByteOrder, Class, Image};

/// The name of the interface between programs and the kernel that an image is for.
pub fn name(image: &Image<'_>) -> String {
    let (machine, class) = (image.machine(), image.class());
    let known = Abi::of(machine, class).map(|abi| abi.name);
    match (machine, image.byte_order()) {
        (Machine::POWERPC, _) => "ppc".to_owned(),
        (Machine::POWERPC64, ByteOrder::Little) => "ppc64le".to_owned(),
        // Linux has no vDSO for these, or none any more.
        (Machine::ALPHA, _) => "alpha".to_owned(),
        (Machine::S390, _) if class == Class::Elf32 => "s390".to_owned(),
        (machine, order) => match known {
            None => format!("ELF machine {}", machine.0),
            Some(name) if machine == Machine::MIPS && order == ByteOrder::Little => {
                format!("{name}el")
            }
            Some(name) if is_arm(machine) && order == ByteOrder::Big => {
                format!("{name} (big endian)")
            }
            Some(name) => name.to_owned(),
        },
    }
}

fn is_arm(machine: Machine) -> bool {
    matches!(machine, Machine::ARM | Machine::AARCH64)
}
