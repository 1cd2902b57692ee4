//! The page around the sections.

use std::collections::BTreeSet;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Content, PageSection, svg};
use crate::{
    model::{
        campaign::Campaign,
        trial::{Outcome, Part},
    },
    report::table::prose,
};

const STYLE: &str = include_str!("page.css");

/// The whole file. Nothing in it is fetched from anywhere, and nothing runs.
pub(super) fn assemble(campaign: &Campaign, sections: &[PageSection]) -> String {
    let design = &campaign.design;
    let title = format!("tracetoll: {} on Linux {}", design.scenario.name, design.kernel);
    document(&title, "To the verdict", &head(campaign), &design.version, sections)
}

/// A page of sections below any kind of head; `skip` links to the first section.
pub(super) fn document(
    title: &str,
    skip: &str,
    head: &Markup,
    version: &str,
    sections: &[PageSection],
) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(svg::STYLE)) (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#main" { (skip) }
                header { (head) }
                (contents(sections))
                main id="main" { @for section in sections { (body(section)) } }
                footer { p { "Made by tracetoll " (version) " from a campaign.json; " code { "tracetoll report" } " makes it again." } }
            }
        }
    };
    page.into_string()
}

fn head(campaign: &Campaign) -> Markup {
    let trials = &campaign.trials;
    let failed =
        trials.iter().filter(|trial| matches!(trial.outcome, Outcome::Failed { .. })).count();
    let blocks = |part: Part| {
        let of = trials.iter().filter(|trial| trial.part == part);
        of.map(|trial| (trial.run, trial.block)).collect::<BTreeSet<_>>().len()
    };
    let clocks: BTreeSet<&str> = campaign.runs.iter().map(|run| run.platform.name()).collect();
    let facts = [
        ("Scenario", campaign.design.scenario.name.clone()),
        ("Kernel", format!("Linux {}", campaign.design.kernel)),
        ("Methods", campaign.design.methods.len().to_string()),
        (
            "Blocks",
            format!("{} overhead, {} fidelity", blocks(Part::Overhead), blocks(Part::Fidelity)),
        ),
        ("Trials", format!("{}, {failed} failed", trials.len())),
        ("Clock", clocks.into_iter().collect::<Vec<_>>().join(", ")),
    ];
    html! {
        h1 { "What tracing costs, loses and still shows" }
        p class="soft" { (prose(&campaign.design.scenario.summary)) }
        dl class="facts" { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } }
    }
}

fn contents(sections: &[PageSection]) -> Markup {
    html! {
        nav aria-label="Contents" {
            ol { @for section in sections { li { a href={ "#part-" (section.id) } { (section.title) } } } }
        }
    }
}

fn body(section: &PageSection) -> Markup {
    let (id, title) = (format!("part-{}", section.id), format!("part-{}-title", section.id));
    html! {
        section id=(id) aria-labelledby=(title) {
            h2 id=(title) { (section.title) }
            @for block in &section.blocks {
                @match block {
                    Content::Text(text) => (text),
                    Content::Chart(figure) => (figure.markup()),
                }
            }
        }
    }
}
