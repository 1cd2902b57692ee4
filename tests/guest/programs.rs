//! The kernel's run times of BPF programs, and kernel programs from a file.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use probe_core::model::observation::Observation;
use probe_user::{
    kernel::{bpf::statistics, kallsyms::Kallsyms, run::Run, targets},
    methods::{AttachContext, registry},
};
use serde_json::Value;

use crate::{
    tool::{Folder, refuse, succeed, tiny_run, tracetoll},
    triggers::call_open_tun,
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("programs::the_kernel_times_each_run_where_it_is_asked_to", each_run),
        crate::test("programs::a_campaign_says_what_programs_it_ran_and_what_they_took", campaign),
        crate::test("programs::what_is_no_object_is_refused", no_object),
    ]
}

const CALLS: u64 = 200;

/// Under `method`, with a function that is called this number of times.
fn observe(method: &str) -> Result<Observation> {
    let run = Run::start()?;
    let target = targets::resolve("tun_chr_open", &Kallsyms::load()?)?;
    let mut session = registry::find(method)?.attach(&target, &AttachContext::bare(&run))?;
    session.enable()?;
    for _ in 0..CALLS {
        call_open_tun()?;
    }
    // A profiler ticks by itself.
    thread::sleep(Duration::from_millis(50));
    session.disable()?;
    Ok(session.detach()?)
}

fn each_run() -> Result<()> {
    crate::load_modules()?;
    let untimed = observe("bpf-fentry-count")?.program_runs;
    ensure!(untimed.is_empty(), "nobody asked for {untimed:?}");
    let _kept = statistics::keep()?;
    for (method, places) in [
        ("bpf-fentry-count", &["fentry"][..]),
        ("bpf-kprobe-count", &["kprobe"]),
        ("bpf-fexit-latency", &["fentry", "fexit"]),
    ] {
        let runs = observe(method)?.program_runs;
        let names: Vec<_> = runs.iter().map(|program| program.program.clone()).collect();
        let wanted = places.iter().map(|place| format!("tun_chr_open: {place}"));
        ensure!(names == wanted.collect::<Vec<_>>(), "{method}: {names:?}");
        let timed = runs.iter().all(|program| program.runs == CALLS && program.time.0 > 0);
        ensure!(timed, "{method}: {runs:?}");
    }
    let profile = observe("bpf-sample-999:event=cpu-clock")?;
    let ran = profile.program_runs.first().context("the profiler's program was not timed")?;
    ensure!(profile.details["samples"] == ran.runs, "{ran:?}, {:?}", profile.details);
    Ok(())
}

/// The same programs as the built-in ones, but from a file.
fn campaign() -> Result<()> {
    let object = Path::new(env!("CARGO_MANIFEST_DIR")).join("../probe-ebpf/obj/tracetoll.bpf.o");
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let mut run = tiny_run(&folder, "bpf-fentry-count,ftrace-function", &out)?;
    run.args(["--parts", "overhead", "--bpf-stats", "--object"]).arg(object);
    succeed(run)?;
    let mut report = tracetoll(["report", "--full"])?;
    report.arg(&out);
    let said = succeed(report)?;
    ensure!(said.contains("The kernel timed each run of a BPF program"), "{said}");
    let campaign: Value = serde_json::from_str(&fs::read_to_string(out.join("campaign.json"))?)?;
    let design = &campaign["design"];
    ensure!(design["bpf_stats"] == true, "{design}");
    let sha256 = design["object"].as_str().context("the object is not told")?;
    ensure!(sha256.len() == 64 && said.split_whitespace().any(|word| word == sha256), "{said}");
    let method = |index: usize| &campaign["summary"]["methods"][index];
    let runs = &method(2)["program_runs"];
    let ns = |figure: &str| runs[figure]["estimate"].as_f64().unwrap_or_default();
    ensure!(runs["runs"] == 300 && ns("ns_per_run") > 0.0, "{runs}");
    ensure!(ns("ns_per_event") == ns("ns_per_run"), "one run per call: {runs}");
    ensure!(method(3).get("program_runs").is_none(), "ftrace runs no program: {}", method(3));
    Ok(())
}

fn no_object() -> Result<()> {
    let folder = Folder::new()?;
    let mut run = tiny_run(&folder, "bpf-fentry-count", &folder.path().join("out"))?;
    run.arg("--object").arg(folder.tiny()?);
    refuse(run, 1, &["tiny.toml: it is not a BPF object", "Compile one from the source"])
}
