//! Well-known tools, configured as their experts would.
//!
//! Those that can trace a command get one that prints `ready` and sleeps: they start it when
//! everything is attached.

use std::time::Duration;

use probe_core::{
    error::Result,
    model::external::{Counts, External},
};

use super::{
    pattern::Names,
    program::{Preset, Program},
};
use crate::methods::{Method, entry::Entry, options::Options};

/// All methods of this family.
pub const METHODS: &[Entry] = &[
    Entry::plain("external-bpftrace-count", |o| bpftrace(o, COUNT)),
    Entry::plain("external-bpftrace-timestamps", |o| bpftrace(o, TIMESTAMPS)),
    Entry::plain("external-trace-cmd-record", trace_cmd),
    Entry::plain("external-perf-stat", perf_stat),
    Entry::plain("external-perf-record", perf_record),
    Entry::plain("external-tcpdump", tcpdump),
];

/// Programs that compile, or first read all symbols, take half a minute to start on an emulated
/// machine.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Reports that everything is attached, and waits for the signal.
const SLEEPER: [&str; 3] = ["sh", "-c", "echo ready; exec sleep 1000000"];

/// A libpcap file header without frames: magic, version 2.4, zone, accuracy, snapshot length,
/// Ethernet.
const EMPTY_PCAP: [u8; 24] =
    [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];

const READY: &str = "(?m)^ready$";

fn definition(name: &str) -> External {
    External { ready: Some(READY.into()), timeout: TIMEOUT, ..External::new(name, Vec::new()) }
}

fn method(definition: External, preset: Preset, options: &Options) -> Result<Box<dyn Method>> {
    Ok(Box::new(Program::preset(definition, preset, options.id(preset.id))?))
}

fn words(parts: &[&[&str]]) -> Vec<String> {
    parts.concat().into_iter().map(str::to_owned).collect()
}

/// What a bpftrace program does at each call, and how that is counted.
#[derive(Clone, Copy)]
struct Script {
    preset: Preset,
    counts: Counts,
    count: &'static str,
}

const COUNT: Script = Script {
    preset: Preset {
        id: "external-bpftrace-count",
        package: "bpftrace",
        proof: &["--version"],
        input: &[],
        summary: "bpftrace counts each call in the kernel: @FUNCTION = count()",
        choice: "",
        words: |names, probe| bpftrace_words(names, probe, |name| format!("@{name} = count();")),
        loses_nothing: true,
        sees_every_hit: false,
    },
    counts: Counts::Exact,
    // bpftrace 0.27 omits functions that were never hit; `end` shows that it ended normally all the
    // same.
    count: r"(?m)^end$(?:(?s:.*)^@{function}: (\d+)$)?",
};

const TIMESTAMPS: Script = Script {
    preset: Preset {
        id: "external-bpftrace-timestamps",
        package: "bpftrace",
        proof: &["--version"],
        input: &[],
        summary: "bpftrace prints a line with the time (nsecs) for each call",
        choice: "",
        words: |names, probe| {
            bpftrace_words(names, probe, |name| format!(r#"printf("{name} %llu\n", nsecs);"#))
        },
        loses_nothing: false,
        sees_every_hit: false,
    },
    counts: Counts::Records,
    count: r"(?m)^{function} \d+$",
};

/// `attach=fentry` uses BTF trampolines, which every bpftrace since 0.11 calls `kfunc` (newer ones
/// also `fentry`); `attach=kprobe` uses kprobes.
fn bpftrace(options: &mut Options, script: Script) -> Result<Box<dyn Method>> {
    let choice = options.choose("attach", &["fentry", "kprobe"])?;
    let definition = External {
        counts: script.counts,
        count: Some(script.count.into()),
        // Its perf buffers: one message per gap that the reader noticed.
        lost: Some(r"Lost (\d+) events".into()),
        ..definition(script.preset.id)
    };
    method(definition, Preset { choice, ..script.preset }, options)
}

fn bpftrace_words(names: &Names, attach: &str, action: fn(&str) -> String) -> Vec<String> {
    // The output of BEGIN is read only after the last probe is attached.
    let mut program = String::from(r#"BEGIN { printf("ready\n"); }"#);
    for (name, module) in &names.functions {
        let probe = match (attach, module) {
            ("kprobe", _) => format!("kprobe:{name}"),
            (_, Some(module)) => format!("kfunc:{module}:{name}"),
            (_, None) => format!("kfunc:vmlinux:{name}"),
        };
        let identifier = name.replace('.', "_");
        program.push_str(&format!(" {probe} {{ {} }}", action(&identifier)));
    }
    program.push_str(r#" END { printf("end\n"); }"#);
    vec!["bpftrace".into(), "-e".into(), program]
}

/// Records into an instance that was created for it, and that is removed afterwards, its tracer
/// first. At its end trace-cmd itself would clear the filter before it stops the tracer, so all
/// functions of the kernel would be traced for a moment; `-k` prevents that. The report, which a
/// user would run to see anything, counts the records; the statistics that trace-cmd stores in its
/// file show what the buffers lost.
fn trace_cmd(options: &mut Options) -> Result<Box<dyn Method>> {
    let script = r#"trace-cmd report -i "$0" && trace-cmd report --stat -i "$0""#;
    let definition = External {
        report: words(&[&["sh", "-c", script, "{out}"]]),
        count: Some(r"(?m) function: +{function}\b".into()),
        lost: Some(r"(?m)^(?:overrun|commit overrun|dropped events): (\d+)$".into()),
        lost_is_exact: true,
        ..definition("trace-cmd")
    };
    let preset = Preset {
        id: "external-trace-cmd-record",
        package: "trace-cmd",
        // It has no option for its version that exits with success; this one reads tracefs.
        proof: &["list", "-t"],
        input: &[],
        summary: "trace-cmd records the function tracer in its own instance, into a file",
        choice: "",
        words: |names, _| {
            let start =
                ["trace-cmd", "record", "-k", "-B", "{run}", "-C", "mono", "-p", "function"];
            let mut words = words(&[&start]);
            for (name, module) in &names.functions {
                let module = module.as_deref().unwrap_or("!*");
                words.extend(["-l".into(), format!("{name}:mod:{module}")]);
            }
            words.extend(self::words(&[&["-o", "{out}"], &SLEEPER]));
            words
        },
        loses_nothing: false,
        sees_every_hit: false,
    };
    method(definition, preset, options)
}

fn perf_stat(options: &mut Options) -> Result<Box<dyn Method>> {
    let definition = External {
        counts: Counts::Exact,
        count: Some(r"(?m)^(\d+),[^,]*,{event},".into()),
        ..definition("perf-stat")
    };
    let preset = Preset {
        id: "external-perf-stat",
        package: "linux-perf",
        proof: &["--version"],
        input: &[],
        summary: "perf stat counts a kprobe event on all CPUs",
        choice: "",
        words: |_, _| words(&[&["perf", "stat", "-a", "-x,", "-e", "{events}", "--"], &SLEEPER]),
        loses_nothing: true,
        sees_every_hit: true,
    };
    method(definition, preset, options)
}

fn perf_record(options: &mut Options) -> Result<Box<dyn Method>> {
    let definition = External {
        // All events, including those that were never hit: an event that is not listed was not
        // recorded.
        report: words(&[&["perf", "report", "--stat", "--no-skip-empty", "-i", "{out}"]]),
        count: Some(r"(?m)^{event} stats:\n(?: +SAMPLE events: +(\d+))?".into()),
        // The kernel's count at the end, see PERF_FORMAT_LOST. Older kernels and perfs only report
        // gaps in the rings, and the report does not say how large they were.
        lost: Some(
            r"(?m)^{event} stats:\n(?: +SAMPLE events:.*\n)? +LOST_SAMPLES events: +(\d+)".into(),
        ),
        ..definition("perf-record")
    };
    let preset = Preset {
        id: "external-perf-record",
        package: "linux-perf",
        proof: &["--version"],
        input: &[],
        summary: "perf record of every hit of a kprobe event on all CPUs, into a file",
        choice: "",
        words: |_, _| {
            let record = ["perf", "record", "-a", "-c", "1", "-e", "{events}", "-o", "{out}", "--"];
            words(&[&record, &SLEEPER])
        },
        loses_nothing: false,
        sees_every_hit: true,
    };
    method(definition, preset, options)
}

/// Frames that it received but had not written when the signal came are lost, like those that its
/// ring dropped.
fn tcpdump(options: &mut Options) -> Result<Box<dyn Method>> {
    let definition = External {
        ready: Some("listening on ".into()),
        counts: Counts::Frames,
        count: Some(r"(?m)^(\d+) packets? captured".into()),
        total: Some(r"(?m)^(\d+) packets? received by filter".into()),
        in_netns: true,
        // It receives the last frames when their block is closed, a second after it was opened (its
        // `to_ms`).
        linger: Duration::from_millis(1500),
        ..definition("tcpdump")
    };
    let preset = Preset {
        id: "external-tcpdump",
        package: "tcpdump",
        // Reads an empty capture and writes it to where it will write later: an AppArmor profile
        // may forbid that.
        proof: &["-r", "-", "-Z", "root", "-w", "{out}"],
        input: &EMPTY_PCAP,
        summary: "tcpdump writes the first 128 bytes of each frame from the guest's TAP",
        choice: "",
        words: |_, _| {
            words(&[&[
                "tcpdump", "-i", "{tap}", "-n", "-Q", "in", "-s", "128", "-Z", "root", "-w",
                "{out}",
            ]])
        },
        loses_nothing: false,
        sees_every_hit: false,
    };
    method(definition, preset, options)
}
