//! Tables with bars of block characters, to an eighth of a character.

use std::fmt::Write;
use std::ops::RangeInclusive;

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};

const BAR: Style = AnsiColor::Cyan.on_default();

/// Characters of a line where there is no terminal.
pub const USUAL_WIDTH: usize = 80;

/// Characters of the terminal's lines, or as most have it.
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0))
}

/// A table without lines.
pub fn grid<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut grid = Table::new();
    grid.load_style(presets::NOTHING);
    grid.set_header(header);
    grid
}

/// The table's lines, with the numbers at the right of their columns, and coloured bars, which stand last.
pub fn lines(grid: &mut Table, numbers: RangeInclusive<usize>) -> String {
    for column in numbers {
        if let Some(column) = grid.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    for line in grid.lines() {
        let line = line.trim_end();
        // The bar is the only thing in a line that is not of the table.
        let (columns, bar) = line
            .split_at(line.find(['█', '▏', '▎', '▍', '▌', '▋', '▊', '▉']).unwrap_or(line.len()));
        _ = writeln!(text, "{columns}{BAR}{bar}{BAR:#}");
    }
    text
}

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
