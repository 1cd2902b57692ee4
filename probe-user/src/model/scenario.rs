//! A scenario: guests, hogs, schedule and offered load, as written in a TOML file.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::external::External;

/// One scenario file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, as in `--scenario quick`.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// Width of the time series' bins.
    #[serde(with = "duration_text")]
    pub bin: Duration,
    /// Load runs for this long before anything is measured.
    #[serde(with = "duration_text")]
    pub settle: Duration,
    /// CPUs that guests, vhost workers and hogs share ("machine 1"); the sink gets another one.
    pub load_cpus: usize,
    /// The load sources.
    pub guests: Guests,
    /// What the toll is measured under.
    pub toll: Toll,
    /// What the fidelity is measured under.
    pub fidelity: Fidelity,
    /// Programs to measure beside the methods that the command line names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<External>,
}

/// The load sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guests {
    /// Kind of guest.
    pub kind: GuestKind,
    /// How many, each with a vhost device and a TAP of its own.
    pub count: usize,
    /// Ethernet frame size in bytes, without the virtio-net header.
    pub frame: usize,
    /// Descriptors per ring: a power of two up to 32768.
    pub ring: u16,
    /// Most frames put into the ring before one kick, paced and flat out.
    pub batch: u16,
    /// Whether VIRTIO_RING_F_EVENT_IDX is negotiated; without it a ring that is full of work is kicked for nothing.
    #[serde(default = "yes")]
    pub event_idx: bool,
}

fn yes() -> bool {
    true
}

/// Kind of load source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestKind {
    /// A user-space virtio driver that fills the TX ring itself.
    Blast,
}

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

/// A fidelity trial: the load of one pace under a schedule of hogs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fidelity {
    /// Offered load; none means flat out.
    pub rate: Option<Rate>,
    /// Sections in order; each starts with its hogs.
    pub sections: Vec<Section>,
}

/// A stretch of a fidelity trial with a constant number of hogs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Spinning threads on machine 1.
    pub hogs: usize,
    /// How long.
    #[serde(with = "duration_text")]
    pub duration: Duration,
}

impl Fidelity {
    /// Length of the whole schedule.
    pub fn duration(&self) -> Duration {
        self.sections.iter().map(|section| section.duration).sum()
    }
}

/// Frames per second, written `800pps`, `20kpps` or `1.5Mpps`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(f64);

impl Rate {
    /// Frames per second; always finite and above zero.
    pub fn per_second(self) -> f64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no rate; write it as `800pps`, `20kpps` or `1.5Mpps`");
        let digits = text.strip_suffix("pps").ok_or_else(wrong)?;
        let (digits, scale) = match digits.strip_suffix(['k', 'M']) {
            Some(rest) if digits.ends_with('k') => (rest, 1e3),
            Some(rest) => (rest, 1e6),
            None => (digits, 1.0),
        };
        let rate = digits.parse::<f64>().map_err(|_| wrong())? * scale;
        if rate.is_finite() && rate > 0.0 { Ok(Self(rate)) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            rate if rate >= 1e6 => write!(f, "{}Mpps", rate / 1e6),
            rate if rate >= 1e3 => write!(f, "{}kpps", rate / 1e3),
            rate => write!(f, "{rate}pps"),
        }
    }
}

/// Durations as people write them: `250ms`, `2s`, `1m 30s`.
pub mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Reads `text`; a duration must be above zero.
    pub fn parse(text: &str) -> Result<Duration, String> {
        let wrong = || format!("`{text}` is no duration; write it as `250ms`, `2s` or `1m 30s`");
        let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
        match Duration::try_from(signed) {
            Ok(duration) if !duration.is_zero() => Ok(duration),
            _ => Err(wrong()),
        }
    }

    /// Writes it so that it reads back.
    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        let signed = jiff::SignedDuration::try_from(*value).map_err(serde::ser::Error::custom)?;
        to.collect_str(&format_args!("{signed:#}"))
    }

    /// Reads it as [`parse`] does.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_back_as_they_are_written() {
        for text in ["800pps", "20kpps", "1.5Mpps"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!("20kpps".parse::<Rate>().unwrap().per_second(), 20_000.0);
    }

    #[test]
    fn a_wrong_rate_names_the_remedy() {
        for text in ["20", "kpps", "-3pps", "0pps", "infpps", "20k pps", "NaNpps"] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.contains("20kpps"), "{error}");
        }
    }

    #[test]
    fn durations_are_above_zero() {
        assert_eq!(duration_text::parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration_text::parse("1m 30s"), Ok(Duration::from_secs(90)));
        for text in ["0s", "-1s", "5", ""] {
            assert!(duration_text::parse(text).is_err(), "{text}");
        }
    }
}
