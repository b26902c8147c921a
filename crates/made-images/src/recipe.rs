//! What to make.

use crate::writer::{ByteOrder, Class};

/// `e_machine` of x86-64.
const EM_X86_64: u16 = 62;
/// `e_machine` of s390 and of Alpha, whose 64-bit images may have `DT_HASH` words of 64 bits.
const EM_S390: u16 = 22;
const EM_ALPHA: u16 = 0x9026;

/// What to make. [`Recipe::new`] has every part but section headers; the fields take parts away.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// How wide addresses are.
    pub class: Class,
    /// The order of an integer's bytes.
    pub byte_order: ByteOrder,
    /// `e_machine`.
    pub machine: u16,
    /// `p_vaddr` of the segment that is mapped.
    pub link_base: u64,
    /// Which hash tables there are.
    pub hash_tables: HashTables,
    /// Whether there are section headers.
    pub sections: Sections,
    /// Which tables of versions there are.
    pub versions: Versions,
    /// `DT_SONAME`.
    pub soname: &'static str,
    /// The dynamic symbols, less the empty one; the order in the image is by hash.
    pub symbols: Vec<Symbol>,
    /// The code that symbols name, each of up to 64 bytes. Each begins 64 bytes behind the one before.
    pub code: Vec<&'static [u8]>,
    /// The notes, each in the segment whose number it has.
    pub notes: Vec<Note>,
    /// A shorter image is filled up with zeros to this length.
    pub least_bytes: usize,
}

/// Which hash tables an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashTables {
    /// None.
    None,
    /// `DT_HASH`.
    SystemV,
    /// `DT_GNU_HASH`.
    Gnu,
    /// Both.
    Both,
}

impl HashTables {
    /// All combinations.
    pub const ALL: [Self; 4] = [Self::None, Self::SystemV, Self::Gnu, Self::Both];

    /// Whether `DT_HASH` is one of them.
    pub fn has_system_v(self) -> bool {
        matches!(self, Self::SystemV | Self::Both)
    }

    /// Whether `DT_GNU_HASH` is one of them.
    pub fn has_gnu(self) -> bool {
        matches!(self, Self::Gnu | Self::Both)
    }
}

/// Whether an image has section headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sections {
    /// It has none.
    None,
    /// It has one for each table.
    All,
}

/// Which tables of versions an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// `DT_VERSYM` and `DT_VERDEF`.
    Both,
    /// `DT_VERSYM` alone: symbols have version numbers that nothing defines.
    WithoutDefinitions,
    /// Neither.
    None,
}

impl Versions {
    /// All combinations.
    pub const ALL: [Self; 3] = [Self::Both, Self::WithoutDefinitions, Self::None];
}

/// A dynamic symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name.
    pub name: &'static str,
    /// The version under which it is exported.
    pub version: Option<&'static str>,
    /// Who may refer to it.
    pub binding: Binding,
    /// What it names.
    pub kind: Kind,
    /// Where that is.
    pub place: Place,
}

impl Symbol {
    /// A function that everybody finds, under no version.
    pub fn function(name: &'static str, place: Place) -> Self {
        Self { name, version: None, binding: Binding::Global, kind: Kind::Function, place }
    }
}

/// `STB_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Visible only inside the image.
    Local = 0,
    /// Visible.
    Global = 1,
    /// Visible, and the weaker of two.
    Weak = 2,
}

/// `STT_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing in particular.
    Untyped = 0,
    /// Data.
    Object = 1,
    /// Code.
    Function = 2,
}

/// What a symbol's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The address of 16-byte piece `0`, `1`, … of the image's content.
    Piece(u32),
    /// A number.
    Absolute(u64),
    /// Nothing: the image refers to somebody else's symbol.
    Undefined,
    /// A piece, but only those find it that ask for its version.
    HiddenPiece(u32),
    /// Code of the recipe's.
    Code {
        /// Which, from 0.
        number: usize,
        /// Added to its address: Thumb code of 32-bit ARM has 1, and a broken symbol anything.
        displacement: u64,
    },
}

/// A note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whose it is.
    pub owner: &'static str,
    /// Its type.
    pub kind: u32,
    /// What it says.
    pub says: Says,
    /// Which `PT_NOTE` it is in, from 0.
    pub segment: usize,
}

/// A note's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Bytes as they are.
    Bytes(&'static [u8]),
    /// A 32-bit number in the image's byte order.
    Number(u32),
}

/// What every [`Recipe::new`] exports: functions with an alias, untyped code, data, one name under
/// two versions, the versions' own names; and what nobody is to find.
const SYMBOLS: [Symbol; 11] = {
    use Binding::{Global, Local, Weak};
    use Kind::{Function, Object, Untyped};
    use Place::{Absolute, HiddenPiece, Piece, Undefined};
    const fn symbol(
        name: &'static str,
        version: Option<&'static str>,
        binding: Binding,
        kind: Kind,
        place: Place,
    ) -> Symbol {
        Symbol { name, version, binding, kind, place }
    }
    const NEW: Option<&str> = Some("LINUX_2.6");
    const OLD: Option<&str> = Some("LINUX_2.5");
    [
        symbol("local_helper", None, Local, Function, Piece(0)),
        symbol("somebody_elses", None, Global, Function, Undefined),
        symbol("__vdso_clock_gettime", NEW, Global, Function, Piece(1)),
        symbol("clock_gettime", NEW, Weak, Function, Piece(1)),
        symbol("__vdso_time", NEW, Global, Function, Piece(2)),
        symbol("__kernel_sigreturn", OLD, Global, Untyped, Piece(3)),
        symbol("__vdso_data", NEW, Global, Object, Piece(4)),
        symbol("__vdso_getcpu", NEW, Global, Function, Piece(5)),
        symbol("__vdso_getcpu", OLD, Global, Function, HiddenPiece(6)),
        symbol("LINUX_2.6", NEW, Global, Object, Absolute(0)),
        symbol("LINUX_2.5", OLD, Global, Object, Absolute(0)),
    ]
};

/// The kernel version that every image promises: 6.12.1.
const VERSION_CODE: u32 = 0x0006_0c01;

/// What every [`Recipe::new`] says: two notes in one segment, one in another.
const NOTES: [Note; 3] = [
    Note { owner: "Linux", kind: 0, says: Says::Number(VERSION_CODE), segment: 0 },
    Note { owner: "GNU", kind: 3, says: Says::Bytes(b"\x01\x02\x03\x04\x05\x06\x07"), segment: 0 },
    Note { owner: "made", kind: 7, says: Says::Bytes(b""), segment: 1 },
];

impl Recipe {
    /// Everything but section headers; for x86-64, whatever the class and the byte order.
    pub fn new(class: Class, byte_order: ByteOrder) -> Self {
        Self {
            class,
            byte_order,
            machine: EM_X86_64,
            link_base: 0,
            hash_tables: HashTables::Both,
            sections: Sections::None,
            versions: Versions::Both,
            soname: "linux-made.so.1",
            symbols: SYMBOLS.to_vec(),
            code: Vec::new(),
            notes: NOTES.to_vec(),
            least_bytes: 0,
        }
    }

    /// Every combination of what a recipe can choose.
    pub fn all() -> Vec<Self> {
        let mut recipes = Vec::new();
        for class in Class::ALL {
            for byte_order in ByteOrder::ALL {
                for machine in [EM_X86_64, EM_S390, EM_ALPHA] {
                    for link_base in [0, 0x1_0000] {
                        let plain = Self::new(class, byte_order);
                        let plain = Self { machine, link_base, ..plain };
                        recipes.extend(plain.with_every_set_of_tables());
                    }
                }
            }
        }
        recipes
    }

    /// This recipe with every combination of hash tables, versions, and section headers.
    pub fn with_every_set_of_tables(&self) -> Vec<Self> {
        let mut recipes = Vec::new();
        for hash_tables in HashTables::ALL {
            for versions in Versions::ALL {
                for sections in [Sections::None, Sections::All] {
                    recipes.push(Self { hash_tables, versions, sections, ..self.clone() });
                }
            }
        }
        recipes
    }

    /// Size of a word of `DT_HASH`.
    pub(crate) fn hash_word_bytes(&self) -> usize {
        match (self.class, self.machine) {
            (Class::Elf64, EM_S390 | EM_ALPHA) => 8,
            _ => 4,
        }
    }

    /// The versions' names in the order of their numbers, which begin with 2.
    pub fn version_names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.symbols.iter().filter_map(|symbol| symbol.version).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
