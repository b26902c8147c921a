//! Calls of the page in machine code: finds them ([`sites`], [`in_program`]), and has them go elsewhere.
//!
//! A program that calls the page has the address of an entry in its code, as an immediate operand of `mov`: hand-written
//! assembly (glibc before 2.15, Go before 1.1) and compilers alike, as no other instruction can
//! hold such an address. (A pointer in data can: Go 1.1 to 1.3 have one, which the vDSO's functions replace at start.) Each of the two
//! encodings has room for a `lea` of a function within 2 GiB, so a site can be rewritten in place: no instruction moves, and whoever
//! jumps behind it finds what was there.

use crate::Entry;
pub use crate::program::in_program;

/// A `mov` of an entry's address to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Where the instruction begins, from the start of the code that was searched.
    pub offset: usize,
    /// Whose address it is.
    pub entry: Entry,
    /// What becomes of the address, as far as that can be seen.
    pub used: Use,
    /// The register's number, 0 to 15.
    register: u8,
    form: Form,
}

/// What a program does with an entry's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// An instruction close behind calls, or jumps to, what the register has.
    Called,
    /// It is kept, compared, or called out of sight. Debuggers and emulators compare with it; who has a fallback for
    /// the lack of a vDSO keeps it.
    Unknown,
}

/// How the instruction is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `mov r64, imm32`, sign-extended: `REX.W C7 /0`.
    Short,
    /// `mov r64, imm64`: `REX.W B8+r`.
    Long,
}

impl Form {
    const fn bytes(self) -> usize {
        match self {
            Self::Short => 7,
            Self::Long => 10,
        }
    }
}

/// How far behind a site its call is looked for. Compilers load an argument or two between.
const NEAR_BYTES: usize = 32;

/// The third byte of all entries' addresses, by which they are looked for: rarer in code than the bytes beside it.
const RARE: u8 = 0x60;

/// All sites in these bytes, in their order. Bytes that are no code have none, but by chance: 53 bits of each are given.
pub fn sites(code: &[u8]) -> impl Iterator<Item = Site> + '_ {
    rare(code).filter_map(move |at| {
        // Where that byte is in the two encodings.
        let short = at.checked_sub(5).and_then(|offset| Site::read(code, offset, Form::Short));
        short.or_else(|| at.checked_sub(4).and_then(|offset| Site::read(code, offset, Form::Long)))
    })
}

/// Where the rare byte is. A block without it, as most are, is passed over at once.
fn rare(code: &[u8]) -> impl Iterator<Item = usize> + '_ {
    const BLOCK: usize = 64;
    code.chunks(BLOCK).enumerate().flat_map(|(number, block)| {
        let has_one = block.iter().fold(false, |found, &byte| found | (byte == RARE));
        let searched = if has_one { block } else { &[] };
        let found = searched.iter().enumerate().filter(|&(_, &byte)| byte == RARE);
        found.map(move |(at, _)| number * BLOCK + at)
    })
}

impl Site {
    fn read(code: &[u8], offset: usize, form: Form) -> Option<Self> {
        let bytes = code.get(offset..offset + form.bytes())?;
        // REX.W, and REX.B for the upper eight registers.
        let upper = match bytes[0] {
            0x48 => 0,
            0x49 => 8,
            _ => return None,
        };
        let (register, addr) = match (form, bytes) {
            (Form::Short, &[_, 0xc7, operand @ 0xc0..=0xc7, a, b, c, d]) => {
                (operand - 0xc0, i64::from(i32::from_le_bytes([a, b, c, d])) as u64)
            }
            (Form::Long, &[_, opcode @ 0xb8..=0xbf, a, b, c, d, e, f, g, h]) => {
                (opcode - 0xb8, u64::from_le_bytes([a, b, c, d, e, f, g, h]))
            }
            _ => return None,
        };
        let (register, entry) = (register + upper, Entry::at(addr)?);
        let behind = &code[offset + form.bytes()..];
        let used = if is_called(register, behind) { Use::Called } else { Use::Unknown };
        Some(Self { offset, entry, used, register, form })
    }

    /// The instruction's size.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.form.bytes()
    }

    /// What to write at the site, which is at `addr`, so that its register gets `function_addr`; `None` if that is not within
    /// 2 GiB. As long as the site, changing no flag, and one instruction but for a `nop` that may follow.
    #[must_use]
    pub fn replacement(&self, addr: u64, function_addr: u64) -> Option<Replacement> {
        /// Of `lea r64, [rip + rel32]`.
        const LEA_BYTES: u64 = 7;
        let distance = function_addr.wrapping_sub(addr.wrapping_add(LEA_BYTES)) as i64;
        let [a, b, c, d] = i32::try_from(distance).ok()?.to_le_bytes();
        let (upper, lower) = (self.register >> 3, self.register & 7);
        // REX.W, and REX.R for the upper eight registers; behind it, for the longer form, `nop dword ptr [rax]`.
        let code = [0x48 | upper << 2, 0x8d, 0x05 | lower << 3, a, b, c, d, 0x0f, 0x1f, 0x00];
        Some(Replacement { code, bytes: self.bytes() })
    }
}

/// Whether the register is called, or jumped to, close by.
fn is_called(register: u8, behind: &[u8]) -> bool {
    let (upper, lower) = (register >> 3, register & 7);
    let near = &behind[..behind.len().min(NEAR_BYTES)];
    // `FF /2`, `FF /4`; REX.B before it for the upper eight registers, and no REX at all for the others.
    near.windows(2).enumerate().any(|(at, pair)| {
        let is_call = pair == [0xff, 0xd0 | lower] || pair == [0xff, 0xe0 | lower];
        let has_rex = at.checked_sub(1).is_some_and(|before| near[before] == 0x41);
        is_call && (has_rex || upper == 0) && !(has_rex && upper == 0)
    })
}

/// Code to be written over a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    code: [u8; 10],
    bytes: usize,
}

impl Replacement {
    /// The bytes, as many as the site has.
    #[must_use]
    pub fn code(&self) -> &[u8] {
        &self.code[..self.bytes]
    }
}

/// Of each function in [`FUNCTIONS`].
const FUNCTION_BYTES: usize = 8;

/// The three functions one behind the other, for where there is little room: `mov eax, NUMBER; syscall; ret`.
pub const FUNCTIONS: [u8; Entry::ALL.len() * FUNCTION_BYTES] = functions();

/// Where in [`FUNCTIONS`] the one is that stands for an entry.
#[must_use]
pub const fn function_offset(entry: Entry) -> usize {
    entry as usize * FUNCTION_BYTES
}

const fn functions() -> [u8; Entry::ALL.len() * FUNCTION_BYTES] {
    let mut functions = [0; Entry::ALL.len() * FUNCTION_BYTES];
    let mut index = 0;
    while index < Entry::ALL.len() {
        let [a, b, c, d] = Entry::ALL[index].number().to_le_bytes();
        let code = [0xb8, a, b, c, d, 0x0f, 0x05, 0xc3];
        let mut at = 0;
        while at < FUNCTION_BYTES {
            functions[function_offset(Entry::ALL[index]) + at] = code[at];
            at += 1;
        }
        index += 1;
    }
    functions
}
