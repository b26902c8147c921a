//! What was measured, as it is printed by `--json`.

use serde::Serialize;
use vdso_measure::{Cost, Noise, Turns};

use super::machine::Machine;

/// Grows when a field changes its meaning or goes away.
const SCHEMA_VERSION: u32 = 1;

/// The document.
#[derive(Debug, Serialize)]
pub struct Report {
    pub schema_version: u32,
    pub machine: Machine,
    /// How often each way was measured.
    pub rounds: usize,
    pub calls_in_a_round: u32,
    pub noise: NoiseReport,
    pub tables: Vec<Table>,
}

/// Whether to trust the rest.
#[derive(Debug, Serialize)]
pub struct NoiseReport {
    pub is_trustworthy: bool,
    pub complaint: Option<String>,
    pub spread_percent: f64,
    /// The p99 to the median, typically.
    pub tail_ratio: f64,
    pub stolen_percent: f64,
}

/// One call, in each way.
#[derive(Debug, Serialize)]
pub struct Table {
    pub call: &'static str,
    pub rows: Vec<Row>,
}

/// One way.
#[derive(Debug, Serialize)]
pub struct Row {
    pub way: String,
    pub min_ns: f64,
    pub median_ns: f64,
    pub p99_ns: f64,
    /// To the table's first row, round by round; `null` where the clock did not advance meanwhile.
    pub ratio: Option<f64>,
}

impl Report {
    pub fn new(machine: Machine, turns: Turns, noise: Noise, tables: Vec<Table>) -> Self {
        let complaint = noise.complaint();
        Self {
            schema_version: SCHEMA_VERSION,
            machine,
            rounds: turns.rounds,
            calls_in_a_round: turns.times,
            noise: NoiseReport {
                is_trustworthy: complaint.is_none(),
                complaint,
                spread_percent: noise.spread * 100.0,
                tail_ratio: noise.tail,
                stolen_percent: noise.stolen * 100.0,
            },
            tables,
        }
    }
}

impl Row {
    pub fn of(cost: &Cost) -> Self {
        Self {
            way: cost.name.clone(),
            min_ns: cost.summary.min_ns,
            median_ns: cost.summary.median_ns,
            p99_ns: cost.summary.p99_ns,
            ratio: cost.ratio,
        }
    }
}
