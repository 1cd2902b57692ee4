//! Published results are made, not pasted: each folder of `results/` with a packed campaign has the
//! pages that follow from it, and README and the book take their numbers from there. Its figures
//! are computed anew, from what was recorded.

use std::{collections::BTreeMap, fs, path::Path};

use probe_core::{
    analysis::{
        figures::table::{KERNEL_NS_PER_EVENT, R_RETAINED},
        merge::merge,
    },
    model::{
        campaign::{Campaign, MethodSummary},
        figure::Figure,
        trial::Part,
    },
    report::{html, markdown, screen},
};
use probe_user::measure::store;

use crate::{
    RESULTS,
    documents::{self, generated_in, root},
    gives, table,
};

/// What was recorded; all but README.md is made of it.
pub(crate) const RECORDED: &str = "campaign.json.xz";

const DEFAULT: &str = "2026-11-30-default-debian-in-qemu";
const HOOKS: &str = "2026-11-30-hooks-debian-in-qemu";

/// The methods that README has, of those in the campaign of hooks.
const IN_README: [&str; 7] = [
    "bpf-fentry-count",
    "bpf-fentry-ringbuf",
    "bpf-kprobe-count",
    "bpf-fexit-latency",
    "perf-kprobe-record",
    "ftrace-function",
    "capture-headers",
];

fn campaign(name: &str) -> Campaign {
    let recorded = root().join(RESULTS).join(name).join(RECORDED);
    merge(store::read_journals(&recorded).unwrap()).unwrap()
}

/// The published ones. A developer's own results stand beside them, unpacked.
fn names() -> Vec<String> {
    let folders = fs::read_dir(root().join(RESULTS)).unwrap().map(Result::unwrap);
    let published = folders.filter(|folder| folder.path().join(RECORDED).exists());
    published.map(|folder| folder.file_name().into_string().unwrap()).collect()
}

/// All that can be made of a campaign, by the name of its file.
fn pages(campaign: &Campaign) -> BTreeMap<String, String> {
    let reports = [
        ("report.md".to_owned(), markdown::render(campaign)),
        ("report.html".to_owned(), html::render(campaign)),
    ];
    reports.into_iter().chain(html::drawings(campaign)).collect()
}

#[test]
fn published_pages_are_made_of_their_campaign() {
    for name in names() {
        let folder = Path::new(RESULTS).join(&name);
        let campaign = campaign(&name);
        let pages = pages(&campaign);
        let (mut reports, mut conditions) = (0, 0);
        for file in fs::read_dir(root().join(&folder)).unwrap() {
            let file = file.unwrap().file_name().into_string().unwrap();
            let path = folder.join(&file);
            match file.as_str() {
                RECORDED => {}
                "README.md" => {
                    generated_in(&path, "conditions", &measured(&campaign));
                    conditions += 1;
                }
                _ => {
                    let page = pages.get(&file);
                    let page = page.unwrap_or_else(|| panic!("{}: no page", path.display()));
                    documents::written(&path, page);
                    reports += usize::from(file.starts_with("report."));
                }
            }
        }
        assert_eq!((reports, conditions), (2, 1), "{name}: report.html, report.md and README.md");
    }
}

/// What was measured, and where, as far as the campaign knows it.
fn measured(campaign: &Campaign) -> String {
    let Campaign { design, runs, trials, summary, .. } = campaign;
    let of = |part| runs.iter().filter(|run| run.parts.contains(&part)).count();
    let host = &runs[0].host;
    let methods: Vec<String> =
        summary.methods.iter().map(|method| format!("`{}`", method.id)).collect();
    let rows = [
        ["tracetoll", &design.version],
        ["kernel", host.kernel_version.trim()],
        ["processor", &host.cpu],
        ["hypervisor", host.hypervisor.as_deref().unwrap_or("none")],
        ["clock", runs[0].platform.name()],
        ["scenario", &format!("`{}`: {}", design.scenario.name, design.scenario.summary)],
        ["methods", &methods.join(", ")],
        [
            "blocks",
            &format!(
                "{} of the overhead, {} of the fidelity",
                of(Part::Overhead),
                of(Part::Fidelity)
            ),
        ],
        ["trials", &format!("{}, of which {} failed", trials.len(), summary.failed_trials)],
    ];
    table(["", ""], rows)
}

#[test]
fn the_readme_has_what_was_measured() {
    let (hooks, default) = (campaign(HOOKS), campaign(DEFAULT));
    let kept = |id: &str| {
        let figure = method(&default, id).fidelity.figures.of(R_RETAINED);
        format!("{} under `{id}`", number(figure, 3, ""))
    };
    let cost =
        |id: &str| method(&hooks, id).overhead.of(KERNEL_NS_PER_EVENT).known().unwrap().estimate;
    let share = cost("bpf-fentry-count") / cost("ftrace-function");
    let told = format!(
        "What one traced call costs in the kernel: QEMU guests, emulated CPU, Linux {},\n{} \
         blocks; 95 % intervals. A counted nanosecond is one instruction.\n\n{}\nCounting in an \
         eBPF slot costs {share:.2} of what a timestamp by the function tracer costs. In\nthe \
         default campaign, what is left of the correlation between calls and throughput is\n{} \
         and {}.",
        hooks.design.kernel,
        hooks.runs.len(),
        costs(&hooks, |id| IN_README.contains(&id)),
        kept("bpf-fentry-count"),
        kept("ftrace-function"),
    );
    generated_in(Path::new("README.md"), "result", &told);
}

#[test]
fn the_book_has_what_was_measured() {
    const PAGE: &str = "results/debian-in-qemu.md";
    let screen = screen::render(&campaign(DEFAULT));
    documents::generated(PAGE, "default", &format!("```text\n{}\n```", screen.trim()));
    documents::generated(PAGE, "hooks", &costs(&campaign(HOOKS), |_| true));
}

fn method<'a>(campaign: &'a Campaign, id: &str) -> &'a MethodSummary {
    campaign.summary.methods.iter().find(|method| method.id.0 == id).unwrap()
}

/// What each method costs per call, the cheapest first.
fn costs(campaign: &Campaign, shown: impl Fn(&str) -> bool) -> String {
    let cost = |id: &str| method(campaign, id).overhead.of(KERNEL_NS_PER_EVENT);
    let mut methods: Vec<_> = campaign.design.methods.iter().collect();
    methods.retain(|method| shown(&method.id.0) && cost(&method.id.0).known().is_some());
    methods.sort_by(|a, b| {
        let of = |id: &str| cost(id).known().unwrap().estimate;
        of(&a.id.0).total_cmp(&of(&b.id.0))
    });
    let rows = methods.iter().map(|method| {
        let cost = number(cost(&method.id.0), 0, "+");
        [format!("`{}`", method.id), method.summary.clone(), gives(method), cost]
    });
    table(["method", "what it does", "gives", "counted ns per call"], rows)
}

/// A figure with its interval.
fn number(figure: &Figure, decimals: usize, sign: &str) -> String {
    let known = figure.known().unwrap();
    let (lo, hi) = (known.lo.unwrap(), known.hi.unwrap());
    let sign = if known.estimate > 0.0 { sign } else { "" };
    format!("{sign}{:.decimals$} [{lo:.decimals$}, {hi:.decimals$}]", known.estimate)
}
