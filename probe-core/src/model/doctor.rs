//! What this host can measure.

use serde::{Deserialize, Serialize};

use super::figure::Platform;

/// Everything `tracetoll doctor` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Kernel release.
    pub kernel: String,
    /// The clock that times would be in.
    pub platform: Platform,
    /// What every campaign needs.
    pub host: Vec<Check>,
    /// The functions of the default target, and their reference counters.
    pub targets: Vec<Check>,
    /// What each preset comes to.
    pub presets: Vec<Check>,
    /// Every method.
    pub methods: Vec<Check>,
    /// Whether `tracetoll run` can run as it is.
    pub default_campaign: bool,
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was asked for.
    pub name: String,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
}

/// An answer; "could not tell" is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Answer {
    /// It works here.
    Available {
        /// What it resolved to, where that says more.
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
