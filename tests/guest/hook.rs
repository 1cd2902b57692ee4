//! A method without a trial.

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use probe_core::error::Error;
use probe_user::{
    kernel::{cpus, kallsyms::Kallsyms, run::Run, targets},
    measure::hook::{Hits, Hook},
    methods::{AttachContext, registry},
};

use crate::triggers::call_set_name;

pub(crate) fn tests() -> Vec<Trial> {
    vec![crate::test("hook::calls_that_were_not_made_are_not_accounted_for", accounts)]
}

const CALLS: u64 = 20;

/// With each way into the kernel. A program that starts meanwhile also calls the function.
fn accounts() -> Result<()> {
    let run = Run::start()?;
    let symbols = Kallsyms::load()?;
    let target = targets::resolve("__set_task_comm,tracepoint:task:task_rename", &symbols)?;
    let cpus = cpus::online()?;
    let context = AttachContext { cpus: &cpus, ..AttachContext::bare(&run) };
    for id in ["ftrace-function", "ftrace-tracepoint", "perf-kprobe-count", "bpf-tracepoint-count"]
    {
        let method = registry::find(id)?;
        let calls = |hits| -> Result<_> {
            let hook = Hook::attach(&*method, &target, &context)?;
            (0..CALLS).try_for_each(|_| call_set_name())?;
            Ok(hook.finish(hits))
        };
        calls(Hits::AtLeast(CALLS))?.context(id)?;
        let refused = calls(Hits::AtLeast(1000 * CALLS))?;
        ensure!(matches!(refused, Err(Error::Inconsistent(_))), "{id}: {refused:?}");
    }
    Ok(())
}
