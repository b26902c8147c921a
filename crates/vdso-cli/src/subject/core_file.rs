//! The core file of a process (core(5)): its auxiliary vector says where the vDSO was, and the memory
//! there is in the file.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::elf::{FileHeader32, FileHeader64, NT_AUXV, PF_R, PF_W, PF_X, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endian, Endianness, FileKind, ReadCache, ReadRef};
use vdso_elf::{ByteOrder, Class};

use super::{FoundImage, Origin, Target};
use crate::message::{Hinted, printable_path};
use crate::system::auxv;
use crate::system::maps::Mapping;

/// Owner of the notes that describe a process.
const OWNER: &[u8] = b"CORE";
/// More than any image has; other memory may have gigabytes.
const LONGEST_BYTES: u64 = 16 << 20;

/// The images in a core file, of which only the parts that matter are read.
pub fn read(path: &Path, file: File) -> Result<Target> {
    let cache = ReadCache::new(file);
    let unreadable = || format!("cannot read the core file {}", printable_path(path));
    let core = match FileKind::parse(&cache).with_context(unreadable)? {
        FileKind::Elf32 => Core::read::<FileHeader32<Endianness>, _>(&cache, Class::Elf32),
        FileKind::Elf64 => Core::read::<FileHeader64<Endianness>, _>(&cache, Class::Elf64),
        _ => bail!("{}: it is no ELF file", unreadable()),
    }
    .with_context(unreadable)?;
    let origin = Origin::Core(path.to_owned());
    let Some(announced) = core.announced else {
        return Err(Hinted::new(
            format!("{origin} does not say where the vDSO was"),
            "its auxiliary vector is missing or has no AT_SYSINFO_EHDR: the program had no vDSO, or \
             whatever wrote the file left it out",
        )
        .into());
    };
    let Some(first) = core.images.first().filter(|memory| memory.addr == announced) else {
        return Err(Hinted::new(
            format!("{origin} lacks the memory at {announced:#x}, where the vDSO was"),
            "the file is cut short, or was written without it: the kernel and gdb's gcore include it",
        )
        .into());
    };
    let (written, size_bytes) = (first.bytes.len() as u64, first.mapping.bytes());
    if written < size_bytes {
        return Err(Hinted::new(
            format!(
                "{origin} has {written} of the {size_bytes} bytes of the vDSO at {announced:#x}"
            ),
            "the kernel leaves out what comes from files, as images of vdso run do: gdb's gcore \
             writes all, as does the kernel after echo 0x3f >/proc/PID/coredump_filter",
        )
        .into());
    }
    let image = |memory: &Memory| FoundImage {
        addr: Some(memory.addr),
        bytes: memory.bytes.clone(),
        in_use: Some(memory.addr == announced),
    };
    let images = core.images.iter().map(image).collect();
    let mappings = core.images.into_iter().map(|memory| memory.mapping).collect();
    Ok(Target { origin, mappings, images })
}

/// What a core file has of a vDSO.
struct Core {
    announced: Option<u64>,
    /// The announced one first, if the file has any of it.
    images: Vec<Memory>,
}

/// An image in the memory of a process.
struct Memory {
    addr: u64,
    mapping: Mapping,
    bytes: Vec<u8>,
}

impl Core {
    fn read<'a, Elf, R>(data: R, class: Class) -> Result<Self>
    where
        Elf: FileHeader<Endian = Endianness>,
        R: ReadRef<'a>,
    {
        let header = Elf::parse(data).context("its header is broken")?;
        let endian = header.endian().context("its byte order is unknown")?;
        let segments =
            header.program_headers(endian, data).context("its program headers are cut off")?;
        let byte_order = if endian.is_big_endian() { ByteOrder::Big } else { ByteOrder::Little };
        let mut announced = None;
        for segment in segments {
            if let Some(vector) = auxiliary_vector::<Elf, R>(segment, endian, data)? {
                announced = auxv::vdso_addr(vector, class, byte_order);
            }
        }
        let mut images = Vec::new();
        for segment in segments {
            let start = segment.p_vaddr(endian).into();
            let memory = |addr| memory_at::<Elf, R>(segment, endian, data, addr);
            match announced.and_then(memory) {
                Some(announced) => images.insert(0, announced),
                None => images.extend(memory(start).filter(is_kernels)),
            }
        }
        Ok(Self { announced, images })
    }
}

/// Whether this is an image of a kernel's: by its name, as core files do not say what was mapped.
fn is_kernels(memory: &Memory) -> bool {
    vdso_elf::Image::parse(&memory.bytes)
        .ok()
        .and_then(|image| image.soname())
        .is_some_and(|name| name.starts_with("linux-vdso") || name.starts_with("linux-gate"))
}

fn auxiliary_vector<'a, Elf: FileHeader, R: ReadRef<'a>>(
    segment: &Elf::ProgramHeader,
    endian: Elf::Endian,
    data: R,
) -> Result<Option<&'a [u8]>> {
    let Some(mut notes) = segment.notes(endian, data).context("its notes are cut off")? else {
        return Ok(None);
    };
    while let Some(note) = notes.next().context("its notes are broken")? {
        if note.n_type(endian) == NT_AUXV && note.name() == OWNER {
            return Ok(Some(note.desc()));
        }
    }
    Ok(None)
}

/// The memory from `addr` to the end of the mapping that has it, if it may be an image.
fn memory_at<'a, Elf: FileHeader, R: ReadRef<'a>>(
    segment: &Elf::ProgramHeader,
    endian: Elf::Endian,
    data: R,
    addr: u64,
) -> Option<Memory> {
    let start: u64 = segment.p_vaddr(endian).into();
    let (file_offset, file_bytes) = segment.file_range(endian);
    let within = addr.checked_sub(start).filter(|&within| within < file_bytes)?;
    let file_offset = file_offset.checked_add(within)?;
    let is_image = || data.read_bytes_at(file_offset, 4).is_ok_and(|magic| magic == b"\x7fELF");
    let bytes = file_bytes - within;
    if segment.p_type(endian) != PT_LOAD || bytes > LONGEST_BYTES || !is_image() {
        return None;
    }
    let flags = segment.p_flags(endian).0;
    let letter = |flag, letter| if flags & flag != 0 { letter } else { '-' };
    let protection = [letter(PF_R.0, 'r'), letter(PF_W.0, 'w'), letter(PF_X.0, 'x')];
    let mapping = Mapping {
        addrs: addr..start.checked_add(segment.p_memsz(endian).into())?,
        protection: protection.iter().collect(),
        file_offset: 0,
        inode: 0,
        name: String::new(),
    };
    let bytes = data.read_bytes_at(file_offset, bytes).ok()?.to_vec();
    Some(Memory { addr, mapping, bytes })
}
