//! Makes ELF files for tests: vDSO images, good and broken ones, of every class, byte order and set of
//! tables, and core files of processes that had one.
//!
//! Kernels that are at hand have no big-endian 32-bit image, none that is linked at another address
//! than zero, and none without a hash table; and their images are the kernel's, under its licence.
//! These are this project's own. They are written without the reader that they test: nothing here
//! knows vdso-elf.
//!
//! ```
//! use made_images::{ByteOrder, Class, HashTables, Recipe, make};
//!
//! let recipe = Recipe { hash_tables: HashTables::Gnu, ..Recipe::new(Class::Elf32, ByteOrder::Big) };
//! let made = make(&recipe);
//! assert!(made.bytes.starts_with(b"\x7fELF"));
//! ```
//!
//! [`Recipe`] says what to make, [`Made`] has the bytes and knows where everything is in them,
//! [`broken()`] spoils good images, each in one way that has one name and one reason, and
//! [`Made::core`] makes a [`Core`] file.
//!
//! Sources: the System V gABI; the Linux Standard Base for GNU hash tables and symbol versions.

mod broken;
mod content;
mod core_file;
mod fields;
mod header;
mod made;
mod notes;
mod recipe;
mod sections;
mod tables;
mod writer;

pub use broken::{Broken, FoundBy, broken};
pub use core_file::Core;
pub use fields::SymbolField;
pub use made::{Made, Parts, make};
pub use recipe::{
    Binding, HashTables, Kind, Note, Place, Recipe, Says, Sections, Symbol, Versions,
};
pub use writer::{ByteOrder, Class, Extent};
