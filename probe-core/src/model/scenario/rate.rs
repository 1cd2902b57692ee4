//! Rates as people write them.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::prefix;

/// Frames per second, written `800pps`, `20kpps` or `1.5Mpps`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(f64);

impl Rate {
    /// Frames per second; always finite and above zero.
    pub fn per_second(self) -> f64 {
        self.0
    }

    /// So many per cent less, below 100.
    pub(super) fn less(self, per_cent: f64) -> Self {
        Self(self.0 * (1.0 - per_cent / 100.0))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("invalid rate `{text}`: write it as `800pps`, `20kpps` or `1.5Mpps`");
        let digits = text.strip_suffix("pps").ok_or_else(wrong)?;
        let rate = prefix::parse(digits, prefix::MEGA).ok_or_else(wrong)?;
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
        write!(f, "{}pps", prefix::text(self.0, prefix::MEGA))
    }
}

/// Bits per second, written `800kbit`, `500Mbit` or `2.5Gbit`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct BitRate(f64);

impl BitRate {
    /// A rate in bits per second; `None` unless it is finite and at least 1.
    pub fn new(per_second: f64) -> Option<Self> {
        (per_second.is_finite() && per_second >= 1.0).then_some(Self(per_second))
    }

    /// Bits per second.
    pub fn per_second(self) -> f64 {
        self.0
    }

    /// Whole bytes per second.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "above zero; larger values saturate"
    )]
    pub fn bytes_per_second(self) -> u64 {
        (self.0 / 8.0).round() as u64
    }
}

impl FromStr for BitRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("invalid bit rate `{text}`: write it as `800kbit`, `500Mbit` or `2.5Gbit`");
        let digits = text.strip_suffix("bit").ok_or_else(wrong)?;
        let rate = prefix::parse(digits, prefix::GIGA).ok_or_else(wrong)?;
        Self::new(rate).ok_or_else(wrong)
    }
}

impl TryFrom<String> for BitRate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<BitRate> for String {
    fn from(rate: BitRate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}bit", prefix::text(self.0, prefix::GIGA))
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
        for text in ["800bit", "20kbit", "1.5Mbit", "10Gbit"] {
            assert_eq!(text.parse::<BitRate>().unwrap().to_string(), text);
        }
        assert_eq!("8Mbit".parse::<BitRate>().unwrap().bytes_per_second(), 1_000_000);
    }

    #[test]
    fn a_wrong_rate_says_what_helps() {
        for text in ["20", "kpps", "-3pps", "0pps", "infpps", "20k pps", "NaNpps"] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.contains("20kpps"), "{error}");
        }
        for text in ["20", "Mbit", "-3bit", "0bit", "infbit", "5Mbit/s", "5mbit"] {
            let error = text.parse::<BitRate>().unwrap_err();
            assert!(error.contains("500Mbit"), "{error}");
        }
    }
}
