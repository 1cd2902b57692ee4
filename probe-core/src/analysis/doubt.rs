//! Why nothing can be said about a figure.

use serde::Serialize;

use crate::model::reason::Reason;

/// The figure's own reason if it has no number, otherwise a sentence without its full stop.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Doubt {
    /// There is no number.
    Absent(Reason),
    /// There is a number, or the doubt is not about a figure.
    Text(String),
}

impl<Text: Into<String>> From<Text> for Doubt {
    fn from(text: Text) -> Self {
        Self::Text(text.into())
    }
}
