//! A whole campaign, and what can be done with its result.

mod diagnose;

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::tool::{Folder, binary, refuse, succeed, tiny_blocks, tiny_run, tracetoll};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("campaign::every_default_method_reconciles", every_method_reconciles),
        crate::test("campaign::journals_merge_into_one_campaign", journals_merge),
        crate::test("campaign::with_fewer_functions_items_keep_their_places", fewer_functions),
        crate::test("campaign::a_run_ends_when_its_costs_are_known", ends_when_known),
        crate::test(
            "campaign::counters_show_what_they_count_and_not_calls",
            crate::counters::campaign,
        ),
        crate::test("campaign::the_methods_of_a_block_meet_the_same_load", diagnose::one_load),
    ]
}

fn campaign(folder: &Path) -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(folder.join("campaign.json"))?)?)
}

fn every_method_reconciles() -> Result<()> {
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    succeed(tiny_run(&folder, "default", &out)?)?;
    let campaign = campaign(&out)?;
    for trial in campaign["trials"].as_array().context("no trials")? {
        ensure!(
            trial["outcome"].get("done").is_some(),
            "{} failed: {}",
            trial["method"],
            trial["outcome"]
        );
        let phases = trial["phases"].as_object().context("no phases")?;
        let known = ["build", "warm_up", "attach", "load", "detach", "account"];
        ensure!(phases.keys().eq(known), "{phases:?}");
        ensure!(phases["load"].as_u64() > Some(1_000_000), "{phases:?}");
    }
    let methods = campaign["summary"]["methods"].as_array().context("no methods")?;
    ensure!(methods.len() == 5, "{} methods", methods.len());
    for method in methods {
        figures_are_known_or_explained(method)?;
    }
    let off = methods.iter().find(|method| method["id"] == "off").context("no baseline")?;
    let longest = off["overhead"]["latency_max_us"]["estimate"].as_f64().context("no latency")?;
    ensure!(longest > 0.0, "frames took {longest} µs");
    for id in ["ftrace-function", "bpf-fentry-count"] {
        let method = methods.iter().find(|method| method["id"] == id).context(id)?;
        let events = &method["events"];
        ensure!(events["truth"] == 300 && events["recorded"] == 300, "{id}: {events}");
        ensure!(events["reconciles"]["kind"] == "exact", "{id}: {events}");
    }
    // An old result can be read by anybody, anywhere.
    let mut report = Command::new("setpriv");
    report.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary()?);
    let text = succeed({
        report.arg("report").arg(out.join("campaign.json"));
        report
    })?;
    ensure!(
        text.contains("bpf-fentry-count") && text.lines().all(|l| l.chars().count() <= 100),
        "{text}"
    );
    Ok(())
}

/// Every figure has an estimate with its interval, or a reason why not.
fn figures_are_known_or_explained(method: &Value) -> Result<()> {
    for part in ["overhead", "fidelity"] {
        let figures = method[part].as_object().context("no figures")?;
        let beside = figures.get("beside").and_then(Value::as_object);
        // These contain others, which are not in every campaign.
        let grouped = |name: &String| ["beside", "lag", "by_width"].contains(&&**name);
        let shown = figures.iter().filter(|(name, _)| !grouped(name));
        for (name, figure) in shown.chain(beside.into_iter().flatten()) {
            let known = figure["estimate"].is_number() && figure["platform"].is_string();
            let explained = figure["estimate"].is_null() && figure["why"]["kind"].is_string();
            ensure!(known || explained, "{} {part}.{name}: {figure}", method["id"]);
        }
    }
    Ok(())
}

fn journals_merge() -> Result<()> {
    let folder = Folder::new()?;
    let mut merge = tracetoll(["merge", "--out"])?;
    let merged = folder.path().join("merged");
    merge.arg(&merged);
    for name in ["one", "two"] {
        let journal = folder.path().join(format!("{name}.jsonl"));
        let mut run = tracetoll(["run", "--parts", "overhead", "--methods", "bpf-fentry-count"])?;
        run.args(["--blocks", "2", "--scenario"]).arg(folder.tiny()?);
        run.arg("--journal").arg(&journal);
        succeed(run)?;
        merge.arg(journal);
    }
    succeed(merge)?;
    let campaign = campaign(&merged)?;
    ensure!(
        campaign["runs"].as_array().is_some_and(|runs| runs.len() == 2),
        "{}",
        campaign["runs"]
    );
    let off = &campaign["summary"]["methods"][2]["overhead"]["kernel_ns_per_event"];
    ensure!(off["n"] == 4, "four blocks make four pairs: {off}");
    compares_with_itself(&merged)
}

/// A trial of the first function alone tells of the tracepoint and of the frames as any other does.
fn fewer_functions() -> Result<()> {
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let mut run = tracetoll(["run", "--parts", "overhead", "--blocks", "1", "--sizes", "1"])?;
    run.args(["--target", "vhost_net:handle_tx,vhost_net:handle_rx,tracepoint:net:net_dev_xmit"]);
    run.args(["--methods", "bpf-fentry-count,bpf-rawtp-count,capture-headers"]);
    run.arg("--scenario").arg(folder.tiny()?).arg("--out").arg(&out);
    succeed(run)?;
    let campaign = campaign(&out)?;
    let trials = campaign["trials"].as_array().context("no trials")?;
    for (method, item) in [("bpf-fentry-count", 0), ("bpf-rawtp-count", 2), ("capture-headers", 3)]
    {
        let of_one = |trial: &&Value| trial["method"] == method && trial["functions"] == 1;
        let trial = trials.iter().find(of_one).context(method)?;
        let recorded = &trial["outcome"]["done"]["observation"]["recorded"];
        let recorded = recorded.as_array().with_context(|| format!("{method}: {trial}"))?;
        let seen = |index: usize| recorded[index].as_u64().is_some_and(|hits| hits >= 300);
        let others = recorded.iter().filter(|count| count.is_null()).count();
        ensure!(recorded.len() == 4 && seen(item) && others == 3, "{method}: {recorded:?}");
    }
    Ok(())
}

/// Costs that may be wrong by any factor are known after the ten blocks before which nothing is
/// looked at.
fn ends_when_known() -> Result<()> {
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let mut run = tiny_blocks(&folder, "bpf-fentry-count", &out, "12")?;
    run.args(["--parts", "overhead", "--until-ci", "1000000%"]);
    let said = succeed(run)?;
    ensure!(said.contains("block 10: bpf-fentry-count is known least"), "{said}");
    let campaign = campaign(&out)?;
    let cost = &campaign["summary"]["methods"][2]["overhead"]["kernel_ns_per_event"];
    ensure!(cost["n"] == 10, "{cost}");
    Ok(())
}

/// Nothing is worse than itself, however much this clock scatters.
fn compares_with_itself(result: &Path) -> Result<()> {
    let compare = || -> Result<Command> {
        let mut compare = tracetoll(["compare"])?;
        compare.arg(result).arg(result.join("campaign.json"));
        Ok(compare)
    };
    let text = succeed(compare()?)?;
    ensure!(text.contains("Figures: ") && text.contains("worse 0, better 0"), "{text}");
    ensure!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let mut gated = compare()?;
    gated.args(["--fail-if", "overhead.kernel_ns_per_event>1000000"]);
    succeed(gated)?;
    let mut nothing = compare()?;
    nothing.args(["--fail-if", "overhead.kernel_ns_per_evnt>5%"]);
    refuse(nothing, 1, &["no method has this figure"])?;
    let mut wrong = compare()?;
    wrong.args(["--fail-if", "overhead.kernel_ns_per_event"]);
    refuse(wrong, 2, &["there is no `>`"])
}
