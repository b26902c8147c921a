//! What the tasks build with, and run: cargo for this workspace, `core` for other targets, the images of all
//! architectures, and processes that must end.

pub mod cargo;
pub mod images;
pub mod process;
pub mod standard_library;
