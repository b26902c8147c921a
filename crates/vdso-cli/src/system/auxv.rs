//! The auxiliary vector, by which the kernel tells a program where its vDSO is (getauxval(3)).

use vdso_elf::{ByteOrder, Class};

/// That of this machine, and so of every process on it.
#[cfg(target_endian = "little")]
pub const NATIVE: ByteOrder = ByteOrder::Little;
#[cfg(target_endian = "big")]
pub const NATIVE: ByteOrder = ByteOrder::Big;

const AT_PAGESZ: u64 = 6;
const AT_SYSINFO_EHDR: u64 = 33;

/// The address of the vDSO that the vector announces; `words` are of this width and byte order.
pub fn vdso_addr(bytes: &[u8], class: Class, byte_order: ByteOrder) -> Option<u64> {
    value(bytes, class, byte_order, AT_SYSINFO_EHDR).filter(|&addr| addr != 0)
}

/// The width of the words of a vector, and so of the program's addresses. Every kernel gives the page
/// size, which a vector that is read in the wrong width does not have.
pub fn class(bytes: &[u8], byte_order: ByteOrder) -> Option<Class> {
    [Class::Elf64, Class::Elf32].into_iter().find(|&class| {
        value(bytes, class, byte_order, AT_PAGESZ).is_some_and(|size| size.is_power_of_two())
    })
}

fn value(bytes: &[u8], class: Class, byte_order: ByteOrder, wanted: u64) -> Option<u64> {
    let width = match class {
        Class::Elf32 => 4,
        Class::Elf64 => 8,
    };
    let words: Vec<u64> = bytes.chunks_exact(width).map(|word| integer(word, byte_order)).collect();
    let (pairs, _) = words.as_chunks::<2>();
    pairs
        .iter()
        .take_while(|[tag, _]| *tag != 0)
        .find(|[tag, _]| *tag == wanted)
        .map(|pair| pair[1])
}

fn integer(bytes: &[u8], byte_order: ByteOrder) -> u64 {
    let append = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    match byte_order {
        ByteOrder::Little => bytes.iter().rev().fold(0, append),
        ByteOrder::Big => bytes.iter().fold(0, append),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_widths_and_byte_orders_are_read() {
        let pairs: [(u32, u32); 4] = [(6, 4096), (33, 0x7000_1000), (0, 0), (33, 1)];
        let words = pairs.iter().flat_map(|&(tag, value)| [tag, value]);
        let little_32: Vec<u8> = words.clone().flat_map(u32::to_le_bytes).collect();
        let big_32: Vec<u8> = words.clone().flat_map(u32::to_be_bytes).collect();
        let little_64: Vec<u8> = words.clone().flat_map(|w| u64::from(w).to_le_bytes()).collect();
        let big_64: Vec<u8> = words.flat_map(|w| u64::from(w).to_be_bytes()).collect();
        for (bytes, class_is, order) in [
            (little_32, Class::Elf32, ByteOrder::Little),
            (big_32, Class::Elf32, ByteOrder::Big),
            (little_64, Class::Elf64, ByteOrder::Little),
            (big_64, Class::Elf64, ByteOrder::Big),
        ] {
            assert_eq!(class(&bytes, order), Some(class_is));
            assert_eq!(vdso_addr(&bytes, class_is, order), Some(0x7000_1000));
        }
        assert_eq!(class(&[], ByteOrder::Little), None);
        assert_eq!(vdso_addr(&[33, 0, 0], Class::Elf32, ByteOrder::Little), None);
    }
}
