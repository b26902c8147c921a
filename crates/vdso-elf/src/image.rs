//! The image: what the other modules found, behind one type.

use crate::abi::{self, Machine, PT_DYNAMIC, PT_LOAD};
use crate::dynamic::{self, Dynamic};
use crate::error::{Error, Table};
use crate::hash::{GnuHash, HashKind, SystemVHash};
use crate::header::{Header, Segment, Segments};
use crate::note::{Note, Notes};
use crate::reader::{ByteOrder, Class, Reader, element};
use crate::section;
use crate::symbol::{self, Binding, RawSymbol, Symbol, Symbols};
use crate::version::{self, VersionDefinitions};

/// A vDSO image. Holding one proves that the bytes begin with an ELF header of a shared object, that
/// its program headers and dynamic table are inside the bytes, and that the string table is, too.
/// Everything else is checked when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    reader: Reader<'a>,
    header: Header<'a>,
    load: Segment,
    dynamic: Dynamic<'a>,
}

impl<'a> Image<'a> {
    /// Reads the headers and the dynamic table. Bytes after the image's end do no harm.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let (reader, header) = Header::parse(bytes)?;
        let first = |kind| header.segments.into_iter().find(|segment| segment.kind == kind);
        let load = first(PT_LOAD).ok_or(Error::NoLoadSegment)?;
        let dynamic = first(PT_DYNAMIC).ok_or(Error::NoDynamicSegment)?;
        let dynamic = Dynamic::parse(reader, &load, &dynamic)?;
        Ok(Self { reader, header, load, dynamic })
    }

    /// All the bytes that were given.
    pub fn bytes(&self) -> &'a [u8] {
        self.reader.bytes
    }

    /// Whether addresses have 32 or 64 bits.
    pub fn class(&self) -> Class {
        self.reader.class
    }

    /// The order of an integer's bytes.
    pub fn byte_order(&self) -> ByteOrder {
        self.reader.byte_order
    }

    /// Which architecture the image is for.
    pub fn machine(&self) -> Machine {
        self.header.machine
    }

    /// `e_entry`, an address in the image's own address space; zero in most of Linux's images.
    pub fn entry(&self) -> u64 {
        self.header.entry_vaddr
    }

    /// The first `PT_LOAD`, which is all that is mapped of an image.
    pub fn load_segment(&self) -> Segment {
        self.load
    }

    /// All program headers.
    pub fn segments(&self) -> Segments<'a> {
        self.header.segments
    }

    /// The offset into the bytes of an address in the image's own address space: in memory, the
    /// distance from where the ELF header is mapped (`AT_SYSINFO_EHDR`). `None` for addresses
    /// outside the image.
    pub fn file_offset(&self, vaddr: u64) -> Option<usize> {
        dynamic::file_offset(self.reader, &self.load, vaddr)
    }

    /// `DT_SONAME`, if it is there and readable.
    pub fn soname(&self) -> Option<&'a str> {
        self.dynamic.strings.get(self.dynamic.soname?).ok()
    }

    /// The versions that the image defines, the one that names the image itself included.
    pub fn versions(&self) -> VersionDefinitions<'a> {
        let at = self.dynamic.version_definitions;
        VersionDefinitions::new(self.reader, self.dynamic.strings, at)
    }

    /// The dynamic symbols, without the empty one that begins every table.
    ///
    /// A symbol whose name or version cannot be read is an error, and the next one follows it. How
    /// many there are is taken from `DT_HASH`, else `DT_GNU_HASH`, else the section headers.
    pub fn symbols(&self) -> Symbols<'a> {
        Symbols::new(*self, self.symbol_count())
    }

    /// The symbol that a program finds by this name, and this version if it asks for one.
    ///
    /// Found by `DT_GNU_HASH`, else by `DT_HASH`, else by a look at all symbols. Never a local or
    /// an undefined one, nor one with an address outside the image. Where the image has no versions
    /// at all, the version is not looked at, as in the kernel's `parse_vdso.c` and in musl.
    pub fn lookup(&self, name: &str, version: Option<&str>) -> Option<Symbol<'a>> {
        if self.has_hash_table(HashKind::Gnu) {
            self.lookup_by(HashKind::Gnu, name, version)
        } else if self.has_hash_table(HashKind::SystemV) {
            self.lookup_by(HashKind::SystemV, name, version)
        } else {
            let count = self.symbol_count().ok()?;
            (1..count).find_map(|index| self.answer(index, name, version))
        }
    }

    /// As [`lookup`](Self::lookup), but by this hash table alone; `None` also where there is none.
    pub fn lookup_by(
        &self,
        kind: HashKind,
        name: &str,
        version: Option<&str>,
    ) -> Option<Symbol<'a>> {
        let accept = |index| self.answer(index, name, version);
        match kind {
            HashKind::Gnu => self.gnu_hash()?.find(name, accept),
            HashKind::SystemV => self.system_v_hash()?.find(name, accept),
        }
    }

    /// Whether the dynamic table names this hash table.
    pub fn has_hash_table(&self, kind: HashKind) -> bool {
        match kind {
            HashKind::Gnu => self.dynamic.gnu_hash.is_some(),
            HashKind::SystemV => self.dynamic.system_v_hash.is_some(),
        }
    }

    /// The notes of all `PT_NOTE` segments.
    pub fn notes(&self) -> Notes<'a> {
        Notes::new(self.reader, self.header.segments)
    }

    /// The build-id, by which a debugger finds the debug file.
    pub fn build_id(&self) -> Option<&'a [u8]> {
        self.note(abi::NOTE_OWNER_GNU, abi::NT_GNU_BUILD_ID).map(|note| note.description)
    }

    /// The kernel version that the image promises, as `LINUX_VERSION_CODE` is made
    /// (`major << 16 | minor << 8 | patch`), and where in the file it stands: four bytes in the
    /// image's byte order.
    pub fn linux_version(&self) -> Option<(u32, usize)> {
        let note = self.note(abi::NOTE_OWNER_LINUX, abi::NT_LINUX_VERSION)?;
        if note.description.len() < size_of::<u32>() {
            return None;
        }
        Some((self.reader.u32(note.description_offset)?, note.description_offset))
    }

    /// Symbol `index`, whatever it is.
    pub(crate) fn symbol(&self, index: u32) -> Result<Symbol<'a>, Error> {
        let raw = self.raw_symbol(index).ok_or(Error::TableTruncated(Table::Symbols))?;
        let name = self.dynamic.strings.get(u64::from(raw.name))?;
        let version = if raw.section_index == abi::SHN_UNDEF { None } else { self.version(index)? };
        Ok(raw.named(name, version))
    }

    /// Symbol `index`, if it answers a question for this name and version.
    fn answer(&self, index: u32, name: &str, version: Option<&str>) -> Option<Symbol<'a>> {
        let raw = self.raw_symbol(index)?;
        if !self.dynamic.strings.is(raw.name, name)
            || raw.section_index == abi::SHN_UNDEF
            || raw.binding() == Binding::Local
            || (raw.section_index != abi::SHN_ABS && self.file_offset(raw.value).is_none())
        {
            return None;
        }
        let symbol = self.symbol(index).ok()?;
        let has_versions = self.dynamic.symbol_versions.is_some();
        (version.is_none() || !has_versions || symbol.version == version).then_some(symbol)
    }

    fn raw_symbol(&self, index: u32) -> Option<RawSymbol> {
        let at = element(self.dynamic.symbols, index, symbol::entry_bytes(self.reader.class))?;
        RawSymbol::read(self.reader, at)
    }

    fn version(&self, index: u32) -> Result<Option<&'a str>, Error> {
        version::of_symbol(self.reader, self.dynamic.symbol_versions, self.versions(), index)
    }

    fn symbol_count(&self) -> Result<u32, Error> {
        let count = if self.has_hash_table(HashKind::SystemV) {
            let table = self.system_v_hash().ok_or(Error::TableTruncated(Table::SystemVHash))?;
            table.symbol_count()
        } else if self.has_hash_table(HashKind::Gnu) {
            self.gnu_hash()
                .and_then(|table| table.symbol_count())
                .ok_or(Error::TableTruncated(Table::GnuHash))?
        } else {
            section::symbol_count(self.reader, &self.header).ok_or(Error::UnknownSymbolCount)?
        };
        let end = element(self.dynamic.symbols, count, symbol::entry_bytes(self.reader.class));
        match end {
            Some(end) if end <= self.reader.bytes.len() => Ok(count),
            _ => Err(Error::TableTruncated(Table::Symbols)),
        }
    }

    fn gnu_hash(&self) -> Option<GnuHash<'a>> {
        GnuHash::read(self.reader, self.dynamic.gnu_hash?)
    }

    fn system_v_hash(&self) -> Option<SystemVHash<'a>> {
        SystemVHash::read(self.reader, self.header.machine, self.dynamic.system_v_hash?)
    }

    fn note(&self, owner: &str, kind: u32) -> Option<Note<'a>> {
        self.notes().flatten().find(|note| note.owner == owner && note.kind == kind)
    }
}
