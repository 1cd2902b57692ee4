//! What is told of a method in figures, by the definitions in docs/src/reference/figures.md.

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
    /// The figure of this name, in results of versions that know it.
    pub fn get(&self, name: &str) -> Option<&Figure> {
        self.0.get(name)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Figure> {
        self.0.get_mut(name)
    }

    /// All of them, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Figure)> {
        self.0.iter().map(|(name, figure)| (name.as_str(), figure))
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Figure)> {
        self.0.iter_mut().map(|(name, figure)| (name.as_str(), figure))
    }
}

impl<Name: Into<String>> FromIterator<(Name, Figure)> for Figures {
    fn from_iter<T: IntoIterator<Item = (Name, Figure)>>(figures: T) -> Self {
        Self(figures.into_iter().map(|(name, figure)| (name.into(), figure)).collect())
    }
}

/// What a method costs on so many functions at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SizeFigures {
    /// The first so many functions of the target.
    pub functions: usize,
    /// What it costs there.
    #[serde(flatten)]
    pub figures: Figures,
    /// Hits that the method recorded per kick; null where it records nothing.
    pub events_per_kick: Option<f64>,
}

/// How long the calls took of the function that each kick calls, over all closed-loop trials, in
/// powers of two.
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

/// What the kernel says that runs of a method's BPF programs took, over all closed-loop trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunFigures {
    /// Runs of all its programs.
    pub runs: u64,
    /// ns of one run.
    pub ns_per_run: Figure,
    /// ns of all runs that one kick makes: what `kernel_ns_per_event` is without the way to the
    /// programs.
    pub ns_per_event: Figure,
}

/// What a method still shows of one function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FidelityFigures {
    /// What is left of the correlation with throughput.
    #[serde(flatten)]
    pub figures: Figures,
    /// The same correlations by other coefficients.
    pub beside: Figures,
    /// The lag at which a series goes best with the throughput; absent where no trial ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<LagFigures>,
    /// What is left in wider bins; absent where no trial ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_width: Option<WidthFigures>,
}

/// At which lag two series go best with the throughput.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LagFigures {
    /// The reference counter's, under the method (of the baseline: under itself).
    pub reference: Lagged,
    /// The method's own series'; absent for the baseline.
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

/// The lag with the greatest |r|, of means over blocks. The choice among several has no interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lag {
    /// Bins by which the throughput follows the series; negative where the series follows the
    /// throughput.
    pub bins: i32,
    /// The same in seconds.
    pub seconds: f64,
    /// r at this lag.
    pub r: f64,
    /// Blocks in which this lag is the best by itself.
    pub in_blocks: usize,
    /// Blocks.
    pub n: usize,
    /// r at each lag from -4 to 4 bins.
    pub by_lag: Vec<f64>,
}

/// What a method shows in bins of several widths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WidthFigures {
    /// The scenario's own bin first, then wider ones.
    pub widths: Vec<AtWidth>,
    /// The finest of them at which the method tells the truth, by several bounds.
    pub finest: Vec<Finest>,
}

/// What a method shows in bins of one width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AtWidth {
    /// Seconds.
    pub width_s: f64,
    /// The correlations and the series error in these bins.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The finest width at which the whole interval of `series_error` lies below a bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finest {
    /// The bound.
    pub error_below: f64,
    /// Seconds. Finer bins than the scenario's were not looked at.
    pub width_s: Option<f64>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Reason>,
}
