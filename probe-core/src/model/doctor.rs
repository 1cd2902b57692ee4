//! What this host can measure.

use serde::{Deserialize, Serialize};

use super::figure::Platform;

/// Everything that `tracetoll doctor` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Kernel release.
    pub kernel: String,
    /// The clock that measured times would use.
    pub platform: Platform,
    /// What every campaign needs.
    pub host: Vec<Check>,
    /// The functions of the default target, and their reference counters.
    pub targets: Vec<Check>,
    /// The resolved presets.
    pub presets: Vec<Check>,
    /// All methods.
    pub methods: Vec<Check>,
    /// Whether `tracetoll run` works without further flags.
    pub default_campaign: bool,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The subject of the question.
    pub name: String,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
}

/// An answer; "could not tell" is one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Answer {
    /// It works here.
    Available {
        /// What it resolved to, if that adds information.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// It cannot work here.
    Unsupported {
        /// Why.
        why: String,
        /// What would help.
        hint: String,
    },
    /// The question could not be answered.
    Inconclusive {
        /// Why.
        why: String,
    },
}

impl Answer {
    /// Whether it works here.
    pub fn is_available(&self) -> bool {
        matches!(self, Self::Available { .. })
    }
}
