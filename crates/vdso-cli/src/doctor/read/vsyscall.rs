//! Which of a process's files call the legacy vsyscall page.

use std::collections::HashSet;

use serde::Serialize;
use vdso_vsyscall::Entry;
use vdso_vsyscall::code::{Use, in_program};

use super::libc::LONGEST_BYTES;
use crate::system::maps::Mapping;
use crate::system::{Accept, Root};

/// A program or library with such calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Caller {
    pub file: String,
    pub functions: Vec<&'static str>,
}

/// Those that `process` has mapped; files that cannot be read are passed over.
pub fn callers(root: &Root, process: &str, mappings: &[Mapping]) -> Vec<Caller> {
    let mut seen = HashSet::new();
    let code = mappings.iter().filter(|mapping| {
        mapping.protection.contains('x') && mapping.inode != 0 && seen.insert(mapping.inode)
    });
    code.filter_map(|mapping| caller(root, process, mapping)).collect()
}

fn caller(root: &Root, process: &str, mapping: &Mapping) -> Option<Caller> {
    // As for C libraries: the process's own view, and the file that is mapped.
    let path = format!("/proc/{process}/root{}", mapping.name);
    let inode = root.is_this_machine().then_some(mapping.inode);
    let accept = Accept { links: false, inode, bytes: LONGEST_BYTES };
    let file = root.bytes_of_ordinary_file(&path, &accept).ok()?;
    let is_called = |entry: &Entry| {
        in_program(&file).any(|(_, site)| site.entry == *entry && site.used == Use::Called)
    };
    // Most files have none, and are gone through once.
    in_program(&file).next()?;
    let functions: Vec<_> =
        Entry::ALL.iter().filter(|it| is_called(it)).map(|it| it.name()).collect();
    (!functions.is_empty()).then(|| Caller { file: mapping.name.clone(), functions })
}
