//! The paper's statements beside what was measured.

use maud::html;

use super::{Section, data::prose};
use crate::{
    model::campaign::Campaign,
    report::{
        paper::{agreement, here},
        shown::STAR,
    },
};

pub(super) fn section(campaign: &Campaign) -> Option<Section> {
    let statements = &campaign.summary.paper;
    if statements.is_empty() {
        return None;
    }
    let table = html! {
        div class="scroll" tabindex="0" role="group" aria-labelledby="paper-caption" {
            table id="paper" class="wordy" {
                caption id="paper-caption" { "Statements of Fujita, Abe and Lee, and what was measured here; an interval decides, never an estimate" }
                thead { tr { @for head in ["the paper says", "its value", "here", "agrees"] { th scope="col" { (head) } } } }
                tbody {
                    @for statement in statements {
                        tr {
                            th scope="row" { (prose(&statement.statement)) " (" (statement.place) ")" }
                            td { (prose(&statement.paper)) }
                            td { ul { @for line in here(statement) { li { (prose(&line)) } } } }
                            td { (agreement(statement)) }
                        }
                    }
                }
            }
        }
        p class="soft" { (STAR) "." }
    };
    Some(Section { id: "paper", title: "The paper's statements", blocks: vec![table.into()] })
}
