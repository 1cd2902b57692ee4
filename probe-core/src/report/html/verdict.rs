//! The verdict, with which the page opens.

use maud::html;

use super::PageSection;
use crate::{
    model::campaign::Campaign,
    report::{table::prose, verdict},
};

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let groups = verdict::groups(campaign);
    let text = html! {
        p class="lead" { (prose(&verdict::lead(campaign))) }
        @for (title, sentences) in &groups {
            h3 { (title) }
            p { (prose(&sentences.join(" "))) }
        }
        @if groups.is_empty() { p { (verdict::NOTHING) } }
        p class="soft" {
            (verdict::HOW) " " a href="#part-limits" { "What cannot be concluded" }
            " is listed below."
        }
    };
    Some(PageSection { id: "verdict", title: "Verdict", blocks: vec![text.into()] })
}
