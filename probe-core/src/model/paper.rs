//! The paper's statements beside what was measured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    figure::{Basis, Figure},
    method::MethodId,
};

/// One statement of the paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// A short name that stays: `falls_with_hogs`.
    pub id: String,
    /// What the paper says.
    pub statement: String,
    /// Where: section, figure, equation.
    pub place: String,
    /// The paper's value, in words.
    pub paper: String,
    /// What was measured here; the first decides. Empty where the scenario does not hold the
    /// comparison.
    pub measured: Vec<Beside>,
    /// Whether that agrees.
    pub agrees: Agreement,
    /// What the deciding intervals are of; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// By what rule, how far it is off, and what is known of why.
    pub remarks: Vec<String>,
}

/// A figure beside a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MeasuredBeside")]
pub struct Beside {
    /// What it is, with its unit.
    pub what: String,
    /// The method that it was measured under; `off` for the reference counter and the sink alone.
    pub method: MethodId,
    /// The figure.
    pub figure: Figure,
    /// Whether it is a coefficient of correlation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_correlation: bool,
}

/// Whether a statement holds here, by the rules in docs/src/explanation/paper.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// The whole interval says so.
    Yes,
    /// The whole interval contradicts it.
    No,
    /// The interval allows both, or there is none.
    CannotTell,
    /// The sections, the guests or the target do not hold the comparison.
    NotInThisScenario,
}
