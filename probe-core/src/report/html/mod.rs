//! The report as one HTML file: no network, no script; readable in light and dark, on paper, on a
//! phone, by keyboard and by screen reader. Every figure has a table of its data.
//!
//! `page` assembles the page. Each section has a file that makes text and figures from the model
//! and the analysis; `svg` draws.

mod definitions;
mod environment;
mod fidelity;
mod figure;
mod latency;
mod loss;
mod overhead;
mod page;
mod panels;
mod paper;
mod pareto;
mod scatter;
mod sections;
mod series;
pub mod several;
mod svg;
mod verdict;
mod widths;

#[cfg(test)]
mod tests;

use maud::Markup;

use self::figure::Chart;
use crate::model::campaign::Campaign;

/// One part of the page.
struct PageSection {
    /// Its id in the page.
    id: &'static str,
    title: &'static str,
    blocks: Vec<Content>,
}

/// What stands in a section.
enum Content {
    Text(Markup),
    Chart(Box<Chart>),
}

impl From<Chart> for Content {
    fn from(figure: Chart) -> Self {
        Self::Chart(Box::new(figure))
    }
}

impl From<Markup> for Content {
    fn from(text: Markup) -> Self {
        Self::Text(text)
    }
}

/// The whole page.
pub fn render(campaign: &Campaign) -> String {
    page::assemble(campaign, &all(campaign))
}

/// Each figure as a separate SVG file: its name and content.
pub fn drawings(campaign: &Campaign) -> Vec<(String, String)> {
    figures(all(campaign))
}

fn figures(sections: Vec<PageSection>) -> Vec<(String, String)> {
    let blocks = sections.into_iter().flat_map(|section| section.blocks);
    let figures = blocks.filter_map(|block| match block {
        Content::Chart(figure) => Some(figure),
        Content::Text(_) => None,
    });
    figures
        .map(|figure| (format!("{}.svg", figure.id), figure.drawing.file(&figure.title)))
        .collect()
}

/// The sections that have anything to say, in order: what is concluded first, how it came about
/// last.
fn all(campaign: &Campaign) -> Vec<PageSection> {
    let sections = [
        verdict::section(campaign),
        scatter::section(campaign),
        overhead::section(campaign),
        loss::section(campaign),
        latency::section(campaign),
        fidelity::section(campaign),
        series::section(campaign),
        widths::section(campaign),
        sections::section(campaign),
        paper::section(campaign),
        definitions::section(campaign),
        environment::section(campaign),
        Some(environment::limits(campaign)),
    ];
    sections.into_iter().flatten().filter(|section| !section.blocks.is_empty()).collect()
}
