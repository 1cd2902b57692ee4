//! The verdict as text for a terminal.

use super::{HOW, NOTHING, groups, lead};
use crate::{model::campaign::Campaign, report::lines::paragraph};

/// The sentences with which the page opens, group by group.
pub(in crate::report) fn render(campaign: &Campaign) -> String {
    let groups = groups(campaign);
    let said = |(title, sentences): &(&str, Vec<String>)| {
        paragraph("- ", &format!("{title}: {}", sentences.join(" ")))
    };
    let said = match groups.is_empty() {
        true => paragraph("", NOTHING),
        false => groups.iter().map(said).collect(),
    };
    format!("Verdict\n{}{said}{}", paragraph("", &lead(campaign)), paragraph("", HOW))
}
