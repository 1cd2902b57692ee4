//! Durations as people write them: `250ms`, `2s`, `1m 30s`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Parses a duration, which must be above zero.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("invalid duration `{text}`: write it as `250ms`, `2s` or `1m 30s`");
    let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    match Duration::try_from(signed) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(wrong()),
    }
}

/// Writes a duration so that [`parse`] reads the same value.
pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    let signed = jiff::SignedDuration::try_from(*value).map_err(serde::ser::Error::custom)?;
    to.collect_str(&format_args!("{signed:#}"))
}

/// Reads a duration as [`parse`] does.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_above_zero() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("1m 30s"), Ok(Duration::from_secs(90)));
        for text in ["0s", "-1s", "5", ""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
