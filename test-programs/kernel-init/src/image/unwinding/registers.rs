//! What a trap has interrupted, and the step from there to its caller.

use core::ptr;

use gimli::{CfaRule, Register, RegisterRule};

use super::layout::{COLUMNS, LAYOUT, Word};
use crate::image::rules::{Row, Tables};

/// The registers of a frame.
#[derive(Clone)]
pub struct Registers {
    /// Of the next instruction.
    pub pc: u64,
    columns: [u64; COLUMNS],
    /// Whether one of them was read below the stack pointer, where nothing stays.
    pub is_from_below: bool,
}

impl Registers {
    /// Those that a handler was given.
    ///
    /// # Safety
    /// `context` must be a handler's third argument.
    pub unsafe fn interrupted(context: *const u8) -> Self {
        // SAFETY: the caller's promise, and the layout's.
        let word = |place: usize| unsafe { wide(context.wrapping_add(place)) };
        let mut registers =
            Self { pc: word(LAYOUT.pc), columns: [0; COLUMNS], is_from_below: false };
        for (columns, place) in LAYOUT.registers {
            for (index, column) in columns.clone().enumerate() {
                registers.columns[usize::from(column)] = word(place + index * size_of::<Word>());
            }
        }
        registers
    }

    /// The caller's, at a function's first instruction.
    pub fn caller(&self) -> Self {
        let mut caller = self.clone();
        match LAYOUT.link {
            Some(link) => caller.pc = self.column(link),
            None => {
                caller.pc = read(self.sp());
                caller.columns[usize::from(LAYOUT.sp)] += size_of::<Word>() as u64;
            }
        }
        caller
    }

    /// The caller's by the rules for `vaddr`, which is that of the next instruction, or for a caller that
    /// of the call.
    pub fn step(&self, tables: &Tables, vaddr: u64) -> Result<Self, &'static str> {
        tables.find(vaddr, |row| self.step_by(row)).ok_or("it has no rules")?
    }

    fn step_by(&self, row: &Row<'_>) -> Result<Self, &'static str> {
        let cfa = match row.cfa {
            CfaRule::RegisterAndOffset { register, offset } => {
                self.columns.get(usize::from(register.0)).ok_or("a frame by an unknown register")?
                    + *offset as u64
            }
            CfaRule::Expression(_) => return Err("the frame's address is an expression"),
        };
        let mut caller = self.clone();
        caller.columns[usize::from(LAYOUT.sp)] = cfa - LAYOUT.cfa_above_sp;
        for (register, rule) in row.registers {
            if let RegisterRule::Offset(offset) = rule {
                caller.is_from_below |= cfa.wrapping_add_signed(*offset) < self.sp();
            }
            let value = self.value(*register, rule, cfa)?;
            // What is no column here nobody asks for.
            if let Some(column) = caller.columns.get_mut(usize::from(register.0)) {
                *column = value;
            }
        }
        caller.pc = match row.rule(row.return_column) {
            Some(rule) => self.value(row.return_column, rule, cfa)?,
            None => self.column(row.return_column.0),
        };
        Ok(caller)
    }

    fn value(
        &self,
        register: Register,
        rule: &RegisterRule<usize>,
        cfa: u64,
    ) -> Result<u64, &'static str> {
        Ok(match rule {
            RegisterRule::SameValue => self.column(register.0),
            RegisterRule::Offset(offset) => read(cfa.wrapping_add_signed(*offset)),
            RegisterRule::ValOffset(offset) => cfa.wrapping_add_signed(*offset),
            RegisterRule::Register(other) => self.column(other.0),
            RegisterRule::Undefined => return Err("a register is lost"),
            _ => return Err("a register is an expression"),
        })
    }

    /// What differs for a caller: the program counter, the stack pointer, and what a function must keep.
    pub fn difference(&self, expected: &Self) -> Option<&'static str> {
        let is_same = |column: u16| self.column(column) == expected.column(column);
        if self.pc != expected.pc {
            Some("the return address is another")
        } else if self.sp() != expected.sp() {
            Some("the caller's stack pointer is another")
        } else if !LAYOUT.kept.iter().cloned().flatten().all(is_same) {
            Some("a register that a function keeps is another")
        } else {
            None
        }
    }

    pub fn sp(&self) -> u64 {
        self.column(LAYOUT.sp)
    }

    fn column(&self, column: u16) -> u64 {
        self.columns.get(usize::from(column)).copied().unwrap_or(0)
    }
}

/// Sets the program counter that a handler returns to.
///
/// # Safety
/// `context` must be a handler's third argument.
pub unsafe fn return_to(context: *mut u8, pc: u64) {
    // SAFETY: the caller's promise, and the layout's.
    unsafe { context.wrapping_add(LAYOUT.pc).cast::<Word>().write(pc as Word) };
}

/// A word of the stack.
fn read(address: u64) -> u64 {
    // SAFETY: on this process's stack, if the rule is right; if not, this process dies, and that is seen.
    unsafe { wide(ptr::with_exposed_provenance(address as usize)) }
}

/// The register that is kept there.
///
/// # Safety
/// It must be readable.
#[allow(clippy::useless_conversion, reason = "words of 32 bits")]
unsafe fn wide(place: *const u8) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { place.cast::<Word>().read_unaligned() }.into()
}
