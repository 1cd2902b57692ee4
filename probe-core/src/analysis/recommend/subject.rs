//! One method of a campaign, and each check of it.

use super::{
    Beside, Check, Criterion, Judged, Limit, Standing, Verdict, Wanted, cost, cost::Cost, foreign,
    hint, losses::Losses,
};
use crate::analysis::figures::table::{R_RETAINED, THROUGHPUT_PCT};
use crate::{
    analysis::{doubt::Doubt, pairs::Trials},
    model::{
        campaign::{Campaign, MethodSummary, Reconciliation},
        figure::{Figure, Platform},
        method::{Class, Descriptor, Gives, SeriesUnit},
        scenario::GuestKind,
        trial::{Measured, Outcome, Pace, Part, Trial},
    },
};

/// A method, and all that is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) campaign: &'a Campaign,
    pub(super) trials: Trials<'a>,
    pub(super) method: &'a Descriptor,
    pub(super) summary: &'a MethodSummary,
}

impl<'a> Subject<'a> {
    pub(super) fn judge(self, wanted: &Wanted, seed: u64) -> Judged {
        let Self { campaign, trials, method, summary } = self;
        let cost = cost::of(&trials, &campaign.design, method, wanted.calls_per_s, seed);
        let losses = Losses::of(self.done(), summary);
        let checks = self.checks(wanted, &cost, &losses);
        Judged {
            method: method.id.clone(),
            standing: standing(&checks),
            ranked: false,
            beside_the_first: Beside::First,
            trials: self.ours().count(),
            failed_trials: self.failures().count(),
            cost,
            throughput_pct: summary.overhead.of(THROUGHPUT_PCT).clone(),
            r_retained: summary.fidelity.figures.of(R_RETAINED).clone(),
            losses,
            shows_instead: summary.shows_instead.clone(),
            checks,
        }
    }

    fn ours(self) -> impl Iterator<Item = &'a Trial> {
        self.campaign.trials.iter().filter(move |trial| trial.method == self.method.id)
    }

    /// Why trials of it failed. What contradicts the truth cannot be told from the rest.
    fn failures(self) -> impl Iterator<Item = &'a str> {
        self.ours().filter_map(|trial| match &trial.outcome {
            Outcome::Done(_) => None,
            Outcome::Failed { why } => Some(why.as_str()),
        })
    }

    /// Its trials that ended well.
    fn done(self) -> impl Iterator<Item = (Part, Pace, &'a Measured)> {
        self.trials.done(&self.method.id)
    }

    fn checks(self, wanted: &Wanted, cost: &Cost, losses: &Losses) -> Vec<Check> {
        let check = |of, verdict| Check { of, verdict };
        let summary = self.summary;
        let sound = self.unsound(losses).map(|verdict| check(Criterion::Sound, verdict));
        let needs = wanted.needs.iter().map(|&need| check(Criterion::Need(need), self.gives(need)));
        let basics = sound.into_iter().chain(needs);
        if self.done().next().is_none() {
            return basics.collect();
        }
        let cpu = wanted.max_cpu_pct.map(|max| {
            let limit = Limit::AtMost(max);
            match self.of_cost(limit, &cost.cpu_pct, wanted.accept_emulated) {
                Verdict::Met if cost.beyond_one_worker => {
                    check(Criterion::Cpu, beyond_one_worker())
                }
                verdict => check(Criterion::Cpu, verdict),
            }
        });
        let throughput = wanted.max_throughput_loss_pct.map(|max| {
            let (limit, figure) = (Limit::AtLeast(-max), summary.overhead.of(THROUGHPUT_PCT));
            check(Criterion::ThroughputLoss, self.of_cost(limit, figure, wanted.accept_emulated))
        });
        let retained = wanted
            .min_r_retained
            .map(|min| check(Criterion::RRetained, self.retains(Limit::AtLeast(min))));
        // A profiler's samples go with the time.
        let rate = wanted.calls_per_s.filter(|_| self.method.unit != SeriesUnit::CpuShare);
        let loss = wanted.max_loss_pct.map(|max| check(Criterion::Loss, losses.judge(max, rate)));
        basics.chain(cpu).chain(throughput).chain(retained).chain(loss).collect()
    }

    /// What is known against it, whatever is wanted.
    fn unsound(self, losses: &Losses) -> Option<Verdict> {
        let cannot_tell =
            |why: String| Some(Verdict::CannotTell { why: why.into(), more_blocks: None });
        if let Reconciliation::Differs { by } = self.summary.events.reconciles {
            let why = format!("its counts differ from the calls that happened by {by:+}");
            return Some(Verdict::Broken { why });
        }
        if let Some(why) = self.failures().next() {
            let (failed, all) = (self.failures().count(), self.ours().count());
            return cannot_tell(format!("{failed} of {all} trials failed: {why}"));
        }
        match losses.all.probed {
            0 if self.ours().next().is_none() => cannot_tell("no trial of it was run".into()),
            0 => cannot_tell("it recorded nothing".into()),
            _ => None,
        }
    }

    fn gives(self, need: Gives) -> Verdict {
        let mut gives = self.method.gives();
        // Results of before methods told this of themselves.
        if self.summary.durations.is_some() && !gives.contains(&Gives::Latency) {
            gives.push(Gives::Latency);
        }
        let names: Vec<String> = gives.iter().map(ToString::to_string).collect();
        match (gives.contains(&need), &self.summary.shows_instead) {
            (true, None) => Verdict::Met,
            (true, Some(item)) => {
                Verdict::Broken { why: format!("its {need} are of {item}, not of calls") }
            }
            (false, _) if gives.is_empty() => {
                let why = match self.method.class {
                    Class::Sampled => format!("it records only some calls: no {need} of each"),
                    _ => format!("it sees no calls, so it gives no {need} of them"),
                };
                Verdict::Broken { why }
            }
            (false, _) => {
                Verdict::Broken { why: format!("it gives {}, not {need}", names.join(" and ")) }
            }
        }
    }

    fn of_cost(self, limit: Limit, figure: &Figure, accept_emulated: bool) -> Verdict {
        match foreign(figure, accept_emulated) {
            Some(platform) => {
                let why = match platform {
                    Platform::Unknown => {
                        "not judged: it is unknown whether the clock is hardware's".into()
                    }
                    other => format!("not judged on the {} clock", other.name()),
                };
                Verdict::CannotTell { why: Doubt::Text(why), more_blocks: None }
            }
            None => self.measured(limit.judge(figure), figure, Part::Overhead),
        }
    }

    fn retains(self, limit: Limit) -> Verdict {
        let figure = self.summary.fidelity.figures.of(R_RETAINED);
        match &self.summary.shows_instead {
            Some(item) => Verdict::CannotTell {
                why: Doubt::Text(format!(
                    "it shows {item}, whose correlation with throughput says nothing of calls"
                )),
                more_blocks: None,
            },
            None => self.measured(limit.judge(figure), figure, Part::Fidelity),
        }
    }

    /// The verdict; of a figure that was never measured, with what would measure it.
    fn measured(self, verdict: Verdict, figure: &Figure, part: Part) -> Verdict {
        if figure.known().is_some() || self.done().any(|(of, ..)| of == part) {
            return verdict;
        }
        let scenario = &self.campaign.design.scenario;
        let has_overhead = scenario.overhead.is_some() && scenario.guests.kind == GuestKind::Blast;
        let again = |part| {
            let again = hint::part(self.campaign, part);
            format!("not measured; `{again}` measures it, `tracetoll merge` joins the two")
        };
        let why = match part {
            Part::Overhead if has_overhead => again(part),
            Part::Overhead => format!(
                "not measured, and not part of the scenario: it takes a campaign of its own, `{}`",
                hint::overhead_alone(self.campaign, &self.method.id)
            ),
            Part::Fidelity => again(part),
        };
        Verdict::CannotTell { why: Doubt::Text(why), more_blocks: None }
    }
}

/// A cost that is within the limit, of a load that cannot be.
fn beyond_one_worker() -> Verdict {
    let why = "in the kernel, more than 100 % of one CPU cannot be had from one worker".into();
    Verdict::CannotTell { why, more_blocks: None }
}

fn standing(checks: &[Check]) -> Standing {
    let of = |check: &Check| match check.verdict {
        Verdict::Met => Standing::Qualifies,
        Verdict::CannotTell { .. } => Standing::CannotTell,
        Verdict::Broken { .. } => Standing::Disqualified,
    };
    checks.iter().map(of).max().unwrap_or(Standing::Qualifies)
}
