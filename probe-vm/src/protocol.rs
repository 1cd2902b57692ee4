//! What a machine and its host tell each other, and where that stands.

use crate::machine::{Accel, ClockName};

/// The machine's ways out, each a file on the host and `/dev/virtio-ports/tracetoll.NAME` in the
/// machine. The machine's ends are written as a whole and each by one program, so nothing mixes.
pub(crate) const PORTS: [&str; 4] = ["exit", "stdout", "stderr", "results"];

/// Where the command in a machine writes its result lines.
pub const RESULTS_PORT: &str = "/dev/virtio-ports/tracetoll.results";

/// The file with these lines, in the folder of a machine's results.
pub const RESULTS: &str = "results.jsonl";

/// The folder of a campaign's result that has such a folder for each of its machines.
pub const GUESTS: &str = "guests";

const CLOCK: &str = "tracetoll.clock=";
const ACCEL: &str = "tracetoll.accel=";

/// The words of a kernel's command line that say in what machine it runs.
pub(crate) fn words(clock: ClockName, kvm: bool) -> String {
    let clock = match clock {
        ClockName::Wall => "wall",
        ClockName::Counted => "counted",
    };
    format!("{CLOCK}{clock} {ACCEL}{}", if kvm { "kvm" } else { "tcg" })
}

/// What such a command line says of the machine; none where it is not one of ours.
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
