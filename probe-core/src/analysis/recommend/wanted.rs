//! What a user wants of a method, and how it is written.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::model::{method::Gives, prefix};

/// What a method has to keep to, and to give. What is absent is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Wanted {
    /// CPU time, in per cent of one CPU.
    pub max_cpu_pct: Option<f64>,
    /// Saturated throughput lost, in per cent of that under `off`.
    pub max_throughput_loss_pct: Option<f64>,
    /// `r_m / r_0`.
    pub min_r_retained: Option<f64>,
    /// `detection_loss`: how much worse it tells a degraded bin than the reference counter does.
    pub max_detection_loss: Option<f64>,
    /// Calls, or records, that were lost or missed, in per cent of all.
    pub max_loss_pct: Option<f64>,
    /// What it is to give, all of it.
    pub needs: Vec<Gives>,
    /// The user's own calls per second.
    pub calls_per_s: Option<CallRate>,
    /// Whether costs count that were not measured on hardware.
    pub accept_emulated: bool,
}

/// No slower and no faster rate is one of calls.
const RATES: std::ops::RangeInclusive<f64> = 1.0..=1e12;

/// Calls per second, written `800/s`, `300k/s` or `1.5M/s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CallRate(f64);

impl CallRate {
    /// Calls per second; always finite, and 1 or more.
    pub fn per_second(self) -> f64 {
        self.0
    }
}

impl FromStr for CallRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no rate of 1/s or more; write it as `800/s`, `300k/s` or `1.5M/s`")
        };
        let number = text.strip_suffix("/s").ok_or_else(wrong)?;
        let rate = prefix::parse(number, prefix::MEGA).ok_or_else(wrong)?;
        if RATES.contains(&rate) { Ok(Self(rate)) } else { Err(wrong()) }
    }
}

impl fmt::Display for CallRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", prefix::text(self.0, prefix::MEGA))
    }
}

impl Serialize for CallRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_back_as_they_are_written() {
        for text in ["800/s", "300k/s", "1.5M/s"] {
            assert_eq!(text.parse::<CallRate>().unwrap().to_string(), text);
        }
        assert_eq!("300k/s".parse::<CallRate>().unwrap().per_second(), 300_000.0);
        for text in [
            "300", "300k", "k/s", "/s", "-3/s", "0/s", "0.9/s", "1e-300/s", "1e300/s", "inf/s",
            "NaN/s", "300 k/s", "3µ/s",
        ] {
            let error = text.parse::<CallRate>().unwrap_err();
            assert!(error.contains("300k/s"), "{error}");
        }
    }
}
