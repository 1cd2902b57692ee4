//! The table of trials.

use hdrhistogram::Histogram;

use super::result;
use crate::{
    analysis::{item::Items, total},
    model::{
        campaign::Run,
        loss::Loss,
        trial::{Measured, Outcome, Phase, Trial},
        units::Nanos,
    },
    report::{results::NamedCampaign, table::Column},
};

/// One trial.
pub(super) struct Row<'a> {
    result: &'a str,
    trial: &'a Trial,
    run: Option<&'a Run>,
    measured: Option<&'a Measured>,
    /// The item by which the method is judged: its name, and how often it was recorded.
    item: Option<(String, u64)>,
    times: Option<Histogram<u64>>,
}

/// All trials, in the order of the file.
pub(super) fn rows(named: &NamedCampaign) -> impl Iterator<Item = Row<'_>> {
    let NamedCampaign { label, campaign } = named;
    let items = Items::of(&campaign.design.target);
    campaign.trials.iter().map(move |trial| {
        let measured = match &trial.outcome {
            Outcome::Done(measured) => Some(&**measured),
            Outcome::Failed { .. } => None,
        };
        let method = campaign.design.methods.iter().find(|method| method.id == trial.method);
        let item = measured.zip(method).and_then(|(measured, method)| {
            let item = items.seen(method, measured)?;
            let recorded = *measured.observation.recorded.get(item.id)?;
            Some((item.name.to_owned(), recorded))
        });
        let times = measured.and_then(|measured| measured.latency.as_ref()?.times().ok());
        Row { result: label, trial, run: campaign.runs.get(trial.run), measured, item, times }
    })
}

/// A value as written in the result file.
pub(super) fn word(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

fn phase(row: &Row<'_>, phase: Phase) -> Option<u64> {
    row.trial.phases.get(&phase).map(|took| took.0)
}

fn ns(row: &Row<'_>, of: fn(&Measured) -> Nanos) -> Option<u64> {
    row.measured.map(|measured| of(measured).0)
}

fn number(row: &Row<'_>, of: fn(&Measured) -> u64) -> Option<u64> {
    row.measured.map(of)
}

/// A method that observes nothing has no losses.
fn loss(row: &Row<'_>, of: fn(&Measured) -> Loss) -> Option<Loss> {
    row.item.as_ref().and(row.measured).map(of)
}

fn known(loss: Loss) -> Option<u64> {
    match loss {
        Loss::Exact(n) | Loss::AtLeast(n) => Some(n),
        Loss::Unknown => None,
    }
}

fn kind(loss: Loss) -> String {
    let kind = match loss {
        Loss::Exact(_) => "exact",
        Loss::AtLeast(_) => "at_least",
        Loss::Unknown => "unknown",
    };
    kind.into()
}

#[expect(clippy::cast_precision_loss, reason = "no frame takes 104 days")]
fn micros(row: &Row<'_>, share: f64) -> Option<f64> {
    let times = row.times.as_ref().filter(|times| !times.is_empty())?;
    Some(times.value_at_quantile(share) as f64 / 1000.0)
}

/// In the order of the file.
pub(super) fn columns<'a>() -> Vec<Column<'a, Row<'a>>> {
    vec![
        result(|row| Some(row.result.to_owned())),
        Column::count("run", "", "index of the process that ran it", |row| {
            u64::try_from(row.trial.run).ok()
        }),
        Column::text(
            "platform",
            "the clock: native, virtual, counted, emulated or unknown",
            |row| row.run.map(|run| run.platform.name().to_owned()),
        ),
        Column::count("seed", "", "seed of that process", |row| row.run.map(|run| run.seed)),
        Column::count("block", "", "the block, from 0", |row| Some(row.trial.block.into())),
        Column::count("position", "", "place within the block, from 0", |row| {
            Some(row.trial.position.into())
        }),
        Column::text("part", "overhead or fidelity", |row| word(&row.trial.part)),
        Column::text("pace", "closed_loop, paced or saturated", |row| word(&row.trial.pace)),
        Column::text("method", "id of the method; the baseline is off", |row| {
            Some(row.trial.method.to_string())
        }),
        Column::flag("with_reference", "whether the reference counter ran beside it", |row| {
            Some(row.trial.with_reference)
        }),
        Column::count(
            "functions",
            "",
            "number of traced functions, the first ones of the target; null: all",
            |row| u64::try_from(row.trial.functions?).ok(),
        ),
        Column::time("started", "when, UTC, ISO 8601", |row| Some(row.trial.started)),
        Column::count("phase_build_ns", "ns", "how long the testbed took to build", |row| {
            phase(row, Phase::Build)
        }),
        Column::count(
            "phase_warm_up_ns",
            "ns",
            "how long the load ran without the method",
            |row| phase(row, Phase::WarmUp),
        ),
        Column::count(
            "phase_attach_ns",
            "ns",
            "how long reference counter and method took to attach",
            |row| phase(row, Phase::Attach),
        ),
        Column::count("phase_load_ns", "ns", "how long the load ran under the method", |row| {
            phase(row, Phase::Load)
        }),
        Column::count("phase_detach_ns", "ns", "how long the method took to detach", |row| {
            phase(row, Phase::Detach)
        }),
        Column::count(
            "phase_account_ns",
            "ns",
            "how long counting, checking and removing the testbed took",
            |row| phase(row, Phase::Account),
        ),
        Column::text(
            "why",
            "why it failed; null if it did not. If it failed, all columns after this one are null",
            |row| match &row.trial.outcome {
                Outcome::Failed { why } => Some(why.clone()),
                Outcome::Done(_) => None,
            },
        ),
        Column::count("elapsed_ns", "ns", "length of the window of the CPU times", |row| {
            ns(row, |m| m.cpu.elapsed)
        }),
        Column::count(
            "kicks",
            "kicks",
            "of the load; null if its driver cannot be observed",
            |row| row.measured?.sent.kicks,
        ),
        Column::count("frames_sent", "frames", "taken from TX rings by vhost", |row| {
            number(row, |m| m.sent.frames)
        }),
        Column::count("bytes_sent", "bytes", "of those frames", |row| {
            number(row, |m| m.sent.bytes.0)
        }),
        Column::count("frames_received", "frames", "at the sink", |row| {
            number(row, |m| m.received.frames)
        }),
        Column::count("bytes_received", "bytes", "at the sink", |row| {
            number(row, |m| m.received.bytes.0)
        }),
        Column::count(
            "frames_refused",
            "frames",
            "for which the sink or a queue had no room",
            |row| number(row, |m| m.refused),
        ),
        Column::count("worker_ns", "ns", "CPU time of all vhost workers", |row| {
            Some(total(row.measured?.cpu.workers.iter().map(|worker| worker.0)))
        }),
        Column::count("load_ns", "ns", "CPU time of the guests", |row| ns(row, |m| m.cpu.load)),
        Column::count("hogs_ns", "ns", "CPU time of the hogs, if they are threads", |row| {
            ns(row, |m| m.cpu.hogs)
        }),
        Column::count(
            "reader_ns",
            "ns",
            "CPU time of the method's own threads and processes",
            |row| ns(row, |m| m.cpu.reader),
        ),
        Column::count(
            "reader_wakeups",
            "times",
            "of its own thread; null if it has processes",
            |row| row.measured?.cpu.reader_wakeups,
        ),
        Column::count("after_ns", "ns", "CPU time of the method after the load", |row| {
            ns(row, |m| m.cpu.after)
        }),
        Column::count("system_ns", "ns", "time that any task ran, over all CPUs", |row| {
            ns(row, |m| m.cpu.system)
        }),
        Column::count("cpus", "CPUs", "behind system_ns", |row| {
            u64::try_from(row.measured?.cpu.cpus).ok()
        }),
        Column::count("sink_run_delay_ns", "ns", "that tasks waited for the sink's CPUs", |row| {
            ns(row, |m| m.cpu.sink_run_delay)
        }),
        Column::count(
            "edge_jitter_ns",
            "ns",
            "greatest delay of a bin edge behind its \
                                               schedule",
            |row| ns(row, |m| m.edge_jitter),
        ),
        Column::text(
            "item",
            "what the method is judged by: a function, a tracepoint, frames; null if it observes \
             nothing",
            |row| row.item.as_ref().map(|(name, _)| name.clone()),
        ),
        Column::count("recorded", "hits", "of the item: counted, recorded or sampled", |row| {
            row.item.as_ref().map(|(_, n)| *n)
        }),
        Column::count("lost", "records", "in buffers; null if unknown", |row| {
            known(loss(row, |m| m.observation.lost)?)
        }),
        Column::text("lost_kind", "exact, at_least or unknown", |row| {
            Some(kind(loss(row, |m| m.observation.lost)?))
        }),
        Column::count("missed", "hits", "at which the probe did not run; null if unknown", |row| {
            known(loss(row, |m| m.observation.missed)?)
        }),
        Column::text("missed_kind", "exact, at_least or unknown", |row| {
            Some(kind(loss(row, |m| m.observation.missed)?))
        }),
        Column::count(
            "enabled_ns",
            "ns",
            "from before it observed until it was told to stop",
            |row| ns(row, |m| m.observation.enabled),
        ),
        Column::count("running_ns", "ns", "the part of that time in which it observed", |row| {
            ns(row, |m| m.observation.running)
        }),
        Column::count("bytes_read", "bytes", "from the kernel to the reader", |row| {
            number(row, |m| m.observation.bytes_read.0)
        }),
        Column::count(
            "kernel_memory",
            "bytes",
            "of the method's buffers, maps and programs",
            |row| number(row, |m| m.observation.kernel_memory.0),
        ),
        Column::count("latency_frames", "frames", "whose way was timed; null if none was", |row| {
            Some(row.measured?.latency.as_ref()?.frames)
        }),
        Column::count("latency_dropped", "frames", "that arrived and were not timed", |row| {
            Some(row.measured?.latency.as_ref()?.dropped)
        }),
        Column::number(
            "latency_p50_us",
            "µs",
            "half of the timed frames took at most this long",
            |row| micros(row, 0.5),
        ),
        Column::number("latency_p90_us", "µs", "90 % did", |row| micros(row, 0.9)),
        Column::number("latency_p99_us", "µs", "99 % did", |row| micros(row, 0.99)),
        Column::number(
            "latency_p99_9_us",
            "µs",
            "99.9 % of them did; with fewer than 1000 frames, the longest",
            |row| micros(row, 0.999),
        ),
        Column::number("latency_max_us", "µs", "the longest", |row| micros(row, 1.0)),
    ]
}
