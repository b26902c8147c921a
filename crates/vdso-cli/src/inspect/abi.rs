//! What an image's architecture is called: as in the client's table, but for what `uname -m` calls
//! otherwise.

use vdso_client::names::Abi;
use vdso_elf::abi::Machine;
use vdso_elf::{ByteOrder, Image};

/// The name of the interface between programs and the kernel that an image is for.
pub fn name(image: &Image<'_>) -> String {
    let machine = image.machine();
    let Some(Abi { name, .. }) = Abi::of(machine, image.class()) else {
        // Linux has no vDSO for the first two, or none any more.
        return match machine {
            Machine::ALPHA => "alpha".to_owned(),
            Machine::S390 => "s390".to_owned(),
            Machine(number) => format!("ELF machine {number}"),
        };
    };
    match (machine, image.byte_order()) {
        (Machine::POWERPC, _) => "ppc".to_owned(),
        (Machine::POWERPC64, ByteOrder::Little) => "ppc64le".to_owned(),
        (Machine::MIPS, ByteOrder::Little) => format!("{name}el"),
        (Machine::ARM | Machine::AARCH64, ByteOrder::Big) => format!("{name} (big endian)"),
        _ => (*name).to_owned(),
    }
}
