//! What `vdso inspect` knows of a target: the model behind both of its outputs.
//!
//! With `--json` it is printed as it is here. Addresses are strings of hexadecimal digits, as numbers
//! beyond 2^53 are not safe in every reader of JSON; everything else is a number with its unit in its
//! name.

use serde::{Serialize, Serializer};
use vdso_elf::{Binding, ByteOrder, Class, HashKind, Image, Kind, Segment, Symbol, abi};
use vdso_vsyscall::code::{Site, Use, in_program};

use super::layout::{self, KernelLayout};
use super::users::{self, User};
use super::warnings;
use crate::subject::{FoundImage, Origin, Target, source_of};
use crate::system::maps::Mapping;

/// Goes up with every change that a reader of the JSON document could notice, other than new keys.
pub const SCHEMA_VERSION: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    pub schema_version: u32,
    pub target: TargetFacts,
    pub mappings: Vec<MappingFacts>,
    /// The one in use first.
    pub images: Vec<ImageFacts>,
    /// Of the running kernel; none where the target is not a running process.
    pub kernel_data_page: Option<KernelLayout>,
    /// Of a program's file that calls the legacy vsyscall page, or has its addresses: where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vsyscall: Vec<VsyscallFacts>,
    /// What is wrong with the target as a whole.
    pub warnings: Vec<String>,
}

/// An instruction with an address in the legacy vsyscall page.
#[derive(Clone, Debug, Serialize)]
pub struct VsyscallFacts {
    pub function: &'static str,
    pub vaddr: Addr,
    /// Whether a call is seen close behind. Otherwise the address is kept, or compared.
    pub is_called: bool,
}

/// What was looked at.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TargetFacts {
    ThisProcess,
    Process { pid: u32, name: String },
    File { path: String },
    Core { path: String },
}

/// A mapping.
#[derive(Clone, Debug, Serialize)]
pub struct MappingFacts {
    pub name: String,
    pub start_addr: Addr,
    pub size_bytes: u64,
    pub protection: String,
}

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addr(pub u64);

impl Serialize for Addr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::fmt::Display for Addr {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}

/// An image.
#[derive(Clone, Debug, Serialize)]
pub struct ImageFacts {
    /// Where it is in the process; none for a file.
    pub addr: Option<Addr>,
    /// Of its mapping, or its file.
    pub size_bytes: usize,
    pub in_use: Option<bool>,
    /// Which of vdso's own it is, by its build-id: `own`, `host` or `chain`. None for all others.
    pub source: Option<&'static str>,
    /// None if the bytes are no ELF image; a warning says why.
    pub elf: Option<ElfFacts>,
    pub warnings: Vec<String>,
}

/// What the image says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct ElfFacts {
    pub class_bits: u32,
    pub byte_order: &'static str,
    pub abi: String,
    pub machine: u16,
    pub soname: Option<String>,
    pub build_id: Option<String>,
    /// From the Linux note: the kernel, or the oldest that the image promises to be.
    pub linux_version: Option<String>,
    pub hash_tables: Vec<&'static str>,
    pub versions: Vec<String>,
    pub segments: Vec<SegmentFacts>,
    pub symbols: Vec<SymbolFacts>,
}

/// A program header.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentFacts {
    pub kind: String,
    pub protection: String,
    pub file_offset_bytes: u64,
    pub vaddr: Addr,
    pub file_size_bytes: u64,
    pub memory_size_bytes: u64,
    pub align_bytes: u64,
}

/// A dynamic symbol that the image defines.
#[derive(Clone, Debug, Serialize)]
pub struct SymbolFacts {
    pub name: String,
    pub version: Option<String>,
    /// In the image's own address space.
    pub vaddr: Addr,
    /// In the process.
    pub addr: Option<Addr>,
    pub size_bytes: u64,
    pub kind: &'static str,
    pub binding: &'static str,
    pub used_by: &'static [User],
}

impl Facts {
    /// Of a target.
    pub fn of(target: &Target) -> Self {
        let is_running = matches!(target.origin, Origin::ThisProcess | Origin::Process { .. });
        Self {
            schema_version: SCHEMA_VERSION,
            target: (&target.origin).into(),
            mappings: target.mappings.iter().map(MappingFacts::from).collect(),
            images: target.images.iter().map(ImageFacts::of).collect(),
            kernel_data_page: if is_running { layout::find() } else { None },
            vsyscall: vsyscall(target),
            warnings: warnings::of_target(target),
        }
    }
}

/// Only in files, as others' images are none that anybody links to a program of old.
fn vsyscall(target: &Target) -> Vec<VsyscallFacts> {
    let file = target.images.first().filter(|_| matches!(target.origin, Origin::File(_)));
    let sites = file.into_iter().flat_map(|file| in_program(&file.bytes));
    sites.map(VsyscallFacts::from).collect()
}

impl From<(u64, Site)> for VsyscallFacts {
    fn from((vaddr, site): (u64, Site)) -> Self {
        let is_called = site.used == Use::Called;
        Self { function: site.entry.name(), vaddr: Addr(vaddr), is_called }
    }
}

impl From<&Origin> for TargetFacts {
    fn from(origin: &Origin) -> Self {
        match origin {
            Origin::ThisProcess => Self::ThisProcess,
            Origin::Process { pid, name } => Self::Process { pid: *pid, name: name.clone() },
            Origin::File(path) => Self::File { path: path.display().to_string() },
            Origin::Core(path) => Self::Core { path: path.display().to_string() },
        }
    }
}

impl From<&Mapping> for MappingFacts {
    fn from(mapping: &Mapping) -> Self {
        Self {
            name: mapping.name.clone(),
            start_addr: Addr(mapping.addrs.start),
            size_bytes: mapping.bytes(),
            protection: mapping.protection.clone(),
        }
    }
}

impl ImageFacts {
    fn of(found: &FoundImage) -> Self {
        let source = source_of(&found.bytes);
        let image = Image::parse(&found.bytes);
        Self {
            addr: found.addr.map(Addr),
            size_bytes: found.bytes.len(),
            in_use: found.in_use,
            source: source.map(vdso_image::Source::name),
            warnings: match &image {
                Ok(image) => warnings::of_image(image),
                Err(error) => vec![error.to_string()],
            },
            elf: image.ok().map(|image| ElfFacts::of(&image, found.addr)),
        }
    }
}

impl ElfFacts {
    fn of(image: &Image<'_>, addr: Option<u64>) -> Self {
        let hash_tables = [(HashKind::Gnu, "DT_GNU_HASH"), (HashKind::SystemV, "DT_HASH")];
        let has = |(kind, name)| image.has_hash_table(kind).then_some(name);
        Self {
            class_bits: match image.class() {
                Class::Elf32 => 32,
                Class::Elf64 => 64,
            },
            byte_order: match image.byte_order() {
                ByteOrder::Little => "little",
                ByteOrder::Big => "big",
            },
            abi: super::abi::name(image),
            machine: image.machine().0,
            soname: image.soname().map(str::to_owned),
            build_id: image.build_id().map(hexadecimal),
            linux_version: image.linux_version().map(|(code, _)| version(code)),
            hash_tables: hash_tables.into_iter().filter_map(has).collect(),
            versions: image
                .versions()
                .flatten()
                .filter(|version| !version.is_base)
                .map(|version| version.name.to_owned())
                .collect(),
            segments: image.segments().map(|segment| SegmentFacts::from(&segment)).collect(),
            symbols: image
                .symbols()
                .flatten()
                .filter(is_export)
                .map(|symbol| SymbolFacts::of(image, &symbol, addr))
                .collect(),
        }
    }
}

/// Whether something can be found under the symbol's name. Names of versions are absolute symbols,
/// and linkers leave nameless ones of sections behind.
pub fn is_export(symbol: &Symbol<'_>) -> bool {
    symbol.is_defined() && !symbol.is_absolute() && symbol.binding != Binding::Local
}

/// `LINUX_VERSION_CODE` as people write it.
fn version(code: u32) -> String {
    format!("{}.{}.{}", code >> 16, code >> 8 & 0xff, code & 0xff)
}

/// Digits without separators, as build-ids are written.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<&Segment> for SegmentFacts {
    fn from(segment: &Segment) -> Self {
        let letter = |flag, letter| if segment.flags & flag != 0 { letter } else { '-' };
        let protection = [letter(abi::PF_R, 'r'), letter(abi::PF_W, 'w'), letter(abi::PF_X, 'x')];
        Self {
            kind: segment_kind(segment.kind),
            protection: protection.iter().collect(),
            file_offset_bytes: segment.file_offset,
            vaddr: Addr(segment.vaddr),
            file_size_bytes: segment.file_bytes,
            memory_size_bytes: segment.memory_bytes,
            align_bytes: segment.align,
        }
    }
}

fn segment_kind(kind: u32) -> String {
    /// Source: `<elf.h>`.
    const PT_GNU_STACK: u32 = 0x6474_e551;
    const PT_GNU_RELRO: u32 = 0x6474_e552;
    const PT_GNU_PROPERTY: u32 = 0x6474_e553;
    const PT_ARM_EXIDX: u32 = 0x7000_0001;
    match kind {
        abi::PT_LOAD => "LOAD",
        abi::PT_DYNAMIC => "DYNAMIC",
        abi::PT_NOTE => "NOTE",
        abi::PT_GNU_EH_FRAME => "GNU_EH_FRAME",
        PT_GNU_STACK => "GNU_STACK",
        PT_GNU_RELRO => "GNU_RELRO",
        PT_GNU_PROPERTY => "GNU_PROPERTY",
        PT_ARM_EXIDX => "processor's 1",
        other => return format!("{other:#x}"),
    }
    .to_owned()
}

impl SymbolFacts {
    fn of(image: &Image<'_>, symbol: &Symbol<'_>, addr: Option<u64>) -> Self {
        let offset = image.file_offset(symbol.value);
        Self {
            name: symbol.name.to_owned(),
            version: symbol.version.map(str::to_owned),
            vaddr: Addr(symbol.value),
            addr: offset.zip(addr).map(|(offset, addr)| Addr(addr.wrapping_add(offset as u64))),
            size_bytes: symbol.size,
            kind: kind(symbol.kind),
            binding: binding(symbol.binding),
            used_by: users::of(image, symbol.name),
        }
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Untyped => "none",
        Kind::Object => "object",
        Kind::Function => "function",
        Kind::Section => "section",
        Kind::File => "file",
        Kind::ThreadLocal => "thread-local",
        Kind::IndirectFunction => "ifunc",
        Kind::Other(_) => "other",
    }
}

fn binding(binding: Binding) -> &'static str {
    match binding {
        Binding::Local => "local",
        Binding::Global => "global",
        Binding::Weak => "weak",
        Binding::Other(_) => "other",
    }
}
