//! Makes vDSO images for tests: good and broken ones of every class, byte order and set of tables.
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
//! [`Recipe`] says what to make, [`Made`] has the bytes and knows where everything is in them, and
//! [`broken()`] spoils good images, each in one way that has one name and one reason.
//!
//! Sources: the System V gABI; the Linux Standard Base for GNU hash tables and symbol versions.

mod broken;
mod fields;
mod header;
mod made;
mod recipe;
mod sections;
mod tables;
mod writer;

pub use broken::{Broken, FoundBy, broken};
pub use fields::SymbolField;
pub use made::{Extent, Made, Parts, make};
pub use recipe::{
    Binding, HashTables, Kind, Note, Place, Recipe, Says, Sections, Symbol, Versions,
};
pub use writer::{ByteOrder, Class};
