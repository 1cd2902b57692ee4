//! A scenario: guests, hogs, network, schedule and offered load, as written in a TOML file.

mod drawn;
pub mod duration_text;
mod guests;
mod network;
mod overhead;
mod rate;
mod schedule;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use drawn::{Degradations, Drawn, Planned, Schedule};
pub use guests::{GuestKind, Guests, HogKind};
pub use network::{Link, Network, Switch};
pub use overhead::{ClosedLoop, Overhead, Paced, Saturated};
pub use rate::{BitRate, Rate};
pub use schedule::{Fidelity, Section};

use super::external::External;

/// One scenario file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, as in `--scenario quick`.
    pub name: String,
    /// One line of description.
    pub summary: String,
    /// Width of the time series' bins.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub bin: Duration,
    /// How long the load runs before anything is measured.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub settle: Duration,
    /// CPUs that guests, vhost workers and hogs share (the device under test); the sink gets
    /// another one.
    pub load_cpus: usize,
    /// The load sources.
    #[serde(default)]
    pub guests: Guests,
    /// The network between them and the sink.
    #[serde(default)]
    pub network: Network,
    /// What a hog does.
    #[serde(default)]
    pub hogs: HogKind,
    /// The load of overhead trials. Only `blast` guests know how many calls there were; scenarios
    /// with other guests have none.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "toll")]
    pub overhead: Option<Overhead>,
    /// The load of fidelity trials.
    pub fidelity: Fidelity,
    /// Programs to measure in addition to the methods on the command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<External>,
}
