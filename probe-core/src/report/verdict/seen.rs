//! Whether the methods of a group account for every call of the closed-loop trials.

use super::{few, name};
use crate::{
    model::{
        campaign::{Events, MethodSummary, Reconciliation},
        loss::Loss,
    },
    report::number,
};

/// Whether every call of the closed-loop trials is accounted for.
pub(super) fn told(methods: &[&MethodSummary]) -> Option<String> {
    let whole = |events: &Events| {
        events.reconciles == Reconciliation::Exact
            && events.lost == Loss::NONE
            && events.missed.known() == 0
    };
    let (all, others): (Vec<&MethodSummary>, Vec<_>) =
        methods.iter().partition(|method| whole(&method.events));
    let mut told = Vec::new();
    if !all.is_empty() {
        let who = if others.is_empty() {
            String::new()
        } else {
            format!(" by {}", few(&all.iter().map(|method| name(method)).collect::<Vec<_>>()))
        };
        told.push(format!("Nothing was lost or missed{who} in the closed loop."));
    }
    let losses: Vec<String> = others.iter().filter_map(|method| loss(method)).collect();
    if !losses.is_empty() {
        told.push(format!("In the closed loop {}.", few(&losses)));
    }
    (!told.is_empty()).then(|| told.join(" "))
}

/// The sentence about one method's counts; `None` if they agree with what a sampler promises.
fn loss(method: &MethodSummary) -> Option<String> {
    let Events { truth, lost, missed, reconciles, .. } = &method.events;
    let of = truth.map(|truth| format!(" of {truth}")).unwrap_or_default();
    let id = &method.id;
    match reconciles {
        Reconciliation::Differs { by } => {
            Some(format!("`{id}` is off by {by:+}{of}: its counts must not be used"))
        }
        Reconciliation::Unaccounted { n } => Some(format!("`{id}` cannot account for {n}{of}")),
        Reconciliation::Exact => {
            let parts = [(lost, "lost"), (missed, "missed")];
            let told = parts.into_iter().filter(|(loss, _)| loss.known() > 0);
            let told: Vec<String> =
                told.map(|(loss, word)| format!("{word} {}", number::loss(*loss))).collect();
            (!told.is_empty()).then(|| format!("`{id}` {}{of}", told.join(" and ")))
        }
        _ => None,
    }
}
