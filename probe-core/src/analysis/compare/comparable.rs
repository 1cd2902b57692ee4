//! Whether two campaigns measured the same thing in the same way.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use crate::{
    analysis::differing::differing,
    model::{
        campaign::{Campaign, Design, Run},
        figure::Platform,
        trial::Part,
    },
};

/// The field in which two campaigns differ that cannot be compared for it, and both values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomparable {
    /// The field's path in campaign.json.
    pub field: String,
    /// Its value in the base.
    pub base: String,
    /// Its value in the new campaign.
    pub new: String,
}

impl fmt::Display for Incomparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, base, new } = self;
        write!(f, "not comparable: {field} is {base} in the base and {new} in the new campaign")
    }
}

/// # Errors
/// The first field that must agree and does not.
pub(super) fn check(base: &Campaign, new: &Campaign) -> Result<(), Incomparable> {
    // Costs of programs that log are those of their lines.
    let [before, after] = [base, new].map(|campaign| campaign.design.bpf_log);
    same(
        (before || after).then(|| ("design.bpf_log".into(), before.to_string(), after.to_string())),
    )?;
    let designs = [&base.design, &new.design].map(measured);
    same(differing("design", &designs[0], &designs[1]))?;
    let (mut shared, parts) = (false, [Part::Overhead, Part::Fidelity]);
    for part in parts {
        let [before, after] = [base, new].map(|campaign| runs(campaign, part));
        if before.is_empty() || after.is_empty() {
            continue;
        }
        shared = true;
        for (name, fact) in FACTS {
            let [base, new] = [&before, &after].map(|runs| values(runs, fact));
            same((base != new).then(|| (format!("runs.{name}"), base, new)))?;
        }
    }
    if !shared {
        let parts = |campaign: &Campaign| {
            let measured = parts.into_iter().filter(|part| !runs(campaign, *part).is_empty());
            format!("{:?}", measured.collect::<Vec<_>>())
        };
        return same(Some(("runs.parts".into(), parts(base), parts(new))));
    }
    let [before, after] = [base, new].map(methods);
    // The baseline is in every campaign.
    let alone = before.is_disjoint(&after) && !(before.is_empty() && after.is_empty());
    let list = |ids: BTreeSet<&str>| ids.into_iter().collect::<Vec<_>>().join(", ");
    same(alone.then(|| ("design.methods".into(), list(before), list(after))))
}

fn methods(campaign: &Campaign) -> BTreeSet<&str> {
    let methods = campaign.design.methods.iter().map(|method| &method.id);
    methods.filter(|id| !id.is_off()).map(|id| id.0.as_str()).collect()
}

/// Methods that are defined otherwise than they were: the same id, other parameters.
pub(super) fn redefined(base: &Design, new: &Design) -> Vec<String> {
    let both = base.methods.iter().filter_map(|method| {
        Some((method, new.methods.iter().find(|other| other.id == method.id)?))
    });
    let differ = both.filter_map(|(before, after)| {
        let [was, is] = [before, after]
            .map(|method| serde_json::to_value(&method.parameters).unwrap_or_default());
        let (field, was, is) = differing("", &was, &is)?;
        Some(format!("{field} of {} was {was} in the base and is {is}", before.id))
    });
    differ.collect()
}

type Fact = fn(&Run) -> Option<String>;

/// What must be the same of the machines that measured a part.
const FACTS: [(&str, Fact); 3] = [
    ("platform", |run| Some(format!("{:?}", run.platform).to_lowercase())),
    ("host.cpus", |run| Some(run.host.cpus.to_string())),
    // Where time is real, another processor is another experiment.
    ("host.cpu", |run| {
        let real = !matches!(run.platform, Platform::Counted | Platform::Emulated);
        real.then(|| run.host.cpu.clone())
    }),
];

fn runs(campaign: &Campaign, part: Part) -> Vec<&Run> {
    let measured =
        |run: usize| campaign.trials.iter().any(|trial| trial.run == run && trial.part == part);
    let runs = campaign.runs.iter().enumerate();
    runs.filter(|(index, _)| measured(*index)).map(|(_, run)| run).collect()
}

fn values(runs: &[&Run], fact: Fact) -> String {
    let values: BTreeSet<String> = runs.iter().filter_map(|run| fact(run)).collect();
    values.into_iter().collect::<Vec<_>>().join(" and ")
}

/// What of a design decides the numbers; the scenario's words for people do not, and methods are
/// compared one by one.
fn measured(design: &Design) -> Value {
    let mut scenario = serde_json::to_value(&design.scenario).unwrap_or_default();
    if let Some(fields) = scenario.as_object_mut() {
        fields.remove("summary");
    }
    serde_json::json!({
        "kernel": design.kernel,
        "scenario": scenario,
        "target": serde_json::to_value(&design.target).unwrap_or_default(),
        "bpf_stats": design.bpf_stats,
    })
}

fn same(differ: Option<(String, String, String)>) -> Result<(), Incomparable> {
    match differ {
        None => Ok(()),
        Some((field, base, new)) => Err(Incomparable { field, base, new }),
    }
}
