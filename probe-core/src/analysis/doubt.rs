//! Why something cannot be said of a figure.

use serde::Serialize;

use crate::model::reason::Reason;

/// Why not: the figure's own reason where it has no number, else a sentence without its stop.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Doubt {
    /// There is no number.
    Absent(Reason),
    /// There is one, or it is no figure that is looked at.
    Text(String),
}

impl<Text: Into<String>> From<Text> for Doubt {
    fn from(text: Text) -> Self {
        Self::Text(text.into())
    }
}
