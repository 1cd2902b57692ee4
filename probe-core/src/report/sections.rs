//! What the sections of the schedule show, section by section.

use comfy_table::Table;

use super::{
    lines::{WIDTH, filled},
    markdown,
    number::{Style, parts},
    shown::{STAR, star, what},
    text::table,
};
use crate::model::{
    campaign::{Campaign, Summary},
    figure::{Estimate, Figure},
    method::{Descriptor, MethodId},
    scenario::GuestKind,
    sections::{FunctionInSection, MethodInSection, SectionFigures},
};

/// Functions, or methods, that fit beside each other.
const COLUMNS: usize = 5;

/// Columns of a section's label; longer ones go on in the next line.
const LABEL: usize = 18;

/// Titles and tables; none where no fidelity trial ended well. A VM-less guest without TCP has the
/// first alone: the others are the paper's figures.
pub(super) fn tables(campaign: &Campaign) -> Vec<(String, Table)> {
    let summary = &campaign.summary;
    let (sections, headline) = (&summary.sections[..], summary.headline_function.as_str());
    if sections.is_empty() {
        return Vec::new();
    }
    let mut tables = vec![(
        format!(
            "Sections under `off`: throughput, and calls of {headline} by the reference counter{}",
            within_run(sections)
        ),
        overview(sections, headline),
    )];
    if !is_drawn(campaign) {
        return tables;
    }
    tables.extend(guests(sections));
    let few = left_out(sections);
    tables.push((format!("Calls per second, section by section{few}"), calls(sections)));
    for method in methods(sections) {
        tables.extend(shares(sections, method));
    }
    let ran = |method: &&Descriptor| methods(sections).any(|id| *id == method.id);
    let all: Vec<&Descriptor> = campaign.design.methods.iter().filter(ran).collect();
    for some in all.chunks(COLUMNS) {
        let title =
            format!("r with throughput within each section, of what each shows of {headline}");
        tables.push((title, correlations(campaign, some)));
    }
    tables
}

/// What intervals of one block are worth, where there are any.
fn within_run(sections: &[SectionFigures]) -> String {
    let mut all = sections.iter().flat_map(|section| &section.methods);
    let starred = |method: &MethodInSection| {
        method.throughput_bps.known().is_some_and(|f| !star(f).is_empty())
    };
    if all.any(starred) { format!("; {STAR}") } else { String::new() }
}

/// How many functions the tables do not hold.
fn left_out(sections: &[SectionFigures]) -> String {
    let first = sections.iter().flat_map(|section| &section.methods).next();
    let all = first.map_or(0, |method| method.functions.len());
    match all.saturating_sub(COLUMNS) {
        0 => String::new(),
        more => format!("; {more} more functions stand in campaign.json, `summary.sections`"),
    }
}

/// The sections under the control as a Markdown table.
pub(super) fn markdown(summary: &Summary) -> String {
    let header = OVERVIEW.map(|cell| cell.replace('\n', " "));
    let mut text = markdown::row(&header) + &markdown::row(&header.each_ref().map(|_| "---"));
    for section in &summary.sections {
        let cells = overview_cells(section, &summary.headline_function).unwrap_or_default();
        let cells: Vec<String> = std::iter::once(section.label.clone()).chain(cells).collect();
        text.push_str(&markdown::row(&cells));
    }
    text
}

/// Whether the paper's figures are told: guests with more to them than a stream of frames.
pub(super) fn is_drawn(campaign: &Campaign) -> bool {
    campaign.design.scenario.guests.kind != GuestKind::Blast
}

/// A table with one row per section; `cells` of those that have any.
fn rows(
    header: &[String],
    sections: &[SectionFigures],
    cells: impl Fn(&SectionFigures) -> Option<Vec<String>>,
) -> Table {
    let mut rows = table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for section in sections {
        if let Some(cells) = cells(section) {
            rows.add_row(std::iter::once(label(section)).chain(cells));
        }
    }
    rows
}

pub(super) const OVERVIEW: [&str; 8] = [
    "section",
    "throughput\nMbit/s",
    "its bins:\n5, 50, 95 %",
    "sd/mean",
    "calls\nper s",
    "frames\nper call",
    "r(calls,\nthroughput)",
    "sink waits\n% of time",
];

fn overview(sections: &[SectionFigures], headline: &str) -> Table {
    rows(&OVERVIEW.map(String::from), sections, |section| overview_cells(section, headline))
}

pub(super) fn overview_cells(section: &SectionFigures, headline: &str) -> Option<Vec<String>> {
    let off = of(section, None)?;
    let bins = off.bins_bps.map_or("-".into(), |bins| {
        [bins.p5, bins.p50, bins.p95].map(|bps| format!("{:.1}", bps / 1e6)).join("\n")
    });
    let function = off.functions.get(headline);
    let of_function = |figure: fn(&FunctionInSection) -> &Figure, style| {
        function.map_or("-".into(), |function| short(figure(function), style))
    };
    Some(vec![
        mbit(&off.throughput_bps),
        bins,
        off.throughput_cv.known().map_or("-".into(), |cv| format!("{:.3}", cv.estimate)),
        of_function(|function| &function.calls_per_s_w, Style::LEVEL),
        short(&off.frames_per_call, Style::LEVEL),
        of_function(|function| &function.r_w, Style::CORRELATION),
        short(&off.sink_run_delay_pct, Style::LEVEL),
    ])
}

fn guests(sections: &[SectionFigures]) -> Option<(String, Table)> {
    let most =
        sections.iter().filter_map(|section| Some(of(section, None)?.guests_bps.len())).max();
    if most? < 2 {
        return None;
    }
    let header = ["section", "guests that sent"].map(String::from);
    let table = rows(&header, sections, |section| {
        let sent = of(section, None)?.guests_bps.iter().filter_map(|(name, figure)| {
            let bps = figure.known()?.estimate;
            (bps > 0.0).then(|| format!("{name} {:.1}", bps / 1e6))
        });
        Some(vec![sent.collect::<Vec<_>>().join(", ")])
    });
    Some(("Each guest's throughput under `off`, Mbit/s".into(), table))
}

/// The reference counter's under the control; what has none, by the first method that counts it.
fn calls(sections: &[SectionFigures]) -> Table {
    let names = functions(sections);
    let counter = |name: &str| {
        let known = |method: &&MethodInSection| {
            let function = method.functions.get(name);
            let calls = function.and_then(|function| function.calls_per_s_m.as_ref());
            calls.is_some_and(|figure| figure.known().is_some())
        };
        let with_reference = sections.iter().filter_map(|section| of(section, None)).any(|off| {
            off.functions.get(name).is_some_and(|found| found.calls_per_s_w.known().is_some())
        });
        let mut all = sections.iter().flat_map(|section| &section.methods);
        if with_reference { None } else { all.find(known).map(|method| &method.id) }
    };
    let columns: Vec<(&String, Option<&MethodId>)> =
        names.iter().map(|name| (*name, counter(name))).collect();
    let told = columns.iter().map(|(name, by)| match by {
        Some(id) => format!("{name}\nby {id}"),
        None => format!("{name}\nby the reference counter"),
    });
    let header: Vec<String> = std::iter::once("section".to_owned()).chain(told).collect();
    rows(&header, sections, |section| {
        let cell = |(name, by): &(&String, Option<&MethodId>)| {
            let function = of(section, *by)?.functions.get(*name)?;
            let own = function.calls_per_s_m.as_ref().filter(|_| by.is_some());
            Some(short(own.unwrap_or(&function.calls_per_s_w), Style::LEVEL))
        };
        Some(columns.iter().map(|column| cell(column).unwrap_or("-".into())).collect())
    })
}

/// Of one profiler; none for another method.
fn shares(sections: &[SectionFigures], id: &MethodId) -> Option<(String, Table)> {
    let names = functions(sections);
    let profiled = sections
        .iter()
        .filter_map(|section| of(section, Some(id)))
        .any(|method| method.functions.values().any(|function| function.share_pct.is_some()));
    if !profiled {
        return None;
    }
    let header = std::iter::once("section").chain(names.iter().map(|name| name.as_str()));
    let header: Vec<String> = header.map(String::from).collect();
    let table = rows(&header, sections, |section| {
        let method = of(section, Some(id))?;
        let cell = |name: &&String| {
            let function = method.functions.get(*name)?;
            let own = function.self_share_pct.as_ref().and_then(|figure| figure.known());
            let own = own.map_or(String::new(), |own| format!("\nown {:.2}", own.estimate));
            Some(format!("{}{own}", short(function.share_pct.as_ref()?, Style::LEVEL)))
        };
        Some(names.iter().map(|name| cell(name).unwrap_or("-".into())).collect())
    });
    let few = left_out(sections);
    Some((format!("Share of CPU time in %, with all that is called; by {id}{few}"), table))
}

fn correlations(campaign: &Campaign, methods: &[&Descriptor]) -> Table {
    let headline = campaign.summary.headline_function.as_str();
    let told = |method: &&Descriptor| {
        let what = what(campaign, method);
        format!("{}\n{}", broken(&method.id.0), broken(&what))
    };
    let header = std::iter::once("section".to_owned()).chain(methods.iter().map(told));
    rows(&header.collect::<Vec<_>>(), &campaign.summary.sections, |section| {
        let cell = |method: &&Descriptor| {
            let function = of(section, Some(&method.id))?.functions.get(headline)?;
            let figure = function.r_m.as_ref().unwrap_or(&function.r_w);
            Some(short(figure, Style::CORRELATION))
        };
        Some(methods.iter().map(|method| cell(method).unwrap_or("-".into())).collect())
    })
}

/// The section under a method, or under the control.
pub(super) fn of<'a>(
    section: &'a SectionFigures,
    id: Option<&MethodId>,
) -> Option<&'a MethodInSection> {
    section.methods.iter().find(|method| match id {
        Some(id) => method.id == *id,
        None => method.id.is_off(),
    })
}

fn methods(sections: &[SectionFigures]) -> impl Iterator<Item = &MethodId> {
    sections.first().into_iter().flat_map(|section| &section.methods).map(|method| &method.id)
}

/// The first few functions.
fn functions(sections: &[SectionFigures]) -> Vec<&String> {
    let first = sections.iter().flat_map(|section| &section.methods).next();
    first.into_iter().flat_map(|method| method.functions.keys()).take(COLUMNS).collect()
}

/// An estimate above its interval.
pub(super) fn short(figure: &Figure, style: Style) -> String {
    match (parts(figure, style), figure.known()) {
        (Some([estimate, interval, _]), Some(found)) if found.lo.is_some() => {
            format!("{estimate}\n{interval}{}", star(found))
        }
        (Some([estimate, ..]), _) => estimate,
        (None, _) => "-".into(),
    }
}

/// Bits per second as Mbit/s.
pub(super) fn mbit(figure: &Figure) -> String {
    let scaled = figure.known().map(|found| Estimate {
        estimate: found.estimate / 1e6,
        lo: found.lo.map(|lo| lo / 1e6),
        hi: found.hi.map(|hi| hi / 1e6),
        detectable: None,
        ..found.clone()
    });
    scaled.map_or("-".into(), |found| short(&Figure::Known(found), Style::LEVEL))
}

/// A label in lines of [`LABEL`], broken at blanks where it has any.
fn label(section: &SectionFigures) -> String {
    let label: String = section.label.chars().take(WIDTH).collect();
    filled(label.split_whitespace(), LABEL).join("\n")
}

/// A method's id, broken behind hyphens.
fn broken(id: &str) -> String {
    let mut text = String::new();
    let mut room = LABEL;
    for part in id.split_inclusive(['-', ':', ' ']) {
        if part.len() > room && !text.is_empty() {
            text.push('\n');
            room = LABEL;
        }
        room = room.saturating_sub(part.len());
        text.push_str(part);
    }
    text
}
