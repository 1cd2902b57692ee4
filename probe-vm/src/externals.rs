//! The programs that tracetoll starts: external methods, and those that make a load. A guest with
//! this machine's root uses the ones installed here.

use crate::install::{Need, program};

/// The external methods' packages.
pub const PROGRAMS: [Need; 4] = [
    need("bpftrace", || program("bpftrace").is_some()),
    need("trace-cmd", || program("trace-cmd").is_some()),
    need("linux-perf", || program("perf").is_some()),
    need("tcpdump", || program("tcpdump").is_some()),
];

/// Real guests contain it, and the sink runs its server.
pub const IPERF3: Need = Need {
    package: "iperf3",
    why: "to send over TCP from guests to the sink",
    at_least: None,
    present: || program("iperf3").is_some(),
};

/// What real guests and switches need.
pub const NETWORK: [Need; 2] = [IPERF3, OVS];

/// Open vSwitch's programs.
pub const OVS: Need = Need {
    package: "openvswitch-switch",
    why: "as a switch between guests and the sink",
    at_least: None,
    present: || program("ovs-vswitchd").is_some(),
};

const fn need(package: &'static str, present: fn() -> bool) -> Need {
    Need { package, why: "as an external method to measure", at_least: None, present }
}
