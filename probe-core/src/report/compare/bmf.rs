//! Bencher Metric Format: the new campaign's figures, for a service that keeps their history.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::analysis::compare::Comparison;

/// Methods, each with its figures by path.
pub type Metrics<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Metric>>;

/// One number with its 95 % interval, in the figure's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Metric {
    /// The estimate.
    pub value: f64,
    /// Lower end of its interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower_value: Option<f64>,
    /// Upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper_value: Option<f64>,
}

/// The new campaign's figures that were compared.
pub fn metrics(comparison: &Comparison) -> Metrics<'_> {
    let mut metrics = Metrics::new();
    for change in &comparison.changes {
        let metric = Metric {
            value: change.new.estimate,
            lower_value: change.new.lo,
            upper_value: change.new.hi,
        };
        metrics.entry(&change.method.0).or_default().insert(&change.figure, metric);
    }
    metrics
}
