//! A scenario: guests, hogs, network, schedule and offered load, as written in a TOML file.

pub mod duration_text;
mod guests;
mod network;
mod overhead;
mod rate;
mod schedule;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// One line for people.
    pub summary: String,
    /// Width of the time series' bins.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub bin: Duration,
    /// Load runs for this long before anything is measured.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub settle: Duration,
    /// CPUs that guests, vhost workers and hogs share (the device under test); the sink gets
    /// another one.
    pub load_cpus: usize,
    /// The load sources.
    #[serde(default)]
    pub guests: Guests,
    /// What stands between them and the sink.
    #[serde(default)]
    pub network: Network,
    /// What a hog is.
    #[serde(default)]
    pub hogs: HogKind,
    /// What the overhead is measured under. Only `blast` guests tell how many calls there were;
    /// scenarios of others have none.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "toll")]
    pub overhead: Option<Overhead>,
    /// What the fidelity is measured under.
    pub fidelity: Fidelity,
    /// Programs to measure beside the methods that the command line names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<External>,
}
