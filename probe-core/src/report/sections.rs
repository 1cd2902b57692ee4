//! Results per section of the schedule.

use super::{
    figures::times,
    lines::WIDTH,
    number::Style,
    shown::what,
    table::{Cell, Column, Table},
};
use crate::model::{
    campaign::{Campaign, Summary},
    figure::Figure,
    method::{Descriptor, MethodId},
    scenario::GuestKind,
    sections::{FunctionInSection, MethodInSection, SectionFigures},
};

/// Number of functions, or methods, that fit side by side.
const COLUMNS: usize = 5;

/// Width of a section's label, in columns; longer ones continue on the next line.
const LABEL: usize = 18;

/// A column of a table of sections.
pub(super) type OfSections<'a> = Column<'a, &'a SectionFigures>;

/// Titles and tables; none if no fidelity trial succeeded. A guest without VM and TCP has only the
/// first: the others are the paper's figures.
pub(super) fn tables(campaign: &Campaign) -> Vec<(String, String)> {
    let summary = &campaign.summary;
    let (sections, headline) = (&summary.sections[..], summary.headline_function.as_str());
    if sections.is_empty() {
        return Vec::new();
    }
    let title = format!(
        "Sections under `off`: throughput, and calls of {headline} by the reference counter"
    );
    let mut tables = vec![(title, overview(summary).text())];
    if !is_drawn(campaign) {
        return tables;
    }
    let title = "Each guest's throughput under `off`, Mbit/s";
    tables.extend(guests(sections).map(|table| (title.into(), table.text())));
    let few = left_out(sections);
    let title = format!("Calls, section by section{few}");
    tables.push((title, calls(sections).text()));
    for id in methods(sections) {
        let title = format!("Share of CPU time in %, including callees; by {id}{few}");
        tables.extend(shares(sections, id, COLUMNS).map(|table| (title, table.text())));
    }
    let ran = |method: &&Descriptor| methods(sections).any(|id| *id == method.id);
    let all: Vec<&Descriptor> = campaign.design.methods.iter().filter(ran).collect();
    for some in all.chunks(COLUMNS) {
        let title =
            format!("r with throughput within each section, of what each shows of {headline}");
        tables.push((title, correlations(campaign, some).text()));
    }
    tables
}

/// How many functions the tables omit.
fn left_out(sections: &[SectionFigures]) -> String {
    let first = sections.iter().flat_map(|section| &section.methods).next();
    let all = first.map_or(0, |method| method.functions.len());
    match all.saturating_sub(COLUMNS) {
        0 => String::new(),
        more => format!("; {more} more functions are in campaign.json, `summary.sections`"),
    }
}

/// Whether the paper's figures are shown: only for guests that send more than a stream of frames.
pub(super) fn is_drawn(campaign: &Campaign) -> bool {
    campaign.design.scenario.guests.kind != GuestKind::Blast
}

/// One row per section.
pub(super) fn of_sections<'a>(
    sections: &'a [SectionFigures],
    columns: impl IntoIterator<Item = OfSections<'a>>,
) -> Table<'a, &'a SectionFigures> {
    let label = OfSections::new("section", |section| {
        section.label.chars().take(WIDTH).collect::<String>().into()
    });
    Table::new(sections, [label.within(LABEL)].into_iter().chain(columns).collect())
}

/// The distribution of throughput, and everything else about a section under the baseline.
pub(super) fn overview(summary: &Summary) -> Table<'_, &SectionFigures> {
    let headline = &summary.headline_function;
    let under_off = |name, told: fn(&MethodInSection) -> Cell| {
        OfSections::new(name, move |section| of(section, None).map(told).into())
    };
    let of_function = |name, style, figure: fn(&FunctionInSection) -> &Figure| {
        OfSections::new(name, move |section| {
            let function = of(section, None).and_then(|off| off.functions.get(headline));
            function.map(|function| Cell::short(figure(function), style)).into()
        })
    };
    of_sections(
        &summary.sections,
        [
            under_off("throughput", |off| mbit(&off.throughput_bps)).unit("Mbit/s"),
            under_off("its bins", bins).unit("5, 50, 95 %"),
            under_off("sd/mean", |off| {
                off.throughput_cv.known().map(|cv| format!("{:.3}", cv.estimate)).into()
            }),
            of_function("calls", Style::LEVEL, |function| &function.calls_per_s_w).unit("per s"),
            under_off("frames", |off| Cell::short(&off.frames_per_call, Style::LEVEL))
                .unit("per call"),
            of_function("r(calls, throughput)", Style::CORRELATION, |function| &function.r_w),
            under_off("sink waits", |off| Cell::short(&off.sink_run_delay_pct, Style::LEVEL))
                .unit("% of time"),
        ],
    )
}

fn bins(off: &MethodInSection) -> Cell {
    let mbit = |bps: f64| format!("{:.1}", bps / 1e6);
    Cell::lines(
        off.bins_bps.into_iter().flat_map(|bins| [bins.p5, bins.p50, bins.p95]).map(mbit),
        ", ",
    )
}

fn guests(sections: &[SectionFigures]) -> Option<Table<'_, &SectionFigures>> {
    let most =
        sections.iter().filter_map(|section| Some(of(section, None)?.guests_bps.len())).max();
    let sent = OfSections::new("guests that sent", |section| {
        let guests = of(section, None).into_iter().flat_map(|off| &off.guests_bps);
        let sent = guests.filter_map(|(name, figure)| {
            let bps = figure.known()?.estimate;
            (bps > 0.0).then(|| format!("{name} {:.1}", bps / 1e6))
        });
        sent.collect::<Vec<_>>().join(", ").into()
    });
    (most? > 1).then(|| of_sections(sections, [sent]))
}

/// Calls by the reference counter under the baseline, or by the first method that counts the
/// function.
pub(super) fn calls(sections: &[SectionFigures]) -> Table<'_, &SectionFigures> {
    let counter = |name: &String| {
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
    let column = |name| {
        let by = counter(name);
        let who = by.map_or("the reference counter".into(), MethodId::to_string);
        OfSections::new(name, move |section| {
            let function = of(section, by).and_then(|method| method.functions.get(name));
            let figure = function.map(|function| {
                let own = function.calls_per_s_m.as_ref().filter(|_| by.is_some());
                own.unwrap_or(&function.calls_per_s_w)
            });
            figure.map(|figure| Cell::short(figure, Style::LEVEL)).into()
        })
        .unit(format!("per s by {who}"))
    };
    of_sections(sections, functions(sections).take(COLUMNS).map(column))
}

/// Shares of one profiler, for a limited number of functions; `None` for any other method.
pub(super) fn shares<'a>(
    sections: &'a [SectionFigures],
    id: &'a MethodId,
    most: usize,
) -> Option<Table<'a, &'a SectionFigures>> {
    let profiled = sections
        .iter()
        .filter_map(|section| of(section, Some(id)))
        .any(|method| method.functions.values().any(|function| function.share_pct.is_some()));
    let column = |name: &'a String| {
        OfSections::new(name, move |section| {
            let function = of(section, Some(id)).and_then(|method| method.functions.get(name));
            let Some(function) = function else { return Cell::None };
            let own = function.self_share_pct.as_ref().and_then(Figure::known);
            let own = own.map(|own| format!("own {:.2}", own.estimate));
            let share = function.share_pct.as_ref().map(|share| Cell::short(share, Style::LEVEL));
            Cell::from(share).of(own)
        })
        .unit("%")
    };
    profiled.then(|| of_sections(sections, functions(sections).take(most).map(column)))
}

fn correlations<'a>(
    campaign: &'a Campaign,
    methods: &[&'a Descriptor],
) -> Table<'a, &'a SectionFigures> {
    let headline = &campaign.summary.headline_function;
    let column = |method: &&'a Descriptor| {
        let method = *method;
        OfSections::new(&*method.id.0, move |section| {
            let found = of(section, Some(&method.id));
            let function = found.and_then(|found| found.functions.get(headline));
            let figure = function.map(|found| found.r_m.as_ref().unwrap_or(&found.r_w));
            figure.map(|figure| Cell::short(figure, Style::CORRELATION)).into()
        })
        .unit(what(campaign, method))
    };
    of_sections(&campaign.summary.sections, methods.iter().map(column))
}

/// The section under a method, or under the baseline.
pub(super) fn of<'a>(
    section: &'a SectionFigures,
    id: Option<&MethodId>,
) -> Option<&'a MethodInSection> {
    section.methods.iter().find(|method| match id {
        Some(id) => method.id == *id,
        None => method.id.is_off(),
    })
}

pub(super) fn methods(sections: &[SectionFigures]) -> impl Iterator<Item = &MethodId> {
    sections.first().into_iter().flat_map(|section| &section.methods).map(|method| &method.id)
}

/// The target's functions.
fn functions(sections: &[SectionFigures]) -> impl Iterator<Item = &String> {
    let first = sections.iter().flat_map(|section| &section.methods).next();
    first.into_iter().flat_map(|method| method.functions.keys())
}

/// Bits per second as Mbit/s.
pub(super) fn mbit(figure: &Figure) -> Cell {
    Cell::short(&times(figure, 1e-6), Style::LEVEL)
}
