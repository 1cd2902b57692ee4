//! Which methods keep to a user's limits, and which of them is best.
//!
//! docs/src/explanation/recommending.md, is the rule.

mod behind;
mod cost;
mod hint;
mod judge;
mod kept;
mod losses;
mod order;
mod subject;
mod wanted;

use serde::Serialize;

pub use self::{
    cost::{Cost, Way},
    hint::quoted,
    judge::Verdict,
    losses::{AtLoad, Counts, Load, Losses},
    order::{Beside, RankedBy},
    wanted::{CallRate, Wanted},
};
use self::{
    judge::Limit,
    kept::Family,
    subject::{Known, Subject},
};
use super::{baseline, blocks::Blocks, pairs::Trials};
use crate::model::{
    campaign::{Campaign, Unavailable},
    figure::{Figure, Platform},
    method::{Class, Gives, MethodId},
};

/// Version of the answer as JSON. It changes when a reader of the old one would misread the new
/// one.
pub const ANSWER_VERSION: u32 = 3;

/// What a campaign says to what is wanted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommendation {
    /// [`ANSWER_VERSION`].
    pub schema_version: u32,
    /// The kernel.
    pub kernel: String,
    /// The scenario's name.
    pub scenario: String,
    /// What is wanted.
    pub wanted: Wanted,
    /// What the answer is.
    pub outcome: Standing,
    /// The first of those that qualify; none where several do and not even the first has the figure
    /// that the order is by.
    pub best: Option<MethodId>,
    /// What the order within each standing is by.
    pub ranked_by: RankedBy,
    /// Methods that observe something: those that qualify, then those of which it cannot be told,
    /// then the others; the best first.
    pub methods: Vec<Judged>,
    /// Methods that were asked for and cannot work on this kernel.
    pub unavailable: Vec<Unavailable>,
    /// The command that measures `N` more blocks of the same campaign.
    pub again: String,
}

/// Whether a method may be used, or whether any may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It keeps to all limits and gives what is needed.
    Qualifies,
    /// Nothing is known against it, and not all is known.
    CannotTell,
    /// It does not; of a campaign: no method does.
    Disqualified,
}

/// One method, set against what is wanted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The method.
    pub method: MethodId,
    /// What follows from the checks.
    pub standing: Standing,
    /// Whether it has the figure that the order is by.
    pub ranked: bool,
    /// How it stands to the first of the same standing.
    pub beside_the_first: Beside,
    /// Probability of such a difference from the first between any two methods, if all are the
    /// same. Without four blocks in common none.
    pub p_beside_the_first: Option<f64>,
    /// Its trials.
    pub trials: usize,
    /// Those of them that failed, because their counts contradicted the truth or for any other
    /// reason.
    pub failed_trials: usize,
    /// What it takes of a CPU.
    pub cost: Cost,
    /// Change of saturated throughput, in per cent.
    pub throughput_pct: Figure,
    /// What is left of the correlation with throughput.
    pub r_retained: Figure,
    /// How much worse it tells a degraded bin than the reference counter does.
    pub detection_loss: Figure,
    /// What it did not record.
    pub losses: Losses,
    /// What it shows instead of calls, where it sees no functions and the target has some.
    pub shows_instead: Option<String>,
    /// One per limit and need, and others where something is known against the method whatever is
    /// wanted.
    pub checks: Vec<Check>,
    /// What the order by fidelity is tested by.
    #[serde(skip)]
    correlations: subject::Correlations,
}

/// One thing that is wanted of a method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What is looked at.
    pub of: Criterion,
    /// What it comes to.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "criterion", content = "need")]
pub enum Criterion {
    /// Whether it ran, without failures, recorded something, and its counts do not contradict the
    /// truth.
    Sound,
    /// What it gives.
    Need(Gives),
    /// CPU time.
    Cpu,
    /// Saturated throughput lost.
    ThroughputLoss,
    /// What is left of the correlation.
    RRetained,
    /// How much worse degraded bins are told.
    DetectionLoss,
    /// Calls or records lost or missed.
    Loss,
}

impl Criterion {
    /// Those that are judged by the interval of a figure.
    pub const BY_INTERVAL: [Self; 4] =
        [Self::Cpu, Self::ThroughputLoss, Self::RRetained, Self::DetectionLoss];
}

/// Sets every method of `campaign` against what is `wanted`.
pub fn recommend(campaign: &Campaign, wanted: &Wanted) -> Recommendation {
    let trials = Trials { runs: &campaign.runs, all: &baseline::pooled(&campaign.trials) };
    let seed = campaign.runs.first().map_or(0, |run| run.seed);
    let headline = &campaign.summary.headline_function;
    let blocks = Blocks::of(&campaign.design, trials, headline);
    let known = campaign.design.methods.iter().filter_map(|method| {
        let summary = campaign.summary.methods.iter().find(|summary| summary.id == method.id)?;
        // The baseline, and hooks that only cost.
        let observes = method.class != Class::Nothing;
        observes.then(|| Subject { campaign, trials, method, summary }.known(&blocks, wanted, seed))
    });
    let known: Vec<Known<'_>> = known.collect();
    let family = Family::of(&known, wanted, seed);
    let judged = known.into_iter().enumerate();
    let mut methods: Vec<Judged> =
        judged.map(|(at, known)| known.judge(wanted, &family, at)).collect();
    let ranked_by = order::arrange(&mut methods, wanted.accept_emulated);
    let outcome = methods.first().map_or(Standing::CannotTell, |first| first.standing);
    let qualify = methods.iter().filter(|one| one.standing == Standing::Qualifies).count();
    let best = methods.first().filter(|first| qualify == 1 || qualify > 1 && first.ranked);
    let best = best.map(|first| first.method.clone());
    Recommendation {
        schema_version: ANSWER_VERSION,
        kernel: campaign.design.kernel.clone(),
        scenario: campaign.design.scenario.name.clone(),
        wanted: wanted.clone(),
        outcome,
        best,
        ranked_by,
        methods,
        unavailable: campaign.design.unavailable.clone(),
        again: hint::more_blocks(campaign),
    }
}

/// The clock of a cost, where it is one that can put methods into another order than hardware does.
fn foreign(figure: &Figure, accept_emulated: bool) -> Option<Platform> {
    let platform = figure.known()?.platform;
    (!platform.is_hardware() && !accept_emulated).then_some(platform)
}

#[cfg(test)]
mod tests;
