//! Finds names and words among megabytes of others.

use super::blocks::{BLOCK, with_bytes, with_word};

/// Names to be looked for, each as a whole string behind another one.
pub struct Names(Vec<Vec<u8>>);

impl Names {
    /// These.
    pub fn new(names: &[&str]) -> Self {
        Self(names.iter().map(|name| [b"\0", name.as_bytes(), b"\0"].concat()).collect())
    }

    /// The length of the longest, with the zero bytes around it.
    pub fn longest(&self) -> usize {
        self.0.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Calls `is_done` for each place in `bytes` where one of the names begins, with the index of that, in the order of
    /// places, until it says so. Gives whether it has.
    pub fn find(&self, bytes: &[u8], is_done: &mut dyn FnMut(usize, usize) -> bool) -> bool {
        let prefix = self.common_prefix();
        let (Some(&first), Some(&last)) = (prefix.first(), prefix.last()) else { return false };
        let span = prefix.len() - 1;
        let next = span.min(1);
        let signs = [first, prefix[next], last];
        let mut at = 0;
        while at + span < bytes.len() {
            let behind = |offset| bytes.get(at + offset..).unwrap_or_default();
            let blocks = [behind(0), behind(next), behind(span)];
            // The last places are no whole block.
            at += BLOCK * with_bytes(blocks, signs).unwrap_or(blocks[2].len() / BLOCK);
            for place in at..bytes.len().min(at + BLOCK) {
                let rest = bytes.get(place..).unwrap_or_default();
                if !rest.starts_with(prefix) {
                    continue;
                }
                for (index, name) in self.0.iter().enumerate() {
                    if rest.starts_with(name) && is_done(place + 1, index) {
                        return true;
                    }
                }
            }
            at += BLOCK;
        }
        false
    }

    /// At least the zero byte, unless there are no names.
    fn common_prefix(&self) -> &[u8] {
        let Some((first, others)) = self.0.split_first() else { return &[] };
        let is_common = |&length: &usize| {
            first.get(..length).is_some_and(|prefix| others.iter().all(|it| it.starts_with(prefix)))
        };
        let length = (1..=first.len()).take_while(is_common).last().unwrap_or(0);
        &first[..length]
    }
}

/// How many words are looked for at a time.
pub const GROUP: usize = 4;

/// Calls `look` with the place of each word that is one of `sought`, and perhaps with others, and with what begins there.
pub fn words(bytes: &[u8], sought: &[u32; GROUP], look: &mut dyn FnMut(usize, &[u8])) {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        // The last places are no whole block.
        at += BLOCK * with_word(rest, sought).unwrap_or(rest.len() / BLOCK);
        for place in (at..bytes.len().min(at + BLOCK)).step_by(size_of::<u32>()) {
            look(place, bytes.get(place..).unwrap_or_default());
        }
        at += BLOCK;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], names: &[&str]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        Names::new(names).find(bytes, &mut |place, index| {
            found.push((place, index));
            false
        });
        found
    }

    /// At every place of a block, and where blocks and the whole end.
    #[test]
    fn each_place_is_looked_at() {
        for length in [9, 256, 261, 262, 600] {
            for place in 0..=length - 6 {
                let mut bytes = vec![b'a'; length];
                bytes[place..place + 6].copy_from_slice(b"\0abcd\0");
                let found = all(&bytes, &["abx", "abcd"]);
                assert_eq!(found, [(place + 1, 1)], "{place} of {length}");
            }
        }
    }

    #[test]
    fn names_are_whole_and_need_have_nothing_in_common() {
        assert_eq!(all(b"\0one\0two\0", &["two", "one"]), [(1, 1), (5, 0)]);
        assert_eq!(all(b"\0ones\0atwo\0two", &["two", "one"]), []);
        assert_eq!(all(b"\0\0", &["", "one"]), [(1, 0)]);
        assert_eq!(all(b"", &["one"]), []);
        assert_eq!(all(b"\0one\0", &[]), []);
    }

    #[test]
    fn whoever_is_done_is_asked_no_more() {
        let mut calls = 0;
        let is_done = Names::new(&["a"]).find(b"\0a\0a\0a\0", &mut |_, _| {
            calls += 1;
            calls == 2
        });
        assert!(is_done);
        assert_eq!(calls, 2);
    }
}
