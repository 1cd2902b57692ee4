//! The paper's statements beside the measured values.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    figure::{Basis, Figure},
    method::MethodId,
};

/// A statement of the paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// A short, stable name: `falls_with_hogs`.
    pub id: String,
    /// What the paper says.
    pub statement: String,
    /// Where it says so: section, figure, equation.
    pub place: String,
    /// The paper's value, in words.
    pub paper: String,
    /// What was measured here; the first entry decides. Empty if the scenario does not allow the
    /// comparison.
    pub measured: Vec<Beside>,
    /// Whether the measurement agrees.
    pub agrees: Agreement,
    /// What the deciding intervals cover; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// The rule, how far the values differ, and known reasons.
    pub remarks: Vec<String>,
}

/// A measured figure beside a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MeasuredBeside")]
pub struct Beside {
    /// A description, with the unit.
    pub what: String,
    /// The method under which it was measured; `off` for the reference counter and the sink alone.
    pub method: MethodId,
    /// The figure.
    pub figure: Figure,
    /// Whether it is a correlation coefficient.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_correlation: bool,
}

/// Whether a statement holds here, by the rules in docs/src/explanation/paper.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// The whole interval supports it.
    Yes,
    /// The whole interval contradicts it.
    No,
    /// The interval allows both, or there is none.
    CannotTell,
    /// The sections, the guests or the target do not allow the comparison.
    NotInThisScenario,
}
