//! A campaign: blocks of trials, each block with every method once per pace, in random order.

use std::{io::Write as _, sync::atomic::Ordering};

use jiff::Timestamp;
use rand::{SeedableRng as _, seq::SliceRandom as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{
    journal::Journal,
    trial::{Bench, Plan},
};
use crate::{
    analysis::{pairs::Trials, stop},
    error::{Error, Result},
    methods::Method,
    model::{
        campaign::{Design, JournalLine, Run as RunRecord, SCHEMA_VERSION},
        trial::{Outcome, Pace, Part, Trial},
    },
};

/// A campaign, ready to be measured.
pub struct Campaign<'a> {
    /// The bench that runs one trial.
    pub bench: &'a Bench<'a>,
    /// The methods that can work here; the control first.
    pub methods: Vec<Box<dyn Method>>,
    /// What the journal's first line says.
    pub design: Design,
    /// The process, likewise.
    pub record: RunRecord,
    /// Number of blocks.
    pub blocks: u32,
    /// Fewer are enough when each method's cost is known within this share of the control's CPU time.
    pub until: Option<f64>,
    /// Numbers of functions, below the target's, on which the toll is measured as well.
    pub sizes: Vec<usize>,
}

/// A trial's place in the campaign.
#[derive(Debug, Clone, Copy)]
struct Slot {
    block: u32,
    position: u32,
    plan: Plan,
}

impl Campaign<'_> {
    /// Measures it; each trial is in the journal before the next one starts. Gives the number of failed trials.
    ///
    /// # Errors
    /// The journal cannot be written, or the user ended the run. A trial that fails is a row, not an error.
    pub fn measure(&self, journal: &mut Journal) -> Result<usize> {
        journal.write(&JournalLine::Start {
            schema_version: SCHEMA_VERSION,
            design: Box::new(self.design.clone()),
            run: Box::new(self.record.clone()),
        })?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.record.seed);
        let mut failed = 0;
        let mut costs = Vec::new();
        for block in 0..self.blocks {
            for plan in plans(&self.record.parts, &self.sizes) {
                let mut order: Vec<_> = self
                    .methods
                    .iter()
                    .filter(|method| plan.runs_under(method.descriptor()))
                    .collect();
                order.shuffle(&mut random);
                for (method, position) in order.into_iter().zip(0..) {
                    let trial = self.trial(method.as_ref(), Slot { block, position, plan })?;
                    failed += usize::from(matches!(trial.outcome, Outcome::Failed { .. }));
                    let line = JournalLine::Trial(Box::new(trial));
                    journal.write(&line)?;
                    costs.extend(self.cost(line));
                }
            }
            if self.is_enough(block + 1, &costs) {
                break;
            }
        }
        Ok(failed)
    }

    /// The trial, if the stop rule looks at it.
    fn cost(&self, line: JournalLine) -> Option<Trial> {
        match line {
            JournalLine::Trial(trial) if self.until.is_some() && trial.part == Part::Toll => {
                Some(*trial)
            }
            JournalLine::Trial(_) | JournalLine::Start { .. } => None,
        }
    }

    /// Whether so many blocks have told what there is to know; says so, or how far it is.
    fn is_enough(&self, blocks: u32, costs: &[Trial]) -> bool {
        let Some(width) = self.until else { return false };
        let trials = Trials { runs: std::slice::from_ref(&self.record), all: costs };
        let progress = stop::progress(&trials, &self.design, self.record.seed);
        let enough = stop::is_enough(&progress, width);
        let known = progress.iter().filter_map(|one| Some((one.half_width?, &one.method)));
        if let Some((half, method)) = known.max_by(|a, b| a.0.total_cmp(&b.0)) {
            let _ = writeln!(
                std::io::stderr(),
                "block {blocks}: {method} is known least, within {:.2} % of the worker's time under off{}",
                100.0 * half,
                if enough { ": enough" } else { "" }
            );
        }
        enough
    }

    fn trial(&self, method: &dyn Method, slot: Slot) -> Result<Trial> {
        if self.bench.interrupted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let started = Timestamp::now();
        let outcome = match self.bench.measure(method, slot.plan) {
            Ok(measured) => Outcome::Done(Box::new(measured)),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => Outcome::Failed { why: error.to_string() },
        };
        let id = method.descriptor().id.clone();
        self.tell(&slot, &id.0, &outcome);
        Ok(Trial {
            run: 0,
            block: slot.block,
            position: slot.position,
            part: slot.plan.part,
            pace: slot.plan.pace,
            method: id,
            witnessed: slot.plan.witnessed,
            functions: slot.plan.functions,
            started,
            outcome,
        })
    }

    /// One plain line per trial on stderr; standard output is for results.
    fn tell(&self, slot: &Slot, method: &str, outcome: &Outcome) {
        let blocks = self.blocks;
        let (block, plan) = (slot.block + 1, slot.plan);
        let told = match outcome {
            Outcome::Done(measured) => {
                let (sent, seconds) = (measured.sent, measured.cpu.elapsed.as_secs());
                let kicks = sent.kicks.map(|kicks| format!(", {kicks} kicks")).unwrap_or_default();
                format!("{} frames{kicks} in {seconds:.2} s", sent.frames)
            }
            Outcome::Failed { why } => format!("FAILED: {why}"),
        };
        // Nobody reads stderr any more: no reason to end a campaign.
        let _ =
            writeln!(std::io::stderr(), "block {block}/{blocks}  {plan:<18} {method:<28} {told}");
    }
}

/// The trials of one block, in their order; each is run under every method before the next.
fn plans(parts: &[Part], sizes: &[usize]) -> Vec<Plan> {
    let mut plans = Vec::new();
    if parts.contains(&Part::Toll) {
        plans.extend([Pace::Lockstep, Pace::Paced, Pace::Flat].map(Plan::toll));
        // Under the control alone: the witness's own price.
        plans.push(Plan { witnessed: true, ..Plan::toll(Pace::Paced) });
        let some = |&size| Plan { functions: Some(size), ..Plan::toll(Pace::Lockstep) };
        plans.extend(sizes.iter().map(some));
    }
    if parts.contains(&Part::Fidelity) {
        let part = Part::Fidelity;
        plans.push(Plan { part, pace: Pace::Flat, witnessed: true, functions: None });
    }
    plans
}
