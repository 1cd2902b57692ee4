//! The table of bins.

use super::result;
use crate::{
    model::{
        campaign::Campaign,
        item::ItemId,
        method::SeriesUnit,
        trial::{Measured, Outcome, ReferenceCounts, SectionMark, Trial},
    },
    report::{chart::labels, results::NamedCampaign, table::Column},
};

/// One item in one bin of one trial.
pub(super) struct Row<'a> {
    result: &'a str,
    trial: &'a Trial,
    measured: &'a Measured,
    bin: usize,
    item: Option<String>,
    reference: Option<u64>,
    shown: Option<f64>,
    unit: SeriesUnit,
}

/// Every bin of every trial that ended well, for each item that the reference counter or the method
/// saw in the trial; where nobody saw any, once.
pub(super) fn rows(named: &NamedCampaign) -> impl Iterator<Item = Row<'_>> {
    let NamedCampaign { label, campaign } = named;
    let done = campaign.trials.iter().filter_map(|trial| match &trial.outcome {
        Outcome::Done(measured) => Some((trial, &**measured)),
        Outcome::Failed { .. } => None,
    });
    done.flat_map(|(trial, measured)| of_trial(label, campaign, trial, measured))
}

fn of_trial<'a>(
    result: &'a str,
    campaign: &'a Campaign,
    trial: &'a Trial,
    measured: &'a Measured,
) -> Vec<Row<'a>> {
    let method = campaign.design.methods.iter().find(|method| method.id == trial.method);
    let unit = method.map_or(SeriesUnit::Nothing, |method| method.unit);
    let with_reference = |item: ItemId| match measured.reference.as_ref()?.functions.get(item.0)? {
        ReferenceCounts::Calls(calls) => Some(calls),
        ReferenceCounts::None { .. } => None,
    };
    let shown = |name: &str| measured.series.iter().find(|series| series.function == name);
    let seen =
        |(item, name): &(ItemId, String)| with_reference(*item).is_some() || shown(name).is_some();
    let target = &campaign.design.target;
    // What no target lists; frames are listed.
    let counter = match unit {
        SeriesUnit::Counter { of } => Some((of.item(target), of.name().to_owned())),
        _ => None,
    };
    let counter = counter.filter(|(item, _)| item.0 >= target.item_count());
    let mut seen: Vec<Option<(ItemId, String)>> =
        target.items().chain(counter).filter(seen).map(Some).collect();
    if seen.is_empty() {
        seen.push(None);
    }
    let row = |bin: usize, item: &Option<(ItemId, String)>| Row {
        result,
        trial,
        measured,
        bin,
        reference: item.as_ref().and_then(|(item, _)| with_reference(*item)?.get(bin).copied()),
        shown: item.as_ref().and_then(|(_, name)| shown(name)?.values.get(bin).copied()),
        item: item.as_ref().map(|(_, name)| name.clone()),
        unit,
    };
    let bins = 0..measured.throughput.len();
    bins.flat_map(|bin| seen.iter().map(move |item| row(bin, item))).collect()
}

impl Row<'_> {
    /// Seconds from the first edge.
    fn edge(&self, at: usize) -> Option<f64> {
        let edges = &self.measured.edges;
        Some(edges.get(at)?.since(*edges.first()?).as_secs())
    }

    fn section(&self) -> Option<(usize, &SectionMark)> {
        let sections = self.measured.sections.iter().enumerate();
        sections.rev().find(|(_, section)| section.first_bin <= self.bin)
    }
}

/// In the order of the file.
pub(super) fn columns<'a>() -> Vec<Column<'a, Row<'a>>> {
    vec![
        result(|row| Some(row.result.to_owned())),
        Column::count(
            "run",
            "",
            "as in the table of trials; identifies the trial, together with block, part, position \
             and functions",
            |row| u64::try_from(row.trial.run).ok(),
        ),
        Column::count("block", "", "the block, from 0", |row| Some(row.trial.block.into())),
        Column::text("part", "overhead or fidelity", |row| super::trials::word(&row.trial.part)),
        Column::text("pace", "closed_loop, paced or saturated", |row| {
            super::trials::word(&row.trial.pace)
        }),
        Column::count(
            "functions",
            "",
            "number of traced functions, the first ones of the target; null: all",
            |row| u64::try_from(row.trial.functions?).ok(),
        ),
        Column::text("method", "id of the method; the baseline is off", |row| {
            Some(row.trial.method.to_string())
        }),
        Column::count("position", "", "place within the block", |row| {
            Some(row.trial.position.into())
        }),
        Column::count("bin", "", "the bin, from 0", |row| u64::try_from(row.bin).ok()),
        Column::number(
            "start_s",
            "s",
            "its first edge, measured from the trial's first, as stamped",
            |row| row.edge(row.bin),
        ),
        Column::number("length_s", "s", "from that edge to the next", |row| {
            Some(row.edge(row.bin.saturating_add(1))? - row.edge(row.bin)?)
        }),
        Column::text("section", "what the schedule's section is called", |row| {
            let (at, _) = row.section()?;
            labels(&row.measured.sections).into_iter().nth(at)
        }),
        Column::count(
            "senders",
            "guests",
            "that sent in it; null if the load is not ours",
            |row| u64::try_from(row.section()?.1.senders?).ok(),
        ),
        Column::count("hogs", "hogs", "that ran in it", |row| {
            u64::try_from(row.section()?.1.hogs).ok()
        }),
        Column::count(
            "throughput_bytes",
            "bytes",
            "received at the sink; the same in each row of the bin",
            |row| row.measured.throughput.get(row.bin).copied(),
        ),
        Column::count(
            "frames",
            "frames",
            "received at the sink; the same in each row of the bin",
            |row| row.measured.frames.get(row.bin).copied(),
        ),
        Column::text(
            "item",
            "a function, a tracepoint or frames; null if neither reference counter nor method saw \
             any",
            |row| row.item.clone(),
        ),
        Column::count(
            "reference_calls",
            "calls",
            "of the function by the reference counter; null if it has none",
            |row| row.reference,
        ),
        Column::number(
            "shown",
            "see shown_unit",
            "the method's own series; null if it does not show the item",
            |row| row.shown,
        ),
        Column::text(
            "shown_unit",
            "calls (hits, if the item is not a function), cpu_share_pct, or counter: the increase \
             of what the item names",
            |row| {
                row.shown?;
                match row.unit {
                    SeriesUnit::Calls { .. } => Some("calls".into()),
                    SeriesUnit::CpuShare => Some("cpu_share_pct".into()),
                    SeriesUnit::Counter { .. } => Some("counter".into()),
                    SeriesUnit::Nothing => None,
                }
            },
        ),
        Column::number(
            "calls_per_unit",
            "calls",
            "represented by each shown call: the declared sampling factor; null for shares and \
             counters",
            |row| {
                row.shown?;
                match row.unit {
                    SeriesUnit::Calls { factor } => Some(factor),
                    SeriesUnit::CpuShare | SeriesUnit::Counter { .. } | SeriesUnit::Nothing => None,
                }
            },
        ),
    ]
}
