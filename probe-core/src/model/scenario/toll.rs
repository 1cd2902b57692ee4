//! What the toll is measured under.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{duration_text, rate::Rate};
use crate::model::trial::Pace;

/// The paces that a toll block runs under each method: all three, or only what tells the price of a
/// call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Toll {
    /// One frame in flight: exactly one call per kick.
    pub lockstep: Lockstep,
    /// Fixed offered load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paced: Option<Paced>,
    /// As fast as the ring takes frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat: Option<Flat>,
}

impl Toll {
    /// Whether there are trials at this pace.
    pub fn has(&self, pace: Pace) -> bool {
        match pace {
            Pace::Lockstep => true,
            Pace::Paced => self.paced.is_some(),
            Pace::Flat => self.flat.is_some(),
        }
    }
}

/// Lockstep pace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lockstep {
    /// Kicks in all, per guest.
    pub kicks: u64,
}

/// Fixed offered load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paced {
    /// Frames per second, per guest.
    pub rate: Rate,
    /// How long.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub duration: Duration,
}

/// Flat out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flat {
    /// How long.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub duration: Duration,
}
