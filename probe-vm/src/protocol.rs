//! The protocol between a machine and its host, and its files.

/// A clock's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ClockName {
    /// Real time
    Wall,
    /// Executed instructions
    Counted,
}

/// The requested accelerator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Accel {
    /// KVM if it boots the kernel, otherwise TCG
    #[default]
    Auto,
    /// KVM; fails if it does not work
    Kvm,
    /// Emulation
    Tcg,
}

/// The machine's outputs, each a file on the host and `/dev/virtio-ports/tracetoll.NAME` in the
/// machine. One program writes each port, so nothing mixes.
pub(crate) const PORTS: [&str; 4] = ["exit", "stdout", "stderr", "results"];

/// The port to which the command in a machine writes its result lines.
pub const RESULTS_PORT: &str = "/dev/virtio-ports/tracetoll.results";

/// The file with these lines, in the folder of a machine's results.
pub const RESULTS: &str = "results.jsonl";

/// The subfolder of a campaign's result with a folder for each of its machines.
pub const GUESTS: &str = "guests";

const CLOCK: &str = "tracetoll.clock=";
const ACCEL: &str = "tracetoll.accel=";

/// Kernel arguments that say in what machine the kernel runs.
pub(crate) fn words(clock: ClockName, kvm: bool) -> String {
    let clock = match clock {
        ClockName::Wall => "wall",
        ClockName::Counted => "counted",
    };
    format!("{CLOCK}{clock} {ACCEL}{}", if kvm { "kvm" } else { "tcg" })
}

/// What these arguments say about the machine; `None` if it is not one of ours.
pub fn machine(command_line: &str) -> Option<(ClockName, Accel)> {
    let word = |name| command_line.split_whitespace().find_map(|word| word.strip_prefix(name));
    let clock = match word(CLOCK)? {
        "counted" => ClockName::Counted,
        _ => ClockName::Wall,
    };
    let accel = if word(ACCEL) == Some("kvm") { Accel::Kvm } else { Accel::Tcg };
    Some((clock, accel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_told_by_its_kernels_command_line() {
        for clock in [ClockName::Wall, ClockName::Counted] {
            for (kvm, accel) in [(true, Accel::Kvm), (false, Accel::Tcg)] {
                let line = format!("quiet {} panic=-1", words(clock, kvm));
                assert_eq!(machine(&line), Some((clock, accel)));
            }
        }
        assert_eq!(machine("quiet"), None);
    }
}
