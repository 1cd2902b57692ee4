//! What the kernel counts whether or not anybody traces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{item::ItemId, target::Target};

/// What one of the kernel's own counters counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Frames that guests hand to their TAPs.
    Frames,
    /// Bytes of these frames.
    Bytes,
    /// Frames that a TAP dropped, in either direction.
    Drops,
    /// CPU time of the vhost workers.
    RunTime,
    /// Time that the vhost workers waited for a CPU.
    RunDelay,
    /// Context switches of the vhost workers.
    Switches,
    /// Runs of the softirq that receives frames.
    NetRx,
    /// Runs of the softirq that completes sending.
    NetTx,
    /// How often that softirq ran out of its time or budget, with work left.
    Squeezed,
    /// Time in which some task waited for a CPU.
    Pressure,
    /// Exits of the virtual CPUs.
    Exits,
    /// Exits of virtual CPUs that had nothing to do.
    Halts,
    /// Wake-ups of virtual CPUs that slept after such an exit.
    Wakeups,
}

impl Counted {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Frames,
        Self::Bytes,
        Self::Drops,
        Self::RunTime,
        Self::RunDelay,
        Self::Switches,
        Self::NetRx,
        Self::NetTx,
        Self::Squeezed,
        Self::Pressure,
        Self::Exits,
        Self::Halts,
        Self::Wakeups,
    ];

    /// What it counts, in a few words with the unit: the name of its series.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frames => Target::FRAMES,
            Self::Bytes => "bytes",
            Self::Drops => "drops",
            Self::RunTime => "ns of worker run time",
            Self::RunDelay => "ns of worker run delay",
            Self::Switches => "worker context switches",
            Self::NetRx => "NET_RX softirqs",
            Self::NetTx => "NET_TX softirqs",
            Self::Squeezed => "squeezed softirqs",
            Self::Pressure => "µs of CPU pressure",
            Self::Exits => "VM exits",
            Self::Halts => "VM halts",
            Self::Wakeups => "VM halt wake-ups",
        }
    }

    /// The item that is reported under. The target lists frames; no other counter is of a target,
    /// so all of them share the place behind its items.
    pub fn item(self, target: &Target) -> ItemId {
        match self {
            Self::Frames => target.frames(),
            _ => ItemId(target.item_count()),
        }
    }

    /// Whether a series of this name is the load's throughput itself, in other units.
    pub fn is_throughput(name: &str) -> bool {
        [Self::Frames, Self::Bytes].iter().any(|one| one.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_frames_are_an_item_of_the_target() {
        let target = Target::default();
        let listed = |one: Counted| target.items().any(|(item, _)| item == one.item(&target));
        assert!(listed(Counted::Frames));
        assert!(Counted::ALL.into_iter().filter(|one| listed(*one)).count() == 1);
    }

    #[test]
    fn a_name_stands_for_one_counter() {
        let names: std::collections::BTreeSet<_> = Counted::ALL.map(Counted::name).into();
        assert_eq!(names.len(), Counted::ALL.len());
        assert!(Counted::is_throughput("frames") && Counted::is_throughput("bytes"));
        assert!(!Counted::is_throughput(Counted::RunTime.name()));
    }
}
