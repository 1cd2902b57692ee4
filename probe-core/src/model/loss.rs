//! Loss as a first-class value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many events were not recorded, and how well that number is known.
///
/// In JSON: `{"kind": "exact", "n": 3}`, `{"kind": "at_least", "n": 3}`, `{"kind": "unknown"}`.
/// "None" is `exact` with `n = 0`; an unknown loss is never reported as zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "n", rename_all = "snake_case")]
pub enum Loss {
    /// Exactly this many.
    Exact(u64),
    /// At least this many.
    AtLeast(u64),
    /// The kernel does not report it.
    Unknown,
}

impl Loss {
    /// No loss, known exactly.
    pub const NONE: Self = Self::Exact(0);

    /// The sum of two losses: exact only if both are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => Self::Exact(a.saturating_add(b)),
            (Self::Exact(a) | Self::AtLeast(a), Self::Exact(b) | Self::AtLeast(b)) => {
                Self::AtLeast(a.saturating_add(b))
            }
            (Self::AtLeast(a), Self::Unknown) | (Self::Unknown, Self::AtLeast(a)) => {
                Self::AtLeast(a)
            }
            (Self::Exact(a), Self::Unknown) | (Self::Unknown, Self::Exact(a)) if a > 0 => {
                Self::AtLeast(a)
            }
            _ => Self::Unknown,
        }
    }

    /// The number of losses that are known.
    pub fn known(self) -> u64 {
        match self {
            Self::Exact(n) | Self::AtLeast(n) => n,
            Self::Unknown => 0,
        }
    }

    /// The number, if it is exact.
    pub fn exact(self) -> Option<u64> {
        match self {
            Self::Exact(n) => Some(n),
            Self::AtLeast(_) | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_never_taken_for_zero() {
        assert_eq!(Loss::NONE.and(Loss::Unknown), Loss::Unknown);
        assert_eq!(Loss::Exact(2).and(Loss::Unknown), Loss::AtLeast(2));
        assert_eq!(Loss::Exact(2).and(Loss::Exact(3)), Loss::Exact(5));
        assert_eq!(Loss::AtLeast(2).and(Loss::Exact(3)), Loss::AtLeast(5));
    }

    #[test]
    fn json_names_the_kind() {
        let text = |loss| serde_json::to_string(&loss).unwrap();
        assert_eq!(text(Loss::Exact(3)), r#"{"kind":"exact","n":3}"#);
        assert_eq!(text(Loss::Unknown), r#"{"kind":"unknown"}"#);
    }
}
