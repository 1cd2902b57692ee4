//! The check that every other guest test relies on.

use std::fs;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use tracetoll_tests::kernel_state;

pub(crate) fn tests() -> Vec<Trial> {
    vec![crate::test("leftovers::a_tracefs_instance_is_seen", a_tracefs_instance_is_seen)]
}

fn a_tracefs_instance_is_seen() -> Result<()> {
    let before = kernel_state()?;
    let instance = "/sys/kernel/tracing/instances/not-ours";
    fs::create_dir(instance)?;
    let during = kernel_state();
    fs::remove_dir(instance)?;
    let seen: Vec<_> = during?.difference(&before).cloned().collect();
    ensure!(seen == ["tracefs instance not-ours"], "saw {seen:?}");
    Ok(())
}
