//! `/proc/PID/auxv`: pairs of words, in the width and byte order of the program.
//! Source: getauxval(3).

const AT_NULL: u64 = 0;
/// Where the kernel says that its vDSO is.
const AT_SYSINFO_EHDR: u64 = 33;

/// The address that announces the vDSO, if there is one.
///
/// The byte order is this machine's, as of every process on it.
pub fn vdso_addr(bytes: &[u8], is_64_bit: bool) -> Option<u64> {
    let width = if is_64_bit { 8 } else { 4 };
    let mut words = bytes.chunks_exact(width).map(word);
    while let (Some(tag), Some(value)) = (words.next(), words.next()) {
        match tag {
            AT_NULL => return None,
            AT_SYSINFO_EHDR => return (value != 0).then_some(value),
            _ => {}
        }
    }
    None
}

fn word(bytes: &[u8]) -> u64 {
    match *bytes {
        [a, b, c, d] => u64::from(u32::from_ne_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auxv(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn the_address_is_found_before_the_end_only() {
        assert_eq!(vdso_addr(&auxv(&[6, 4096, 33, 0x7000, 0, 0]), true), Some(0x7000));
        assert_eq!(vdso_addr(&auxv(&[6, 4096, 0, 0, 33, 0x7000]), true), None);
        assert_eq!(vdso_addr(&auxv(&[33, 0, 0, 0]), true), None);
        assert_eq!(vdso_addr(b"short", true), None);
        let narrow: Vec<u8> =
            [33_u32, 0x7000, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(vdso_addr(&narrow, false), Some(0x7000));
    }
}
