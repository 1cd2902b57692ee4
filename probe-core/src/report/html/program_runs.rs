//! What the kernel says that BPF programs take, where it timed them.

use super::{
    Figure,
    panels::{self, Column},
};
use crate::analysis::figures::table::KERNEL_NS_PER_EVENT;
use crate::{
    model::{
        campaign::{Campaign, MethodSummary},
        figure::Figure as Number,
        figures::RunFigures,
        reason::Reason,
    },
    report::{figures::of_cost, number::Style, program_runs::CAVEAT},
};

const TITLE: [&str; 2] = [
    "program-runs",
    "What runs of BPF programs take by the kernel's statistics, beside the overhead",
];

/// The figure; its data tell the number of runs, too. None where no program was timed.
pub(super) fn figure(campaign: &Campaign) -> Option<Figure> {
    let of = |pick: fn(&MethodSummary, &RunFigures) -> Number| {
        move |method: &MethodSummary| match &method.program_runs {
            Some(runs) => pick(method, runs),
            None => Number::null(Reason::NotMeasured),
        }
    };
    let run = of(|_, runs| runs.ns_per_run.clone());
    let event = of(|_, runs| runs.ns_per_event.clone());
    let kernel = of(|method, _| method.overhead.of(KERNEL_NS_PER_EVENT).clone());
    let clock = of_cost(&campaign.summary.methods);
    let (unit, style) = ("ns of the kernel's clock", Style::LEVEL);
    let columns = [
        Column { title: "one run", unit, style, of: Box::new(run) },
        Column { title: "all runs, per call", unit, style, of: Box::new(event) },
        Column {
            title: "the overhead, per call",
            of: Box::new(kernel),
            ..Column::overhead(KERNEL_NS_PER_EVENT).unit(clock)
        },
    ];
    let [id, title] = TITLE;
    let mut figure = panels::figure(campaign, [id, title, CAVEAT], &columns)?;
    figure.data.head.insert(1, "runs".into());
    for row in &mut figure.data.rows {
        let mut methods = campaign.summary.methods.iter();
        let told = methods.find(|method| row.first() == Some(&method.id.0));
        let runs = told.and_then(|method| method.program_runs.as_ref());
        row.insert(1, runs.map_or("none".into(), |timed| timed.runs.to_string()));
    }
    Some(figure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::fixture::campaign;

    #[test]
    fn only_methods_whose_programs_were_timed_are_shown_with_their_runs() {
        let mut campaign = campaign();
        assert!(figure(&campaign).is_none());
        let counter = &mut campaign.summary.methods[1];
        let per_call = counter.overhead.of(KERNEL_NS_PER_EVENT).clone();
        counter.program_runs =
            Some(RunFigures { runs: 54_321, ns_per_run: per_call.clone(), ns_per_event: per_call });
        let figure = figure(&campaign).unwrap();
        let [row] = &figure.data.rows[..] else { panic!("{:?}", figure.data.rows) };
        assert_eq!((&*row[0], &*row[1]), ("bpf-fentry-count", "54321"));
        assert!(row[2].starts_with("234.8") && row[4].starts_with("+234.8"), "{row:?}");
        assert_eq!(figure.data.head.len(), row.len());
    }
}
