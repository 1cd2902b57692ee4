//! What the sections of the schedule show: figures 4 to 7 of the paper. Its figure 8 is a series
//! over the schedule.

use super::{
    Block, Section,
    data::{Data, short},
    figure::Figure,
    panels::{mark, times},
    svg::{
        bars::{self, Bar},
        boxes::{self, Spread},
        forest::{self, Panel, Row},
        marks::Shape,
    },
};
use crate::{
    model::{
        campaign::Campaign,
        figure::Figure as Number,
        method::MethodId,
        sections::{FunctionInSection, MethodInSection, Quantiles, SectionFigures},
    },
    report::{
        number::Style,
        sections::{OVERVIEW, is_drawn, of, overview_cells},
    },
};

/// Functions that are drawn beside each other.
const FUNCTIONS: usize = 4;

pub(super) fn section(campaign: &Campaign) -> Option<Section> {
    let sections = &campaign.summary.sections[..];
    if sections.is_empty() {
        return None;
    }
    let mut blocks: Vec<Block> = spread(campaign).into_iter().map(Into::into).collect();
    if is_drawn(campaign) {
        let figures = [guests(sections), calls(sections)].into_iter().flatten();
        let profilers = methods(sections).filter_map(|id| shares(sections, id));
        blocks.extend(figures.chain(profilers).map(Block::from));
    }
    Some(Section { id: "sections", title: "Sections of the schedule", blocks })
}

fn methods(sections: &[SectionFigures]) -> impl Iterator<Item = &MethodId> {
    sections.first().into_iter().flat_map(|section| &section.methods).map(|method| &method.id)
}

/// Each section under the control.
fn under_off(
    sections: &[SectionFigures],
) -> impl Iterator<Item = (&SectionFigures, &MethodInSection)> {
    sections.iter().filter_map(|section| Some((section, of(section, None)?)))
}

/// How throughput is spread, and all else that is told of a section under the control.
fn spread(campaign: &Campaign) -> Option<Figure> {
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
    let head = OVERVIEW.map(|cell| cell.replace('\n', " "));
    let mut data = Data::new(head);
    for section in sections {
        let cells = overview_cells(section, &campaign.summary.headline_function)?;
        data.push(
            std::iter::once(section.label.clone())
                .chain(cells.into_iter().map(|cell| cell.replace('\n', " "))),
        );
    }
    let paper = if is_drawn(campaign) { " (the paper's figure 5)" } else { "" };
    (!spreads.is_empty()).then(|| Figure {
        id: "sections-throughput".into(),
        title: format!("Throughput of each section under off{paper}"),
        about:
            "Box: the middle half of the bins, with their median; line: from 5 to 95 of 100 bins."
                .into(),
        drawing: boxes::draw(&spreads, "Mbit/s"),
        data,
    })
}

/// Whose throughput it was.
fn guests(sections: &[SectionFigures]) -> Option<Figure> {
    let mut names: Vec<String> = Vec::new();
    for name in under_off(sections).flat_map(|(_, off)| off.guests_bps.keys()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if names.len() < 2 {
        return None;
    }
    let mbit = |off: &MethodInSection, name: &String| {
        off.guests_bps.get(name).map(|figure| times(figure, 1e-6))
    };
    let mut data = Data::new(
        std::iter::once("section".to_owned())
            .chain(names.iter().map(|name| format!("{name}, Mbit/s"))),
    );
    let mut rows = Vec::new();
    for (section, off) in under_off(sections) {
        let all: Vec<Option<Number>> = names.iter().map(|name| mbit(off, name)).collect();
        let told = all.iter().map(|figure| {
            figure.as_ref().map_or("none".into(), |figure| short(figure, Style::LEVEL))
        });
        data.push(std::iter::once(section.label.clone()).chain(told));
        let parts = all
            .iter()
            .map(|figure| figure.as_ref().and_then(mark).map_or(0.0, |cell| cell.estimate));
        rows.push(Bar { label: section.label.clone(), parts: parts.collect() });
    }
    Some(Figure {
        id: "sections-guests".into(),
        title: "Each guest's throughput under off (the paper's figure 4)".into(),
        about: "Counted of each guest by itself: the parts need not make up what the sink counted of all.".into(),
        drawing: bars::draw(&names, &rows, "Mbit/s", None),
        data,
    })
}

/// The first few functions.
fn functions(sections: &[SectionFigures]) -> Vec<&String> {
    let first = sections.iter().flat_map(|section| &section.methods).next();
    first.into_iter().flat_map(|method| method.functions.keys()).collect()
}

/// Calls of each function that a reference counter counts.
fn calls(sections: &[SectionFigures]) -> Option<Figure> {
    let counted = |name: &&String| {
        under_off(sections).any(|(_, off)| {
            off.functions.get(*name).is_some_and(|found| found.calls_per_s_w.known().is_some())
        })
    };
    let names: Vec<&String> =
        functions(sections).into_iter().filter(counted).take(FUNCTIONS).collect();
    if names.is_empty() {
        return None;
    }
    let mut data = Data::new(
        std::iter::once("section".to_owned())
            .chain(names.iter().map(|name| format!("{name}, calls per s"))),
    );
    let mut rows = Vec::new();
    for (section, off) in under_off(sections) {
        let figures =
            || names.iter().map(|name| off.functions.get(*name).map(|found| &found.calls_per_s_w));
        let told = figures()
            .map(|figure| figure.map_or("none".into(), |figure| short(figure, Style::LEVEL)));
        data.push(std::iter::once(section.label.clone()).chain(told));
        let cells = figures().map(|figure| figure.and_then(mark)).collect();
        rows.push(Row { label: section.label.clone(), shape: Shape::Circle, series: 1, cells });
    }
    let panels: Vec<Panel> =
        names.iter().map(|name| Panel { title: [(*name).clone(), "calls per s".into()] }).collect();
    Some(Figure {
        id: "sections-calls".into(),
        title: "Calls of each section under off, by the reference counter (the paper's figure 7)"
            .into(),
        about: "Whiskers are 95 % intervals; `*` in the data: of one run's own bins.".into(),
        drawing: forest::draw(&panels, &rows, &[]),
        data,
    })
}

/// A profiler's shares; none of another method.
fn shares(sections: &[SectionFigures], id: &MethodId) -> Option<Figure> {
    let share = |found: &FunctionInSection| found.share_pct.clone();
    let under = || sections.iter().filter_map(|section| Some((section, of(section, Some(id))?)));
    let names: Vec<&String> = functions(sections)
        .into_iter()
        .filter(|name| {
            under().any(|(_, m)| {
                m.functions.get(*name).and_then(share).is_some_and(|f| f.known().is_some())
            })
        })
        .take(8)
        .collect();
    if names.is_empty() {
        return None;
    }
    let columns =
        names.iter().flat_map(|name| [format!("{name}, %"), format!("{name}, its own code, %")]);
    let mut data = Data::new(std::iter::once("section".to_owned()).chain(columns));
    let mut rows = Vec::new();
    for (section, method) in under() {
        let found = || names.iter().map(|name| method.functions.get(*name));
        let told = found().flat_map(|found| {
            let both =
                [found.and_then(share), found.and_then(|found| found.self_share_pct.clone())];
            both.map(|figure| figure.map_or("none".into(), |figure| short(&figure, Style::LEVEL)))
        });
        data.push(std::iter::once(section.label.clone()).chain(told));
        let parts = found().map(|found| {
            found.and_then(share).as_ref().and_then(mark).map_or(0.0, |cell| cell.estimate)
        });
        rows.push(Bar { label: section.label.clone(), parts: parts.collect() });
    }
    let names: Vec<String> = names.into_iter().cloned().collect();
    Some(Figure {
        id: format!("sections-shares-{}", super::series::slug(&id.0)),
        title: format!("Share of CPU time by {id} (the paper's figure 6)"),
        about: "With all that each function calls. Functions that call one another are counted in both: then the parts add up to \
                more than the whole."
            .into(),
        drawing: bars::draw(&names, &rows, "% of CPU time", None),
        data,
    })
}
