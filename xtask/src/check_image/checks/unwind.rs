//! The unwind tables: what a backtrace from a signal handler or a profiler steps by.

use anyhow::{Context, Result, bail, ensure};
use gimli::{
    BaseAddresses, CieOrFde, EhFrame, EhFrameHdr, EndianSlice, ParsedEhFrameHdr, RunTimeEndian,
    UnwindSection,
};
use vdso_data::architecture::{self, Means, Rules};
use vdso_elf::Symbol;
use vdso_elf::abi::PT_GNU_EH_FRAME;

use super::exports;

use crate::check_image::subject::Subject;

type Reader<'a> = EndianSlice<'a, RunTimeEndian>;

/// The table is in `PT_GNU_EH_FRAME`, where unwinders look for it, not where its section is.
pub fn table_sorted(subject: &Subject<'_>) -> Result<()> {
    if subject.architecture.unwinding == architecture::Unwinding::Nothing {
        return Ok(());
    }
    let unwinding = Unwinding::read(subject)?;
    let rows = unwinding.rows()?;
    for (row, next) in rows.iter().zip(rows.iter().skip(1)) {
        let is_ordered = row.function < next.function;
        ensure!(is_ordered, "{:#x} comes before {:#x}", row.function, next.function);
    }
    let functions = unwinding.functions()?;
    ensure!(
        rows.len() == functions.len(),
        "the table has {} rows for {} functions",
        rows.len(),
        functions.len()
    );
    for row in &rows {
        let function = functions.iter().find(|it| it.vaddr == row.function);
        let function = function.with_context(|| format!("nothing tells of {:#x}", row.function))?;
        ensure!(function.entry == row.entry, "the row of {:#x} points elsewhere", row.function);
    }
    Ok(())
}

pub fn covers_exports(subject: &Subject<'_>) -> Result<()> {
    if subject.architecture.unwinding == architecture::Unwinding::Nothing {
        return Ok(());
    }
    let unwinding = Unwinding::read(subject)?;
    let (rows, functions) = (unwinding.rows()?, unwinding.functions()?);
    let enters = subject.architecture.enters_programs;
    let entry_point = enters.then_some(("the entry point", subject.image()?.entry(), 1));
    let mut exports = subject.exports()?;
    exports.retain(|symbol| !is_known_by_heart(subject, symbol.name));
    // Unwinders look for a trampoline's rules one byte before the address that is returned to.
    let begin = |it: &Symbol<'_>| it.value.saturating_sub(u64::from(has_rules(subject, it.name)));
    let exports =
        exports.iter().map(|it| (it.name, begin(it), it.value.saturating_add(it.size) - begin(it)));
    for (name, start, bytes) in exports.chain(entry_point) {
        // As unwinders do: the last row that is not above the address.
        let row = rows.iter().rfind(|row| row.function <= start);
        let row = row.with_context(|| format!("no row is for {name}"))?;
        let function = functions.iter().find(|it| it.entry == row.entry);
        let function = function.with_context(|| format!("the row of {name} points nowhere"))?;
        let is_covered = function.vaddr <= start && start.saturating_add(bytes) <= function.end;
        ensure!(is_covered, "the unwind information of {name} does not cover all of it");
    }
    Ok(())
}

/// Unwinders recognise some trampolines by their instructions, and look at those only where no rules are.
/// They look for rules at the return address, or one byte before it.
pub fn hides_no_trampoline(subject: &Subject<'_>) -> Result<()> {
    let mut exports = subject.exports()?;
    exports.retain(|symbol| is_known_by_heart(subject, symbol.name));
    if exports.is_empty() {
        return Ok(());
    }
    for function in Unwinding::read(subject)?.functions()? {
        for symbol in &exports {
            let end = symbol.value.saturating_add(symbol.size);
            let is_apart = function.end < symbol.value || function.vaddr >= end;
            ensure!(is_apart, "unwind rules hide the instructions of {}", symbol.name);
        }
    }
    Ok(())
}

fn is_known_by_heart(subject: &Subject<'_>, name: &str) -> bool {
    let export = exports::promised(subject, name);
    export.is_some_and(|it| it.means == Means::Trampoline(Rules::ByInstructions))
}

/// Whether it is a trampoline with unwind rules.
fn has_rules(subject: &Subject<'_>, name: &str) -> bool {
    let export = exports::promised(subject, name);
    export.is_some_and(|it| it.means == Means::Trampoline(Rules::Written))
}

struct Unwinding<'a> {
    header: ParsedEhFrameHdr<Reader<'a>>,
    frames: EhFrame<Reader<'a>>,
    frames_vaddr: u64,
    bases: BaseAddresses,
}

/// A row of the table.
struct Row {
    function: u64,
    /// Address of the function's entry in `.eh_frame`.
    entry: u64,
}

/// What an entry of `.eh_frame` is about.
struct Function {
    entry: u64,
    vaddr: u64,
    end: u64,
}

impl<'a> Unwinding<'a> {
    fn read(subject: &Subject<'a>) -> Result<Self> {
        let image = subject.image()?;
        let segment = image.segments().find(|segment| segment.kind == PT_GNU_EH_FRAME);
        let segment = segment.context("there is no PT_GNU_EH_FRAME")?;
        let start = image.file_offset(segment.vaddr).context("PT_GNU_EH_FRAME is not mapped")?;
        let content = subject
            .bytes
            .get(start..)
            .and_then(|rest| rest.get(..usize::try_from(segment.file_bytes).ok()?));
        let content = content.context("the file ends inside PT_GNU_EH_FRAME")?;
        let frames = subject.section(".eh_frame")?;
        let text = subject.section(".text")?;
        let bases = BaseAddresses::default()
            .set_eh_frame_hdr(segment.vaddr)
            .set_eh_frame(frames.vaddr)
            .set_text(text.vaddr);
        let address_bytes = (subject.architecture.bits() / 8) as u8;
        let header = EhFrameHdr::new(content, subject.endian()).parse(&bases, address_bytes)?;
        let pointer = header.eh_frame_ptr().direct()?;
        ensure!(pointer == frames.vaddr, "the table says that .eh_frame is at {pointer:#x}");
        let mut eh_frame = EhFrame::new(frames.content, subject.endian());
        eh_frame.set_address_size(address_bytes);
        Ok(Self { header, frames: eh_frame, frames_vaddr: frames.vaddr, bases })
    }

    fn rows(&self) -> Result<Vec<Row>> {
        let Some(table) = self.header.table() else {
            bail!("there is no table to search");
        };
        let mut rows = Vec::new();
        for row in table.iter(&self.bases) {
            let (function, entry) = row?;
            rows.push(Row { function: function.direct()?, entry: entry.direct()? });
        }
        Ok(rows)
    }

    fn functions(&self) -> Result<Vec<Function>> {
        let mut functions = Vec::new();
        let mut entries = self.frames.entries(&self.bases);
        while let Some(entry) = entries.next()? {
            let CieOrFde::Fde(partial) = entry else { continue };
            let fde = partial.parse(EhFrame::cie_from_offset)?;
            functions.push(Function {
                entry: self.frames_vaddr.saturating_add(fde.offset() as u64),
                vaddr: fde.initial_address(),
                end: fde.end_address(),
            });
        }
        Ok(functions)
    }
}
