//! The schedule of a fidelity trial.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{duration_text, rate::Rate};

/// A fidelity trial: what guests and hogs do, section by section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fidelity {
    /// Offered load per guest that sends; none means flat out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Sections in order.
    pub sections: Vec<Section>,
}

/// A stretch of a fidelity trial in which guests and hogs do the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// What reports call it, such as a pattern of the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The first so many guests send, the others rest; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub senders: Option<usize>,
    /// Hogs on machine 1. With VMs, the VMs behind the senders.
    #[serde(default)]
    pub hogs: usize,
    /// Offered load per guest that sends, instead of the schedule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How long.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub duration: Duration,
}

impl Fidelity {
    /// Length of the whole schedule.
    pub fn duration(&self) -> Duration {
        self.sections.iter().map(|section| section.duration).sum()
    }

    /// Most hogs at a time.
    pub fn most_hogs(&self) -> usize {
        self.sections.iter().map(|section| section.hogs).max().unwrap_or(0)
    }

    /// Makes every section `factor` times as long, in whole bins of width `bin` and at least one.
    pub fn scale(&mut self, factor: f64, bin: Duration) {
        for section in &mut self.sections {
            let bins = (section.duration.as_secs_f64() * factor / bin.as_secs_f64()).round();
            section.duration = bin.mul_f64(bins.max(1.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_schedule_keeps_to_whole_bins() {
        let section = |seconds| Section {
            name: None,
            senders: None,
            hogs: 0,
            rate: None,
            duration: Duration::from_secs(seconds),
        };
        let mut schedule = Fidelity { rate: None, sections: vec![section(25), section(1)] };
        schedule.scale(0.21, Duration::from_millis(500));
        assert_eq!(schedule.sections[0].duration, Duration::from_millis(5500));
        assert_eq!(schedule.sections[1].duration, Duration::from_millis(500));
    }
}
