//! Which guest tests run on which kernel.
//!
//! The default lane runs all tests on one series, and on the others those that depend on the
//! kernel. The full lane runs all tests on all series, including the long tests and those that boot
//! VMs. The latter need a processor's virtualization, whose emulation loses a VM now and then.

use anyhow::{Result, bail};
use probe_vm::kernels::SERIES;
use std::collections::BTreeSet;

/// The series on which the default lane runs all tests.
pub(super) fn whole() -> &'static str {
    SERIES.iter().find(|series| series.whole).unwrap_or(&SERIES[0]).name
}

/// Modules of `tests/guest/` that exercise the kernel: attaching, counting, losing, cleaning up.
const OF_THE_KERNEL: &[&str] = &[
    "bpf",
    "bpf_fentry",
    "bpf_probes",
    "capture",
    "counters",
    "ftrace",
    "ftrace_methods",
    "ftrace_probes",
    "hook",
    "leftovers",
    "perf",
    "programs",
    "reference",
    "targets",
];

/// Modules that boot VMs.
pub(super) const OF_VMS: &[&str] = &["kvm"];

/// Modules that have long tests (`long_test` in tests/guest/main.rs). All tests of `soak` are long.
const LONG: [&str; 4] = ["bpf", "cpus", "narrow", SOAK];
const SOAK: &str = "soak";

/// Where the tests that boot VMs run: on the oldest series, whose vhost workers are kernel threads,
/// and on one where they are QEMU's own.
fn has_vms(series: &str) -> bool {
    [SERIES[0].name, whole()].contains(&series)
}

/// The modules that take longest, each in a machine of its own: the shorter the machines, the
/// closer together those that run side by side end. `narrow` and `cpus` share one campaign.
const PARTS: [&[&str]; 3] =
    [&["narrow", "cpus"], &["campaign", "external", "network"], &["ending", "input", "owners"]];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) series: String,
    pub(super) modules: BTreeSet<String>,
    pub(super) kind: TestKind,
}

/// The kinds of tests, in the order in which they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TestKind {
    /// Long tests, which the test runner ignores unless it is told.
    Long,
    Plain,
    /// Tests that boot VMs.
    Vms,
}

impl TestKind {
    /// As the record of the full lane says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Long => "long",
            Self::Vms => "VMs",
        }
    }

    /// Arguments of the test runner.
    pub(super) fn words(self) -> &'static [&'static str] {
        match self {
            Self::Long => &["--ignored"],
            Self::Plain | Self::Vms => &[],
        }
    }
}

/// Makes sure that every module named here exists: a misspelt one would be left out silently.
pub(super) fn check(there: &BTreeSet<String>) -> Result<()> {
    let parts = PARTS.into_iter().flatten();
    let mut named = OF_THE_KERNEL.iter().chain(OF_VMS).chain(parts).chain(&LONG);
    match named.find(|module| !there.contains(**module)) {
        Some(module) => bail!("there are no guest tests `{module}::…`, which a lane names"),
        None => Ok(()),
    }
}

/// The machines of a lane, the longest first. `there` holds all existing modules.
pub(super) fn shares(series: &[String], full: bool, there: &BTreeSet<String>) -> Vec<Share> {
    let share = |series: &str, kind, of: &dyn Fn(&str) -> bool| Share {
        series: series.to_owned(),
        modules: there.iter().filter(|module| of(module)).cloned().collect(),
        kind,
    };
    let rest = |module: &str| {
        let elsewhere = PARTS.into_iter().flatten().chain(OF_VMS).chain([&SOAK]);
        !elsewhere.into_iter().any(|other| *other == module)
    };
    let mut shares = Vec::new();
    for one in series {
        if full || one == whole() || series.len() == 1 {
            let part =
                |part: &[&str]| share(one, TestKind::Plain, &|module| part.contains(&module));
            shares.extend(PARTS.map(part));
            shares.push(share(one, TestKind::Plain, &rest));
        } else {
            shares.push(share(one, TestKind::Plain, &|module| OF_THE_KERNEL.contains(&module)));
        }
        if full {
            shares.push(share(one, TestKind::Long, &|module| LONG.contains(&module)));
        }
        if full && (has_vms(one) || series.len() == 1) {
            shares.push(share(one, TestKind::Vms, &|module| OF_VMS.contains(&module)));
        }
    }
    // VMs mostly wait for each other: run them last, when nothing else is left to wait for.
    shares.sort_by_key(|share| (share.kind, share.series != whole()));
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there() -> BTreeSet<String> {
        let others = ["load", "a_new_one"];
        let parts = PARTS.into_iter().flatten();
        let all = OF_THE_KERNEL.iter().chain(OF_VMS).chain(parts).chain(&others).chain([&SOAK]);
        all.map(|&module| module.to_owned()).collect()
    }

    fn lane(full: bool) -> Vec<Share> {
        shares(&SERIES.map(|series| series.name.to_owned()), full, &there())
    }

    /// The modules that a lane runs on a series, in any machine.
    fn on(lane: &[Share], series: &str) -> Vec<String> {
        let shares = lane.iter().filter(|share| share.series == series);
        let modules: BTreeSet<_> = shares.flat_map(|share| share.modules.clone()).collect();
        modules.into_iter().collect()
    }

    #[test]
    fn the_default_lane_has_one_series_whole_but_for_vms() {
        let lane = lane(false);
        let by_day = |module: &String| ![OF_VMS, &[SOAK]].concat().contains(&module.as_str());
        let whole: Vec<_> = there().into_iter().filter(by_day).collect();
        assert_eq!(on(&lane, super::whole()), whole);
        assert_eq!(on(&lane, SERIES[0].name), OF_THE_KERNEL);
        assert!(lane.iter().all(|share| share.kind == TestKind::Plain));
    }

    #[test]
    fn the_full_lane_has_every_test_on_every_series_but_vms_on_the_newest() {
        let lane = lane(true);
        let all: Vec<_> = there().into_iter().collect();
        for series in SERIES.map(|series| series.name) {
            let without = if has_vms(series) { 0 } else { OF_VMS.len() };
            assert_eq!(on(&lane, series).len(), all.len() - without, "{series}");
        }
        assert!(!has_vms(SERIES[SERIES.len() - 1].name));
    }
}
