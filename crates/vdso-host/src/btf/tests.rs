//! Type information made by hand, whole and broken in every way.
//!
//! Whatever may end the process, as a stack that overflows does, is run in a process of its own: the
//! test calls itself again.

use std::process::Command;

use vdso_data::linux::{LAYOUTS, LINUX_6_15, Layout};

use super::super::layout::{self, Described, Undescribed};
use super::writer::Writer;
use super::*;

fn described(bytes: &[u8]) -> Result<Described, Undescribed> {
    layout::described(&Btf::parse(bytes).ok_or(Undescribed::NotTypes)?)
}

/// One type of each kind, which are to be passed over.
fn add_every_kind(writer: &mut Writer) {
    writer.add("int", KIND_INT, 0, 4, &[32]);
    writer.add("", 2, 0, 1, &[]);
    writer.add("", KIND_ARRAY, 0, 0, &[1, 1, 12]);
    writer.structure("other", KIND_STRUCT, 8, &[("first", 1, 0), ("seq", 1, 4)]);
    writer.structure("choice", KIND_UNION, 4, &[("one", 1, 0), ("two", 1, 0)]);
    writer.add("colour", KIND_ENUM, 2, 4, &[0, 0, 0, 1]);
    for kind in 7..=12 {
        writer.add("vdso_clock", kind, 0, 1, &[]);
    }
    writer.add("", KIND_FUNC_PROTO, 2, 1, &[0, 1, 0, 1]);
    writer.add("variable", KIND_VAR, 0, 1, &[0]);
    writer.add(".data", KIND_DATASEC, 1, 4, &[1, 0, 4]);
    writer.add("float", 16, 0, 8, &[]);
    writer.add("tag", KIND_DECL_TAG, 0, 1, &[0]);
    writer.add("tag", 18, 0, 1, &[]);
    writer.add("large", KIND_ENUM64, 1, 8, &[0, 1, 2]);
}

/// Where a made-up kernel has the members of `struct vdso_clock`.
#[derive(Clone, Copy)]
struct Places {
    seq: usize,
    clock_mode: usize,
    cycle_last: usize,
    mult: usize,
    shift: usize,
    basetime: usize,
    clock_bytes: u32,
    clock_data: usize,
}

/// Linux 6.18 on x86-64.
const LINUX_6_18: Places = Places {
    seq: 0,
    clock_mode: 4,
    cycle_last: 8,
    mult: 0x20,
    shift: 0x24,
    basetime: 0x28,
    clock_bytes: 0xe8,
    clock_data: 0,
};

/// As the kernel writes it: `basetime` and `offset` share a nameless union.
fn kernel(places: Places) -> Vec<u8> {
    let mut writer = Writer::new();
    add_every_kind(&mut writer);
    let in_union = [("basetime", 3, 0), ("offset", 3, 0)];
    let union_id = writer.structure("", KIND_UNION, 192, &in_union);
    let clock_id = writer.structure(
        "vdso_clock",
        KIND_STRUCT,
        places.clock_bytes,
        &[
            ("seq", 1, places.seq),
            ("clock_mode", 1, places.clock_mode),
            ("cycle_last", 1, places.cycle_last),
            ("max_cycles", 1, 0x10),
            ("mask", 1, 0x18),
            ("mult", 1, places.mult),
            ("shift", 1, places.shift),
            ("", union_id, places.basetime),
        ],
    );
    let array_id = writer.add("", KIND_ARRAY, 0, 0, &[clock_id, 1, 2]);
    let members = [("arch_data", 1, 0), ("clock_data", array_id, places.clock_data)];
    writer.structure("vdso_time_data", KIND_STRUCT, 4096, &members);
    writer.structure("vdso_clock_of_another_kind", KIND_STRUCT, 4, &[("seq", 1, 2)]);
    writer.finish()
}

fn placed(layout: Layout) -> Described {
    Described { layout, is_placed: true }
}

#[test]
fn a_kernel_is_described_as_it_is() {
    assert_eq!(described(&kernel(LINUX_6_18)), Ok(placed(LINUX_6_15)));
    let elsewhere = Places {
        seq: 0x10,
        clock_mode: 0x14,
        cycle_last: 0x20,
        mult: 0x30,
        shift: 0x34,
        basetime: 0x40,
        clock_bytes: 0x200,
        clock_data: 0x80,
    };
    let expected =
        Layout { hres: 0x80, raw: 0x280, seq: 0x10, cycle_last: 0x20, mult: 0x30, basetime: 0x40 };
    assert_eq!(described(&kernel(elsewhere)), Ok(placed(expected)));
}

/// A kernel of the future or of a distribution: any member elsewhere is another layout, and what is
/// not adjacent cannot be read at all.
#[test]
fn a_moved_member_is_not_a_known_layout() {
    let known = |places| {
        let described = described(&kernel(places));
        described.is_ok_and(|found| LAYOUTS.iter().any(|(_, it)| found.fits(it)))
    };
    assert!(known(LINUX_6_18));
    let moved = [
        Places { seq: 0x18, clock_mode: 0x1c, ..LINUX_6_18 },
        Places { cycle_last: 0x10, ..LINUX_6_18 },
        Places { mult: 0x1c, shift: 0x20, ..LINUX_6_18 },
        Places { basetime: 0x30, ..LINUX_6_18 },
        Places { clock_bytes: 0xf0, ..LINUX_6_18 },
        Places { clock_data: 8, ..LINUX_6_18 },
        Places { clock_mode: 0x18, ..LINUX_6_18 },
        Places { shift: 0x28, ..LINUX_6_18 },
    ];
    for (index, places) in moved.into_iter().enumerate() {
        assert!(!known(places), "moved in way {index}");
    }
    for (places, first, second) in [(moved[6], "seq", "clock_mode"), (moved[7], "mult", "shift")] {
        let apart = Undescribed::Apart { structure: "struct vdso_clock", first, second };
        assert_eq!(described(&kernel(places)), Err(apart));
    }
}

#[test]
fn a_missing_structure_or_member_is_named() {
    let whole = kernel(LINUX_6_18);
    let reasons = [
        ("vdso_clock", "there is no struct vdso_clock"),
        ("vdso_time_data", "there is no struct vdso_time_data, nor a struct vdso_data"),
        ("clock_data", "struct vdso_time_data has no clock_data"),
        ("seq", "struct vdso_clock has no seq"),
        ("basetime", "struct vdso_clock has no basetime"),
        ("shift", "struct vdso_clock has no shift"),
    ];
    for (name, reason) in reasons {
        let text = [&[0][..], name.as_bytes(), &[0]].concat();
        let at = whole.windows(text.len()).position(|window| window == text).unwrap();
        let mut renamed = whole.clone();
        renamed[at + 1] = b'X';
        assert_eq!(described(&renamed).unwrap_err().to_string(), reason);
    }
    assert_eq!(described(b"\x7fELF"), Err(Undescribed::NotTypes));
}

#[test]
fn a_structure_has_its_size_and_its_own_members() {
    let bytes = kernel(LINUX_6_18);
    let btf = Btf::parse(&bytes).unwrap();
    let clock = btf.structure("vdso_clock").unwrap();
    assert_eq!(clock.bytes(), 0xe8);
    assert_eq!(clock.offset("max_cycles"), Some(0x10));
    assert_eq!(clock.offset("offset"), Some(0x28), "the union's other member");
    for not_a_member in ["first", "mul", "multi", "vdso_clock", ""] {
        assert_eq!(clock.offset(not_a_member), None, "{not_a_member}");
    }
    assert_eq!(btf.structure("other").unwrap().offset("seq"), Some(4));
    // Its name is not a structure's, or nothing's.
    assert!(btf.structure("choice").is_none());
    assert!(btf.structure("vdso").is_none());
    assert!(btf.structure("").is_none());
}

/// Two nameless parts within each other.
#[test]
fn a_nameless_part_of_a_nameless_part_is_found() {
    let mut writer = Writer::new();
    writer.add("int", KIND_INT, 0, 4, &[32]);
    let inner = writer.structure("", KIND_STRUCT, 8, &[("a", 1, 0), ("b", 1, 4)]);
    let outer = writer.structure("", KIND_UNION, 8, &[("c", 1, 0), ("", inner, 0)]);
    writer.structure("whole", KIND_STRUCT, 24, &[("d", 1, 0), ("", outer, 16), ("", 1, 4)]);
    let bytes = writer.finish();
    let btf = Btf::parse(&bytes).unwrap();
    let whole = btf.structure("whole").unwrap();
    let offsets = ["a", "b", "c", "d"].map(|name| whole.offset(name));
    assert_eq!(offsets, [Some(16), Some(20), Some(16), Some(0)]);
}

/// A nameless member that is an enumeration has no members, although its values look like some.
#[test]
fn a_nameless_part_that_is_no_structure_is_passed_over() {
    let mut writer = Writer::new();
    let values = [writer.string("trap"), 0, 0, 0, 0, 0];
    let colour = writer.add("colour", KIND_ENUM, 3, 4, &values);
    writer.structure("whole", KIND_STRUCT, 8, &[("", colour, 0), ("member", colour, 4)]);
    let bytes = writer.finish();
    let btf = Btf::parse(&bytes).unwrap();
    let whole = btf.structure("whole").unwrap();
    assert_eq!((whole.offset("trap"), whole.offset("member")), (None, Some(4)));
}

/// In the form that the kernel uses where there are bit-fields, offsets have their width above.
#[test]
fn a_bit_fields_width_is_no_part_of_an_offset() {
    let mut writer = Writer::new();
    let name = writer.string("member");
    let (bits, kind_flag) = ((17 << 24) | (64 * 8), 1 << 31);
    let words = [writer.string("whole"), kind_flag | (KIND_STRUCT << 24) | 1, 80, name, 0, bits];
    words.iter().for_each(|word| writer.types.extend_from_slice(&word.to_ne_bytes()));
    let bytes = writer.finish();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.structure("whole").unwrap().offset("member"), Some(64));
}

/// Another byte order is another magic number; no header of a future format is taken for this one.
#[test]
fn what_is_not_btf_is_none() {
    let whole = kernel(LINUX_6_18);
    let with_word = |at: usize, word: u32| {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        bytes
    };
    assert!(Btf::parse(&with_word(0, MAGIC.swap_bytes())).is_none());
    assert!(Btf::parse(&with_word(4, HEADER_BYTES as u32 - 1)).is_none());
    for section in [8, 12, 16, 20] {
        for wrong in [u32::MAX, whole.len() as u32, i32::MAX as u32] {
            assert!(Btf::parse(&with_word(section, wrong)).is_none(), "{wrong} at {section}");
        }
    }
    assert!(Btf::parse(&with_word(4, u32::MAX)).is_none());
    assert!(Btf::parse(b"").is_none());
    assert!(Btf::parse(b"\x7fELF").is_none());
}

/// A longer header, as a later version may have.
#[test]
fn a_longer_header_is_passed_over() {
    let whole = kernel(LINUX_6_18);
    let mut longer = whole[..HEADER_BYTES].to_vec();
    longer[4..8].copy_from_slice(&(HEADER_BYTES as u32 + 8).to_ne_bytes());
    longer.extend([0xff; 8]);
    longer.extend(&whole[HEADER_BYTES..]);
    assert_eq!(described(&longer), Ok(placed(LINUX_6_15)));
}

/// What comes behind a type whose kind is from the future is found by its name, but not by its number.
#[test]
fn a_kind_from_the_future_ends_the_count() {
    let mut writer = Writer::new();
    writer.add("int", KIND_INT, 0, 4, &[32]);
    let before = writer.structure("", KIND_STRUCT, 4, &[("a", 1, 0)]);
    writer.add("new", 20, 0, 0, &[]);
    let behind = writer.structure("", KIND_STRUCT, 4, &[("b", 1, 0)]);
    writer.structure("whole", KIND_STRUCT, 8, &[("c", 1, 4), ("", before, 0)]);
    writer.structure("other", KIND_STRUCT, 8, &[("c", 1, 4), ("", behind, 0)]);
    let bytes = writer.finish();
    let btf = Btf::parse(&bytes).unwrap();
    let [whole, other] = ["whole", "other"].map(|name| btf.structure(name).unwrap());
    assert_eq!((whole.offset("a"), whole.offset("c")), (Some(0), Some(4)));
    assert_eq!((other.offset("b"), other.offset("c")), (None, Some(4)));
}

/// A member, a parameter or a value with the name of a structure is none.
#[test]
fn what_has_a_structures_name_and_is_none_is_passed_over() {
    let mut writer = Writer::new();
    writer.add("int", KIND_INT, 0, 4, &[32]);
    writer.structure("first", KIND_STRUCT, 4, &[("vdso_clock", 1, 0)]);
    let name = writer.string("vdso_clock");
    writer.add("", KIND_FUNC_PROTO, 2, 1, &[name, 1, name, 5]);
    writer.add("colour", KIND_ENUM, 1, 4, &[name, 1 << 23]);
    writer.structure("vdso_clock", KIND_UNION, 4, &[("one", 1, 0)]);
    writer.structure("vdso_clock", KIND_STRUCT, 12, &[("seq", 1, 8)]);
    let bytes = writer.finish();
    let btf = Btf::parse(&bytes).unwrap();
    let found = btf.structure("vdso_clock").unwrap();
    assert_eq!((found.bytes(), found.offset("seq")), (12, Some(8)));
}

/// Longer than what is read at a time, with everything at the places where two pieces meet.
#[test]
fn what_lies_across_pieces_is_found() {
    // Types of 16 bytes, and a string of 8: each place within a word comes to lie at a border.
    for shift in 0..20 {
        let mut writer = Writer::new();
        writer.string("int");
        writer.fill_strings(PIECE_BYTES - 40 + shift);
        for name in ["vdso_clock", "seq", "vdso_pages", "far"] {
            writer.string(name);
        }
        while writer.types.len() < PIECE_BYTES - 16 * (shift + 1) {
            writer.add("int", KIND_INT, 0, 4, &[32]);
        }
        let inner = writer.structure("", KIND_UNION, 8, &[("far", 1, 4)]);
        writer.structure("vdso_clock", KIND_STRUCT, 12, &[("seq", 1, 8), ("", inner, 16)]);
        writer.enumeration("vdso_pages", &[("seq", 7)]);
        let bytes = writer.finish();
        let btf = Btf::parse(&bytes).unwrap();
        let found = btf.structure("vdso_clock").unwrap();
        assert_eq!((found.offset("seq"), found.offset("far")), (Some(8), Some(20)), "{shift}");
        assert_eq!(btf.enumerator("vdso_pages", "seq"), Some(7), "{shift}");
        assert!(btf.structure("vdso_pages").is_none());
    }
}

/// Asks everything that can be asked.
fn exercise(bytes: &[u8]) {
    let _ = described(bytes);
    if let Some(btf) = Btf::parse(bytes) {
        for name in ["vdso_clock", "vdso_time_data", "other", "choice", ""] {
            if let Some(found) = btf.structure(name) {
                let members = ["basetime", "seq", "offset", "absent", ""];
                let _ = (found.bytes(), members.map(|member| found.offset(member)));
            }
        }
    }
}

#[test]
fn any_beginning_of_it_is_answered() {
    let whole = kernel(LINUX_6_18);
    for length in 0..whole.len() {
        exercise(&whole[..length]);
        // What the header promises is not all there.
        assert!(described(&whole[..length]).is_err());
        // The same with a header that knows.
        if let Some(strings) = length.checked_sub(HEADER_BYTES) {
            let mut cut = whole[..length].to_vec();
            cut[12..16].copy_from_slice(&(strings as u32 / 2).to_ne_bytes());
            cut[16..20].copy_from_slice(&(strings as u32 / 2).to_ne_bytes());
            cut[20..24].copy_from_slice(&(strings as u32 / 2).to_ne_bytes());
            exercise(&cut);
        }
    }
}

/// Runs the test of this name again, alone, with `part` to do.
fn in_a_process_of_its_own(test: &str, part: fn()) {
    const VARIABLE: &str = "VDSO_TEST_OF_ITS_OWN";
    let name = format!("btf::tests::{test}");
    if std::env::var_os(VARIABLE).is_some_and(|value| value == *name) {
        return part();
    }
    let executable = std::env::current_exe().expect("this test is a file");
    let mut command = Command::new(executable);
    command.args(["--exact", &name, "--nocapture"]).env(VARIABLE, &name);
    let output = command.output().expect("this test runs again");
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().filter(|line| line.contains("stack") || line.contains("panicked"));
    let said: Vec<_> = said.take(2).collect();
    assert!(output.status.success(), "{}: {}", output.status, said.join("; "));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "it ran {name}");
}

#[test]
fn any_mutation_of_it_is_answered() {
    in_a_process_of_its_own("any_mutation_of_it_is_answered", || {
        let whole = kernel(LINUX_6_18);
        let mut seed = 1u64;
        let mut random = |limit: usize| {
            // Knuth's MMIX; the upper bits are good.
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % limit
        };
        let words = [0, 1, 2, 20, 22, 0xff, 0xffff, i32::MAX as u32, u32::MAX];
        for _ in 0..20_000 {
            let mut mutated = whole.clone();
            for _ in 0..=random(4) {
                let at = random(whole.len());
                match random(4) {
                    0 => mutated[at] ^= 1 << random(8),
                    1 => mutated[at] = random(256) as u8,
                    _ => {
                        let at = at.min(whole.len() - 4) & !3;
                        let word = words[random(words.len())].wrapping_add(random(3) as u32);
                        mutated[at..at + 4].copy_from_slice(&word.to_ne_bytes());
                    }
                }
            }
            exercise(&mutated);
        }
    });
}

/// A structure that has itself as a nameless part, at once or by way of another.
#[test]
fn a_structure_within_itself_is_answered() {
    in_a_process_of_its_own("a_structure_within_itself_is_answered", || {
        let mut writer = Writer::new();
        writer.structure("vdso_clock", KIND_STRUCT, 8, &[("", 1, 0)]);
        writer.structure("vdso_time_data", KIND_STRUCT, 8, &[("", 3, 0)]);
        writer.structure("other", KIND_STRUCT, 8, &[("", 2, 0)]);
        exercise(&writer.finish());
    });
}

#[test]
fn the_running_kernel_is_described_as_it_is() {
    let btf = match Btf::open() {
        Ok(types) => types.expect("the kernel writes BTF"),
        Err(error) => {
            let reason = format!("cannot read {VMLINUX}: {error}");
            return test_support::skip(test_support::Lacking::Kernel, "btf", &reason);
        }
    };
    // In every kernel, and of a size that is known.
    assert_eq!(btf.structure("list_head").map(|list| list.bytes()), Some(2 * size_of::<usize>()));
    assert_eq!(btf.structure("list_head").unwrap().offset("prev"), Some(size_of::<usize>()));
    // As by its bytes.
    let bytes = std::fs::read(VMLINUX).unwrap();
    assert_eq!(layout::described(&btf), described(&bytes));
    let found = match layout::described(&btf) {
        Ok(found) => found,
        Err(error) => {
            let reason = format!("the running kernel's types describe no data page: {error}");
            return test_support::skip(test_support::Lacking::Kernel, "btf-layout", &reason);
        }
    };
    assert!(LAYOUTS.iter().any(|(_, known)| found.fits(known)), "{found:?}");
}
