//! One method of a campaign, and each check of it.

use std::collections::BTreeMap;

use super::{
    Beside, Check, Criterion, Judged, Limit, Standing, Verdict, Wanted, cost, cost::Cost, foreign,
    hint, kept::Family, losses::Losses,
};
use crate::{
    analysis::{
        blocks::Blocks,
        doubt::Doubt,
        estimate::Values,
        figures::{
            Scope,
            table::{DETECTION_LOSS, R_0, R_M, R_RETAINED, THROUGHPUT_PCT},
        },
        pairs::{Block, Trials},
    },
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

/// What was found of a method, before it is set against what is wanted.
pub(super) struct Known<'a> {
    pub(super) subject: Subject<'a>,
    cost: Cost,
    losses: Losses,
    /// Logarithms of the ratio to the baseline's throughput.
    throughput: Values,
    /// Of calls with throughput, without and under the method.
    pub(super) correlations: Correlations,
    /// `detection_loss`.
    pub(super) detection_losses: Values,
}

/// Of calls with throughput, block by block: without and under a method.
pub(super) type Correlations = BTreeMap<Block, [f64; 2]>;

impl Known<'_> {
    /// CPU time in each block, where it counts.
    pub(super) fn costs(&self, wanted: &Wanted) -> impl Iterator<Item = f64> {
        let counts = foreign(&self.cost.cpu_pct, wanted.accept_emulated).is_none();
        self.cost.by_block.values().copied().filter(move |_| counts)
    }

    /// Logarithms of the ratio to the baseline's throughput in each block, where they count.
    pub(super) fn throughputs(&self, wanted: &Wanted) -> impl Iterator<Item = f64> {
        let figure = self.subject.summary.overhead.of(THROUGHPUT_PCT);
        let counts = foreign(figure, wanted.accept_emulated).is_none();
        self.throughput.values().copied().filter(move |_| counts)
    }

    /// Its limits are those at this place of `family`.
    pub(super) fn judge(self, wanted: &Wanted, family: &Family, at: usize) -> Judged {
        let Self { subject, cost, losses, correlations, .. } = self;
        let Subject { method, summary, .. } = subject;
        let checks = subject.checks(wanted, (&cost, &losses), |limit, figure, of| {
            limit.judge(figure, family.evidence(at, of), family.methods)
        });
        Judged {
            method: method.id.clone(),
            standing: standing(&checks),
            ranked: false,
            beside_the_first: Beside::First,
            p_beside_the_first: None,
            trials: subject.ours().count(),
            failed_trials: subject.failures().count(),
            cost,
            throughput_pct: summary.overhead.of(THROUGHPUT_PCT).clone(),
            r_retained: summary.fidelity.figures.of(R_RETAINED).clone(),
            detection_loss: summary.fidelity.figures.of(DETECTION_LOSS).clone(),
            losses,
            shows_instead: summary.shows_instead.clone(),
            checks,
            correlations,
        }
    }
}

impl<'a> Subject<'a> {
    /// What its trials say.
    pub(super) fn known(self, blocks: &Blocks<'_>, wanted: &Wanted, seed: u64) -> Known<'a> {
        let Self { campaign, trials, method, summary } = self;
        let values = |row, figure: &Figure, place| match figure.known() {
            Some(_) => blocks.values(&method.id, row, place),
            None => Values::new(),
        };
        let retained = summary.fidelity.figures.of(R_RETAINED);
        let r = |row| values(row, retained, Scope::Fidelity(None));
        let (without, with) = (r(R_0), r(R_M));
        let detection = summary.fidelity.figures.of(DETECTION_LOSS);
        // Where calls go down with the throughput, more of the correlation is more below zero.
        let sign = without.values().sum::<f64>().signum();
        let both = |(block, r_m)| Some((block, [sign * without.get(&block)?, sign * r_m]));
        Known {
            subject: self,
            cost: cost::of(&trials, &campaign.design, method, wanted.calls_per_s, seed),
            losses: Losses::of(self.done(), summary),
            throughput: values(
                THROUGHPUT_PCT,
                summary.overhead.of(THROUGHPUT_PCT),
                Scope::Overhead,
            ),
            correlations: with.into_iter().filter_map(both).collect(),
            detection_losses: values(DETECTION_LOSS, detection, Scope::Fidelity(None)),
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

    /// `judge` says what a limit on a figure comes to.
    fn checks(
        self,
        wanted: &Wanted,
        (cost, losses): (&Cost, &Losses),
        judge: impl Fn(Limit, &Figure, Criterion) -> Verdict,
    ) -> Vec<Check> {
        let check = |of, verdict| Check { of, verdict };
        let summary = self.summary;
        let sound = self.unsound(losses).map(|verdict| check(Criterion::Sound, verdict));
        let needs = wanted.needs.iter().map(|&need| check(Criterion::Need(need), self.gives(need)));
        let basics = sound.into_iter().chain(needs);
        if self.done().next().is_none() {
            return basics.collect();
        }
        let of_cost = |figure: &Figure, limit, of| {
            let foreign = foreign(figure, wanted.accept_emulated).map(not_judged);
            foreign
                .unwrap_or_else(|| self.measured(judge(limit, figure, of), figure, Part::Overhead))
        };
        let cpu = wanted.max_cpu_pct.map(|max| {
            match of_cost(&cost.cpu_pct, Limit::AtMost(max), Criterion::Cpu) {
                Verdict::Met if cost.beyond_one_worker => beyond_one_worker(),
                verdict => verdict,
            }
        });
        let throughput = wanted.max_throughput_loss_pct.map(|max| {
            let figure = summary.overhead.of(THROUGHPUT_PCT);
            of_cost(figure, Limit::AtLeast(-max), Criterion::ThroughputLoss)
        });
        let retained = wanted.min_r_retained.map(|min| {
            let figure = summary.fidelity.figures.of(R_RETAINED);
            let verdict = || judge(Limit::AtLeast(min), figure, Criterion::RRetained);
            self.shows_no_calls()
                .unwrap_or_else(|| self.measured(verdict(), figure, Part::Fidelity))
        });
        let detection = wanted.max_detection_loss.map(|max| {
            let figure = summary.fidelity.figures.of(DETECTION_LOSS);
            let verdict = judge(Limit::AtMost(max), figure, Criterion::DetectionLoss);
            self.measured(verdict, figure, Part::Fidelity)
        });
        // A profiler's samples go with the time.
        let rate = wanted.calls_per_s.filter(|_| self.method.unit != SeriesUnit::CpuShare);
        let loss = wanted.max_loss_pct.map(|max| match cost::counts_anyway(self.method) {
            true => Verdict::Met,
            false => losses.judge(max, rate),
        });
        let limits = [
            (Criterion::Cpu, cpu),
            (Criterion::ThroughputLoss, throughput),
            (Criterion::RRetained, retained),
            (Criterion::DetectionLoss, detection),
            (Criterion::Loss, loss),
        ];
        let limits = limits.into_iter().filter_map(|(of, verdict)| Some(check(of, verdict?)));
        basics.chain(limits).collect()
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
            0 if cost::counts_anyway(self.method) => None,
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

    /// Why the correlation of what it shows is no limit's.
    fn shows_no_calls(self) -> Option<Verdict> {
        let item = self.summary.shows_instead.as_ref()?;
        let why =
            format!("it shows {item}, whose correlation with throughput says nothing of calls");
        Some(Verdict::CannotTell { why: Doubt::Text(why), more_blocks: None })
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

/// A cost on a clock that does not count.
fn not_judged(platform: Platform) -> Verdict {
    let why = match platform {
        Platform::Unknown => "not judged: it is unknown whether the clock is hardware's".to_owned(),
        other => format!("not judged on the {} clock", other.name()),
    };
    Verdict::CannotTell { why: Doubt::Text(why), more_blocks: None }
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
