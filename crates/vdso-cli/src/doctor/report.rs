//! The report: what `--json` prints, and what the text is made of.

use serde::Serialize;
use serde_json::{Map, Value};

use super::command::CommandFacts;
use super::measure::Measurements;

/// Raised when a field is renamed, removed, or changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that was found out.
#[derive(Debug, Serialize)]
pub struct Report {
    pub schema_version: u32,
    pub machine: MachineFacts,
    pub process: ProcessFacts,
    /// Only with `-- COMMAND`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandFacts>,
    /// The worst of all checks.
    pub status: Status,
    pub checks: Vec<Check>,
    pub measurements: Measurements,
}

/// Which machine this is.
#[derive(Debug, Serialize)]
pub struct MachineFacts {
    pub architecture: String,
    pub kernel_release: Option<String>,
    pub cpu_model: Option<String>,
    pub hypervisor: Option<String>,
}

/// Which process was looked at.
#[derive(Debug, Serialize)]
pub struct ProcessFacts {
    pub pid: u32,
    pub name: Option<String>,
    pub executable: Option<String>,
}

/// One question, and its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Never changes, for scripts.
    pub id: &'static str,
    pub title: &'static str,
    pub status: Status,
    /// In a few words.
    pub summary: String,
    /// What the answer is based on.
    pub found: Map<String, Value>,
    /// Why it is so; of everything but `ok`.
    pub cause: Option<String>,
    /// What to do about it.
    pub action: Option<String>,
    /// What to type for that, where one command does it or tells more.
    pub command: Option<String>,
}

/// How a check ended. In the order of their weight.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// On the fast path.
    Ok,
    /// It could not be found out.
    Unknown,
    /// Not all that could be had, or worth knowing.
    Warn,
    /// Clocks, or other calls, are off the fast path.
    Fail,
}

impl Check {
    /// A check that found nothing wrong.
    pub fn ok(id: &'static str, title: &'static str, summary: impl Into<String>) -> Self {
        Self {
            id,
            title,
            status: Status::Ok,
            summary: summary.into(),
            found: Map::new(),
            cause: None,
            action: None,
            command: None,
        }
    }

    /// Adds what was found.
    pub fn fact(mut self, name: &str, value: impl Serialize) -> Self {
        // Strings, numbers and lists of them always have a JSON value.
        self.found.insert(name.to_owned(), serde_json::to_value(value).unwrap_or_default());
        self
    }

    /// Adds what to type.
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// Makes it a problem, or at least not sure.
    pub fn because(
        mut self,
        status: Status,
        cause: impl Into<String>,
        action: impl Into<String>,
    ) -> Self {
        self.status = status;
        self.cause = Some(cause.into());
        self.action = Some(action.into());
        self
    }
}
