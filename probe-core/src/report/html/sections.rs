//! Results per section of the schedule: the paper's figures 4 to 7. Its figure 8 is a series over
//! the schedule.

use super::{
    Content, PageSection,
    figure::Chart,
    panels::drawn,
    svg::{
        Drawing,
        bars::{self, Bar},
        boxes::{self, Spread},
        forest::{self, Panel},
        marks::Shape,
    },
};
use crate::{
    model::{
        campaign::Campaign,
        method::MethodId,
        sections::{MethodInSection, Quantiles, SectionFigures},
    },
    report::{
        sections::{OfSections, calls, is_drawn, mbit, methods, of, of_sections, overview, shares},
        table::Table,
    },
};

/// Number of functions whose shares are drawn.
const FUNCTIONS: usize = 8;

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let sections = &campaign.summary.sections[..];
    if sections.is_empty() {
        return None;
    }
    let mut blocks: Vec<Content> = spread(campaign).into_iter().map(Into::into).collect();
    if is_drawn(campaign) {
        let figures = [guests(sections), called(sections)].into_iter().flatten();
        let profilers = methods(sections).filter_map(|id| profiled(sections, id));
        blocks.extend(figures.chain(profilers).map(Content::from));
    }
    Some(PageSection { id: "sections", title: "Sections of the schedule", blocks })
}

/// Each section under the baseline.
fn under_off(
    sections: &[SectionFigures],
) -> impl Iterator<Item = (&SectionFigures, &MethodInSection)> {
    sections.iter().filter_map(|section| Some((section, of(section, None)?)))
}

/// How throughput is spread, and all else that is told of a section under the baseline.
fn spread(campaign: &Campaign) -> Option<Chart> {
    let sections = &campaign.summary.sections;
    let mbit = |bps: f64| bps / 1e6;
    let spreads: Vec<Spread> = under_off(sections)
        .filter_map(|(section, off)| {
            let Quantiles { p5, p25, p50, p75, p95, .. } = off.bins_bps?;
            Some(Spread {
                label: section.label.clone(),
                quantiles: [p5, p25, p50, p75, p95].map(mbit),
            })
        })
        .collect();
    if spreads.is_empty() {
        return None;
    }
    let paper = if is_drawn(campaign) { " (the paper's figure 5)" } else { "" };
    let title = format!("Throughput of each section under off{paper}");
    let about =
        "Box: the middle half of the bins, with their median; line: from 5 to 95 of 100 bins.";
    let drawing = boxes::draw(&spreads, "Mbit/s");
    Some(Chart::new("sections-throughput", title, about, drawing, &overview(&campaign.summary)))
}

/// Whose throughput it was.
fn guests(sections: &[SectionFigures]) -> Option<Chart> {
    let mut names: Vec<String> = Vec::new();
    for name in under_off(sections).flat_map(|(_, off)| off.guests_bps.keys()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if names.len() < 2 {
        return None;
    }
    let column = |name: String| {
        OfSections::new(name.clone(), move |section| {
            of(section, None).and_then(|off| off.guests_bps.get(&name)).map(mbit).into()
        })
        .unit("Mbit/s")
    };
    let table = of_sections(sections, names.into_iter().map(column));
    let title = "Each guest's throughput under off (the paper's figure 4)";
    let about =
        "Counted of each guest by itself: the parts need not make up what the sink counted of all.";
    Some(Chart::new("sections-guests", title, about, stacked(&table, "Mbit/s"), &table))
}

/// The table with only the columns that have a number; `None` if none has.
fn known<'a>(mut table: Table<'a, &'a SectionFigures>) -> Option<Table<'a, &'a SectionFigures>> {
    let rows = &table.rows;
    let is_known = |column: &OfSections<'a>| {
        rows.iter().any(|row| column.cell(row).shown().is_some_and(|it| it.known().is_some()))
    };
    let name = table.columns.remove(0);
    table.columns.retain(is_known);
    (!table.columns.is_empty()).then(|| {
        table.columns.insert(0, name);
        table
    })
}

/// The figures of the sections one below another.
fn stacked(table: &Table<'_, &SectionFigures>, title: &str) -> Drawing {
    let (panels, rows) = drawn(table, |_| (Shape::Circle, 0));
    let names: Vec<String> = panels.into_iter().map(|Panel { title: [name, _] }| name).collect();
    let part = |cell: Option<forest::Cell>| cell.map_or(0.0, |cell| cell.estimate);
    let bar = |row: forest::Row| Bar {
        label: row.label,
        parts: row.cells.into_iter().map(part).collect(),
    };
    bars::draw(&names, &rows.into_iter().map(bar).collect::<Vec<_>>(), title, None)
}

/// Calls of each function.
fn called(sections: &[SectionFigures]) -> Option<Chart> {
    let table = known(calls(sections))?;
    let (panels, rows) = drawn(&table, |_| (Shape::Circle, 1));
    let drawing = forest::draw(&panels, &rows, &[]);
    let title = "Calls of each section, per second (the paper's figure 7)";
    let about = "Under off by the reference counter; where it has none, by the method that is \
                 named. Whiskers are 95 % intervals; `*` in the data: of one run's own bins.";
    Some(Chart::new("sections-calls", title, about, drawing, &table))
}

/// A profiler's shares; none of another method.
fn profiled(sections: &[SectionFigures], id: &MethodId) -> Option<Chart> {
    let table = known(shares(sections, id, FUNCTIONS)?)?;
    let name = format!("sections-shares-{}", super::series::slug(&id.0));
    let title = format!("Share of CPU time by {id} (the paper's figure 6)");
    let about = "With all that each function calls. Functions that call one another are counted \
                 in both: then the parts add up to more than the whole.";
    Some(Chart::new(name, title, about, stacked(&table, "% of CPU time"), &table))
}
