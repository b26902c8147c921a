//! Pages captured from real kernels (`captured/README.md`): each is recognised by its kernel's types,
//! and holds the time that its kernel said.

use vdso_data::linux::{
    LINUX_5_9, LINUX_5_9_ARM64, LINUX_6_10, LINUX_6_15, LINUX_6_15_ARM64, Layout,
};
use vdso_data::{PAGE_BYTES, clock};

use super::btf::Btf;
use super::btf::writer::{Member, Writer};
use super::sample::by_page;
use super::*;

const KIND_INT: u32 = 1;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;

/// Every page, and the layout that it is to be recognised by.
const PAGES: &[(&str, Layout)] = &[
    (include_str!("captured/amd64-6.1.txt"), LINUX_5_9),
    (include_str!("captured/amd64-6.12.txt"), LINUX_6_10),
    (include_str!("captured/amd64-7.2.txt"), LINUX_6_15),
    (include_str!("captured/amd64-7.3.txt"), LINUX_6_15),
    (include_str!("captured/arm64-6.1.txt"), LINUX_5_9_ARM64),
    (include_str!("captured/arm64-6.12.txt"), LINUX_5_9_ARM64),
    (include_str!("captured/arm64-7.2.txt"), LINUX_6_15_ARM64),
    (include_str!("captured/arm64-7.3.txt"), LINUX_6_15_ARM64),
];

/// A file, taken apart.
#[derive(Clone)]
struct Captured {
    release: String,
    structures: Vec<Described>,
    cycles: u64,
    /// Id, and ns before and after.
    clocks: Vec<(u32, i128, i128)>,
    page: Box<Page>,
}

/// A structure's name, size, and members with their offsets.
#[derive(Clone)]
struct Described {
    name: String,
    bytes: u32,
    members: Vec<(String, usize)>,
}

#[derive(Clone)]
#[repr(align(4096))]
struct Page([u64; PAGE_BYTES / 8]);

impl Captured {
    fn read(text: &str) -> Self {
        let mut captured = Self {
            release: String::new(),
            structures: Vec::new(),
            cycles: 0,
            clocks: Vec::new(),
            page: Box::new(Page([0; PAGE_BYTES / 8])),
        };
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            captured.add(words[0], &words[1..]);
        }
        captured
    }

    fn add(&mut self, kind: &str, words: &[&str]) {
        match (kind, words) {
            ("release", [release]) => self.release = (*release).to_owned(),
            ("struct", [name, bytes]) => self.structures.push(Described {
                name: (*name).to_owned(),
                bytes: bytes.parse().unwrap(),
                members: Vec::new(),
            }),
            ("member", [name, member, offset]) => {
                let structure = self.structures.iter_mut().find(|it| it.name == *name).unwrap();
                structure.members.push(((*member).to_owned(), offset.parse().unwrap()));
            }
            ("counter", [cycles]) => self.cycles = cycles.parse().unwrap(),
            ("clock", [id, before, after]) => {
                let ns = |text: &str| text.parse().unwrap();
                self.clocks.push((id.parse().unwrap(), ns(before), ns(after)));
            }
            ("words", [at, words @ ..]) => {
                let at = usize::from_str_radix(at.trim_start_matches("0x"), 16).unwrap();
                for (index, word) in words.iter().enumerate() {
                    self.page.0[at / 8 + index] = u64::from_str_radix(word, 16).unwrap();
                }
            }
            _ => panic!("a line that says nothing: {kind} {words:?}"),
        }
    }

    /// As the kernel has them, as far as they were captured.
    fn types(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        let int = writer.add("unsigned int", KIND_INT, 0, 4, &[32]);
        let array = writer.add("", KIND_ARRAY, 0, 0, &[int, int, 2]);
        for structure in &self.structures {
            let members: Vec<Member<'_>> =
                structure.members.iter().map(|(name, at)| (name.as_str(), array, *at)).collect();
            writer.structure(&structure.name, KIND_STRUCT, structure.bytes, &members);
        }
        writer.finish()
    }

    fn recognise(&self) -> Result<KernelPage, PageError> {
        let start = self.page.0.as_ptr().addr() as u64;
        let vvar = Mapping { start, end: start + PAGE_BYTES as u64 };
        KernelPage::recognise(vvar.end, vvar, &layout::known(Btf::parse(&self.types()).as_ref())?)
    }

    /// Why it is not.
    fn refusal(&self) -> String {
        self.recognise().expect_err(&self.release).to_string()
    }

    /// The structure that a clock is.
    fn clock(&mut self) -> &mut Described {
        let is_it = |it: &&mut Described| it.members.iter().any(|(name, _)| name == "seq");
        self.structures.iter_mut().find(is_it).unwrap()
    }

    /// A word of the page, as a broken one has it.
    fn set(&mut self, at: usize, value: u32) {
        let shift = at % 8 * 8;
        let word = &mut self.page.0[at / 8];
        *word = *word & !(0xffff_ffff << shift) | u64::from(value) << shift;
    }
}

fn all() -> impl Iterator<Item = (Captured, Layout)> {
    PAGES.iter().map(|&(text, layout)| (Captured::read(text), layout))
}

#[test]
fn each_is_recognised_by_its_types() {
    for (captured, layout) in all() {
        let page = captured.recognise().expect(&captured.release);
        assert_eq!(*page.layout(), layout, "{}", captured.release);
    }
}

#[test]
fn each_holds_the_time_that_its_kernel_said() {
    for (captured, _) in all() {
        let page = captured.recognise().unwrap();
        let sample = by_page(&page, || captured.cycles).unwrap();
        assert_eq!(captured.clocks.len(), clock::HIGH_RESOLUTION_IDS.len());
        for &(id, before, after) in &captured.clocks {
            let now = sample.fixed[id as usize] >> 32;
            let release = &captured.release;
            assert!(
                (before..=after).contains(&now),
                "{release}, clock {id}: {before} {now} {after}"
            );
        }
    }
}

#[test]
fn one_without_a_member_is_refused_by_its_name() {
    for (captured, _) in all() {
        for lost in ["seq", "clock_mode", "cycle_last", "mult", "shift", "basetime"] {
            let mut captured = captured.clone();
            let clock = captured.clock();
            let name = clock.name.clone();
            clock.members.retain(|(member, _)| member != lost);
            if clock.members.iter().all(|(member, _)| member != lost) {
                let reason = captured.refusal();
                assert!(reason.ends_with(&format!("struct {name} has no {lost}")), "{reason}");
            }
        }
    }
}

#[test]
fn one_of_another_size_is_not_known() {
    for (mut captured, _) in all() {
        captured.clock().bytes += 8;
        let expected = format!("not known here: clocks of {:#x} bytes", captured.clock().bytes);
        let reason = captured.refusal();
        assert!(reason.contains(&expected), "{reason}");
    }
}

#[test]
fn one_with_a_member_elsewhere_is_not_known() {
    for (captured, _) in all() {
        for moved in
            [&["seq", "clock_mode"][..], &["cycle_last"], &["mult", "shift"], &["basetime"]]
        {
            let mut captured = captured.clone();
            let members = captured.clock().members.iter_mut();
            members
                .filter(|(name, _)| moved.contains(&name.as_str()))
                .for_each(|(_, at)| *at += 16);
            let reason = captured.refusal();
            assert!(reason.contains("a layout that is not known here"), "{moved:?}: {reason}");
        }
    }
}

#[test]
fn one_without_a_structure_is_refused_by_its_name() {
    for (captured, _) in all() {
        for lost in 0..captured.structures.len() {
            let mut captured = captured.clone();
            let name = captured.structures.remove(lost).name;
            let reason = captured.refusal();
            assert!(reason.contains(&format!("there is no struct {name}")) || name == "vdso_data");
            assert!(reason.contains("there is no struct vdso_"), "{reason}");
        }
    }
}

#[test]
fn one_in_another_mode_is_refused_by_it() {
    for (mut captured, layout) in all() {
        for (mode, expected) in [
            (0, "does not use the counter as its clocksource (clock mode 0)"),
            (2, "(clock mode 2)"),
            (9, "(clock mode 9)"),
            (i32::MAX as u32, "in a time namespace"),
        ] {
            captured.set(layout.hres + layout.seq + 4, mode);
            let reason = captured.refusal();
            assert!(reason.contains(expected), "{}: {reason}", captured.release);
        }
    }
}

#[test]
fn one_whose_words_are_no_clock_is_refused() {
    for (captured, layout) in all() {
        for at in [layout.hres + layout.mult, layout.raw + layout.mult + 4] {
            let mut captured = captured.clone();
            captured.set(at, 0);
            let reason = captured.refusal();
            assert!(reason.contains("does not hold a clock"), "{}: {reason}", captured.release);
        }
    }
}

/// Before 6.15, types do not tell where the clocks begin. A page that has some at two of the places is
/// not read at either.
#[test]
fn one_with_clocks_at_two_places_is_refused() {
    let mut captured = Captured::read(PAGES[0].0);
    let elsewhere = LINUX_5_9_ARM64;
    for (clock, mult) in [(elsewhere.hres, elsewhere.mult), (elsewhere.raw, elsewhere.mult)] {
        captured.set(clock + mult, 1 << 23);
        captured.set(clock + mult + 4, 24);
    }
    captured.set(elsewhere.hres + 4, 1);
    // Where the second clock of one is in the midst of the other's first.
    let reason = captured.refusal();
    assert!(reason.contains("more than one place"), "{reason}");
}
