//! A number that says how well it is known.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{note::Note, reason::Reason};

/// Where a figure was measured. The variants are in order of preference, if one campaign has the
/// same figure from several platforms.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Hardware's wall clock, without a hypervisor.
    Native,
    /// Hardware's wall clock under a hypervisor, which handles timers, interrupts and page tables
    /// in its own way.
    Virtual,
    /// QEMU's instruction counter: a nanosecond is a fixed number of instructions.
    Counted,
    /// Wall clock of an emulated CPU (QEMU TCG).
    Emulated,
    /// The platform could not be determined.
    Unknown,
}

impl Platform {
    /// Whether its costs are in the proportions of hardware: real processors execute the
    /// instructions in real time.
    pub fn is_hardware(self) -> bool {
        matches!(self, Self::Native | Self::Virtual)
    }

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Virtual => "virtual",
            Self::Counted => "counted",
            Self::Emulated => "emulated",
            Self::Unknown => "unknown",
        }
    }
}

/// An estimate with its interval, or the reason why there is none.
///
/// In JSON `{"estimate", "lo", "hi", "n", "detectable", "platform"}` or `{"estimate": null,
/// "why"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Figure {
    /// There is a number.
    Known(Estimate),
    /// There is none.
    Null(Absent),
}

/// A number with its 95 % interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The estimate, in the figure's unit.
    pub estimate: f64,
    /// Lower end of the interval; absent if there is no interval, as with a single trial.
    pub lo: Option<f64>,
    /// Upper end.
    pub hi: Option<f64>,
    /// Trials (or pairs of trials) behind it.
    pub n: usize,
    /// Smallest effect that this run would have detected (power 0.8, alpha 0.05).
    pub detectable: Option<f64>,
    /// Where it was measured.
    pub platform: Platform,
    /// What the interval covers; absent for the difference between blocks.
    #[serde(default, skip_serializing_if = "Basis::is_blocks")]
    pub basis: Basis,
    /// Differences: two-sided p-value of "no difference", after Holm over the methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// Remarks that a reader must see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// What variation an interval covers.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The difference between blocks.
    #[default]
    Blocks,
    /// The difference between the bins of one run; it does not include the difference between runs.
    WithinRun,
}

impl Basis {
    fn is_blocks(&self) -> bool {
        *self == Self::Blocks
    }
}

/// No number, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Absent {
    /// Always null; keeps the key present.
    pub estimate: (),
    /// The reason.
    pub why: Reason,
}

impl Figure {
    /// No number, and why.
    pub fn null(why: Reason) -> Self {
        Self::Null(Absent { estimate: (), why })
    }

    /// The estimate, where there is one.
    pub fn known(&self) -> Option<&Estimate> {
        match self {
            Self::Known(estimate) => Some(estimate),
            Self::Null(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_called_as_in_json_and_hardware_is_preferred() {
        let all = [
            Platform::Native,
            Platform::Virtual,
            Platform::Counted,
            Platform::Emulated,
            Platform::Unknown,
        ];
        assert!(all.is_sorted());
        for platform in all {
            assert_eq!(serde_json::to_value(platform).unwrap(), platform.name());
            assert_eq!(platform.is_hardware(), platform < Platform::Counted);
        }
    }

    #[test]
    fn null_keeps_its_key_and_its_reason() {
        let json = serde_json::to_string(&Figure::null(Reason::NoTime)).unwrap();
        assert_eq!(json, r#"{"estimate":null,"why":{"kind":"no_time"}}"#);
        let back: Figure = serde_json::from_str(&json).unwrap();
        assert_eq!(back, Figure::null(Reason::NoTime));
    }
}
