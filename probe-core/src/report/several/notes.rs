//! What a reader must know before comparing numbers of different results.

use std::collections::BTreeSet;

use serde_json::Value;

use super::GROUPS;
use crate::{
    analysis::differing::differing,
    model::{campaign::Design, figure::Platform},
    report::{results::NamedCampaign, shown},
};

/// In sentences.
pub(in crate::report) fn notes(results: &[NamedCampaign]) -> Vec<String> {
    let mut notes: Vec<String> = costs(results).into_iter().collect();
    notes.extend(others(results));
    notes.extend(results.iter().filter_map(of_one_run));
    for named in results {
        for method in &named.campaign.design.unavailable {
            notes.push(format!(
                "{} is not available in {}: \
                                {}.",
                method.id, named.label, method.why
            ));
        }
    }
    notes.push(
        "Differences shown here are not tested: `tracetoll compare` says which differences between \
         two results of one experiment are beyond chance."
            .into(),
    );
    notes
}

/// What costs of different clocks or processors are to each other.
fn costs(results: &[NamedCampaign]) -> Option<String> {
    let known = |named: &NamedCampaign| -> BTreeSet<Platform> {
        let methods = named.campaign.summary.methods.iter();
        methods.filter_map(|method| Some((GROUPS[0].of)(method).known()?.platform)).collect()
    };
    let clocks: BTreeSet<Platform> = results.iter().flat_map(known).collect();
    let names: Vec<&str> = clocks.iter().copied().map(Platform::name).collect();
    if names.len() > 1 {
        return Some(format!(
            "Costs on different clocks ({}) are not comparable: a counted ns is a number of \
             instructions, an emulated ns depends on the emulating host, and only a native ns is \
             time that a host loses. Compare costs within a clock; compare r retained and losses \
             across clocks.",
            names.join(", ")
        ));
    }
    let hosts = results.iter().flat_map(|named| &named.campaign.runs);
    let processors: BTreeSet<&str> = hosts.map(|run| run.host.cpu.trim()).collect();
    (processors.len() > 1 && !clocks.contains(&Platform::Counted)).then(|| {
        format!(
            "Costs come from {} different processors: the order of methods on one need not hold on \
             another.",
            processors.len()
        )
    })
}

/// Whose intervals of correlations say less than those of others.
fn of_one_run(named: &NamedCampaign) -> Option<String> {
    let mut methods = named.campaign.summary.methods.iter();
    let within = methods.any(|method| {
        (GROUPS[1].of)(method).known().is_some_and(|found| !shown::star(found).is_empty())
    });
    within.then(|| {
        format!(
            "Intervals of r_m / r_0 in {} come from one run's own bins: they do not include \
             differences between runs.",
            named.label
        )
    })
}

/// The first way in which each result is another experiment than the first one, its kernel apart.
fn others(results: &[NamedCampaign]) -> Vec<String> {
    let Some((first, rest)) = results.split_first() else { return Vec::new() };
    let base = experiment(&first.campaign.design);
    let differ = rest.iter().filter_map(|named| {
        let (field, was, is) = differing("design", &base, &experiment(&named.campaign.design))?;
        let (label, first) = (&named.label, &first.label);
        Some(format!("Not the same experiment: {field} is {was} in {first} and {is} in {label}."))
    });
    differ.collect()
}

/// The part of a design that determines the numbers and can be the same on two kernels.
fn experiment(design: &Design) -> Value {
    let mut scenario = serde_json::to_value(&design.scenario).unwrap_or_default();
    if let Some(fields) = scenario.as_object_mut() {
        fields.remove("summary");
    }
    let items: Vec<String> = design.target.items().map(|(_, name)| name).collect();
    serde_json::json!({
        "scenario": scenario,
        "target": items,
        "bpf_stats": design.bpf_stats,
        "bpf_log": design.bpf_log,
    })
}
