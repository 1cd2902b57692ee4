//! Two campaigns: what is worse, better or the same, figure by figure.
//!
//! docs/src/explanation/comparing.md, says what each verdict means and how it is found.

mod comparable;
mod difference;
mod gate;
mod verdict;

use std::collections::BTreeMap;

use serde::Serialize;

use self::difference::{Difference, Placed};
pub use self::{
    comparable::Incomparable,
    difference::Basis,
    gate::{Answer, Gate, Judged, Judgement},
    verdict::Verdict,
};
pub use super::figures::{Unit, Worse};
use super::{
    baseline,
    blocks::{Blocks, Place},
    doubt::Doubt,
    figures::{self, NamedFigure},
    pairs::{Block, Trials},
};
use crate::model::{
    campaign::{Campaign, Design},
    figure::{Estimate, Figure, Platform},
    method::{Family, MethodId},
    reason::Reason,
    trial::{Outcome, Trial},
};

/// What two campaigns say of each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The kernel of both.
    pub kernel: String,
    /// The scenario's name of both.
    pub scenario: String,
    /// Version of tracetoll behind the base, and behind the new campaign.
    pub versions: [String; 2],
    /// One per method and figure that both have, in the new campaign's order.
    pub changes: Vec<Change>,
    /// Figures that the base has and the new campaign has not.
    pub gone: Vec<Gone>,
    /// What a reader must know of the choice.
    pub notes: Vec<String>,
    /// The gates, with what each says of each method.
    pub gates: Vec<Judged>,
}

/// One figure of one method in both campaigns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The method.
    pub method: MethodId,
    /// The figure's path in the summary of its method.
    pub figure: String,
    /// What the numbers are.
    pub unit: Unit,
    /// Which way is worse.
    pub worse: Worse,
    /// The clock of both.
    pub platform: Platform,
    /// In the base.
    pub base: Estimate,
    /// In the new campaign.
    pub new: Estimate,
    /// New less base, in the unit, with its interval.
    #[serde(flatten)]
    pub difference: Difference,
    /// The difference in per cent of the base; for figures that are in per cent or correlations
    /// none.
    pub difference_pct: Option<f64>,
    /// What follows.
    pub verdict: Verdict,
}

/// A figure that the base has and the new campaign has not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gone {
    /// The method.
    pub method: MethodId,
    /// The figure's path.
    pub figure: String,
    /// Why there is none.
    pub why: Reason,
}

impl Comparison {
    /// Whether anything is worse: by the gates, where there are any, else by the verdicts.
    pub fn is_worse(&self) -> bool {
        if self.gates.is_empty() {
            return self.changes.iter().any(|change| change.verdict == Verdict::Worse);
        }
        self.gates.iter().any(|gate| gate.any(|judgement| *judgement == Judgement::Failed))
    }

    /// Gates that say nothing of a method: each with the method and the reason.
    pub fn refused(&self) -> impl Iterator<Item = (&Gate, &MethodId, &Doubt)> {
        self.gates.iter().flat_map(Judged::refused)
    }
}

/// Compares `new` with `base`.
///
/// # Errors
/// They did not measure the same thing in the same way: the field, and both values.
pub fn compare(
    base: &Campaign,
    new: &Campaign,
    gates: &[Gate],
) -> Result<Comparison, Incomparable> {
    comparable::check(base, new)?;
    let pooled = [base, new].map(|campaign| baseline::pooled(&campaign.trials));
    let [before, after] = &pooled;
    let sides = [Side::of(base, before), Side::of(new, after)];
    let replays = replays(&base.design) && replays(&new.design);
    let (mut changes, mut gone) = (Vec::new(), Vec::new());
    for before in &base.summary.methods {
        let Some(after) = new.summary.methods.iter().find(|method| method.id == before.id) else {
            continue;
        };
        let others: BTreeMap<String, NamedFigure<'_>> =
            figures::of(after).map(|named| (named.path.clone(), named)).collect();
        for named in figures::of(before) {
            let Some(base) = named.figure.known() else { continue };
            match there(base, others.get(&named.path).map(|other| other.figure)) {
                Ok(new) => {
                    let values = sides.each_ref().map(|side| side.values(&before.id, &named));
                    changes.push(change(&before.id, &named, [base, new], values, replays));
                }
                Err(why) => {
                    gone.push(Gone { method: before.id.clone(), figure: named.path, why });
                }
            }
        }
    }
    verdict::decide(&mut changes);
    let gates = gates.iter().map(|gate| gate.judge(&changes, &gone)).collect();
    Ok(Comparison {
        kernel: new.design.kernel.clone(),
        scenario: new.design.scenario.name.clone(),
        versions: [base, new].map(|campaign| campaign.design.version.clone()),
        changes,
        gone,
        notes: notes(base, new),
        gates,
    })
}

/// The same figure in the new campaign, or why there is none that could be compared.
fn there<'a>(base: &Estimate, new: Option<&'a Figure>) -> Result<&'a Estimate, Reason> {
    match new {
        None => Err(Reason::NotMeasured),
        Some(Figure::Null(absent)) => Err(absent.why.clone()),
        Some(Figure::Known(new)) if new.platform != base.platform => Err(Reason::OtherClock),
        Some(Figure::Known(new)) => Ok(new),
    }
}

/// Whether costs in the counted clock repeat as docs/src/explanation/comparing.md says: guests with
/// outside programs boot from the machine's own root, whose answers the clock does not hold.
fn replays(design: &Design) -> bool {
    design.methods.iter().all(|method| method.family != Family::External)
}

/// One of the campaigns, block by block.
struct Side<'a> {
    blocks: Blocks<'a>,
    places: BTreeMap<Block, Place>,
}

impl<'a> Side<'a> {
    fn of(campaign: &'a Campaign, trials: &'a [Trial]) -> Self {
        let trials = Trials { runs: &campaign.runs, all: trials };
        let blocks = Blocks::of(&campaign.design, trials, &campaign.summary.headline_function);
        Self { places: blocks.places(), blocks }
    }

    fn values(&self, method: &MethodId, named: &NamedFigure<'_>) -> Placed {
        let values = self.blocks.values(method, named.definition, named.place);
        let placed = |(block, value)| Some((*self.places.get(&block)?, value));
        values.into_iter().filter_map(placed).collect()
    }
}

fn change(
    method: &MethodId,
    named: &NamedFigure<'_>,
    [base, new]: [&Estimate; 2],
    [before, after]: [Placed; 2],
    replays: bool,
) -> Change {
    let row = named.definition;
    let repeatability =
        (replays && base.platform == Platform::Counted).then(|| named.repeatability(base));
    let difference = Difference::between(
        row.scale,
        [(base, &before), (new, &after)],
        base.platform == Platform::Counted,
        repeatability,
    );
    let difference_pct = (row.unit.is_amount() && base.estimate != 0.0)
        .then(|| 100.0 * difference.difference / base.estimate.abs());
    Change {
        method: method.clone(),
        figure: named.path.clone(),
        unit: row.unit,
        worse: row.worse,
        platform: base.platform,
        base: base.clone(),
        new: new.clone(),
        difference,
        difference_pct,
        verdict: Verdict::CannotTell,
    }
}

/// What differs between two campaigns that can be compared all the same.
fn notes(base: &Campaign, new: &Campaign) -> Vec<String> {
    let mut notes = Vec::new();
    for (these, those, place) in [(base, new, "base"), (new, base, "new campaign")] {
        let missing = |id: &MethodId| !those.design.methods.iter().any(|other| other.id == *id);
        let ids = these.design.methods.iter().map(|method| &method.id);
        let alone: Vec<&str> = ids.filter(|id| missing(id)).map(|id| id.0.as_str()).collect();
        if !alone.is_empty() {
            notes.push(format!("only in the {place}: {}", alone.join(", ")));
        }
        let failed = these.trials.iter().filter(|t| matches!(t.outcome, Outcome::Failed { .. }));
        let failed = failed.count();
        if failed > 0 {
            notes.push(format!("{failed} trials of the {place} failed"));
        }
        if these.design.shared_target {
            notes.push(format!("another tracer held the target in the {place}"));
        }
        if let Some(sha256) = &these.design.object {
            notes
                .push(format!("the {place}'s kernel programs are of a file with SHA-256 {sha256}"));
        }
    }
    notes.extend(comparable::redefined(&base.design, &new.design));
    notes
}

#[cfg(test)]
mod tests;
