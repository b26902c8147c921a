//! Type information made by hand, for tests.

use super::*;

/// Writes BTF: types from id 1 on, strings once each.
pub struct Writer {
    pub types: Vec<u8>,
    strings: Vec<u8>,
    next_id: u32,
}

/// A member: its name, its type and its byte offset.
pub type Member<'a> = (&'a str, u32, usize);

impl Writer {
    pub fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0], next_id: 1 }
    }

    pub fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let whole: Vec<u8> = [&[0][..], text.as_bytes(), &[0]].concat();
        let at = self.strings.windows(whole.len()).position(|window| window == whole);
        let at = at.map_or(self.strings.len(), |at| at + 1);
        if at == self.strings.len() {
            self.strings.extend_from_slice(&whole[1..]);
        }
        at as u32
    }

    /// One long string, up to that many bytes of all strings.
    pub fn fill_strings(&mut self, bytes: usize) {
        self.strings.resize(bytes - 1, b'x');
        self.strings.push(0);
    }

    /// A type's three words and what follows them; gives its id.
    pub fn add(&mut self, name: &str, kind: u32, count: usize, size: u32, tail: &[u32]) -> u32 {
        let name = self.string(name);
        for word in [&[name, (kind << 24) | count as u32, size][..], tail].concat() {
            self.types.extend_from_slice(&word.to_ne_bytes());
        }
        self.next_id += 1;
        self.next_id - 1
    }

    pub fn structure(&mut self, name: &str, kind: u32, bytes: u32, members: &[Member<'_>]) -> u32 {
        let mut tail = Vec::new();
        for &(name, type_id, offset) in members {
            tail.extend([self.string(name), type_id, offset as u32 * 8]);
        }
        self.add(name, kind, members.len(), bytes, &tail)
    }

    pub fn enumeration(&mut self, name: &str, values: &[(&str, u32)]) -> u32 {
        let mut tail = Vec::new();
        for &(name, value) in values {
            tail.extend([self.string(name), value]);
        }
        self.add(name, KIND_ENUM, values.len(), 4, &tail)
    }

    pub fn finish(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let version_and_flags = 1 << 16;
        let header = [MAGIC | version_and_flags, HEADER_BYTES as u32, 0, types, types, strings];
        let header = header.into_iter().flat_map(u32::to_ne_bytes).collect();
        [header, self.types.clone(), self.strings.clone()].concat()
    }
}
