//! The unwind rules of an image, read by an independent reader of them (`gimli`).

use core::ops::Range;

use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, EhFrameHdr, EndianSlice, NativeEndian,
    ParsedEhFrameHdr, Register, RegisterRule, UnwindContext, UnwindContextStorage, UnwindSection,
};
use vdso_elf::abi::PT_GNU_EH_FRAME;

use super::mapped::Mapped;

type Bytes = EndianSlice<'static, NativeEndian>;

/// What the tables say about one address.
pub struct Row<'a> {
    /// Whether the frame is that of a signal.
    pub is_signal: bool,
    /// The column of the return address.
    pub return_column: Register,
    /// How the frame's address is computed.
    pub cfa: &'a CfaRule<usize>,
    /// Every register that has a rule.
    pub registers: &'a [(Register, RegisterRule<usize>)],
}

impl Row<'_> {
    /// The rule for a register, if there is one.
    pub fn rule(&self, register: Register) -> Option<&RegisterRule<usize>> {
        self.registers.iter().find(|(it, _)| *it == register).map(|(_, rule)| rule)
    }
}

/// The tables of an image.
pub struct Tables {
    header: ParsedEhFrameHdr<Bytes>,
    frames: EhFrame<Bytes>,
    bases: BaseAddresses,
}

impl Tables {
    /// `None` if there are none.
    pub fn of(image: &Mapped) -> Option<Self> {
        let segment = image.image().segments().find(|it| it.kind == PT_GNU_EH_FRAME)?;
        let bytes = image.image().bytes();
        let header_bytes = bytes.get(segment.file_offset as usize..)?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(segment.vaddr);
        let address_bytes = size_of::<usize>() as u8;
        let header =
            EhFrameHdr::new(header_bytes, NativeEndian).parse(&bases, address_bytes).ok()?;
        let frames_vaddr = header.eh_frame_ptr().direct().ok()?;
        let bases = bases.set_eh_frame(frames_vaddr);
        let frame_bytes = bytes.get(frames_vaddr as usize..)?;
        let mut frames = EhFrame::from(EndianSlice::new(frame_bytes, NativeEndian));
        frames.set_address_size(address_bytes);
        Some(Self { header, frames, bases })
    }

    /// Gives `use_row` the row for an address, counted from the image's beginning.
    pub fn find<T>(&self, vaddr: u64, use_row: impl FnOnce(&Row<'_>) -> T) -> Option<T> {
        let mut context: UnwindContext<usize, Storage> = UnwindContext::new_in();
        let Self { frames, bases, .. } = self;
        let table = self.header.table()?;
        let fde = table.fde_for_address(frames, bases, vaddr, EhFrame::cie_from_offset).ok()?;
        let row = fde.unwind_info_for_address(frames, bases, &mut context, vaddr).ok()?;
        let mut registers = [const { (Register(0), RegisterRule::Undefined) }; Storage::RULES];
        let mut count = 0;
        for ((register, rule), slot) in row.registers().zip(&mut registers) {
            *slot = (*register, rule.clone());
            count += 1;
        }
        Some(use_row(&Row {
            is_signal: fde.is_signal_trampoline(),
            return_column: fde.cie().return_address_register(),
            cfa: row.cfa(),
            registers: &registers[..count],
        }))
    }

    /// The addresses of each function that has rules, exported or not.
    pub fn functions(&self) -> impl Iterator<Item = gimli::Result<Range<u64>>> {
        let mut entries = self.frames.entries(&self.bases);
        core::iter::from_fn(move || {
            loop {
                let fde = match entries.next().transpose()? {
                    Ok(CieOrFde::Cie(_)) => continue,
                    Ok(CieOrFde::Fde(fde)) => fde.parse(EhFrame::cie_from_offset),
                    Err(error) => Err(error),
                };
                return Some(fde.map(|fde| fde.initial_address()..fde.end_address()));
            }
        })
    }
}

/// Room for the rules of every register that there is.
struct Storage;

impl Storage {
    const RULES: usize = 128;
}

impl UnwindContextStorage<usize> for Storage {
    type Rules = [(Register, RegisterRule<usize>); Self::RULES];
    type Stack = [gimli::UnwindTableRow<usize, Self>; 2];
}
