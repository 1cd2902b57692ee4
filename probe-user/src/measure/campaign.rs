//! A campaign: blocks of trials, in each block every method once per pace and the baseline several
//! times, in random order on one testbed.

use std::{
    iter,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use probe_core::{
    analysis::{baseline, pairs::Trials, stop},
    error::{Error, Result},
    model::{
        campaign::{Design, JournalLine, Run as RunRecord, SCHEMA_VERSION},
        trial::{Measured, Outcome, Pace, Part, Trial},
    },
};
use rand::{SeedableRng as _, seq::SliceRandom as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{ahead::Ahead, bench::Bench, journal::Journal, plan::TrialPlan, stopwatch::Stopwatch};
use crate::methods::Method;

/// Receives the progress of a campaign.
pub trait Audience {
    /// A trial starts: its block, what it measures, the method.
    fn begins(&self, trial: &str, ahead: &Ahead);

    /// A trial has ended, with this outcome.
    fn ended(&self, trial: &str, outcome: &str, ahead: &Ahead);

    /// A trial failed, or something else happened that nobody should miss.
    fn failed(&self, trial: &str, why: &str, ahead: &Ahead);

    /// A block has ended, with this remark.
    fn note(&self, text: &str);
}

/// A campaign, ready to be measured.
pub struct CampaignRunner<'a> {
    /// The bench that runs one trial.
    pub bench: &'a Bench<'a>,
    /// The methods that work here; the baseline first.
    pub methods: Vec<Box<dyn Method>>,
    /// The content of the journal's first line.
    pub design: Design,
    /// The process, also in the journal's first line.
    pub record: RunRecord,
    /// Number of blocks.
    pub blocks: u32,
    /// Stop earlier when each method's cost is known within this share of the baseline's CPU time.
    pub until: Option<f64>,
    /// Numbers of functions, below the target's, with which overhead is also measured.
    pub sizes: Vec<usize>,
    /// Whether the A/A control takes part in the fidelity, whose trials are long.
    pub fidelity_control: bool,
    /// Who hears how it goes.
    pub audience: &'a dyn Audience,
}

/// A trial's place in the campaign.
#[derive(Debug, Clone, Copy)]
struct Slot {
    block: u32,
    position: u32,
    plan: TrialPlan,
}

impl CampaignRunner<'_> {
    /// Measures it; each trial is in the journal before the next one starts. Gives the number of
    /// failed trials.
    ///
    /// # Errors
    /// The journal cannot be written, or the user ended the run. A failed trial is a row, not an
    /// error.
    pub fn measure(&self, journal: &mut Journal) -> Result<usize> {
        let mut ahead = self.ahead();
        journal.write(&JournalLine::Start {
            schema_version: SCHEMA_VERSION,
            planned: Some(ahead.planned()),
            design: Box::new(self.design.clone()),
            run: Box::new(self.record.clone()),
        })?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.record.seed);
        let mut failed = 0;
        let mut costs = Vec::new();
        for block in 0..self.blocks {
            for plan in self.plans() {
                let mut order: Vec<_> = self.methods_of(plan).collect();
                order.shuffle(&mut random);
                for (method, position) in order.into_iter().zip(0..) {
                    let slot = Slot { block, position, plan };
                    let trial = self.trial(method, slot, &mut ahead)?;
                    failed += usize::from(matches!(trial.outcome, Outcome::Failed { .. }));
                    let line = JournalLine::Trial(Box::new(trial));
                    journal.write(&line)?;
                    costs.extend(self.cost(line));
                }
            }
            self.bench.end_block()?;
            if self.is_enough(block + 1, &costs) {
                break;
            }
        }
        Ok(failed)
    }

    /// All trials of the campaign.
    fn ahead(&self) -> Ahead {
        let mut ahead = Ahead::default();
        for plan in self.plans() {
            let trials = self.methods_of(plan).count() * self.blocks as usize;
            ahead.expect(plan, trials, self.scheduled(plan));
        }
        ahead
    }

    /// What a block measures by this plan, a method once for each of its trials.
    fn methods_of(&self, plan: TrialPlan) -> impl Iterator<Item = &dyn Method> {
        let methods = self.methods.iter().map(AsRef::as_ref);
        let baselines = plan.baselines(self.methods.len().saturating_sub(1));
        let controlled = plan.part == Part::Overhead || self.fidelity_control;
        methods
            .filter(move |method| plan.runs_under(method.descriptor()))
            .filter(move |method| controlled || !method.descriptor().id.is_off_again())
            .flat_map(move |method| {
                let times = if method.descriptor().id.is_off() { baselines } else { 1 };
                iter::repeat_n(method, times)
            })
    }

    /// How long the load of one trial runs, as far as the scenario says so.
    fn scheduled(&self, plan: TrialPlan) -> Duration {
        let scenario = self.bench.scenario;
        let overhead = scenario.overhead.as_ref();
        let load = match (plan.part, plan.pace) {
            (Part::Fidelity, _) => Some(scenario.fidelity.duration()),
            (Part::Overhead, Pace::ClosedLoop) => None,
            (Part::Overhead, Pace::Paced) => {
                overhead.and_then(|overhead| Some(overhead.paced.as_ref()?.duration))
            }
            (Part::Overhead, Pace::Saturated) => {
                overhead.and_then(|overhead| Some(overhead.saturated.as_ref()?.duration))
            }
        };
        scenario.settle + load.unwrap_or_default()
    }

    /// The trials of one block, in their order; each is run under every method before the next.
    fn plans(&self) -> Vec<TrialPlan> {
        let parts = &self.record.parts;
        let mut plans = Vec::new();
        if let Some(overhead) =
            self.bench.scenario.overhead.as_ref().filter(|_| parts.contains(&Part::Overhead))
        {
            plans.extend([Pace::ClosedLoop, Pace::Paced, Pace::Saturated].map(TrialPlan::overhead));
            // Under the baseline alone: the reference counter's own price.
            plans.push(TrialPlan { with_reference: true, ..TrialPlan::overhead(Pace::Paced) });
            let some = |&size| TrialPlan {
                functions: Some(size),
                ..TrialPlan::overhead(Pace::ClosedLoop)
            };
            plans.extend(self.sizes.iter().map(some));
            plans.retain(|plan| overhead.has(plan.pace));
        }
        if parts.contains(&Part::Fidelity) {
            let part = Part::Fidelity;
            let pace = Pace::Saturated;
            plans.push(TrialPlan { part, pace, with_reference: true, functions: None, seed: 0 });
        }
        plans
    }

    /// The trial, if the stop rule uses it.
    fn cost(&self, line: JournalLine) -> Option<Trial> {
        match line {
            JournalLine::Trial(trial) if self.until.is_some() && trial.part == Part::Overhead => {
                Some(*trial)
            }
            JournalLine::Trial(_) | JournalLine::Start { .. } => None,
        }
    }

    /// Whether the stopping rule is satisfied after this number of blocks; reports the result.
    fn is_enough(&self, blocks: u32, costs: &[Trial]) -> bool {
        let Some(width) = self.until else { return false };
        let costs = baseline::pooled(costs);
        let trials = Trials { runs: std::slice::from_ref(&self.record), all: &costs };
        let progress = stop::progress(&trials, &self.design, self.record.seed);
        let enough = stop::is_enough(&progress, width);
        let known = progress.iter().filter_map(|one| Some((one.half_width?, &one.method)));
        if let Some((half, method)) = known.max_by(|a, b| a.0.total_cmp(&b.0)) {
            let enough = if enough { ": enough" } else { "" };
            self.audience.note(&format!(
                "block {blocks}: {method} is known least precisely, within {:.2} % of the worker's \
                 time under off{enough}",
                100.0 * half,
            ));
        }
        enough
    }

    fn trial(&self, method: &dyn Method, slot: Slot, ahead: &mut Ahead) -> Result<Trial> {
        if self.bench.interrupted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        if let Some(status) = self.bench.guard.borrow_mut().renew()? {
            self.audience.note(&format!(
                "the guard of this run ended with {status}; it was replaced by another one"
            ));
        }
        let id = method.descriptor().id.clone();
        let Slot { block, position, plan } = slot;
        let name = format!("block {}/{}  {plan:<18} {:<28}", block + 1, self.blocks, id.0);
        self.audience.begins(&name, ahead);
        let (started, began) = (Timestamp::now(), Instant::now());
        let mut watch = Stopwatch::start();
        let of_block = TrialPlan { seed: seed(self.record.seed, block), ..plan };
        let mut measure = || self.bench.measure(method, of_block, &mut watch);
        let (measured, bpf_log) = match self.bench.run.programs.log() {
            Some(log) => log.during(measure),
            None => (measure(), Vec::new()),
        };
        let outcome = match measured {
            Ok(measured) => Outcome::Done(Box::new(measured)),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => Outcome::Failed { why: error.to_string() },
        };
        ahead.ended(plan, began.elapsed());
        match &outcome {
            Outcome::Done(measured) => self.audience.ended(&name, &told(measured), ahead),
            Outcome::Failed { why } => self.audience.failed(&name, why, ahead),
        }
        Ok(Trial {
            run: 0,
            block,
            position,
            part: plan.part,
            pace: plan.pace,
            method: id,
            with_reference: plan.with_reference,
            functions: plan.functions,
            started,
            phases: watch.laps(),
            bpf_log,
            outcome,
        })
    }
}

/// What the schedules of a block are drawn from.
fn seed(campaign: u64, block: u32) -> u64 {
    // Golden ratio: blocks of campaigns whose seeds are neighbours share none.
    campaign.wrapping_add(u64::from(block).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The outcome of a trial, as text.
fn told(measured: &Measured) -> String {
    let (sent, seconds) = (measured.sent, measured.cpu.elapsed.as_secs());
    let kicks = sent.kicks.map(|kicks| format!(", {kicks} kicks")).unwrap_or_default();
    format!("{} frames{kicks} in {seconds:.2} s", sent.frames)
}
