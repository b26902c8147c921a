//! The vDSO of a process: where it is announced, whose it is, what it answers.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use vdso_elf::abi::Machine as ElfMachine;
use vdso_elf::{Class, Image};

use crate::system::Root;
use crate::system::maps::Mapping;

/// No vDSO is that large; one of the kernel's has two pages.
const MAX_IMAGE_BYTES: u64 = 1 << 20;

/// What the auxiliary vector points to.
#[derive(Debug)]
pub struct Vdso {
    pub addr: u64,
    /// The name of its mapping: `[vdso]` if it is the kernel's own.
    pub mapping: Option<String>,
    /// What it holds, or why that is not known.
    pub content: Result<Content, String>,
}

/// What an image says of itself.
#[derive(Debug)]
pub struct Content {
    pub machine: ElfMachine,
    pub class: Class,
    /// The names of all exported functions.
    pub functions: Vec<String>,
    /// Where in the image `__kernel_vsyscall` is: through it a 32-bit x86 program makes all of its
    /// system calls.
    pub system_call_entry: Option<Range<u64>>,
}

impl Vdso {
    /// Reads the image that is mapped at `addr`.
    pub fn read(root: &Root, process: &str, addr: u64, mappings: &[Mapping]) -> Self {
        let mapping = mappings.iter().find(|mapping| mapping.addrs.contains(&addr));
        let content = match mapping {
            None => Err("nothing is mapped there".to_owned()),
            Some(mapping) => read_memory(root, process, addr, mapping).and_then(|b| parse(&b)),
        };
        Self { addr, mapping: mapping.map(|mapping| mapping.name.clone()), content }
    }

    /// Whether it is the one that the kernel maps.
    pub fn is_kernels(&self) -> bool {
        self.mapping.as_deref() == Some("[vdso]")
    }
}

fn read_memory(
    root: &Root,
    process: &str,
    addr: u64,
    mapping: &Mapping,
) -> Result<Vec<u8>, String> {
    let bytes = (mapping.addrs.end - addr).min(MAX_IMAGE_BYTES);
    let mut image = vec![0; bytes as usize];
    let file = File::open(root.path(&format!("/proc/{process}/mem")));
    file.and_then(|file| file.read_exact_at(&mut image, addr))
        .map_err(|error| format!("its memory cannot be read: {error}"))?;
    Ok(image)
}

/// Reads an image's bytes.
pub fn parse(bytes: &[u8]) -> Result<Content, String> {
    let image = Image::parse(bytes).map_err(|error| error.to_string())?;
    let symbols = image.symbols().flatten().filter(|symbol| symbol.is_defined());
    let functions = symbols.filter(|symbol| !symbol.is_absolute());
    let entry = image.lookup("__kernel_vsyscall", None).and_then(|symbol| {
        let start = image.file_offset(symbol.value)? as u64;
        Some(start..start.saturating_add(symbol.size))
    });
    Ok(Content {
        system_call_entry: entry,
        machine: image.machine(),
        class: image.class(),
        functions: functions.map(|symbol| symbol.name.to_owned()).collect(),
    })
}
