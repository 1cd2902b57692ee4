//! Several results side by side: their labels, and what they have in common.

use std::collections::BTreeSet;

use crate::model::campaign::{Campaign, Run};

/// A campaign, and its label among others.
#[derive(Debug, serde::Serialize)]
pub struct NamedCampaign {
    /// Kernel, processor and clock; where several results have these in common, their folder. No
    /// two of one list are equal.
    #[serde(rename = "result")]
    pub label: String,
    /// The campaign.
    pub campaign: Campaign,
}

/// Names campaigns, each given with the place that it was read from.
pub fn named(read: Vec<(String, Campaign)>) -> Vec<NamedCampaign> {
    let machines: Vec<String> = read.iter().map(|(_, campaign)| machine(campaign)).collect();
    let places: Vec<&str> = read.iter().map(|(place, _)| place.as_str()).collect();
    let alone = |machine: &String| machines.iter().filter(|other| *other == machine).count() == 1;
    let label = |(number, (machine, place)): (usize, (&String, &&str))| match alone(machine) {
        true => machine.clone(),
        false => folder(&places, number, place),
    };
    let labels: Vec<String> = (1..).zip(machines.iter().zip(&places)).map(label).collect();
    let named = |((_, campaign), label)| NamedCampaign { label, campaign };
    read.into_iter().zip(labels).map(named).collect()
}

/// `6.12.117, AMD EPYC, native clock`.
fn machine(campaign: &Campaign) -> String {
    let all = |of: fn(&Run) -> &str| {
        campaign.runs.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let (cpus, clocks) = (all(|run| run.host.cpu.trim()), clocks(campaign));
    format!("{}, {}, {} clock", campaign.design.kernel, cpus.join(" and "), clocks.join(" and "))
}

/// The clocks of a campaign's runs.
pub(super) fn clocks(campaign: &Campaign) -> Vec<&'static str> {
    let clocks = campaign.runs.iter().map(|run| run.platform.name());
    clocks.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The last part of `place`, which is the `number`th of all; the whole path if another one ends the
/// same way, and with its number if another one is identical.
fn folder(places: &[&str], number: usize, place: &str) -> String {
    let last = |place: &str| {
        let mut parts = place.trim_end_matches('/').rsplit('/');
        parts.find(|part| *part != "campaign.json" && *part != "journal.jsonl").map(str::to_owned)
    };
    let alone = |of: &dyn Fn(&str) -> Option<String>| {
        places.iter().filter(|other| of(other) == of(place)).count() == 1
    };
    match last(place) {
        Some(name) if alone(&last) => name,
        _ if alone(&|place| Some(place.to_owned())) => place.to_owned(),
        _ => format!("{place} ({number})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{analysis::fixture::Lab, model::figure::Platform};

    fn labels(of: &[(&str, &str)]) -> Vec<String> {
        let read = of.iter().map(|(place, kernel)| {
            let mut lab = Lab::new();
            lab.run(Platform::Counted).run(Platform::Emulated);
            lab.design.kernel = (*kernel).into();
            ((*place).to_owned(), lab.campaign())
        });
        named(read.collect()).into_iter().map(|named| named.label).collect()
    }

    #[test]
    fn a_result_is_called_by_its_machine_or_by_its_folder_where_that_is_not_enough() {
        let machine = |kernel: &str| format!("{kernel}, a CPU, counted and emulated clock");
        assert_eq!(labels(&[("a", "6.1"), ("b", "6.12")]), [machine("6.1"), machine("6.12")]);
        let three = labels(&[("x/a/", "6.1"), ("y/b/campaign.json", "6.1"), ("c", "6.12")]);
        assert_eq!(three, ["a".to_owned(), "b".into(), machine("6.12")]);
        assert_eq!(labels(&[("x/a", "6.1"), ("y/a", "6.1")]), ["x/a", "y/a"]);
        assert_eq!(labels(&[("a", "6.1"), ("a", "6.1")]), ["a (1)", "a (2)"]);
    }
}
