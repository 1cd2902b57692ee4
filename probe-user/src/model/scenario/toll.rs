//! What the toll is measured under.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{duration_text, rate::Rate};

/// The three paces that a toll block runs under each method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toll {
    /// One frame in flight: exactly one call per kick.
    pub lockstep: Lockstep,
    /// Fixed offered load.
    pub paced: Paced,
    /// As fast as the ring takes frames.
    pub flat: Flat,
}

/// Lockstep pace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockstep {
    /// Kicks in all, per guest.
    pub kicks: u64,
}

/// Fixed offered load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paced {
    /// Frames per second, per guest.
    pub rate: Rate,
    /// How long.
    #[serde(with = "duration_text")]
    pub duration: Duration,
}

/// Flat out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flat {
    /// How long.
    #[serde(with = "duration_text")]
    pub duration: Duration,
}
