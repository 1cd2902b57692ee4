//! Several results side by side: a row per method, a column per result.
//!
//! Differences are not judged here: that takes two results of the same experiment, and is done by
//! `compare`.

mod notes;

#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeSet;

use super::{
    columns::agreement,
    lines::paragraph,
    number::{self, Style, nanoseconds},
    results::NamedCampaign,
    table::{Cell, Column, Table},
};
use crate::{
    analysis::{
        events::CALLED_PER_KICK,
        figures::table::{KERNEL_NS_PER_EVENT, R_RETAINED},
    },
    model::{
        campaign::{Events, MethodSummary},
        figure::Figure,
        method::MethodId,
        trial::{Outcome, Part, Trial},
    },
};

pub(super) use self::notes::notes;

/// Number of results side by side in a terminal; further ones go into further tables.
const BESIDE: usize = 5;

/// For a terminal.
pub fn text(results: &[NamedCampaign]) -> String {
    let mut text = format!("tracetoll: {} results side by side\n\n", results.len());
    text.push_str(&facts(results).text());
    for group in &GROUPS {
        for some in results.chunks(BESIDE) {
            let title = paragraph("", group.title);
            text.push_str(&format!("\n{title}{}", group.table(results, some).text()));
        }
    }
    for some in results.chunks(BESIDE) {
        let title = paragraph("", LOSS);
        text.push_str(&format!("\n{title}{}", losses(results, some).text()));
    }
    text.push('\n');
    text.push_str(&paragraph("", READ));
    text.push_str("\nBefore you compare numbers\n");
    notes(results).iter().for_each(|note| text.push_str(&paragraph("- ", note)));
    text
}

/// For a README, a paper or a pull request.
pub fn markdown(results: &[NamedCampaign]) -> String {
    let mut text = facts(results).markdown();
    for group in &GROUPS {
        let table = group.table(results, results).markdown();
        text.push_str(&format!("\n{}:\n\n{table}", group.title));
    }
    text.push_str(&format!("\n{LOSS}:\n\n{}", losses(results, results).markdown()));
    text.push_str("\nEach figure with its 95 % interval and n, the number of blocks.\n\n");
    notes(results).iter().for_each(|note| text.push_str(&format!("- {note}\n")));
    text
}

/// A figure that stands in a table of its own.
pub(super) struct FigureTable {
    /// The figure's name in results.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) style: Style,
    pub(super) of: fn(&MethodSummary) -> &Figure,
    /// Whether it is a figure of the method's series.
    pub(super) of_series: bool,
}

impl FigureTable {
    /// Of `some` of the results; what a method shows instead of calls is said.
    pub(super) fn table<'a>(
        &'a self,
        results: &'a [NamedCampaign],
        some: &'a [NamedCampaign],
    ) -> OfIds<'a> {
        let cell = |method: &MethodSummary| {
            let instead = method.shows_instead.clone().filter(|_| self.of_series);
            Cell::figure((self.of)(method), self.style).of(instead)
        };
        beside(results, some, |named| self.unit(named), cell)
    }

    /// The unit of its figures in this result.
    pub(super) fn unit(&self, named: &NamedCampaign) -> &'static str {
        if self.of_series {
            return "";
        }
        let clock = |method: &MethodSummary| Some((self.of)(method).known()?.platform);
        nanoseconds(named.campaign.summary.methods.iter().find_map(clock))
    }
}

/// A table with one row per method of any result.
type OfIds<'a> = Table<'a, &'a MethodId>;

/// The methods of all results, with one column per result in `some`.
fn beside<'a>(
    all: &'a [NamedCampaign],
    some: &'a [NamedCampaign],
    unit: impl Fn(&NamedCampaign) -> &'static str,
    cell: impl Fn(&MethodSummary) -> Cell + Copy + 'a,
) -> OfIds<'a> {
    let method = Column::<&MethodId>::new("method", |id| Cell::Name(id.to_string()));
    let column = |named: &'a NamedCampaign| {
        Column::<&MethodId>::new(&*named.label, move |id| {
            find(named, id).map_or_else(|| missing(named, id).into(), cell)
        })
        .unit(unit(named))
    };
    Table::new(methods(all), [method].into_iter().chain(some.iter().map(column)).collect())
}

/// What tables there are of figures.
pub(super) const GROUPS: [FigureTable; 2] = [
    FigureTable {
        name: "kernel_ns_per_event",
        title: "What one call costs in the kernel, against `off` in the same block",
        style: Style::DIFFERENCE,
        of: |method| method.overhead.of(KERNEL_NS_PER_EVENT),
        of_series: false,
    },
    FigureTable {
        name: "r_retained",
        title: "What remains of the correlation with throughput: r_m / r_0",
        style: Style::CORRELATION,
        of: |method| method.fidelity.figures.of(R_RETAINED),
        of_series: true,
    },
];

/// Title of the table of losses.
pub(super) const LOSS: &str = "What was recorded, lost and missed of the calls that happened";

/// Each method of any result once, in the order of the first that has it; the baseline has no overhead
/// of its own.
fn methods(results: &[NamedCampaign]) -> Vec<&MethodId> {
    let mut all = Vec::new();
    for method in results.iter().flat_map(|named| &named.campaign.summary.methods) {
        if !method.id.is_off() && !all.contains(&&method.id) {
            all.push(&method.id);
        }
    }
    all
}

/// The method in this result.
fn find<'a>(named: &'a NamedCampaign, id: &MethodId) -> Option<&'a MethodSummary> {
    named.campaign.summary.methods.iter().find(|method| method.id == *id)
}

/// What stands where a result has no such method.
fn missing(named: &NamedCampaign, id: &MethodId) -> &'static str {
    let asked = named.campaign.design.unavailable.iter().any(|method| method.id == *id);
    if asked { "not there" } else { "not run" }
}

/// What became of the calls, in `some` of the results.
pub(super) fn losses<'a>(results: &'a [NamedCampaign], some: &'a [NamedCampaign]) -> OfIds<'a> {
    beside(results, some, |_| "", lost)
}

fn lost(method: &MethodSummary) -> Cell {
    let Events { item, truth, recorded, lost, missed, reconciles, .. } = &method.events;
    let Some(recorded) = recorded else { return Cell::None };
    let of = truth.map(|truth| format!(" of {truth}")).unwrap_or_default();
    let other = item.clone().filter(|item| item != CALLED_PER_KICK);
    let losses =
        [format!("lost {}", number::loss(*lost)), format!("missed {}", number::loss(*missed))];
    let agrees = agreement(reconciles).join(" ");
    let agrees = (!agrees.is_empty()).then(|| format!("agrees: {agrees}"));
    let parts = [format!("{recorded}{of}")].into_iter().chain(other).chain(losses).chain(agrees);
    Cell::lines(parts, ", ")
}

type OfResults<'a> = Column<'a, &'a NamedCampaign>;

/// What the results are.
pub(super) fn facts(results: &[NamedCampaign]) -> Table<'_, &NamedCampaign> {
    let columns = vec![
        OfResults::new("result", |named| (&*named.label).into()),
        OfResults::new("scenario", |named| (&*named.campaign.design.scenario.name).into()),
        OfResults::new("CPUs", |named| {
            let cpus = named.campaign.runs.iter().map(|run| run.host.cpus);
            let cpus = cpus.collect::<BTreeSet<_>>().into_iter().map(|count| count.to_string());
            cpus.collect::<Vec<_>>().join(" and ").into()
        }),
        OfResults::new("blocks", |named| {
            let [overhead, fidelity] = [Part::Overhead, Part::Fidelity].map(|part| {
                let of = named.campaign.trials.iter().filter(|trial| trial.part == part);
                of.map(|trial| (trial.run, trial.block)).collect::<BTreeSet<_>>().len()
            });
            format!("{overhead} overhead, {fidelity} fidelity").into()
        }),
        OfResults::new("trials", |named| {
            let trials = &named.campaign.trials;
            let failed = |trial: &&Trial| matches!(trial.outcome, Outcome::Failed { .. });
            format!("{}, {} failed", trials.len(), trials.iter().filter(failed).count()).into()
        }),
    ];
    Table::new(results, columns)
}

/// The text below all figures.
pub(super) const READ: &str = "Each figure with its 95 % interval; n, the number of blocks; d, the \
                               smallest effect that n blocks with this scatter would have \
                               detected. `tracetoll report` of one result has the rest.";
