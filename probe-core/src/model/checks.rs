//! Checks of a campaign's blocks: trends and outliers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::method::MethodId;

/// Checks of the blocks behind the figures. Findings are reported; they do not exclude any data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checks {
    /// Trends that were tested, found or not; empty if there are too few blocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trends: Vec<Trend>,
    /// Outliers among the values of figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outliers: Vec<Outlier>,
}

/// A trend of one quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trend {
    /// The direction in which it was tested.
    pub along: Along,
    /// The quantity.
    pub quantity: Quantity,
    /// The method whose values these are; null for all methods together.
    pub method: Option<MethodId>,
    /// Change per step, in per cent.
    pub pct_per_step: f64,
    /// Values behind it.
    pub n: usize,
    /// Two-sided p-value of "no trend", after Holm over all tested trends.
    pub p: f64,
}

/// The directions in which a trend is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Along {
    /// From block to block of a run: the value itself for the baseline, its ratio to the baseline
    /// for a method.
    Blocks,
    /// From place to place within a block: what a trial inherits from those before it, whatever
    /// their method.
    Places,
}

/// The tested quantities, from which figures are computed.
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

/// A value of a figure that is far from the others. It remains part of the figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outlier {
    /// The method.
    pub method: MethodId,
    /// The figure's path in the method's summary.
    pub figure: String,
    /// Its block, numbered as in the trials.
    pub block: u32,
    /// Distance from the median of the blocks, in scaled median absolute deviations (about standard
    /// deviations).
    pub deviations: f64,
}
