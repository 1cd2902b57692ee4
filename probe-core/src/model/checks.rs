//! What may be wrong with a campaign's blocks: trends, and values that stand apart.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::method::MethodId;

/// Checks of the blocks behind the figures. What they find is told, and nothing is left out for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checks {
    /// Trends that were looked for, found or not; empty with too few blocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trends: Vec<Trend>,
    /// Values of figures that stand apart from those of the other blocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outliers: Vec<Outlier>,
}

/// A trend of one quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trend {
    /// Along what.
    pub along: Along,
    /// The quantity.
    pub quantity: Quantity,
    /// Whose values; null where it is all methods together.
    pub method: Option<MethodId>,
    /// Change per step, in per cent.
    pub pct_per_step: f64,
    /// Values behind it.
    pub n: usize,
    /// Two-sided p-value of "there is none", after Holm over all trends that were looked for.
    pub p: f64,
}

/// Along what a trend may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Along {
    /// From block to block of a run: under the baseline the value itself, under a method its ratio
    /// to the baseline.
    Blocks,
    /// From place to place within a block: what a trial owes to those before it, whatever their
    /// method.
    Places,
}

/// What is looked at; figures are made of these.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// CPU time of the vhost workers per kick, closed loop.
    WorkerNsPerKick,
    /// CPU time of the vhost workers per frame, paced.
    WorkerNsPerFrame,
    /// Bytes at the sink per second, when saturated.
    SaturatedThroughput,
    /// Bytes at the sink per second, fidelity trials.
    FidelityThroughput,
}

/// A value of a figure that stands apart. It stays in the figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outlier {
    /// The method.
    pub method: MethodId,
    /// The figure's path in the method's summary.
    pub figure: String,
    /// Its block, as in the trials.
    pub block: u32,
    /// Distance from the median of the blocks, in scaled median absolute deviations: about standard
    /// deviations.
    pub deviations: f64,
}
