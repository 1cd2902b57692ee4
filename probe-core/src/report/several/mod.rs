//! Several results side by side: a row per method, a column per result.
//!
//! What is equal and what is not is not judged here: that takes the same experiment twice, and is
//! `compare`'s.

pub mod markdown;
mod notes;
pub mod text;

#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeSet;

use super::{
    number::{self, Style, nanoseconds},
    results::Named,
    text::agreement,
};
use crate::analysis::figures::table::{KERNEL_NS_PER_EVENT, R_RETAINED};
use crate::model::{
    campaign::{Events, MethodSummary},
    figure::Figure,
    method::MethodId,
    trial::{Outcome, Part},
};

pub(super) use self::notes::notes;

/// A figure that stands in a table of its own.
pub(super) struct Group {
    /// The figure's name in results.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) style: Style,
    pub(super) of: fn(&MethodSummary) -> &Figure,
    /// Whether it is of what the method shows.
    pub(super) of_series: bool,
}

impl Group {
    /// The method's figure, as `written`; under a method that shows something else than calls with
    /// what it is of, as `marked`.
    pub(super) fn cell(
        &self,
        method: &MethodSummary,
        written: impl Fn(&Figure, Style) -> String,
        marked: impl Fn(&str) -> String,
    ) -> String {
        let figure = (self.of)(method);
        let told = self.of_series && figure.known().is_some();
        let of = method.shows_instead.as_deref().filter(|_| told);
        written(figure, self.style) + &of.map(marked).unwrap_or_default()
    }
}

/// What tables there are of figures.
pub(super) const GROUPS: [Group; 2] = [
    Group {
        name: "kernel_ns_per_event",
        title: "What one call costs in the kernel, against `off` in the same block",
        style: Style::DIFFERENCE,
        of: |method| method.overhead.of(KERNEL_NS_PER_EVENT),
        of_series: false,
    },
    Group {
        name: "r_retained",
        title: "What is left of the correlation with throughput: r_m / r_0",
        style: Style::CORRELATION,
        of: |method| method.fidelity.figures.of(R_RETAINED),
        of_series: true,
    },
];

/// Above the table of losses.
pub(super) const LOSS: &str = "What was recorded, lost and missed of the calls that happened";

/// Each method of any result once, in the order of the first that has it; the control has no
/// overhead of its own.
pub(super) fn methods(results: &[Named]) -> Vec<&MethodId> {
    let mut all = Vec::new();
    for method in results.iter().flat_map(|named| &named.campaign.summary.methods) {
        if !method.id.is_off() && !all.contains(&&method.id) {
            all.push(&method.id);
        }
    }
    all
}

/// The method in this result.
pub(super) fn find<'a>(named: &'a Named, id: &MethodId) -> Option<&'a MethodSummary> {
    named.campaign.summary.methods.iter().find(|method| method.id == *id)
}

/// What stands where a result has no such method.
pub(super) fn missing(named: &Named, id: &MethodId) -> &'static str {
    let asked = named.campaign.design.unavailable.iter().any(|method| method.id == *id);
    if asked { "not there" } else { "not run" }
}

/// The unit of the group's figures in this result.
pub(super) fn unit(group: &Group, named: &Named) -> &'static str {
    if group.name != GROUPS[0].name {
        return "";
    }
    let clock = |method: &MethodSummary| Some((group.of)(method).known()?.platform);
    nanoseconds(named.campaign.summary.methods.iter().find_map(clock))
}

/// What became of the calls, part by part.
pub(super) fn losses(method: &MethodSummary) -> Vec<String> {
    let Events { item, truth, recorded, lost, missed, reconciles, .. } = &method.events;
    let Some(recorded) = recorded else { return vec!["-".into()] };
    let of = truth.map(|truth| format!(" of {truth}")).unwrap_or_default();
    let other = item.as_deref().filter(|item| *item != crate::analysis::events::CALLED_PER_KICK);
    let mut parts = vec![format!("{recorded}{of}")];
    parts.extend(other.map(str::to_owned));
    parts.push(format!("lost {}", number::loss(*lost)));
    parts.push(format!("missed {}", number::loss(*missed)));
    let agrees = agreement(reconciles).replace('\n', " ");
    parts.extend((agrees != "-").then(|| format!("agrees: {agrees}")));
    parts
}

/// What the results are: for each its label, scenario, CPUs, blocks of overhead and fidelity, and
/// trials.
pub(super) fn facts(named: &Named) -> [String; 5] {
    let campaign = &named.campaign;
    let blocks = |part: Part| {
        let of = campaign.trials.iter().filter(|trial| trial.part == part);
        of.map(|trial| (trial.run, trial.block)).collect::<BTreeSet<_>>().len()
    };
    let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed { .. });
    let failed = campaign.trials.iter().filter(|trial| failed(&trial.outcome)).count();
    let cpus: BTreeSet<usize> = campaign.runs.iter().map(|run| run.host.cpus).collect();
    let cpus: Vec<String> = cpus.iter().map(usize::to_string).collect();
    [
        named.label.clone(),
        campaign.design.scenario.name.clone(),
        cpus.join(" and "),
        format!("{} overhead, {} fidelity", blocks(Part::Overhead), blocks(Part::Fidelity)),
        format!("{}, {failed} failed", campaign.trials.len()),
    ]
}

/// Heads of [`facts`].
pub(super) const FACTS: [&str; 5] = ["result", "scenario", "CPUs", "blocks", "trials"];

/// Below all figures.
pub(super) const READ: &str = "Each figure with its 95 % interval; n, the number of blocks; d, the smallest effect that n blocks of this \
    scatter would have shown. `tracetoll report` of one result has the rest.";
