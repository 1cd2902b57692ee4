//! The network between the guests and the sink.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rate::BitRate;

/// The network of the device under test and the cable to the sink.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// What connects the guests' TAPs to the cable.
    pub switch: Switch,
    /// Maximum rate of one guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_limit: Option<BitRate>,
    /// Maximum rate of the cable; without it, the CPUs are the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
}

/// What connects the guests' TAPs to the cable.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// A Linux bridge.
    #[default]
    Bridge,
    /// Open vSwitch, with its own vswitchd.
    Ovs,
    /// No switch: frames go directly between the only guest's TAP and the cable.
    Direct,
}

/// Maximum rate of the cable to the sink: `500Mbit`, or `70%` of the throughput at full speed
/// without hogs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub enum Link {
    /// This rate.
    Rate(BitRate),
    /// This share of the throughput measured before the first trial; above 0, at most 1.
    Share(f64),
}

impl FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(per_cent) = text.strip_suffix('%') else {
            return text.parse().map(Self::Rate).map_err(|e| format!("{e}, or as `70%`"));
        };
        match per_cent.parse::<f64>() {
            Ok(share) if share > 0.0 && share <= 100.0 => Ok(Self::Share(share / 100.0)),
            _ => Err(format!("invalid share `{text}`: write it as `70%`")),
        }
    }
}

impl TryFrom<String> for Link {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Link> for String {
    fn from(link: Link) -> Self {
        link.to_string()
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(rate) => rate.fmt(f),
            Self::Share(share) => write!(f, "{}%", share * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_rate_or_a_share() {
        for text in ["500Mbit", "70%"] {
            assert_eq!(text.parse::<Link>().unwrap().to_string(), text);
        }
        for text in ["0%", "101%", "x%", "500", "-1Mbit"] {
            text.parse::<Link>().unwrap_err();
        }
    }
}
