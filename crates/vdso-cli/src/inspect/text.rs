//! The facts for people: aligned tables that fit 80 columns, in colours where there is a terminal.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};

use super::facts::{ElfFacts, Facts, ImageFacts, SymbolFacts, VsyscallFacts};
use super::layout::KernelLayout;
use crate::message::printable;
use crate::subject::{Origin, Target};

pub const HEADING: Style = Style::new().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const COLUMNS: usize = 80;

/// Writes everything.
pub fn write(out: &mut impl Write, target: &Target, facts: &Facts) -> io::Result<()> {
    heading(out, &title(target))?;
    if !facts.mappings.is_empty() {
        mappings(out, facts)?;
    }
    for image in &facts.images {
        writeln!(out)?;
        write_image(out, image)?;
    }
    if let Some(layout) = &facts.kernel_data_page {
        writeln!(out)?;
        write_layout(out, layout)?;
    }
    if !facts.vsyscall.is_empty() {
        writeln!(out)?;
        write_vsyscall(out, &facts.vsyscall)?;
    }
    write_warnings(out, &facts.warnings)
}

fn write_vsyscall(out: &mut impl Write, sites: &[VsyscallFacts]) -> io::Result<()> {
    heading(out, "Addresses of the legacy vsyscall page in the code")?;
    let rows = sites.iter().map(|site| {
        let used = if site.is_called { "called" } else { "kept or compared" };
        [site.vaddr.to_string(), site.function.to_owned(), used.to_owned()]
    });
    table(out, ["address", "function", "use"], &[], rows)?;
    if sites.iter().any(|site| site.is_called) {
        writeln!(
            out,
            "\nvsyscall=none makes these calls fatal; vdso run keeps the program alive there"
        )?;
    }
    Ok(())
}

fn title(target: &Target) -> String {
    match &target.origin {
        Origin::ThisProcess => "vDSO of this process".to_owned(),
        Origin::Process { .. } | Origin::Core(_) => format!("vDSO of {}", target.origin),
        Origin::File(_) => format!("vDSO in {}", target.origin),
    }
}

fn mappings(out: &mut impl Write, facts: &Facts) -> io::Result<()> {
    let rows = facts.mappings.iter().map(|mapping| {
        let name = if mapping.name.is_empty() { "(no name)" } else { &mapping.name };
        let size = size(mapping.size_bytes);
        [mapping.start_addr.to_string(), size, mapping.protection.clone(), name.to_owned()]
    });
    table(out, ["address", "size", "prot", "mapping"], &[1], rows)
}

fn write_image(out: &mut impl Write, image: &ImageFacts) -> io::Result<()> {
    let maker = match (image.source, image.addr) {
        (Some(source), _) => format!("Image of vdso's, source {source}"),
        (None, Some(_)) => "Image of the kernel's".to_owned(),
        (None, None) => "Image".to_owned(),
    };
    let place = image.addr.map_or_else(String::new, |addr| format!(" at {addr}"));
    let use_ = match image.in_use {
        Some(true) => ", in use",
        Some(false) => ", not in use",
        None => "",
    };
    heading(out, &format!("{maker}{place}, {}{use_}", size(image.size_bytes as u64)))?;
    if let Some(elf) = &image.elf {
        write_elf(out, elf)?;
        let mut sorted: Vec<_> = elf.symbols.iter().collect();
        sorted.sort_by(|left, right| (left.vaddr.0, &left.name).cmp(&(right.vaddr.0, &right.name)));
        if !sorted.is_empty() {
            writeln!(out)?;
            symbols(out, &sorted)?;
        }
        if sorted.iter().any(|symbol| !symbol.used_by.is_empty()) {
            writeln!(out)?;
            users(out, &sorted)?;
        }
    }
    write_warnings(out, &image.warnings)
}

fn write_elf(out: &mut impl Write, elf: &ElfFacts) -> io::Result<()> {
    let none = || "none".to_owned();
    let list = |items: &[String]| if items.is_empty() { none() } else { items.join(", ") };
    let hash_tables: Vec<String> = elf.hash_tables.iter().map(|&name| name.to_owned()).collect();
    let bits = elf.class_bits;
    let rows = [
        ("for", format!("{}, {bits} bits, {} endian", elf.abi, elf.byte_order)),
        ("soname", elf.soname.clone().unwrap_or_else(none)),
        ("build-id", elf.build_id.clone().unwrap_or_else(none)),
        ("Linux note", elf.linux_version.clone().unwrap_or_else(none)),
        ("versions", list(&elf.versions)),
        ("hash tables", list(&hash_tables)),
    ];
    for (name, value) in rows {
        writeln!(out, "  {name:<12} {}", printable(&value))?;
    }
    writeln!(out)?;
    let rows = elf.segments.iter().map(|segment| {
        [
            segment.kind.clone(),
            segment.protection.clone(),
            format!("{:#x}", segment.file_offset_bytes),
            segment.vaddr.to_string(),
            segment.file_size_bytes.to_string(),
            segment.memory_size_bytes.to_string(),
            segment.align_bytes.to_string(),
        ]
    });
    let names = ["segment", "prot", "offset", "address", "file size", "memory size", "align"];
    table(out, names, &[2, 3, 4, 5, 6], rows)
}

fn symbols(out: &mut impl Write, symbols: &[&SymbolFacts]) -> io::Result<()> {
    let rows = symbols.iter().map(|symbol| {
        let kind = if symbol.kind == "function" { "func" } else { symbol.kind };
        [
            symbol.vaddr.to_string(),
            symbol.size_bytes.to_string(),
            kind.to_owned(),
            symbol.binding.to_owned(),
            symbol.version.clone().unwrap_or_else(|| "-".to_owned()),
            symbol.name.clone(),
        ]
    });
    table(out, ["address", "size", "kind", "bind", "version", "symbol"], &[0, 1], rows)
}

fn users(out: &mut impl Write, symbols: &[&SymbolFacts]) -> io::Result<()> {
    let mut rows = Vec::new();
    for runtime in ["glibc", "musl", "Go", "kernel"] {
        for symbol in symbols {
            for user in symbol.used_by.iter().filter(|user| user.runtime == runtime) {
                rows.push([runtime.to_owned(), user.calls.join(", "), symbol.name.clone()]);
            }
        }
    }
    table(out, ["used by", "for", "symbol"], &[], rows.into_iter())
}

fn write_layout(out: &mut impl Write, layout: &KernelLayout) -> io::Result<()> {
    heading(out, "The running kernel's data page")?;
    let name = match (layout.name, &layout.described) {
        (Some(name), _) => name,
        (None, Some(_)) => "one that is not known here",
        (None, None) => "unknown: the kernel's type information does not describe it",
    };
    writeln!(out, "  {:<12} {name}", "layout")?;
    if let Some(offsets) = &layout.described {
        let clock = format!(
            "clocks at {:#x}, raw clock at {:#x}; in each seq {:#x}, cycle_last {:#x},",
            offsets.hres_bytes, offsets.raw_bytes, offsets.seq_bytes, offsets.cycle_last_bytes
        );
        writeln!(out, "  {:<12} {clock}", "offsets")?;
        let rest =
            format!("mult {:#x}, basetime {:#x}", offsets.mult_bytes, offsets.basetime_bytes);
        writeln!(out, "  {:<12} {rest}", "")?;
    }
    let readable = match &layout.not_read_because {
        None => "yes".to_owned(),
        Some(reason) => format!("no: {reason}"),
    };
    wrapped(out, &format!("  {:<12} ", "readable"), &readable)?;
    let known: Vec<&str> = layout.known.iter().map(|known| known.name).collect();
    writeln!(out, "  {:<12} {}", "known here", known.join(", "))
}

/// Warnings, each on lines of its own.
pub fn write_warnings(out: &mut impl Write, warnings: &[String]) -> io::Result<()> {
    for warning in warnings {
        wrapped(out, &format!("{WARNING}warning:{WARNING:#} "), warning)?;
    }
    Ok(())
}

/// A line in bold.
pub fn heading(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "{HEADING}{text}{HEADING:#}")
}

/// Text behind `prefix`, continued under itself.
fn wrapped(out: &mut impl Write, prefix: &str, text: &str) -> io::Result<()> {
    let indent = anstream::adapter::strip_str(prefix).to_string().len();
    let mut column = indent;
    write!(out, "{prefix}")?;
    for (index, word) in printable(text).split(' ').enumerate() {
        if index > 0 && column + 1 + word.len() > COLUMNS {
            write!(out, "\n{:indent$}", "")?;
            column = indent;
        } else if index > 0 {
            write!(out, " ")?;
            column += 1;
        }
        write!(out, "{word}")?;
        column += word.len();
    }
    writeln!(out)
}

/// Aligned columns under a line of names; columns with these numbers are aligned to the right.
fn table<const N: usize>(
    out: &mut impl Write,
    names: [&str; N],
    right: &[usize],
    rows: impl Iterator<Item = [String; N]>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(names).add_rows(rows.map(|row| row.map(|cell| printable(&cell))));
    for &index in right {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for (index, line) in table.lines().enumerate() {
        let line = line.trim_end();
        if index == 0 {
            heading(out, &format!(" {line}"))?;
        } else {
            writeln!(out, " {line}")?;
        }
    }
    Ok(())
}

/// A number of bytes as people write it, if it is a round one.
fn size(bytes: u64) -> String {
    match bytes {
        kib if kib != 0 && kib.is_multiple_of(1024) => format!("{} KiB", kib / 1024),
        bytes => format!("{bytes} bytes"),
    }
}
