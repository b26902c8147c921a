//! The tables.

use vdso_measure::Cost;

/// What a row must reach and should reach, as a ratio to the first row.
#[derive(Clone, Copy)]
pub struct Goal {
    /// The row's name.
    pub row: &'static str,
    /// Not more than this.
    pub must: f64,
    /// Better than that.
    pub aim: f64,
}

/// Prints what a group of subjects cost.
pub fn print(title: &str, costs: &[Cost], goals: &[Goal]) {
    println!("\n{title}");
    println!("  {:28} {:>10} {:>10} {:>7}  goal", "", "median ns", "least ns", "ratio");
    for cost in costs {
        let goal = goals.iter().find(|goal| goal.row == cost.name).map(|goal| {
            let verdict = if cost.ratio <= goal.aim {
                "aim reached"
            } else if cost.ratio <= goal.must {
                "met"
            } else {
                "MISSED"
            };
            format!("must {:.2}, aim {:.2}: {verdict}", goal.must, goal.aim)
        });
        println!(
            "  {:28} {:>10.2} {:>10.2} {:>7.3}  {}",
            cost.name,
            cost.summary.median_ns,
            cost.summary.min_ns,
            cost.ratio,
            goal.unwrap_or_default()
        );
    }
}
