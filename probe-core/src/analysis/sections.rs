//! Results per section of the schedule and per method: figures 4 to 7 of the paper, and r within a
//! section.

use std::collections::BTreeMap;

use super::{
    binned::{self, Own},
    bootstrap::quantile,
    correlation::{Coefficient, mean},
    estimate::{Bounds, Scale},
    item::{Item, Items},
    pairs::Trials,
    stretch::{Binned, Stretches, Two, ranges, ratio, variation},
};
use crate::model::{
    campaign::Design,
    figure::Figure,
    method::{Descriptor, SeriesUnit},
    reason::{Compared, Reason},
    sections::{FunctionInSection, MethodInSection, Quantiles, SectionFigures},
    subject::CALLED_PER_KICK,
    trial::{Measured, Outcome, Part, SectionMark, Trial},
};

const LEVEL: Scale = Scale::Level(Bounds::Positive);
const CORRELATION: Scale = Scale::Level(Bounds::Correlation);

/// Every section, in order; none if no fidelity trial succeeded, or if sections are drawn for each
/// block.
pub fn figures(
    design: &Design,
    trials: &Trials<'_>,
    items: &Items,
    seed: u64,
) -> Vec<SectionFigures> {
    let bin = design.scenario.bin.as_secs_f64();
    let Some(schedule) = schedule(trials.all).filter(|_| design.scenario.fidelity.drawn.is_none())
    else {
        return Vec::new();
    };
    let of = |(index, (mark, bins)): (usize, (&SectionMark, std::ops::Range<usize>))| {
        let methods = design.methods.iter().filter_map(|method| {
            let stretches = Stretches::of(trials, &method.id, &[index], seed).ok()?;
            Some(InSection { stretches, method, items, index }.figures())
        });
        SectionFigures {
            label: label(mark),
            senders: mark.senders,
            hogs: mark.hogs,
            from_s: count(bins.start) * bin,
            to_s: count(bins.end) * bin,
            methods: methods.collect(),
        }
    };
    schedule.sections.iter().zip(ranges(schedule)).enumerate().map(of).collect()
}

/// A trial that went through the schedule; all trials have the same one.
pub(super) fn schedule(trials: &[Trial]) -> Option<&Measured> {
    trials.iter().filter(|trial| trial.part == Part::Fidelity).find_map(|trial| {
        match &trial.outcome {
            Outcome::Done(measured) if !measured.sections.is_empty() => Some(&**measured),
            _ => None,
        }
    })
}

/// The section's name, or what guests and hogs do in it.
pub(super) fn label(mark: &SectionMark) -> String {
    let hogs = format!("{} hog{}", mark.hogs, if mark.hogs == 1 { "" } else { "s" });
    match (&mark.name, mark.senders) {
        (Some(name), _) => name.clone(),
        (None, Some(senders)) => {
            format!("{senders} send{}, {hogs}", if senders == 1 { "s" } else { "" })
        }
        (None, None) => hogs,
    }
}

/// One section under one method.
struct InSection<'a> {
    stretches: Stretches<'a>,
    method: &'a Descriptor,
    items: &'a Items,
    index: usize,
}

impl InSection<'_> {
    fn figures(&self) -> MethodInSection {
        let kicked = self.items.kicked();
        MethodInSection {
            id: self.method.id.clone(),
            throughput_bps: self.rate(binned::throughput),
            bins_bps: self.quantiles(),
            throughput_cv: self.stretches.figure(LEVEL, binned::throughput, variation),
            guests_bps: self.guests(),
            frames_per_call: match kicked {
                Some(function) => self.rate(|trial| binned::frames_by_call(trial, function)),
                None => Figure::null(Reason::NotInTarget { function: CALLED_PER_KICK.into() }),
            },
            sink_run_delay_pct: self.sink_run_delay(),
            functions: self
                .items
                .functions()
                .map(|function| (function.name.to_owned(), self.function(function)))
                .collect(),
        }
    }

    fn rate(&self, series: impl Fn(&Measured) -> Result<Binned, Reason>) -> Figure {
        self.stretches.figure(LEVEL, series, ratio)
    }

    fn function(&self, function: Item<'_>) -> FunctionInSection {
        let unit = self.method.unit;
        let own = Own { function, unit };
        let (share, calls) = match unit {
            SeriesUnit::Calls { .. } => (false, true),
            SeriesUnit::CpuShare => (true, false),
            SeriesUnit::Counter { .. } | SeriesUnit::Nothing => (false, false),
        };
        FunctionInSection {
            calls_per_s_w: self.rate(|trial| binned::calls(trial, function)),
            r_w: self
                .r(Compared::ReferenceCounter, |trial| binned::calls_and_bits(trial, function)),
            calls_per_s_m: calls.then(|| self.rate(|trial| own.calls(trial))),
            share_pct: share.then(|| self.rate(|trial| own.share(trial))),
            self_share_pct: share.then(|| self.rate(|trial| own.self_share(trial))),
            r_m: (unit != SeriesUnit::Nothing)
                .then(|| self.r(Compared::Method, |trial| own.series_and_bits(trial))),
        }
    }

    fn r(&self, name: Compared, series: impl Fn(&Measured) -> Result<Binned, Reason>) -> Figure {
        let names = [name, Compared::Throughput];
        self.stretches.correlation(CORRELATION, series, Coefficient::Pearson, names)
    }

    /// The means of the quantiles within each block.
    fn quantiles(&self) -> Option<Quantiles> {
        let blocks: Vec<Vec<f64>> =
            self.stretches.trials().filter_map(|(trial, bins)| sorted_bps(trial, bins)).collect();
        if blocks.is_empty() {
            return None;
        }
        let at = |p: f64| mean(&blocks.iter().map(|block| quantile(block, p)).collect::<Vec<_>>());
        Some(Quantiles {
            p0: at(0.0),
            p5: at(0.05),
            p25: at(0.25),
            p50: at(0.5),
            p75: at(0.75),
            p95: at(0.95),
            p100: at(1.0),
        })
    }

    fn guests(&self) -> BTreeMap<String, Figure> {
        let first = self.stretches.trials().next().map(|(trial, _)| trial);
        let names = first.into_iter().flat_map(|trial| &trial.guests).map(|guest| &guest.name);
        names
            .map(|name| {
                let of = |trial: &Measured| binned::guest_throughput(trial, name);
                (name.clone(), self.rate(of))
            })
            .collect()
    }

    /// The sink has one CPU.
    fn sink_run_delay(&self) -> Figure {
        self.stretches.by_block(LEVEL, |trial| {
            let mut sections = trial.sections.iter().zip(ranges(trial));
            let (section, range) = sections.nth(self.index).ok_or(Reason::NoSections)?;
            let edge = |bin: usize| trial.edges.get(bin).ok_or(Reason::EndsBeforeSection);
            let length = edge(range.end)?.since(*edge(range.start)?);
            Ok(100.0 * section.sink_run_delay.as_secs() / length.as_secs())
        })
    }
}

fn sorted_bps(trial: &Measured, bins: std::ops::Range<usize>) -> Option<Vec<f64>> {
    let Two { a, b } = binned::throughput(trial).ok()?.two;
    let mut each: Vec<f64> =
        a.get(bins.clone())?.iter().zip(b.get(bins)?).map(|(bits, s)| bits / s).collect();
    each.sort_by(f64::total_cmp);
    (!each.is_empty()).then_some(each)
}

#[expect(clippy::cast_precision_loss, reason = "no run has 2^52 bins")]
fn count(bins: usize) -> f64 {
    bins as f64
}

#[cfg(test)]
mod tests;
