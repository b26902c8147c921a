//! A function's instructions. One file for each decoder; here is what they have in common: where a
//! function ends, and the names of the addresses that instructions refer to.

#[cfg(feature = "disassemble")]
mod arm;
#[cfg(feature = "disassemble")]
mod powerpc;
#[cfg(feature = "disassemble")]
mod riscv;
#[cfg(feature = "disassemble")]
mod x86;

use std::io::{self, Write};

use anyhow::{Result, bail};
use serde::Serialize;
use vdso_elf::abi::Machine;
use vdso_elf::{Class, Image, Symbol};

use super::facts::{Addr, SCHEMA_VERSION, TargetFacts, is_export};
use super::{abi, text};
use crate::message::{Hinted, printable};
use crate::subject::{FoundImage, Target};
use crate::system::maps::Mapping;

/// A function: the whole document of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Function {
    pub schema_version: u32,
    pub target: TargetFacts,
    pub symbol: String,
    pub abi: String,
    pub vaddr: Addr,
    pub addr: Option<Addr>,
    pub size_bytes: usize,
    pub instructions: Vec<Line>,
}

/// An instruction, or bytes that are none.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    pub vaddr: Addr,
    pub addr: Option<Addr>,
    /// From the function's beginning.
    pub offset_bytes: usize,
    /// In the order of memory.
    pub bytes: String,
    pub text: String,
    /// What a branch or a memory operand refers to, in the image's own address space.
    pub refers_to_vaddr: Option<Addr>,
    /// The same as a symbol or a mapping with an offset.
    pub refers_to: Option<String>,
}

/// What a decoder makes of the beginning of some bytes.
struct Decoded {
    /// At least one.
    length: usize,
    text: String,
    refers_to: Option<u64>,
}

/// Code and where it is.
struct Code<'a> {
    bytes: &'a [u8],
    vaddr: u64,
}

impl Function {
    /// The function called `name` in the image that the target uses, or in the kernel's.
    pub fn find(target: &Target, kernels: bool, name: &str) -> Result<Self> {
        if !cfg!(feature = "disassemble") {
            return Err(without_decoders().into());
        }
        let found = target.image(kernels)?;
        let image = Image::parse(&found.bytes)?;
        let Some(symbol) = image.lookup(name, None).filter(|symbol| !symbol.is_absolute()) else {
            return Err(unknown(target, &image, name).into());
        };
        let abi = abi::name(&image);
        let decode = decoder(&image, &symbol).ok_or_else(|| without_decoder(&image, &abi))?;
        let code = code_of(&image, &symbol)?;
        let names = Names { image, found, mappings: &target.mappings };
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            target: (&target.origin).into(),
            symbol: symbol.name.to_owned(),
            vaddr: Addr(code.vaddr),
            addr: names.addr(code.vaddr),
            size_bytes: code.bytes.len(),
            instructions: lines(&code, decode, &names),
            abi,
        })
    }
}

fn unknown(target: &Target, image: &Image<'_>, name: &str) -> Hinted {
    let mut names: Vec<&str> =
        image.symbols().flatten().filter(is_export).map(|symbol| symbol.name).collect();
    names.sort_unstable();
    let hint = match names.as_slice() {
        [] => "it has none".to_owned(),
        names => format!("it has {}", names.join(", ")),
    };
    Hinted::new(format!("the image of {} has no symbol '{name}'", target.origin), hint)
}

fn without_decoders() -> Hinted {
    Hinted::new(
        "cannot show instructions: this vdso was built without its feature 'disassemble'",
        "cargo install vdso-cli builds one with it; objdump -d reads what vdso dump writes",
    )
}

fn without_decoder(image: &Image<'_>, abi: &str) -> Hinted {
    let machine = if image.machine() == Machine::ARM { "arm's Thumb code" } else { abi };
    Hinted::new(
        format!(
            "cannot show instructions of {machine}: vdso knows those of x86, arm64, arm, riscv \
             and powerpc"
        ),
        "objdump -d of a binutils for that machine does; vdso dump writes a process's image to a file",
    )
}

type Decode = Box<dyn Fn(&Code<'_>) -> Option<Decoded>>;

/// What knows the image's instructions; each function gives `None` for bytes that are none.
#[cfg(feature = "disassemble")]
fn decoder(image: &Image<'_>, symbol: &Symbol<'_>) -> Option<Decode> {
    let (class, byte_order) = (image.class(), image.byte_order());
    match image.machine() {
        Machine::X86_64 => Some(Box::new(|code| x86::decode(64, code))),
        Machine::I386 => Some(Box::new(|code| x86::decode(32, code))),
        // Instructions are little endian in images of either order.
        Machine::AARCH64 => Some(Box::new(arm::decode_64)),
        // The lowest bit of an address is set for Thumb code, which the decoder knows too little of.
        Machine::ARM if symbol.value & 1 == 0 => Some(Box::new(arm::decode_32)),
        Machine::RISCV => Some(Box::new(move |code| riscv::decode(class, code))),
        Machine::POWERPC64 | Machine::POWERPC => {
            Some(Box::new(move |code| powerpc::decode(byte_order, code)))
        }
        _ => None,
    }
}

/// Nothing, in this build.
#[cfg(not(feature = "disassemble"))]
fn decoder(_: &Image<'_>, _: &Symbol<'_>) -> Option<Decode> {
    None
}

/// The symbol's bytes. Where it has no size, it ends at the next symbol, or with the image.
fn code_of<'a>(image: &Image<'a>, symbol: &Symbol<'_>) -> Result<Code<'a>> {
    /// Trampolines are without a size, and a few instructions long.
    const LONGEST_UNSIZED: usize = 64;
    let Some(start) = image.file_offset(symbol.value) else {
        bail!("{} is at {:#x}, outside the image", symbol.name, symbol.value);
    };
    let next = image
        .symbols()
        .flatten()
        .filter(is_export)
        .filter_map(|other| image.file_offset(other.value))
        .filter(|&other| other > start)
        .min()
        .unwrap_or(image.bytes().len());
    let end = match usize::try_from(symbol.size) {
        Ok(0) => next.min(start + LONGEST_UNSIZED),
        Ok(size) => start.saturating_add(size),
        Err(_) => usize::MAX,
    };
    let bytes = &image.bytes()[start..end.min(image.bytes().len())];
    Ok(Code { bytes, vaddr: symbol.value })
}

fn lines(code: &Code<'_>, decode: Decode, names: &Names<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut at = 0;
    while at < code.bytes.len() {
        let rest = Code { bytes: &code.bytes[at..], vaddr: code.vaddr.wrapping_add(at as u64) };
        let decoded = decode(&rest).unwrap_or_else(|| no_instruction(&rest, names.image.machine()));
        let length = decoded.length.clamp(1, rest.bytes.len());
        lines.push(Line {
            vaddr: Addr(rest.vaddr),
            addr: names.addr(rest.vaddr),
            offset_bytes: at,
            bytes: rest.bytes[..length].iter().map(|byte| format!("{byte:02x}")).collect(),
            text: decoded.text,
            refers_to_vaddr: decoded.refers_to.map(Addr),
            refers_to: decoded.refers_to.and_then(|vaddr| names.of(vaddr)),
        });
        at += length;
    }
    lines
}

/// Data between instructions, or an instruction that is newer than the decoder.
fn no_instruction(code: &Code<'_>, machine: Machine) -> Decoded {
    let wanted = match machine {
        Machine::X86_64 | Machine::I386 => 1,
        Machine::RISCV => 2,
        _ => 4,
    };
    let length = wanted.min(code.bytes.len());
    let bytes: Vec<String> = code.bytes[..length].iter().map(|b| format!("{b:#04x}")).collect();
    Decoded { length, text: format!(".byte {}", bytes.join(", ")), refers_to: None }
}

/// The names that addresses have.
struct Names<'a> {
    image: Image<'a>,
    found: &'a FoundImage,
    mappings: &'a [Mapping],
}

impl Names<'_> {
    /// Where something of the image's is in the process.
    fn addr(&self, vaddr: u64) -> Option<Addr> {
        let load = self.image.load_segment();
        let bias = self.found.addr?.wrapping_sub(load.vaddr.wrapping_sub(load.file_offset));
        let addr = bias.wrapping_add(vaddr);
        Some(Addr(match self.image.class() {
            Class::Elf32 => addr & u64::from(u32::MAX),
            Class::Elf64 => addr,
        }))
    }

    /// A symbol that has this address in it, else a mapping.
    fn of(&self, vaddr: u64) -> Option<String> {
        let has_it = |symbol: &Symbol<'_>| {
            is_export(symbol)
                && vaddr.checked_sub(symbol.value).is_some_and(|in_it| in_it < symbol.size.max(1))
        };
        // Of several names for one function, the first is shown everywhere.
        if let Some(symbol) = self.image.symbols().flatten().find(has_it) {
            return Some(with_offset(symbol.name, vaddr - symbol.value));
        }
        let addr = self.addr(vaddr)?.0;
        let mapping = self.mappings.iter().find(|mapping| mapping.addrs.contains(&addr))?;
        let is_own = self.found.addr.is_some_and(|own| mapping.addrs.contains(&own));
        let has_name = !is_own && !mapping.name.is_empty();
        has_name.then(|| with_offset(&mapping.name, addr - mapping.addrs.start))
    }
}

fn with_offset(name: &str, offset: u64) -> String {
    if offset == 0 { name.to_owned() } else { format!("{name}+{offset:#x}") }
}

/// Writes a function for people.
pub fn write_text(out: &mut impl Write, function: &Function) -> io::Result<()> {
    let place = function.addr.map_or_else(String::new, |addr| format!(", in memory at {addr}"));
    let Function { symbol, vaddr, size_bytes, abi, .. } = function;
    let symbol = printable(symbol);
    text::heading(out, &format!("{symbol}: {size_bytes} bytes of {abi} at {vaddr}{place}"))?;
    let widest = function.instructions.iter().map(|line| line.bytes.len()).max().unwrap_or(0);
    for line in &function.instructions {
        let Line { vaddr, bytes, text, .. } = line;
        let name = line
            .refers_to
            .as_ref()
            .map_or_else(String::new, |name| format!(" <{}>", printable(name)));
        writeln!(out, "  {vaddr}  {bytes:<widest$}  {text}{name}")?;
    }
    Ok(())
}
