//! Bars of block characters, to an eighth of a character.

/// A bar for `value`, where `largest` fills `width` characters. Anything above zero shows.
pub fn bar(value: f64, largest: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if !(value > 0.0 && largest > 0.0) {
        return String::new();
    }
    let most = width * 8;
    let eighths = ((value / largest * most as f64).round() as usize).clamp(1, most);
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_part_of_the_largest() {
        assert_eq!(bar(100.0, 100.0, 4), "████");
        assert_eq!(bar(50.0, 100.0, 4), "██");
        assert_eq!(bar(100.0 / 32.0, 100.0, 4), "▏");
        assert_eq!(bar(100.0 / 32.0 * 9.0, 100.0, 4), "█▏");
        assert_eq!(bar(99.9, 100.0, 4), "████");
    }

    #[test]
    fn what_is_small_shows_and_nothing_does_not() {
        assert_eq!(bar(0.001, 100.0, 4), "▏");
        assert_eq!(bar(0.0, 100.0, 4), "");
        assert_eq!(bar(f64::NAN, 100.0, 4), "");
        assert_eq!(bar(1.0, 0.0, 4), "");
        assert_eq!(bar(1000.0, 100.0, 4), "████", "no longer than there is room for");
    }
}
