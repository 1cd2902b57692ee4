//! What the kernel says that BPF programs take, where it timed them.

use comfy_table::Table;

use super::{
    markdown::{self, row},
    number::Style,
    text::{cell, id, table},
};
use crate::analysis::figures::table::KERNEL_NS_PER_EVENT;
use crate::model::campaign::{Campaign, MethodSummary};
use crate::model::figures::RunFigures;

/// Above the table.
pub(super) const TITLE: &str = "What runs of BPF programs take by the kernel's statistics, beside the cost per call; ns of its clock";

fn timed(methods: &[MethodSummary]) -> impl Iterator<Item = (&MethodSummary, &RunFigures)> {
    methods.iter().filter_map(|method| Some((method, method.program_runs.as_ref()?)))
}

/// One row per method whose programs were timed; none where none was.
pub(super) fn table_of(methods: &[MethodSummary]) -> Option<Table> {
    let mut rows = table(&["method", "runs", "per run", "all runs\nper call", "kernel\nper call"]);
    for (method, RunFigures { runs, ns_per_run, ns_per_event }) in timed(methods) {
        rows.add_row([
            id(method),
            runs.to_string(),
            cell(ns_per_run, Style::LEVEL),
            cell(ns_per_event, Style::LEVEL),
            cell(method.overhead.of(KERNEL_NS_PER_EVENT), Style::DIFFERENCE),
        ]);
    }
    (!rows.is_empty()).then_some(rows)
}

/// The same for a README or a pull request.
pub(super) fn markdown(methods: &[MethodSummary]) -> Option<String> {
    let header = ["method", "runs of its BPF programs", "ns per run", "ns of all runs per call"];
    let mut text = format!("\n{}{}", row(&header), row(&header.map(|_| "---")));
    let empty = text.len();
    for (method, RunFigures { runs, ns_per_run, ns_per_event }) in timed(methods) {
        text.push_str(&row(&[
            markdown::code(&method.id),
            runs.to_string(),
            markdown::figure(ns_per_run, Style::LEVEL),
            markdown::figure(ns_per_event, Style::LEVEL),
        ]));
    }
    (text.len() > empty).then(|| text + "\n" + CAVEAT + "\n")
}

pub(super) const CAVEAT: &str = "The kernel timed each run of BPF programs: two more reads of the clock per run, which are in the overhead of \
    every method that runs such programs, and of the reference counter. Do not set that overhead against one without. What the kernel tells \
    leaves out the way to the program (trampoline, kprobe, tracepoint), so that it is less than the cost per call.";

/// What reads of the clock do to the overhead, where there were any.
pub(super) fn caveat(campaign: &Campaign) -> Option<&'static str> {
    let timed = timed(&campaign.summary.methods).next().is_some();
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
        assert!(text.contains("The kernel timed each run of BPF programs"), "{text}");
        let table = markdown::render(&campaign);
        assert!(table.contains("| `bpf-fentry-count` | 54321 | 234.8"), "{table}");
        assert!(table.contains("\nThe kernel timed each run"), "{table}");
    }
}
