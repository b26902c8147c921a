//! Texts of somebody else's, written so that they can do nothing to a terminal: names and paths are a
//! stranger's choice.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A text of somebody else's, a name or a path, for a terminal and for one line: what controls, what is not
/// seen, and what turns the direction of writing is written as Rust does, `\n` and `\u{202e}`.
pub fn printable(text: &str) -> String {
    escape(text.as_bytes(), is_seen)
}

/// The same of a path or another argument, which may be no text: what is none is written as `\xff`.
pub fn printable_path(path: impl AsRef<OsStr>) -> String {
    escape(path.as_ref().as_bytes(), is_seen)
}

/// The same between quotes that it cannot end.
pub fn quoted(name: impl AsRef<OsStr>) -> String {
    let is_plain = |character| is_seen(character) && !['\'', '\\'].contains(&character);
    format!("'{}'", escape(name.as_ref().as_bytes(), is_plain))
}

fn escape(bytes: &[u8], is_plain: impl Fn(char) -> bool) -> String {
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match is_plain(character) {
                true => shown.push(character),
                false => shown.extend(character.escape_default()),
            }
        }
        shown.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    shown
}

/// Whether Rust writes it as it is behind another character, as accents are; quotes aside.
fn is_seen(character: char) -> bool {
    let behind: String = ['a', character].iter().collect();
    let written: Vec<char> = behind.escape_debug().skip(1).collect();
    written.last() == Some(&character) && written.len() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_what_it_shows_is_not() {
        for shown in ["plain", "two words", "caf\u{e9}", "cafe\u{301}", "\u{5b57}", r#"a"b\c"#] {
            assert_eq!(printable(shown), shown);
        }
        for (text, shown) in [
            ("\u{1b}[2J\r\n", r"\u{1b}[2J\r\n"),
            ("a\u{202e}b\u{2066}", r"a\u{202e}b\u{2066}"),
            ("\u{9b}\u{200b}\u{feff}\u{2028}", r"\u{9b}\u{200b}\u{feff}\u{2028}"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert_eq!(printable_path(OsStr::from_bytes(b"a\xff\xc3")), r"a\xff\xc3");
    }

    #[test]
    fn a_name_does_not_end_its_quotes() {
        assert_eq!(quoted("sh"), "'sh'");
        assert_eq!(quoted("a' (pid 1)\n"), r"'a\' (pid 1)\n'");
        assert_eq!(quoted(r"a\"), r"'a\\'");
    }
}
