//! The paper's statements beside what was measured.

use maud::html;

use super::PageSection;
use crate::{
    model::campaign::Campaign,
    report::{paper::table_of, shown::STAR},
};

const CAPTION: &str = "Statements of Fujita, Abe and Lee, and what was measured here; an interval \
                       decides, never an estimate";

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let table = table_of(&campaign.summary.paper)?;
    let text = html! { (table.html("paper", CAPTION)) p class="soft" { (STAR) "." } };
    Some(PageSection { id: "paper", title: "The paper's statements", blocks: vec![text.into()] })
}
