//! How much of the correlation with throughput is left under the methods of a group.

use super::{few, name};
use crate::analysis::figures::table::{FIDELITY_LOSS, R_RETAINED};
use crate::{
    analysis::interval::ALPHA,
    model::{campaign::MethodSummary, figure::Basis},
    report::number::{Style, parts},
};

/// Where less than this may be left, nothing is promised. A convention.
const MUCH: f64 = 0.8;

/// What is left, at least and at most.
#[derive(Clone, Copy)]
struct Kept<'a> {
    method: &'a MethodSummary,
    lo: f64,
    hi: f64,
    /// That nothing was lost, after Holm over the methods; none of one run.
    p: Option<f64>,
    /// Whether that is of one run's own bins.
    within_run: bool,
}

impl Kept<'_> {
    /// Whether a part is lost: by the interval and, since there are many methods, by `p`.
    fn is_less(&self) -> bool {
        self.hi < 1.0 && self.p.is_none_or(|p| p < ALPHA)
    }
}

/// Of methods whose series is of calls or of the function's share, by the ends of their intervals.
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
        told.push("That is of one run: how runs differ is not in it.".into());
    }
    let (of_one_run, lost): (Vec<Kept<'_>>, Vec<_>) = less.iter().partition(|kept| kept.within_run);
    if !lost.is_empty() {
        let names = few(&lost.iter().map(retained).collect::<Vec<_>>());
        told.push(format!("Of the correlation with throughput a part was lost: {names} was left."));
    }
    if !of_one_run.is_empty() {
        let names = few(&of_one_run.iter().map(retained).collect::<Vec<_>>());
        told.push(format!(
            "The correlation with throughput was less than under `off`: {names} of it. One run of \
             each does not tell whether that is the method or another run."
        ));
    }
    if let Some(item) = others.iter().find_map(|method| method.shows_instead.as_ref()) {
        let names = few(&others.iter().map(|method| name(method)).collect::<Vec<_>>());
        told.push(format!(
            "What {names} show is `{item}`, not calls: its correlation with throughput says \
             nothing of calls."
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

/// Of methods that are not known to lose any: how little it may be all the same.
fn not_lost(whole: &[Kept<'_>]) -> String {
    let names = few(&whole.iter().map(|kept| name(kept.method)).collect::<Vec<_>>());
    let least = whole.iter().map(|kept| kept.lo).fold(f64::INFINITY, f64::min);
    // Rounded down: no digit promises more than the interval does.
    let least = (least * 1e3).floor() / 1e3;
    let found = "No loss of the correlation with throughput was found under";
    if least >= 1.0 {
        format!("{found} {names}: all of it is left.")
    } else if least >= MUCH {
        format!(
            "No loss of the correlation with throughput was found under {names}: at least \
             {least:.3} of it is left."
        )
    } else {
        format!(
            "Whether the correlation with throughput suffers under {names} cannot be told: what \
             is left may be as little as {least:.3} of it."
        )
    }
}

fn retained(kept: &Kept<'_>) -> String {
    let figure = kept.method.fidelity.figures.of(R_RETAINED);
    let [estimate, interval, _] = parts(figure, Style::CORRELATION).unwrap_or_default();
    format!("`{}` {estimate} {interval}", kept.method.id)
}
