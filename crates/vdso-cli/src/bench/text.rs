//! The report for people: a header, and a table with bars for each call.

use anstyle::Style;

use super::report::{Report, Row, Table};
use crate::chart::{bar, grid, lines};

const TITLE: Style = Style::new().bold();

/// What the columns take; the rest is the bar's.
const COLUMNS_WIDTH: usize = 56;
const WIDEST_BAR: usize = 40;

/// All of it.
pub fn render(report: &Report, width: usize) -> String {
    let mut text = header(report);
    let bar_width = width.saturating_sub(COLUMNS_WIDTH).clamp(8, WIDEST_BAR);
    for table in &report.tables {
        text.push_str(&render_table(table, bar_width));
    }
    text
}

fn header(report: &Report) -> String {
    let machine = &report.machine;
    let unknown = "unknown";
    let or_unknown = |fact: &Option<String>| fact.clone().unwrap_or_else(|| unknown.to_owned());
    let kind = match machine.is_virtual {
        Some(true) => ", virtual",
        _ => "",
    };
    format!(
        "{} x {}{kind}\nLinux {}, clocksource {}, {}\n{} turns of {} calls; ns for one call\n",
        machine.cpus,
        or_unknown(&machine.cpu),
        or_unknown(&machine.kernel),
        or_unknown(&machine.clocksource),
        or_unknown(&machine.libc),
        report.rounds,
        report.calls_in_a_round,
    )
}

fn render_table(table: &Table, bar_width: usize) -> String {
    let mut grid = grid(["", "min", "median", "p99", "ratio", ""]);
    let largest = table.rows.iter().map(|row| row.median_ns).fold(0.0, f64::max);
    for row in &table.rows {
        grid.add_row(cells(row, largest, bar_width));
    }
    format!("\n{TITLE}{}{TITLE:#}\n{}", table.call, lines(&mut grid, 1..=4))
}

fn cells(row: &Row, largest: f64, bar_width: usize) -> [String; 6] {
    [
        row.way.clone(),
        ns(row.min_ns),
        ns(row.median_ns),
        ns(row.p99_ns),
        row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
        bar(row.median_ns, largest, bar_width),
    ]
}

/// Three digits that say something.
fn ns(ns: f64) -> String {
    match ns {
        ns if ns < 10.0 => format!("{ns:.2}"),
        ns if ns < 1000.0 => format!("{ns:.1}"),
        ns => format!("{ns:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use vdso_measure::{Noise, Turns};

    use super::*;
    use crate::bench::machine::Machine;

    fn row(way: &str, median_ns: f64, ratio: f64) -> Row {
        Row {
            way: way.to_owned(),
            min_ns: median_ns / 2.0,
            median_ns,
            p99_ns: median_ns * 20.0,
            ratio: Some(ratio),
        }
    }

    fn report() -> Report {
        let machine = Machine {
            cpu: Some("Model T".to_owned()),
            is_virtual: Some(true),
            cpus: 2,
            kernel: Some("6.1.0".to_owned()),
            clocksource: None,
            libc: Some("glibc 2.36".to_owned()),
            vdso_version: "1.2.3",
        };
        let rows = vec![row("system call", 200.0, 1.0), row("kernel's vDSO", 25.0, 0.125)];
        let tables = vec![Table { call: "time", rows }];
        let noise = Noise { has_no_clock: false, spread: 0.0, tail: 1.0, stolen: 0.0 };
        Report::new(machine, Turns { rounds: 11, times: 500 }, noise, tables)
    }

    #[test]
    fn a_report_has_a_header_and_a_bar_a_row() {
        let text = anstream::adapter::strip_str(&render(&report(), 72)).to_string();
        let expected = "\
2 x Model T, virtual
Linux 6.1.0, clocksource unknown, glibc 2.36
11 turns of 500 calls; ns for one call

time
                  min  median    p99  ratio
 system call    100.0   200.0   4000  1.000  ████████████████
 kernel's vDSO   12.5    25.0  500.0  0.125  ██
";
        assert_eq!(text, expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [80, 100, 200] {
            let text = anstream::adapter::strip_str(&render(&report(), width)).to_string();
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{widest:?} of {width}:\n{text}");
        }
    }

    #[test]
    fn a_document_has_a_version_and_units() {
        let document = serde_json::to_value(report()).expect("it can be written");
        assert_eq!(document["schema_version"], 1);
        assert_eq!(document["noise"]["is_trustworthy"], true);
        assert_eq!(document["machine"]["clocksource"], serde_json::Value::Null);
        let row = &document["tables"][0]["rows"][1];
        assert_eq!(row["way"], "kernel's vDSO");
        assert_eq!((row["min_ns"].as_f64(), row["ratio"].as_f64()), (Some(12.5), Some(0.125)));
    }
}
