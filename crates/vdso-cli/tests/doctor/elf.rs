//! Makes the smallest image that has what `vdso doctor` looks at: names of functions, for any
//! architecture of 64 bits.

/// `e_machine`.
pub const X86_64: u16 = 62;
pub const AARCH64: u16 = 183;

const PROGRAM_HEADERS: usize = 0x40;
const DYNAMIC: usize = 0x100;
const HASH: usize = 0x180;
const SYMBOLS: usize = 0x200;
const STRINGS: usize = 0x400;
const TEXT: u64 = 0x800;
/// A page.
pub const BYTES: usize = 0x1000;

/// An image that exports these.
pub fn image(machine: u16, functions: &[&str]) -> Vec<u8> {
    let mut image = vec![0; BYTES];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    let half = |value: u16| value.to_le_bytes();
    put(0, b"\x7fELF\x02\x01\x01");
    // ET_DYN, machine, version.
    put(0x10, &half(3));
    put(0x12, &half(machine));
    put(0x14, &words32(&[1]));
    put(0x20, &words64(&[PROGRAM_HEADERS as u64]));
    // Sizes of the header and of a program header, and how many there are.
    put(0x34, &[half(64), half(56), half(2)].concat());
    let segment = |kind: u32, flags: u32, at: usize, bytes: usize| {
        let (at, bytes) = (at as u64, bytes as u64);
        [words32(&[kind, flags]), words64(&[at, at, at, bytes, bytes, 8])].concat()
    };
    put(PROGRAM_HEADERS, &segment(1, 5, 0, BYTES));
    put(PROGRAM_HEADERS + 56, &segment(2, 4, DYNAMIC, 6 * 16));
    let strings = strings(functions);
    // DT_HASH, DT_SYMTAB, DT_STRTAB, DT_STRSZ, DT_SYMENT, DT_NULL.
    let dynamic = [(4, HASH), (6, SYMBOLS), (5, STRINGS), (10, strings.len()), (11, 24), (0, 0)];
    let dynamic: Vec<u64> = dynamic.iter().flat_map(|&(tag, value)| [tag, value as u64]).collect();
    put(DYNAMIC, &words64(&dynamic));
    put(HASH, &hash_table(functions.len() as u32));
    put(SYMBOLS, &symbols(functions));
    put(STRINGS, &strings);
    image
}

/// One bucket, and one chain through all symbols.
fn hash_table(count: u32) -> Vec<u8> {
    let first = u32::from(count > 0);
    let chain = (0..=count).map(|index| if index == 0 || index == count { 0 } else { index + 1 });
    let table: Vec<u32> = [1, count + 1, first].into_iter().chain(chain).collect();
    words32(&table)
}

fn symbols(functions: &[&str]) -> Vec<u8> {
    const GLOBAL_FUNCTION: u8 = 0x12;
    const SECTION: u16 = 1;
    let mut bytes = vec![0; 24];
    let mut name = 1;
    for (index, function) in functions.iter().enumerate() {
        bytes.extend(words32(&[name]));
        bytes.extend([GLOBAL_FUNCTION, 0]);
        bytes.extend(SECTION.to_le_bytes());
        bytes.extend(words64(&[TEXT + 16 * index as u64, 16]));
        name += function.len() as u32 + 1;
    }
    bytes
}

fn strings(functions: &[&str]) -> Vec<u8> {
    let names = functions.iter().flat_map(|name| [name.as_bytes(), b"\0"].concat());
    std::iter::once(0).chain(names).collect()
}

fn words32(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn words64(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
