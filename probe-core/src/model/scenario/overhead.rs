//! The load of overhead trials.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{duration_text, rate::Rate};
use crate::model::trial::Pace;

/// The paces that an overhead block runs under each method: all three, or only the one that shows
/// the cost of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overhead {
    /// One frame in flight: exactly one call per kick.
    #[serde(alias = "lockstep")]
    pub closed_loop: ClosedLoop,
    /// Fixed offered load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paced: Option<Paced>,
    /// As fast as the ring accepts frames.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "flat")]
    pub saturated: Option<Saturated>,
}

impl Overhead {
    /// Whether there are trials at this pace.
    pub fn has(&self, pace: Pace) -> bool {
        match pace {
            Pace::ClosedLoop => true,
            Pace::Paced => self.paced.is_some(),
            Pace::Saturated => self.saturated.is_some(),
        }
    }
}

/// The closed-loop trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosedLoop {
    /// Number of kicks per guest.
    pub kicks: u64,
}

/// The paced trial: fixed offered load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paced {
    /// Frames per second, per guest.
    pub rate: Rate,
    /// Length of the trial.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub duration: Duration,
}

/// The saturated trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Saturated {
    /// Length of the trial.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub duration: Duration,
}
