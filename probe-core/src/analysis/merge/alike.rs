//! Whether two runs are of one experiment, and not the same run twice.

use crate::model::{campaign::Run, figure::Platform};

/// What must be the same of two runs that measured the same part, as `runs` in campaign.json names
/// it.
const FACTS: [(&str, Fact); 6] = [
    ("platform", |run| Some(format!("{:?}", run.platform).to_lowercase())),
    ("host.cpus", |run| Some(run.host.cpus.to_string())),
    ("host.kernel_version", |run| Some(run.host.kernel_version.clone())),
    ("host.cpu", |run| real(run, || run.host.cpu.clone())),
    ("host.hypervisor", |run| real(run, || format!("{:?}", run.host.hypervisor))),
    ("host.kernel_command_line", |run| real(run, || run.host.kernel_command_line.clone())),
];

type Fact = fn(&Run) -> Option<String>;

/// Where instructions are emulated, the host is none of the experiment.
fn is_real(run: &Run) -> bool {
    !matches!(run.platform, Platform::Counted | Platform::Emulated)
}

fn real(run: &Run, fact: impl FnOnce() -> String) -> Option<String> {
    is_real(run).then(fact)
}

fn share_a_part(run: &Run, other: &Run) -> bool {
    run.parts.iter().any(|part| other.parts.contains(part))
}

/// The first field in which two runs of the same part differ, with both values.
pub(super) fn differing(earlier: &Run, run: &Run) -> Option<(&'static str, [String; 2])> {
    let differing = |(name, fact): &(&'static str, Fact)| {
        let values = [fact(earlier), fact(run)].map(Option::unwrap_or_default);
        (values[0] != values[1]).then_some((*name, values))
    };
    let memory = || {
        let [ours, theirs] = [earlier, run].map(|run| run.host.memory_kib);
        // What the kernel keeps for itself may differ from boot to boot.
        let unlike = ours.abs_diff(theirs) > ours.max(theirs) / 20;
        let values = [ours, theirs].map(|kib| format!("{kib} KiB"));
        (unlike && is_real(run)).then_some(("host.memory_kib", values))
    };
    if !share_a_part(earlier, run) {
        return None;
    }
    FACTS.iter().find_map(differing).or_else(memory)
}

/// How a run repeats an earlier one, if it does. On the counted clock a seed's machine does what it
/// did before, whatever else was asked of it.
pub(super) fn repeats(earlier: &Run, run: &Run) -> Option<&'static str> {
    if run.seed != earlier.seed || !share_a_part(run, earlier) {
        return None;
    }
    let counted = [run.platform, earlier.platform] == [Platform::Counted; 2];
    match run.started == earlier.started {
        true => Some("it is the same run as"),
        false => counted.then_some("on the counted clock its seed does again what it did in"),
    }
}
