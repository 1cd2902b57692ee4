//! Other programs as methods: the real ones, and shell scripts that do what programs may do.

mod campaigns;
mod programs;
mod scripts;

use std::fs;

use anyhow::{Result, bail};
use libtest_mimic::Trial;
use probe_core::model::{observation::Observation, target::Target};
use probe_user::{
    kernel::{kallsyms::Kallsyms, targets},
    methods::{Detection, Method, Observer, registry},
};

use crate::sink::Events;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("external::bpftrace_counts_each_call", || {
            programs::calls("external-bpftrace-count")
        }),
        crate::test("external::bpftrace_counts_by_kprobe", || {
            programs::calls("external-bpftrace-count:attach=kprobe")
        }),
        crate::test("external::bpftrace_prints_each_call", || {
            programs::calls("external-bpftrace-timestamps")
        }),
        crate::test("external::trace_cmd_records_each_call", || {
            programs::calls("external-trace-cmd-record")
        }),
        crate::test("external::perf_stat_counts_each_call", || {
            programs::calls("external-perf-stat")
        }),
        crate::test("external::perf_record_records_each_call", || {
            programs::calls("external-perf-record")
        }),
        crate::test("external::tcpdump_records_each_frame", programs::frames),
        crate::test("external::a_tree_is_accounted_for_to_its_last_process", scripts::tree),
        crate::test("external::processes_take_what_they_say_themselves", scripts::processes),
        crate::test("external::groups_of_the_dead_are_swept_wherever_they_are", scripts::swept),
        crate::test("external::a_program_that_fails_says_why", scripts::failures),
        crate::test("external::an_end_by_itself_is_judged", scripts::endings),
        crate::test("external::a_program_runs_where_the_load_does", scripts::pinned),
        crate::test("external::an_interrupt_ends_every_wait", scripts::interrupted),
        crate::test("external::a_dropped_session_leaves_no_process", scripts::dropped),
        crate::test("external::a_campaign_takes_programs_from_anywhere", campaigns::campaign),
        crate::test("external::who_fills_its_folder_is_told_what_helps", campaigns::full),
        crate::test("external::nothing_runs_on_after_a_kill", campaigns::killed),
    ]
}

fn resolve(request: &str) -> Result<Target> {
    crate::load_modules()?;
    Ok(targets::resolve(request, &Kallsyms::load()?)?)
}

fn available(id: &str, target: &Target) -> Result<Box<dyn Method>> {
    let method = registry::find(id)?;
    match method.detect(target) {
        Detection::Available => Ok(method),
        other => bail!("{id}: {other:?}"),
    }
}

fn finish(mut session: Observer) -> Result<Observation> {
    session.disable()?;
    session.drain(&mut Events::default())?;
    Ok(session.detach()?)
}

/// Processes whose command line contains `mark`, except this one.
fn living(mark: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(mark) && entry.file_name() != *std::process::id().to_string() {
            found.push(line);
        }
    }
    Ok(found)
}
