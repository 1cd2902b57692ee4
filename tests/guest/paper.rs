//! The paper's experiment, scaled down: real VMs on Open vSwitch below a capped link, through the
//! binary under test.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::{
    kvm,
    tool::{Folder, succeed, tracetoll},
    victim,
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![crate::test("kvm::the_paper_in_small_runs_to_the_end", in_small)]
}

/// Like `paper-fig8`, with its first two sections, and as many bins as a correlation needs.
const IN_SMALL: &str = r#"
name = "in-small"
summary = "two steps of figure 8"
bin = "250ms"
settle = "2s"
load_cpus = 2
[guests]
kind = "kvm"
count = 2
memory_mib = 160
[network]
switch = "ovs"
link = "70%"
[fidelity]
sections = [
    { name = "before", senders = 1, hogs = 0, duration = "4s" },
    { name = "behind", senders = 1, hogs = 1, duration = "4s" },
]
"#;

const SECTIONS: [(&str, u64); 2] = [("before", 0), ("behind", 1)];

const BINS: usize = 32;

const METHODS: [&str; 3] = ["off", "bpf-fentry-count", "ftrace-function"];

fn in_small() -> Result<()> {
    crate::load_modules()?;
    let folder = Folder::new()?;
    let (file, out) = (folder.path().join("in-small.toml"), folder.path().join("out"));
    fs::write(&file, IN_SMALL)?;
    let mut run = tracetoll(["run", "--seed", "1", "--parts", "fidelity", "--blocks", "1"])?;
    run.args(["--methods", &METHODS.join(",")])
        .args(["--huge-pages", "--guest-image"])
        .arg(kvm::image()?);
    run.arg("--scenario").arg(&file).arg("--out").arg(&out);
    succeed(run)?;
    let mut report = tracetoll(["report", "--full"])?;
    report.arg(&out);
    let said = succeed(report)?;
    let campaign: Value = serde_json::from_str(&fs::read_to_string(out.join("campaign.json"))?)?;
    ensure!(campaign["runs"][0]["link"].is_string(), "no cap: {}", campaign["runs"]);
    let trials = campaign["trials"].as_array().context("no trials")?;
    let mut methods: Vec<_> = trials.iter().filter_map(|trial| trial["method"].as_str()).collect();
    methods.sort_unstable_by_key(|id| METHODS.iter().position(|known| known == id));
    ensure!(methods == METHODS, "{methods:?}");
    trials.iter().try_for_each(trial_is_whole)?;
    sections_are_known(&campaign["summary"]["sections"])?;
    ensure!(said.contains("before") && said.contains("behind"), "{said}");
    victim::gone(&["qemu-system-x86", "iperf3", "ovs-vswitchd", "ovsdb-server"])
}

/// The sender's bins have bytes, calls and, in each section, round-trip times; the other VM's have
/// none.
fn trial_is_whole(trial: &Value) -> Result<()> {
    let done = &trial["outcome"]["done"];
    ensure!(done.is_object(), "{}: {}", trial["method"], trial["outcome"]);
    let guests = done["guests"].as_array().context("no guests")?;
    let [sender, hog] = &guests[..] else { anyhow::bail!("{} guests", guests.len()) };
    ensure!(sender["name"] == "vm1" && sender["counted_at"] == "sink", "{sender}");
    ensure!(sum(&sender["throughput"])? > 1_000_000, "{sender}");
    ensure!(sum(&sender["calls"]["handle_tx"])? > 0, "{sender}");
    let times = sender["rtt_us"].as_array().context("no round-trip times")?;
    ensure!(times.len() == BINS, "{sender}");
    for section in times.chunks(BINS / SECTIONS.len()) {
        // iperf3 reports one for two bins, the last at the load's end; some bins of a busy machine
        // have none.
        ensure!(section.iter().filter(|time| time.is_number()).count() >= 3, "{sender}");
    }
    ensure!(sum(&hog["throughput"])? < 10_000, "{hog}");
    let told = hog["rtt_us"].as_array().context("no round-trip times")?;
    ensure!(told.iter().all(Value::is_null), "{hog}");
    Ok(())
}

fn sum(numbers: &Value) -> Result<u64> {
    Ok(numbers.as_array().context("no numbers")?.iter().filter_map(Value::as_u64).sum())
}

fn sections_are_known(sections: &Value) -> Result<()> {
    let sections = sections.as_array().context("no sections")?;
    ensure!(sections.len() == SECTIONS.len(), "{} sections", sections.len());
    for (section, (label, hogs)) in sections.iter().zip(SECTIONS) {
        ensure!(section["label"] == label && section["hogs"] == hogs, "{section}");
        let methods = section["methods"].as_array().context("no methods")?;
        ensure!(methods.len() == METHODS.len(), "{section}");
        for method in methods {
            let handle_tx = &method["functions"]["handle_tx"];
            let mut figures = vec![
                &method["throughput_bps"],
                &method["guests_bps"]["vm1"],
                &method["frames_per_call"],
                &method["sink_run_delay_pct"],
                &handle_tx["calls_per_s_w"],
            ];
            if method["id"] != "off" {
                figures.push(&handle_tx["calls_per_s_m"]);
            }
            for figure in figures {
                ensure!(figure["estimate"].is_number(), "{label}: {figure} in {method}");
            }
        }
    }
    Ok(())
}
