//! The core file of a process (core(5)): its auxiliary vector says where the vDSO was, and the memory
//! there is in the file.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::elf::{FileHeader32, FileHeader64, NT_AUXV, PF_R, PF_W, PF_X, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endian, Endianness, FileKind, ReadCache, ReadRef};
use vdso_elf::{ByteOrder, Class};

use super::maps::Mapping;
use super::{FoundImage, Origin, Target, auxv};
use crate::message::Hinted;

/// Owner of the notes that describe a process.
const OWNER: &[u8] = b"CORE";
/// More than any kernel's image has; the memory behind it may be megabytes.
const LONGEST_BYTES: u64 = 16 << 20;

/// The images in a core file, of which only the parts that matter are read.
pub fn read(path: &Path, file: File) -> Result<Target> {
    let cache = ReadCache::new(file);
    let unreadable = || format!("cannot read the core file {}", path.display());
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
    let Some((mapping, bytes)) = core.memory else {
        return Err(Hinted::new(
            format!("{origin} lacks the memory at {announced:#x}, where the vDSO was"),
            "the file is cut short, or was written without it: the kernel and gdb's gcore include it",
        )
        .into());
    };
    let image = FoundImage { addr: Some(announced), bytes, in_use: Some(true) };
    Ok(Target { origin, mappings: vec![mapping], images: vec![image] })
}

/// What a core file has of a vDSO.
struct Core {
    announced: Option<u64>,
    memory: Option<(Mapping, Vec<u8>)>,
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
        let byte_order =
            if endian.is_big_endian() { ByteOrder::Big } else { ByteOrder::Little };
        let mut announced = None;
        for segment in segments {
            if let Some(vector) = auxiliary_vector::<Elf, R>(segment, endian, data)? {
                announced = auxv::vdso_addr(vector, class, byte_order);
            }
        }
        let memory = announced.and_then(|addr| {
            segments.iter().find_map(|segment| memory_at::<Elf, R>(segment, endian, data, addr))
        });
        Ok(Self { announced, memory })
    }
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

/// The memory from `addr` to the end of the mapping that has it.
fn memory_at<'a, Elf: FileHeader, R: ReadRef<'a>>(
    segment: &Elf::ProgramHeader,
    endian: Elf::Endian,
    data: R,
    addr: u64,
) -> Option<(Mapping, Vec<u8>)> {
    let start: u64 = segment.p_vaddr(endian).into();
    let (file_offset, file_bytes) = segment.file_range(endian);
    let within = addr.checked_sub(start).filter(|&within| within < file_bytes)?;
    if segment.p_type(endian) != PT_LOAD {
        return None;
    }
    let bytes = (file_bytes - within).min(LONGEST_BYTES);
    let content = data.read_bytes_at(file_offset.checked_add(within)?, bytes).ok()?;
    let flags = segment.p_flags(endian);
    let letter = |flag, letter| if flags.0 & flag != 0 { letter } else { '-' };
    let protection = [letter(PF_R.0, 'r'), letter(PF_W.0, 'w'), letter(PF_X.0, 'x')];
    let mapping = Mapping {
        addrs: start..start.checked_add(segment.p_memsz(endian).into())?,
        protection: protection.iter().collect(),
        file_offset: 0,
        inode: 0,
        name: "[vdso]".to_owned(),
    };
    Some((mapping, content.to_vec()))
}
