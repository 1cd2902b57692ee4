//! Whether two runs are of one experiment, and not the same run twice.

use crate::model::{campaign::Run, figure::Platform};

/// What must be the same of two runs that measured the same part, as `runs` in campaign.json names
/// it.
const FACTS: [(&str, Fact); 7] = [
    ("platform", |run| Some(format!("{:?}", run.platform).to_lowercase())),
    ("host.cpus", |run| Some(run.host.cpus.to_string())),
    ("host.kernel_version", |run| Some(run.host.kernel_version.clone())),
    ("host.cpu", |run| real(run, || run.host.cpu.clone())),
    ("host.hypervisor", |run| real(run, || format!("{:?}", run.host.hypervisor))),
    ("host.kernel_command_line", |run| real(run, || run.host.kernel_command_line.clone())),
    // What the kernel keeps for itself may differ from boot to boot.
    ("host.memory_kib", |run| real(run, || format!("about {} GiB", run.host.memory_kib >> 20))),
];

type Fact = fn(&Run) -> Option<String>;

/// Where instructions are emulated, the host is none of the experiment.
fn real(run: &Run, fact: impl FnOnce() -> String) -> Option<String> {
    (!matches!(run.platform, Platform::Counted | Platform::Emulated)).then(fact)
}

fn share_a_part(run: &Run, other: &Run) -> bool {
    run.parts.iter().any(|part| other.parts.contains(part))
}

/// The first of the earlier runs that measured the same elsewhere: its number, the field, its value
/// and this run's.
pub(super) fn unlike(run: &Run, earlier: &[Run]) -> Option<(usize, &'static str, [String; 2])> {
    let differing = |other: &Run| {
        FACTS.iter().find_map(|(name, fact)| {
            let values = [fact(other), fact(run)].map(Option::unwrap_or_default);
            (values[0] != values[1]).then_some((*name, values))
        })
    };
    let others = earlier.iter().enumerate().filter(|(_, other)| share_a_part(run, other));
    let mut found = others.filter_map(|(index, other)| {
        let (field, values) = differing(other)?;
        Some((index, field, values))
    });
    found.next()
}

/// The first of the earlier runs that this one repeats, and how. On the counted clock a seed's
/// machine does what it did before, whatever else was asked of it.
pub(super) fn repeated(run: &Run, earlier: &[Run]) -> Option<(usize, &'static str)> {
    let again = |other: &Run| {
        if run.seed != other.seed || !share_a_part(run, other) {
            None
        } else if run.started == other.started {
            Some("it is the same run as")
        } else if [run.platform, other.platform] == [Platform::Counted; 2] {
            Some("on the counted clock its seed does again what it did in")
        } else {
            None
        }
    };
    earlier.iter().enumerate().find_map(|(index, other)| Some((index, again(other)?)))
}
