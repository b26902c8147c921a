//! Numbers of the ELF format that a caller may want to compare with.
//!
//! Names and values are those of `<elf.h>`; the source is the System V gABI, except where a line
//! says otherwise.

pub use vdso_arch::Machine;

/// A segment that is mapped.
pub const PT_LOAD: u32 = 1;
/// The dynamic table.
pub const PT_DYNAMIC: u32 = 2;
/// Notes.
pub const PT_NOTE: u32 = 4;
/// The sorted table that finds unwind information. Source: Linux Standard Base.
pub const PT_GNU_EH_FRAME: u32 = 0x6474_e550;

/// A segment's bytes can be executed.
pub const PF_X: u32 = 1;
/// A segment's bytes can be written.
pub const PF_W: u32 = 2;
/// A segment's bytes can be read.
pub const PF_R: u32 = 4;

/// `st_shndx` of a symbol that is defined elsewhere. Set in a copy of an image, it hides a symbol
/// from every reader.
pub const SHN_UNDEF: u16 = 0;
/// `st_shndx` of a symbol whose value is not an address.
pub const SHN_ABS: u16 = 0xfff1;

/// Owner of the notes that a kernel writes.
pub const NOTE_OWNER_LINUX: &str = "Linux";
/// Type of the note with `LINUX_VERSION_CODE`. Source: `arch/x86/entry/vdso/note.S` (Linux 6.12);
/// glibc reads it in `dl-discover-osversion.c`.
pub const NT_LINUX_VERSION: u32 = 0;
/// Owner of the notes that a GNU toolchain writes.
pub const NOTE_OWNER_GNU: &str = "GNU";
/// Type of the note with the build-id. Source: `<elf.h>`.
pub const NT_GNU_BUILD_ID: u32 = 3;
