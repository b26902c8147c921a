//! The tables.

use vdso_measure::Cost;

/// What a row must reach and should reach.
#[derive(Clone, Copy)]
pub struct Goal {
    /// The row's name.
    pub row: &'static str,
    /// What is looked at.
    pub of: Figure,
    /// Not more than this.
    pub must: f64,
    /// Better than that.
    pub aim: f64,
}

/// A figure of a row's.
#[derive(Clone, Copy)]
pub enum Figure {
    /// The ratio to the first row.
    Ratio,
    /// The median, ns.
    MedianNs,
}

impl Goal {
    /// As a ratio to the first row.
    pub const fn ratio(row: &'static str, must: f64, aim: f64) -> Self {
        Self { row, of: Figure::Ratio, must, aim }
    }

    /// In nanoseconds.
    pub const fn median_ns(row: &'static str, must: f64, aim: f64) -> Self {
        Self { row, of: Figure::MedianNs, must, aim }
    }

    fn verdict(&self, cost: &Cost) -> String {
        let (figure, unit) = match self.of {
            Figure::Ratio => (cost.ratio, ""),
            Figure::MedianNs => (Some(cost.summary.median_ns), " ns"),
        };
        let verdict = match figure {
            None => "NOT MEASURED",
            Some(figure) if figure <= self.aim => "aim reached",
            Some(figure) if figure <= self.must => "met",
            Some(_) => "MISSED",
        };
        format!("must {:.2}{unit}, aim {:.2}{unit}: {verdict}", self.must, self.aim)
    }
}

/// Prints what a group of subjects cost.
pub fn print(title: &str, costs: &[Cost], goals: &[Goal]) {
    println!("\n{title}");
    println!("  {:28} {:>10} {:>10} {:>7}  goal", "", "median ns", "least ns", "ratio");
    for cost in costs {
        let goal = goals.iter().find(|goal| goal.row == cost.name);
        let goal = goal.map(|goal| goal.verdict(cost));
        println!(
            "  {:28} {:>10.2} {:>10.2} {:>7.3}  {}",
            cost.name,
            cost.summary.median_ns,
            cost.summary.min_ns,
            cost.ratio.unwrap_or(f64::NAN),
            goal.unwrap_or_default()
        );
    }
}
