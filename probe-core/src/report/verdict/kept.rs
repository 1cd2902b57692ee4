//! How much of the correlation with throughput remains under the methods of a group.

use super::{few, name};
use crate::analysis::figures::table::{FIDELITY_LOSS, R_RETAINED};
use crate::{
    analysis::interval::ALPHA,
    model::{campaign::MethodSummary, figure::Basis},
    report::number::{Style, parts},
};

/// With a lower bound below this, it counts as undecided whether anything was lost. A convention.
const MUCH: f64 = 0.8;

/// Bounds of the part that remains.
#[derive(Clone, Copy)]
struct Kept<'a> {
    method: &'a MethodSummary,
    lo: f64,
    hi: f64,
    /// p-value of "nothing was lost", after Holm over the methods; `None` for a single run.
    p: Option<f64>,
    /// Whether the interval comes from one run's own bins.
    within_run: bool,
}

impl Kept<'_> {
    /// Whether a part was lost: by the interval and, since there are many methods, by `p`.
    fn is_less(&self) -> bool {
        self.hi < 1.0 && self.p.is_none_or(|p| p < ALPHA)
    }
}

/// For methods whose series counts calls or the function's share, by the ends of their intervals.
pub(super) fn told(methods: &[&MethodSummary]) -> Option<String> {
    let (others, of_calls): (Vec<&MethodSummary>, Vec<_>) =
        methods.iter().partition(|method| method.shows_instead.is_some());
    let known: Vec<Kept<'_>> = of_calls.into_iter().filter_map(kept).collect();
    let (less, whole): (Vec<Kept<'_>>, Vec<_>) = known.iter().partition(|kept| kept.is_less());
    let mut told = Vec::new();
    if !whole.is_empty() {
        told.push(not_lost(&whole));
    }
    if whole.iter().any(|kept| kept.within_run) {
        told.push("That is one run; differences between runs are not included.".into());
    }
    let (of_one_run, lost): (Vec<Kept<'_>>, Vec<_>) = less.iter().partition(|kept| kept.within_run);
    if !lost.is_empty() {
        let names = few(&lost.iter().map(retained).collect::<Vec<_>>());
        told.push(format!("Part of the correlation with throughput was lost: {names} remained."));
    }
    if !of_one_run.is_empty() {
        let names = few(&of_one_run.iter().map(retained).collect::<Vec<_>>());
        told.push(format!(
            "The correlation with throughput was lower than under `off`: {names} of it. One run of \
             each cannot show whether the method or a difference between runs is the cause."
        ));
    }
    if let Some(item) = others.iter().find_map(|method| method.shows_instead.as_ref()) {
        let names = few(&others.iter().map(|method| name(method)).collect::<Vec<_>>());
        told.push(format!(
            "The series of {names} show `{item}`, not calls: their correlation with throughput \
             says nothing about calls."
        ));
    }
    (!told.is_empty()).then(|| told.join(" "))
}

fn kept(method: &MethodSummary) -> Option<Kept<'_>> {
    let found = method.fidelity.figures.of(R_RETAINED).known()?;
    let loss = method.fidelity.figures.of(FIDELITY_LOSS).known();
    let within_run = found.basis == Basis::WithinRun;
    Some(Kept { method, lo: found.lo?, hi: found.hi?, p: loss.and_then(|loss| loss.p), within_run })
}

/// For methods that are not known to lose any: the least that may remain.
fn not_lost(whole: &[Kept<'_>]) -> String {
    let names = few(&whole.iter().map(|kept| name(kept.method)).collect::<Vec<_>>());
    let least = whole.iter().map(|kept| kept.lo).fold(f64::INFINITY, f64::min);
    // Rounded down, so that no digit promises more than the interval does.
    let least = (least * 1e3).floor() / 1e3;
    let found = "No loss of correlation with throughput was found under";
    if least >= 1.0 {
        format!("{found} {names}: all of it remains.")
    } else if least >= MUCH {
        format!("{found} {names}: at least {least:.3} of it remains.")
    } else {
        format!(
            "Whether the correlation with throughput suffers under {names} is undecided: as little \
             as {least:.3} of it may remain."
        )
    }
}

fn retained(kept: &Kept<'_>) -> String {
    let figure = kept.method.fidelity.figures.of(R_RETAINED);
    let [estimate, interval, _] = parts(figure, Style::CORRELATION).unwrap_or_default();
    format!("`{}` {estimate} {interval}", kept.method.id)
}
