//! The campaign's conclusions, which come first: a few sentences per group of methods, no stronger
//! than their intervals allow.

mod cost;
mod kept;
mod seen;
pub(super) mod text;

use super::shown::described;
use crate::analysis::figures::table::KERNEL_NS_PER_EVENT;
use crate::model::{
    campaign::{Campaign, MethodSummary},
    figure::Platform,
    method::Class,
};

/// How to read the sentences.
pub(super) const HOW: &str = "Each figure has its 95 % interval. “Least”, “more” and “less” are \
                              used only if intervals do not overlap.";

/// The text for a campaign without methods.
pub(super) const NOTHING: &str = "No method was measured.";

/// Number of names that are listed.
const FEW: usize = 4;

/// The groups in order: by what a method gives.
const GROUPS: [(Class, &str); 5] = [
    (Class::Exact, "Methods that count every call"),
    (Class::Recorded, "Methods that record every call, with its time"),
    (Class::Sampled, "Methods that sample"),
    (Class::Inferred, "Methods that see what follows from calls"),
    (Class::Nothing, "Controls that observe nothing"),
];

/// The basis of all conclusions.
pub(super) fn lead(campaign: &Campaign) -> String {
    let summary = &campaign.summary;
    let failed = match summary.failed_trials {
        0 => "none failed".to_owned(),
        failed => format!("{failed} failed"),
    };
    format!(
        "{} trials of scenario `{}` on Linux {}; {failed}.{}",
        campaign.trials.len(),
        campaign.design.scenario.name,
        campaign.design.kernel,
        costs(campaign)
    )
}

/// What the costs mean, and whether they can be ordered.
fn costs(campaign: &Campaign) -> String {
    let known = |method: &MethodSummary| method.overhead.of(KERNEL_NS_PER_EVENT).known().cloned();
    let known: Vec<_> = campaign.summary.methods.iter().filter_map(known).collect();
    let Some(first) = known.first() else { return String::new() };
    let clock = match first.platform {
        Platform::Counted => {
            " Costs are counted in instructions, which ignore caches and processors that wait for \
             each other."
        }
        Platform::Emulated => {
            " Costs are those of an emulated processor, which can rank methods differently from \
             hardware: none is called the cheapest."
        }
        Platform::Unknown => {
            " It is unknown whether the processor is real, and an emulated one can rank methods \
             differently from hardware: none is called the cheapest."
        }
        Platform::Virtual => {
            " Costs are those of a virtual machine: its timers, interrupts and page tables pass \
             through a hypervisor."
        }
        Platform::Native => "",
    };
    let order = match known.iter().any(|found| found.lo.is_some()) {
        true => "",
        false => " One block gives no intervals: no method is called the cheapest.",
    };
    format!(" Every cost is relative to the baseline `off` in the same block.{clock}{order}")
}

/// Each group that has methods: its title and sentences.
pub(super) fn groups(campaign: &Campaign) -> Vec<(&'static str, Vec<String>)> {
    let of = |class: Class| {
        let belongs = |method: &&MethodSummary| {
            let described = described(campaign, &method.id);
            !method.id.is_off() && described.is_some_and(|described| described.class == class)
        };
        campaign.summary.methods.iter().filter(belongs).collect::<Vec<_>>()
    };
    let told = |(class, title): (Class, &'static str)| {
        let methods = of(class);
        let told = [cost::told(&methods), kept::told(&methods), seen::told(&methods)];
        let mut sentences: Vec<String> = told.into_iter().flatten().collect();
        if sentences.is_empty() {
            let names = few(&methods.iter().map(|method| name(method)).collect::<Vec<_>>());
            sentences.push(format!("Nothing can be concluded about {names}."));
        }
        (!methods.is_empty()).then_some((title, sentences))
    };
    GROUPS.into_iter().filter_map(told).collect()
}

fn name(method: &MethodSummary) -> String {
    format!("`{}`", method.id)
}

/// The first few, and the number of others.
fn few(names: &[String]) -> String {
    let (shown, others) = names.split_at_checked(FEW).unwrap_or((names, &[]));
    match (others.len(), shown) {
        (0, [first @ .., last]) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        (0, _) => shown.join(", "),
        (more, _) => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::figures::table::{FIDELITY_LOSS, R_RETAINED};
    use crate::{
        analysis::fixture::campaign,
        model::figure::{Basis, Figure},
    };

    fn all(campaign: &Campaign) -> String {
        groups(campaign)
            .into_iter()
            .flat_map(|(_, sentences)| sentences)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn estimate(figure: &mut Figure, value: f64, interval: Option<(f64, f64)>) {
        let Figure::Known(found) = figure else { panic!("{figure:?}") };
        found.estimate = value;
        (found.lo, found.hi) = interval.unzip();
    }

    /// Both methods count; `costs` are their costs.
    fn counters(costs: [(f64, Option<(f64, f64)>); 2]) -> String {
        let mut campaign = campaign();
        campaign.design.methods[2].class = Class::Exact;
        for (method, (value, interval)) in campaign.summary.methods[1..3].iter_mut().zip(costs) {
            estimate(method.overhead.of_mut(KERNEL_NS_PER_EVENT), value, interval);
        }
        all(&campaign)
    }

    #[test]
    fn least_is_said_only_where_intervals_do_not_meet() {
        let apart = counters([(200.0, Some((190.0, 210.0))), (300.0, Some((211.0, 390.0)))]);
        assert!(
            apart.contains(
                "`bpf-fentry-count` +200 [190, 210] counted ns of kernel time per call is the \
                 least;"
            ),
            "{apart}"
        );
        assert!(apart.contains("more is taken by `ftrace-function`"), "{apart}");
        let meeting = counters([(200.0, Some((190.0, 220.0))), (300.0, Some((211.0, 390.0)))]);
        assert!(!meeting.contains("the least") && !meeting.contains("more is taken"), "{meeting}");
        assert!(meeting.contains("not distinguishable from `ftrace-function` +300"), "{meeting}");
        let none = counters([(200.0, None), (300.0, None)]);
        assert!(!none.contains("+200") && !none.contains("the least"), "{none}");
    }

    #[test]
    fn a_cost_whose_interval_holds_zero_is_told_as_such() {
        let text = counters([(2.0, Some((-1.0, 5.0))), (300.0, Some((290.0, 310.0)))]);
        assert!(text.contains("is the least, not distinguishable from zero;"), "{text}");
    }

    #[test]
    fn what_is_left_of_the_correlation_is_told_by_the_intervals_ends() {
        let mut campaign = campaign();
        estimate(
            campaign.summary.methods[1].fidelity.figures.of_mut(R_RETAINED),
            0.99,
            Some((0.9789, 1.001)),
        );
        estimate(
            campaign.summary.methods[2].fidelity.figures.of_mut(R_RETAINED),
            0.9,
            Some((0.85, 0.95)),
        );
        let loss = |campaign: &mut Campaign, p| {
            let Figure::Known(found) =
                campaign.summary.methods[2].fidelity.figures.of_mut(FIDELITY_LOSS)
            else {
                panic!("it is known")
            };
            found.p = Some(p);
        };
        loss(&mut campaign, 0.06);
        assert!(!all(&campaign).contains("was lost: `ftrace-function`"));
        loss(&mut campaign, 0.04);
        let text = all(&campaign);
        assert!(
            text.contains("found under `bpf-fentry-count`: at least 0.978 of it remains."),
            "{text}"
        );
        assert!(
            text.contains("was lost: `ftrace-function` 0.900 [0.850, 0.950] remained."),
            "{text}"
        );
        let Figure::Known(left) = campaign.summary.methods[2].fidelity.figures.of_mut(R_RETAINED)
        else {
            panic!("it is known")
        };
        left.basis = Basis::WithinRun;
        let text = all(&campaign);
        assert!(!text.contains("was lost: `ftrace-function`"), "{text}");
        assert!(
            text.contains(
                "lower than under `off`: `ftrace-function` 0.900 [0.850, 0.950] of it. One run of \
                 each cannot show"
            ),
            "{text}"
        );
        campaign.summary.methods[2].shows_instead = Some("frames".into());
        assert!(
            all(&campaign).contains("The series of `ftrace-function` show `frames`, not calls"),
            "{}",
            all(&campaign)
        );
    }

    #[test]
    fn an_emulated_cost_orders_nothing() {
        let mut campaign = campaign();
        for method in &mut campaign.summary.methods {
            if let Figure::Known(found) = method.overhead.of_mut(KERNEL_NS_PER_EVENT) {
                found.platform = Platform::Emulated;
            }
        }
        let text = all(&campaign);
        assert!(!text.contains("kernel time"), "{text}");
        assert!(lead(&campaign).contains("none is called the cheapest"), "{}", lead(&campaign));
    }

    #[test]
    fn losses_are_told_by_their_kind() {
        let text = all(&campaign());
        assert!(text.contains("`bpf-fentry-count` missed 5 of 50000"), "{text}");
        assert!(text.contains("`ftrace-function` lost 10 of 50000"), "{text}");
    }
}
