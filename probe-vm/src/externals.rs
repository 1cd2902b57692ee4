//! The programs that tracetoll starts: external methods, and what a load is made of. A guest with
//! this machine's root has them from here.

use crate::install::{Need, program};
use std::ffi::OsString;

/// The external methods' packages.
pub const PROGRAMS: [Need; 4] = [
    need("bpftrace", || program("bpftrace").is_some()),
    need("trace-cmd", || program("trace-cmd").is_some()),
    need("linux-perf", || program("perf").is_some()),
    need("tcpdump", || program("tcpdump").is_some()),
];

/// Real guests carry it along, and machine 2 serves it.
pub const IPERF3: Need = Need {
    package: "iperf3",
    why: "to send over TCP from guests to machine 2",
    at_least: None,
    present: || program("iperf3").is_some(),
};

/// What real guests and switches need, with their packages.
pub const NETWORK: [Need; 2] = [
    IPERF3,
    Need {
        package: "openvswitch-switch",
        why: "as a switch between guests and machine 2",
        at_least: None,
        present: || program("ovs-vswitchd").is_some(),
    },
];

const fn need(package: &'static str, present: fn() -> bool) -> Need {
    Need { package, why: "as an external method to measure", at_least: None, present }
}

/// Whether these arguments of `tracetoll run` ask for external methods: by name, by the groups
/// `external` and `all`, or through a scenario of their own. The groups `count` and `record` have
/// some too, but there they are not the point: they are left out where the programs are not.
pub fn are_asked_for(arguments: &[OsString]) -> bool {
    let named = |method: &str| method.trim() == "all" || method.trim().starts_with("external");
    let defines = |file: &String| {
        std::fs::read_to_string(file).is_ok_and(|text| text.contains("[[external]]"))
    };
    values(arguments, "--methods").iter().any(|list| list.split(',').any(named))
        || values(arguments, "--method").iter().any(|method| named(method))
        || values(arguments, "--scenario").iter().any(defines)
}

/// All values of a flag, written `--flag value` or `--flag=value`.
pub fn values(arguments: &[OsString], flag: &str) -> Vec<String> {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let joined = format!("{flag}=");
    let apart = words.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].to_string());
    let joined = words.iter().filter_map(|word| Some(word.strip_prefix(&joined)?.to_owned()));
    apart.chain(joined).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_methods_are_found_however_they_are_asked_for() {
        let named =
            |words: &[&str]| are_asked_for(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(named(&["--methods", "off, external-perf-stat"]));
        assert!(named(&["--methods=external"]));
        assert!(named(&["--kicks", "10", "--method", "external:x=sleep 10"]));
        assert!(named(&["--methods", "all"]));
        let dir = tempfile::tempdir().unwrap();
        let scenario = dir.path().join("own.toml");
        std::fs::write(&scenario, "[[external]]\nname = \"x\"\n").unwrap();
        assert!(named(&["--scenario", scenario.to_str().unwrap()]));
        assert!(!named(&["--methods", "count,ftrace", "--scenario", "external.toml"]));
    }
}
