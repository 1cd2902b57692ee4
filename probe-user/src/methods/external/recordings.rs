//! Tests the presets' patterns on the output of real versions of the programs:
//! tests/data/external/README.md.

use std::{fs, path::Path};

use super::pattern::{Pattern, Traced};
use crate::methods::registry;

const TUN: Traced<'_> = Traced { function: "tun_chr_open", event: Some("ttperf:tun_chr_open_1") };
const VHOST: Traced<'_> =
    Traced { function: "vhost_net_open", event: Some("ttperf:vhost_net_open_2") };
const NEVER: Traced<'_> = Traced { function: "handle_rx", event: Some("ttperf:handle_rx_3") };

/// A recording, its preset, the counts of the three functions, and all reported losses.
type Case = (&'static str, &'static str, [Option<u64>; 3], Option<u64>);

const TIMES: &str = "external-bpftrace-timestamps";
const RECORD: &str = "external-perf-record";
const STAT: &str = "external-perf-stat";
const TRACE_CMD: &str = "external-trace-cmd-record";

const CASES: [Case; 21] = [
    ("bpftrace/0.17.0/timestamps", TIMES, [Some(6), Some(0), Some(0)], None),
    ("bpftrace/0.23.2/timestamps", TIMES, [Some(6), Some(0), Some(0)], None),
    ("bpftrace/0.27.1/timestamps", TIMES, [Some(6), Some(0), Some(0)], None),
    // Of 3000 calls. 0.17 does not report that it lost any, and 0.27 not all of them.
    ("bpftrace/0.17.0/timestamps-lost", TIMES, [Some(127), Some(0), Some(0)], None),
    ("bpftrace/0.23.2/timestamps-lost", TIMES, [Some(170), Some(0), Some(0)], Some(2830)),
    ("bpftrace/0.27.1/timestamps-lost", TIMES, [Some(337), Some(0), Some(0)], Some(2659)),
    ("trace-cmd/3.1.6/report", TRACE_CMD, [Some(12), Some(5), Some(0)], None),
    ("trace-cmd/3.3.1/report", TRACE_CMD, [Some(12), Some(5), Some(0)], None),
    ("trace-cmd/3.4.0/report", TRACE_CMD, [Some(12), Some(5), Some(0)], None),
    ("trace-cmd/3.1.6/stat", TRACE_CMD, [Some(0), Some(0), Some(0)], Some(0)),
    ("trace-cmd/3.3.1/stat", TRACE_CMD, [Some(0), Some(0), Some(0)], Some(0)),
    ("trace-cmd/3.4.0/stat", TRACE_CMD, [Some(0), Some(0), Some(0)], Some(0)),
    ("perf/6.1.187/stat", STAT, [Some(12), Some(5), Some(0)], None),
    ("perf/6.12.117/stat", STAT, [Some(12), Some(5), Some(0)], None),
    ("perf/7.2.13/stat", STAT, [Some(12), Some(5), Some(0)], None),
    ("perf/6.1.187/report", RECORD, [Some(12), Some(5), Some(0)], None),
    ("perf/6.12.117/report", RECORD, [Some(12), Some(5), Some(0)], None),
    ("perf/7.2.13/report", RECORD, [Some(12), Some(5), Some(0)], None),
    // Of 400 and 5 calls: here perf reports all missing ones.
    ("perf/6.1.187/report-lost", RECORD, [Some(36), Some(0), Some(0)], Some(369)),
    ("perf/6.12.117/report-lost", RECORD, [Some(26), Some(5), Some(0)], Some(374)),
    ("perf/7.2.13/report-lost", RECORD, [Some(41), Some(0), Some(0)], Some(364)),
];

fn read(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/external");
    fs::read_to_string(folder.join(format!("{file}.txt"))).unwrap()
}

/// A pattern of a preset, taken from its method's parameters.
fn pattern(preset: &str, field: &str) -> Option<Pattern> {
    let method = registry::find(preset).unwrap();
    let text = method.descriptor().parameters.get(field)?.as_str()?.to_owned();
    Some(Pattern::new(&text, preset).unwrap())
}

fn counts(preset: &str, said: &str) -> [Option<u64>; 3] {
    let count = pattern(preset, "count").unwrap();
    [TUN, VHOST, NEVER].map(|traced| count.sum(said, Some(traced)))
}

fn lost(preset: &str, said: &str) -> Option<u64> {
    let lost = pattern(preset, "lost")?;
    if !lost.is_per_function() {
        return lost.sum(said, None);
    }
    let each = [TUN, VHOST, NEVER].into_iter().filter_map(|traced| lost.sum(said, Some(traced)));
    each.reduce(u64::saturating_add)
}

#[test]
fn each_version_is_understood() {
    for (file, preset, seen, missing) in CASES {
        let said = read(file);
        assert_eq!(counts(preset, &said), seen, "{file}");
        assert_eq!(lost(preset, &said), missing, "{file}");
    }
}

/// 0.27 omits the map of functions that were never hit.
#[test]
fn bpftrace_counts_zero_for_an_absent_map_behind_its_end_alone() {
    for version in ["0.17.0", "0.23.2", "0.27.1"] {
        let without = read(&format!("bpftrace/{version}/count-no-end"));
        assert_eq!(counts("external-bpftrace-count", &without), [None; 3], "{version}");
        // The output of the preset's END.
        let with = without.replacen("ready\n", "ready\nend\n", 1);
        let seen = counts("external-bpftrace-count", &with);
        assert_eq!(seen, [Some(12), Some(5), Some(0)], "{version}");
        assert_eq!(with.contains("@handle_rx"), version != "0.27.1", "{version}");
    }
}
