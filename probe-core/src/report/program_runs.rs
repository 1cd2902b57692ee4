//! The kernel's run times of BPF programs, if it measured them.

use super::{
    columns::{self, OfMethods},
    figures::of_cost,
    number::Style,
    table::{Cell, Table},
};
use crate::{
    analysis::figures::table::KERNEL_NS_PER_EVENT,
    model::{
        campaign::{Campaign, MethodSummary},
        figures::RunFigures,
    },
};

/// The table's title.
pub(super) const TITLE: &str = "Run time of BPF programs by the kernel's statistics, beside the \
                                cost per call; ns of its clock";

/// Columns for methods whose programs were timed.
pub(super) fn columns<'a>(methods: &[MethodSummary]) -> Vec<OfMethods<'a>> {
    let timed = |name, of: fn(&MethodSummary, &RunFigures) -> Cell| {
        OfMethods::new(name, move |method| {
            method.program_runs.as_ref().map(|runs| of(method, runs)).into()
        })
    };
    vec![
        timed("runs", |_, timed| timed.runs.to_string().into()),
        timed("one run", |_, timed| Cell::figure(&timed.ns_per_run, Style::LEVEL)).unit("ns"),
        timed("all runs", |_, timed| Cell::figure(&timed.ns_per_event, Style::LEVEL))
            .unit("ns per call"),
        timed("kernel", |method, _| {
            Cell::figure(method.overhead.of(KERNEL_NS_PER_EVENT), Style::DIFFERENCE)
        })
        .unit(format!("{} per call", of_cost(methods))),
    ]
}

/// One row per method whose programs were timed; `None` if there are none.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table<'_, &MethodSummary>> {
    columns::table(methods, columns(methods))
}

pub(super) const CAVEAT: &str = "The kernel timed each run of a BPF program. That takes two more \
clock reads per run, which are part of the overhead of every method that runs such programs, and \
of the reference counter. Do not compare that overhead with one measured without them. The \
kernel's times do not include the path to the program (trampoline, kprobe, tracepoint), so they \
are less than the cost per call.";

/// How the clock reads affect the overhead, if there were any.
pub(super) fn caveat(campaign: &Campaign) -> Option<&'static str> {
    let timed = campaign.summary.methods.iter().any(|method| method.program_runs.is_some());
    (timed || campaign.design.bpf_stats).then_some(CAVEAT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture,
        report::{markdown, text},
    };

    #[test]
    fn what_the_kernel_says_stands_beside_the_overhead_with_what_it_costs() {
        let mut campaign = fixture::campaign();
        assert!(table_of(&campaign.summary.methods).is_none() && caveat(&campaign).is_none());
        let [_, counter, ..] = &mut campaign.summary.methods[..] else { panic!("no counter") };
        let per_call = counter.overhead.of(KERNEL_NS_PER_EVENT).clone();
        counter.program_runs =
            Some(RunFigures { runs: 54_321, ns_per_run: per_call.clone(), ns_per_event: per_call });
        let text = text::render(&campaign);
        let row = text.lines().find(|line| line.contains(" 54321 ")).unwrap();
        assert!(row.contains("bpf-fentry-count") && text.contains(TITLE), "{text}");
        assert!(text.contains("The kernel timed each run of a BPF program"), "{text}");
        let table = markdown::render(&campaign);
        assert!(table.contains("| `bpf-fentry-count` | 54321 | 234.8"), "{table}");
        assert!(table.contains("\nThe kernel timed each run"), "{table}");
    }
}
