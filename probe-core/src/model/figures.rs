//! The figures of a method, as defined in docs/src/reference/figures.md.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    figure::{Absent, Figure},
    reason::Reason,
};

/// Figures by their names, in the order of the table that defines them (`analysis::figures`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Figures(IndexMap<String, Figure>);

impl Figures {
    /// The figure with this name, if the version that wrote the result had it.
    pub fn get(&self, name: &str) -> Option<&Figure> {
        self.0.get(name)
    }

    /// The same, mutable.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Figure> {
        self.0.get_mut(name)
    }

    /// All figures, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Figure)> {
        self.0.iter().map(|(name, figure)| (name.as_str(), figure))
    }

    /// The same, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Figure)> {
        self.0.iter_mut().map(|(name, figure)| (name.as_str(), figure))
    }
}

impl<Name: Into<String>> FromIterator<(Name, Figure)> for Figures {
    fn from_iter<T: IntoIterator<Item = (Name, Figure)>>(figures: T) -> Self {
        Self(figures.into_iter().map(|(name, figure)| (name.into(), figure)).collect())
    }
}

/// The overhead of a method on a smaller target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SizeFigures {
    /// Number of functions: the first ones of the target.
    pub functions: usize,
    /// The overhead on these functions.
    #[serde(flatten)]
    pub figures: Figures,
    /// Hits that the method recorded per kick; null if it records nothing.
    pub events_per_kick: Option<f64>,
}

/// How long calls of the function that each kick calls took in all closed-loop trials, in powers of
/// two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DurationFigures {
    /// Calls whose duration was measured.
    pub calls: u64,
    /// The bucket that holds the median: from, to.
    pub p50_ns: [u64; 2],
    /// The bucket that holds the 99th percentile.
    pub p99_ns: [u64; 2],
    /// The bucket of the longest call.
    pub longest_ns: [u64; 2],
    /// Calls of `[2^i, 2^(i+1))` ns, by `i`.
    pub log2_ns: Vec<u64>,
}

/// The kernel's run times of a method's BPF programs, over all closed-loop trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunFigures {
    /// Runs of all its programs.
    pub runs: u64,
    /// ns of one run.
    pub ns_per_run: Figure,
    /// ns of all runs caused by one kick: like `kernel_ns_per_event`, but without the path to the
    /// programs.
    pub ns_per_event: Figure,
}

/// What a method still shows of one function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FidelityFigures {
    /// How much of the correlation with throughput remains.
    #[serde(flatten)]
    pub figures: Figures,
    /// The same correlations, with other coefficients.
    pub beside: Figures,
    /// The lag at which a series correlates best with throughput; absent if no trial succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<LagFigures>,
    /// The same figures in wider bins; absent if no trial succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_width: Option<WidthFigures>,
}

/// The lags at which two series correlate best with throughput.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LagFigures {
    /// Lag of the reference counter's series while the method runs (for the baseline: on its own).
    pub reference: Lagged,
    /// Lag of the method's own series; absent for the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Lagged>,
}

/// A lag, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Lagged {
    /// There is one.
    Known(Lag),
    /// A series cannot be correlated.
    Null(Absent),
}

/// The lag with the greatest |r|, averaged over blocks. This choice among several has no interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lag {
    /// Number of bins by which throughput follows the series; negative if the series follows
    /// throughput.
    pub bins: i32,
    /// The same in seconds.
    pub seconds: f64,
    /// r at this lag.
    pub r: f64,
    /// Number of blocks in which this lag is the best.
    pub in_blocks: usize,
    /// Number of all blocks.
    pub n: usize,
    /// r at each lag from -4 to 4 bins.
    pub by_lag: Vec<f64>,
}

/// What a method shows in bins of several widths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WidthFigures {
    /// The scenario's own bin first, then wider ones.
    pub widths: Vec<AtWidth>,
    /// For several bounds, the finest width at which the method is accurate.
    pub finest: Vec<Finest>,
}

/// What a method shows in bins of one width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AtWidth {
    /// Width in seconds.
    pub width_s: f64,
    /// The correlations and the series error in these bins.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The finest width at which the whole interval of `series_error` is below a bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finest {
    /// The bound.
    pub error_below: f64,
    /// Width in seconds. Bins finer than the scenario's are not examined.
    pub width_s: Option<f64>,
    /// Why there is no such width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Reason>,
}
