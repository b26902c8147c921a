//! What the reader under test says, in the words that `object` can say, too.

use vdso_elf::abi::Machine;
use vdso_elf::{Class, Error, HashKind, Image};

use super::by_object::{Answers, Found, Note, QUESTIONS, Row, Segment};

/// Everything about an image.
pub fn ask(image: &Image<'_>) -> Answers {
    let bytes = image.bytes();
    // The class decides where the entry has its `st_info`, which we do not give as it stands.
    let info_offset = match image.class() {
        Class::Elf32 => 12,
        Class::Elf64 => 4,
    };
    let symbols = image.symbols().map(|symbol| {
        symbol.map(|symbol| Row {
            name: symbol.name.to_owned(),
            value: symbol.value,
            size: symbol.size,
            info: bytes[symbol.entry_offset + info_offset],
            section_index: symbol.section_index,
            version: symbol.version.map(str::to_owned),
        })
    });
    let notes = image.notes().map(|note| {
        let note = note.map_err(|_| ())?;
        Ok(Note(note.owner.to_owned(), note.kind, note.description.to_vec()))
    });
    let segments = image.segments().map(|segment| Segment {
        kind: segment.kind,
        flags: segment.flags,
        file_offset: segment.file_offset,
        vaddr: segment.vaddr,
        file_bytes: segment.file_bytes,
        memory_bytes: segment.memory_bytes,
        align: segment.align,
    });
    Answers {
        machine: image.machine().0,
        entry: image.entry(),
        segments: segments.collect(),
        soname: image.soname().map(str::to_owned),
        notes: notes.collect(),
        symbols: match symbols.collect::<Vec<_>>() {
            // Without a count there is no list.
            list if list == [Err(Error::UnknownSymbolCount)] => Vec::new(),
            list => list,
        },
    }
}

/// Whether the words of `DT_HASH` have 64 bits.
pub fn has_wide_hash_words(image: &Image<'_>) -> bool {
    image.class() == Class::Elf64 && matches!(image.machine(), Machine::S390 | Machine::ALPHA)
}

/// The answers to [`QUESTIONS`] by `DT_GNU_HASH`, and by `DT_HASH` if it is wanted.
pub fn look_up(image: &Image<'_>, by_system_v: bool) -> Vec<Found> {
    let mut all = Vec::new();
    for kind in [HashKind::Gnu, HashKind::SystemV] {
        let is_wanted = kind == HashKind::Gnu || by_system_v;
        for (name, version) in QUESTIONS.into_iter().filter(|_| is_wanted) {
            let symbol = image.lookup_by(kind, name, version);
            all.push(Found { name, version, value: symbol.map(|symbol| symbol.value) });
        }
    }
    all
}
