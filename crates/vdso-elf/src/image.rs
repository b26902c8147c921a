//! The image: what the other modules found, behind one type.

use vdso_arch::{ByteOrder, Class};

use crate::abi::{self, Machine, PT_DYNAMIC, PT_LOAD};
use crate::dynamic::Tables;
use crate::error::{Error, Table};
use crate::hash::HashKind;
use crate::header::{self, Header, Segment, Segments};
use crate::load::Load;
use crate::lookup;
use crate::note::{Note, Notes};
use crate::reader::{Format, Reader, element};
use crate::section;
use crate::symbol::{self, RawSymbol, Symbol, Symbols};
use crate::version::VersionDefinitions;

/// A vDSO image. Holding one proves that the bytes begin with an ELF header of a shared object, that
/// its program headers and dynamic table are inside the bytes, that the string table and the hash
/// tables are, too, and that every other table begins there. Everything else is checked when it is
/// asked for, and [`problems`](Self::problems) asks for all of it.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    reader: Reader<'a>,
    header: Header<'a>,
    load: Load,
    tables: Tables<'a>,
}

impl<'a> Image<'a> {
    /// Reads the headers and the dynamic table. Bytes after the image's end do no harm.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let reader = header::identify(bytes)?;
        match reader.native() {
            Some(native) => Self::parse_by(native),
            None => Self::parse_by(reader),
        }
    }

    #[inline]
    fn parse_by(reader: Reader<'a, impl Format>) -> Result<Self, Error> {
        let header = Header::read(reader)?;
        let load = header.segments.first(reader, PT_LOAD).ok_or(Error::NoLoadSegment)?;
        let dynamic = header.segments.first(reader, PT_DYNAMIC).ok_or(Error::NoDynamicSegment)?;
        let load = Load::new(reader, load);
        let tables = Tables::parse(reader, header.machine, &load, &dynamic)?;
        Ok(Self { reader: reader.stated(), header, load, tables })
    }

    /// All the bytes that were given.
    pub fn bytes(&self) -> &'a [u8] {
        self.reader.bytes
    }

    /// Whether addresses have 32 or 64 bits.
    pub fn class(&self) -> Class {
        self.reader.class()
    }

    /// The order of an integer's bytes.
    pub fn byte_order(&self) -> ByteOrder {
        self.reader.format.byte_order
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
        self.load.segment
    }

    /// All program headers.
    pub fn segments(&self) -> Segments<'a> {
        self.header.segments
    }

    /// The offset into the bytes of an address in the image's own address space: in memory, the
    /// distance from where the ELF header is mapped (`AT_SYSINFO_EHDR`). `None` for addresses
    /// outside the image.
    pub fn file_offset(&self, vaddr: u64) -> Option<usize> {
        self.load.offset(vaddr)
    }

    /// `DT_SONAME`, if it is there and readable.
    pub fn soname(&self) -> Option<&'a str> {
        self.tables.strings.get(self.tables.soname?).ok()
    }

    /// The versions that the image defines, the one that names the image itself included.
    pub fn versions(&self) -> VersionDefinitions<'a> {
        let at = self.tables.version_definitions;
        VersionDefinitions::new(self.reader, self.tables.strings, at)
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
    /// an undefined one, nor one that is not wholly inside the image. Where the image has no versions,
    /// or lacks the table of their definitions, the version is not looked at, as in the kernel's
    /// `parse_vdso.c` and in musl. The time that it takes is bounded by the image's length.
    #[inline]
    pub fn lookup(&self, name: &str, version: Option<&str>) -> Option<Symbol<'a>> {
        let kinds = [HashKind::Gnu, HashKind::SystemV];
        let kind = kinds.into_iter().find(|&kind| self.has_hash_table(kind));
        lookup::by(self, kind, name, version)
    }

    /// As [`lookup`](Self::lookup), but by this hash table alone; `None` also where there is none.
    pub fn lookup_by(
        &self,
        kind: HashKind,
        name: &str,
        version: Option<&str>,
    ) -> Option<Symbol<'a>> {
        lookup::by(self, Some(kind), name, version)
    }

    /// Whether the dynamic table names this hash table.
    pub fn has_hash_table(&self, kind: HashKind) -> bool {
        match kind {
            HashKind::Gnu => self.tables.gnu_hash.is_some(),
            HashKind::SystemV => self.tables.system_v_hash.is_some(),
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

    /// Everything that is wrong with the image although it can be used: a table of versions without
    /// the other, or a segment, symbol, version, or note that cannot be read.
    pub fn problems(&self) -> impl Iterator<Item = Error> + use<'a> {
        let there = self.load.bytes() as u64;
        let expected_bytes = self.load.segment.file_bytes;
        let load = (there < expected_bytes)
            .then_some(Error::LoadSegmentTruncated { expected_bytes, bytes: there });
        let soname = self.tables.soname.and_then(|at| self.tables.strings.get(at).err());
        let versions = self.tables.missing_version_table.map(Error::NoTable);
        load.into_iter()
            .chain(soname)
            .chain(versions)
            .chain(self.versions().filter_map(Result::err))
            .chain(self.symbols().filter_map(Result::err))
            .chain(self.notes().filter_map(Result::err))
    }

    pub(crate) fn reader(&self) -> Reader<'a> {
        self.reader
    }

    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    pub(crate) fn tables(&self) -> &Tables<'a> {
        &self.tables
    }

    /// Symbol `index`, whatever it is.
    pub(crate) fn symbol(&self, index: u32) -> Result<Symbol<'a>, Error> {
        let (reader, strings) = (self.reader, self.tables.strings);
        let raw = RawSymbol::place(reader, self.tables.symbols, index)
            .and_then(|at| RawSymbol::read(reader, at))
            .ok_or(Error::TableTruncated(Table::Symbols))?;
        let name = strings.get(u64::from(raw.name))?;
        if raw.section_index == abi::SHN_UNDEF {
            return Ok(raw.named(name, None, None));
        }
        let file_offset = self.load.offset_of(raw.value, raw.size);
        if file_offset.is_none() && raw.section_index != abi::SHN_ABS {
            return Err(Error::SymbolOutside { vaddr: raw.value, bytes: raw.size });
        }
        let version = match self.tables.versions {
            None => None,
            Some(versions) => versions.name_of(reader, strings, index)?,
        };
        Ok(raw.named(name, version, file_offset))
    }

    pub(crate) fn symbol_count(&self) -> Result<u32, Error> {
        let count = if let Some(table) = self.tables.system_v_hash {
            table.symbol_count()
        } else if let Some(table) = self.tables.gnu_hash {
            table.symbol_count(self.reader).ok_or(Error::TableTruncated(Table::GnuHash))?
        } else {
            section::symbol_count(self.reader, &self.header).ok_or(Error::UnknownSymbolCount)?
        };
        let end = element(self.tables.symbols, count, symbol::entry_bytes(self.reader.class()));
        match end {
            Some(end) if end <= self.reader.bytes.len() => Ok(count),
            _ => Err(Error::TableTruncated(Table::Symbols)),
        }
    }

    fn note(&self, owner: &str, kind: u32) -> Option<Note<'a>> {
        self.notes().flatten().find(|note| note.owner == owner && note.kind == kind)
    }
}
