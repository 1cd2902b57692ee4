//! Which method of a group costs least.

use super::{few, name};
use crate::analysis::figures::table::KERNEL_NS_PER_EVENT;
use crate::{
    model::{campaign::MethodSummary, figure::Platform},
    report::number::{Style, nanoseconds, parts},
};

/// A cost with its interval.
#[derive(Clone, Copy)]
struct Cost<'a> {
    method: &'a MethodSummary,
    estimate: f64,
    lo: f64,
    hi: f64,
}

/// The method that costs least, among those whose cost has an interval.
pub(super) fn told(methods: &[&MethodSummary]) -> Option<String> {
    let of =
        |method: &&MethodSummary| Some(method.overhead.of(KERNEL_NS_PER_EVENT).known()?.platform);
    let platform = methods.iter().find_map(of)?;
    let mut known: Vec<Cost<'_>> = methods.iter().filter_map(|method| cost(method)).collect();
    if matches!(platform, Platform::Emulated | Platform::Unknown) {
        return None;
    }
    known.sort_by(|a, b| a.estimate.total_cmp(&b.estimate));
    let (least, others) = known.split_first()?;
    let unit = format!("{} of kernel time per call", nanoseconds(Some(platform)));
    let text = compared(least, others, &unit);
    let bare = |method: &&&MethodSummary| of(method).is_some() && cost(method).is_none();
    let bare: Vec<String> = methods.iter().filter(bare).map(|method| name(method)).collect();
    Some(match bare.is_empty() {
        true => text,
        false => format!("{text} Not compared, since there is no interval: {}.", few(&bare)),
    })
}

fn cost(method: &MethodSummary) -> Option<Cost<'_>> {
    let found = method.overhead.of(KERNEL_NS_PER_EVENT).known()?;
    Some(Cost { method, estimate: found.estimate, lo: found.lo?, hi: found.hi? })
}

/// The lowest estimate, and whether the other intervals overlap its own.
fn compared(least: &Cost<'_>, others: &[Cost<'_>], unit: &str) -> String {
    let (near, far): (Vec<Cost<'_>>, Vec<_>) =
        others.iter().partition(|other| other.lo <= least.hi);
    let zero = match least.lo <= 0.0 && least.hi >= 0.0 {
        true => ", not distinguishable from zero",
        false => "",
    };
    let first = format!("{} {unit}", value(least));
    let mut text = match (near.is_empty(), far.is_empty()) {
        (true, true) => format!("{first}{zero}"),
        (true, false) => format!("{first} is the least{zero}"),
        (false, _) => {
            format!(
                "{first} is the lowest estimate{zero}, not distinguishable from \
                     {}",
                values(&near)
            )
        }
    };
    match far.len() {
        0 => {}
        1 | 2 => text.push_str(&format!("; more is taken by {}", values(&far))),
        more => text.push_str(&format!("; the other {more} take more")),
    }
    text + "."
}

fn value(cost: &Cost<'_>) -> String {
    let figure = cost.method.overhead.of(KERNEL_NS_PER_EVENT);
    let [estimate, interval, _] = parts(figure, Style::DIFFERENCE).unwrap_or_default();
    format!("`{}` {estimate} {interval}", cost.method.id)
}

/// With their figures if there are at most two: the others are in the figures below.
fn values(costs: &[Cost<'_>]) -> String {
    let of = |cost: &Cost<'_>| if costs.len() > 2 { name(cost.method) } else { value(cost) };
    few(&costs.iter().map(of).collect::<Vec<_>>())
}
