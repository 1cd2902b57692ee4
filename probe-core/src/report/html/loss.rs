//! What methods recorded, lost and missed of the calls that happened.

use super::{
    PageSection,
    figure::Chart,
    svg::bars::{self, Bar},
};
use crate::{
    model::{
        campaign::{Campaign, Events, MethodSummary, Reconciliation},
        method::Class,
    },
    report::{
        columns::{counts, id},
        shown::described,
        table::Table,
    },
};

const PARTS: [&str; 4] = ["recorded", "lost in buffers", "missed by the probe", "unaccounted for"];

const ABOUT: &str = "Over all closed-loop trials, in per cent of the calls that the load made (or \
                     of what stands in for them), a number that does not come from a tracer. Only \
                     methods that should see every call are drawn; samplers are in the data. A \
                     loss that the kernel does not report is `unknown` there, and missing from the \
                     bar.";

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let seen = |method: &&MethodSummary| method.events.recorded.is_some();
    let methods: Vec<&MethodSummary> = campaign.summary.methods.iter().filter(seen).collect();
    if methods.is_empty() {
        return None;
    }
    let every_call = |method: &&&MethodSummary| {
        let class = described(campaign, &method.id).map(|described| described.class);
        matches!(class, Some(Class::Exact | Class::Recorded | Class::Inferred))
    };
    let bars: Vec<Bar> =
        methods.iter().filter(every_call).filter_map(|method| bar(method)).collect();
    let drawing = bars::draw(&PARTS.map(String::from), &bars, "% of what happened", Some(100.0));
    let table = Table::new(methods, [id()].into_iter().chain(counts()).collect());
    let title = "What was recorded of the calls that happened";
    let figure = Chart::new("loss", title, ABOUT, drawing, &table);
    Some(PageSection { id: "losses", title: "Loss", blocks: vec![figure.into()] })
}

/// Shares of the truth, in per cent; `None` if there is nothing to compare with.
#[expect(clippy::cast_precision_loss, reason = "no campaign makes 2^53 calls")]
fn bar(method: &MethodSummary) -> Option<Bar> {
    let Events { truth, recorded, lost, missed, reconciles, .. } = &method.events;
    let (truth, recorded) = (truth.filter(|&truth| truth > 0)?, (*recorded)?);
    let unaccounted = match reconciles {
        Reconciliation::Unaccounted { n } => *n,
        _ => 0,
    };
    let parts = [recorded, lost.known(), missed.known(), unaccounted];
    let parts = parts.map(|part| 100.0 * part as f64 / truth as f64);
    Some(Bar { label: method.id.to_string(), parts: parts.into() })
}
