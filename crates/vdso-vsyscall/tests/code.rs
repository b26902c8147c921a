//! Calls of the page in machine code.

use proptest::prelude::*;
use vdso_vsyscall::Entry;
use vdso_vsyscall::code::{FUNCTIONS, Use, function_offset, in_program, sites};

/// As glibc 2.12 has `time`: `sub rsp, 8; mov rax, 0xffffffffff600400; call rax; add rsp, 8; ret`.
const TIME: &[u8] = b"\x48\x83\xec\x08\x48\xc7\xc0\x00\x04\x60\xff\xff\xd0\x48\x83\xc4\x08\xc3";
/// A compiler's, by way of r12: `mov r12, 0xffffffffff600000; xor esi, esi; mov rdi, rsp; call r12`.
const KEPT: &[u8] = b"\x49\xc7\xc4\x00\x00\x60\xff\x31\xf6\x48\x89\xe7\x41\xff\xd4";
/// With code far from everything: `movabs rax, 0xffffffffff600800; jmp rax`.
const LARGE: &[u8] = b"\x48\xb8\x00\x08\x60\xff\xff\xff\xff\xff\xff\xe0";
/// A debugger's: `mov rdx, 0xffffffffff600000; cmp rax, rdx; ret`.
const COMPARED: &[u8] = b"\x48\xc7\xc2\x00\x00\x60\xff\x48\x39\xd0\xc3";

fn found(code: &[u8]) -> Vec<(usize, Entry, Use)> {
    sites(code).map(|site| (site.offset, site.entry, site.used)).collect()
}

#[test]
fn calls_are_found_by_their_forms() {
    assert_eq!(found(TIME), [(4, Entry::Time, Use::Called)]);
    assert_eq!(found(KEPT), [(0, Entry::Gettimeofday, Use::Called)]);
    assert_eq!(found(LARGE), [(0, Entry::Getcpu, Use::Called)]);
    assert_eq!(found(COMPARED), [(0, Entry::Gettimeofday, Use::Unknown)]);
}

#[test]
fn what_is_no_entrys_address_is_not_found() {
    // The page's other addresses, a comparison, a 32-bit register, and a pointer in data.
    for other in [
        &b"\x48\xc7\xc0\x01\x00\x60\xff\xff\xd0"[..],
        b"\x48\xc7\xc0\x00\x0c\x60\xff\xff\xd0",
        b"\x48\x3d\x00\x00\x60\xff\x74\x05",
        b"\xc7\xc0\x00\x00\x60\xff\xff\xd0",
        b"\x00\x00\x60\xff\xff\xff\xff\xff",
    ] {
        assert_eq!(found(other), [], "{other:x?}");
    }
}

#[test]
fn a_call_through_another_register_is_none_of_it() {
    // `call rcx` after a `mov` to rax; `call r8` after one to rax.
    assert_eq!(found(b"\x48\xc7\xc0\x00\x04\x60\xff\xff\xd1")[0].2, Use::Unknown);
    assert_eq!(found(b"\x48\xc7\xc0\x00\x04\x60\xff\x41\xff\xd0")[0].2, Use::Unknown);
}

/// What `lea r64, [rip + rel32]` at an address gives, and its register.
fn lea(code: &[u8], addr: u64) -> (u8, u64) {
    let [rex, 0x8d, operand, a, b, c, d] = *code else { panic!("{code:x?}") };
    assert_eq!((rex & !4, operand & 0xc7), (0x48, 0x05));
    let distance = i64::from(i32::from_le_bytes([a, b, c, d]));
    ((rex & 4) << 1 | (operand >> 3 & 7), addr.wrapping_add(7).wrapping_add_signed(distance))
}

#[test]
fn a_rewritten_site_gives_the_same_register_another_address() {
    for register in 0..16u8 {
        let rex = 0x48 | register >> 3;
        let short = [rex, 0xc7, 0xc0 | register & 7, 0, 4, 0x60, 0xff];
        let long = [rex, 0xb8 | register & 7, 0, 4, 0x60, 0xff, 0xff, 0xff, 0xff, 0xff];
        for code in [&short[..], &long] {
            let site = sites(code).next().expect("one");
            for function in [0x40_0000u64, 0x7fff_0000, 0x1000] {
                let replacement = site.replacement(0x40_1234, function).expect("near");
                let (first, rest) = replacement.code().split_at(7);
                assert_eq!(lea(first, 0x40_1234), (register, function));
                assert!(rest.is_empty() || rest == [0x0f, 0x1f, 0x00]);
                assert_eq!(replacement.code().len(), code.len());
            }
            assert_eq!(site.replacement(0x7f00_0000_0000, 0x40_0000), None);
        }
    }
}

#[test]
fn the_functions_make_their_calls() {
    for entry in Entry::ALL {
        let [a, b, c, d] = entry.number().to_le_bytes();
        let code = &FUNCTIONS[function_offset(entry)..][..8];
        assert_eq!(code, [0xb8, a, b, c, d, 0x0f, 0x05, 0xc3]);
    }
}

/// An x86-64 file of two segments with this code, of which the second can be executed.
fn program(code: &[u8]) -> Vec<u8> {
    const HEADERS_BYTES: usize = 64 + 2 * 56;
    let mut file = vec![0; HEADERS_BYTES];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[18] = 62;
    file[32] = 64;
    file[54] = 56;
    file[56] = 2;
    for (at, flags) in [(64, 6), (64 + 56, 5)] {
        file[at] = 1;
        file[at + 4] = flags;
        file[at + 8] = HEADERS_BYTES as u8;
        file[at + 16..][..8].copy_from_slice(&0x40_0000u64.to_le_bytes());
        file[at + 32..][..8].copy_from_slice(&(code.len() as u64).to_le_bytes());
    }
    file.extend(code);
    file
}

#[test]
fn sites_of_a_program_are_in_its_executable_segments() {
    let found: Vec<_> = in_program(&program(TIME)).map(|(addr, site)| (addr, site.entry)).collect();
    assert_eq!(found, [(0x40_0004, Entry::Time)]);
    let mut other = program(TIME);
    other[18] = 183;
    assert_eq!(in_program(&other).count(), 0);
}

proptest! {
    /// Whatever a header says.
    #[test]
    fn any_file_is_searched(damage in proptest::collection::vec((0..176usize, any::<u8>()), 0..12), cut in 0..200usize) {
        let mut file = program(TIME);
        damage.into_iter().for_each(|(at, byte)| file[at] = byte);
        file.truncate(cut);
        prop_assert!(in_program(&file).count() <= 64);
    }

    /// Wherever a site is, also across the blocks in which it is looked for.
    #[test]
    fn a_site_is_found_in_anything(before in proptest::collection::vec(any::<u8>(), 0..200),
                                   behind in proptest::collection::vec(any::<u8>(), 0..100)) {
        let code = [&before[..], TIME, &behind].concat();
        prop_assert!(found(&code).contains(&(before.len() + 4, Entry::Time, Use::Called)));
    }

    #[test]
    fn any_bytes_are_searched(code in proptest::collection::vec(prop_oneof![
        Just(0x48), Just(0x49), Just(0xc7), Just(0xc0), Just(0), Just(4), Just(0x60), Just(0xff), any::<u8>(),
    ], 0..300)) {
        for site in sites(&code) {
            prop_assert!(site.offset + site.bytes() <= code.len());
        }
    }
}
