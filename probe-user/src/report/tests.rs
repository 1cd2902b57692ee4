//! Reports of a campaign that holds one of everything.

use super::{markdown, text};
use crate::{
    analysis::fixture::{Lab, exchanged, shows},
    model::{
        campaign::{Campaign, Unavailable, WitnessCheck},
        figure::Platform,
        loss::Loss,
        method::MethodId,
        trial::{Measured, Pace, Part},
        units::Nanos,
    },
};

const LOCKSTEP: (Part, Pace) = (Part::Toll, Pace::Lockstep);
const PACED: (Part, Pace) = (Part::Toll, Pace::Paced);
const FLAT: (Part, Pace) = (Part::Toll, Pace::Flat);
const FIDELITY: (Part, Pace) = (Part::Fidelity, Pace::Flat);

/// What one method costs: ns per kick, share of a worker's time per frame, reader's time, throughput.
const COSTS: [(&str, u64, u64, u64, u64); 4] = [
    ("off", 0, 100, 0, 1000),
    ("bpf-fentry-count", 230, 103, 1, 998),
    ("ftrace-function", 590, 107, 25, 960),
    ("perf-sample-999-callchain", 20, 101, 12, 990),
];

fn campaign() -> Campaign {
    let mut lab = Lab::new();
    lab.run(Platform::Counted);
    toll(&mut lab);
    lab.run(Platform::Emulated);
    fidelity(&mut lab);
    lab.runs[1].witness_checks = vec![WitnessCheck {
        function: "handle_tx".into(),
        sites: vec!["handle_tx_kick".into(), "handle_tx_net".into()],
        target: 1000,
        witness: 999,
        slack: 0,
    }];
    lab.design.unavailable = vec![Unavailable {
        id: MethodId("bpf-kprobe-multi-count".into()),
        why: "the kernel has no fprobe".into(),
        remedy: "Use Linux 6.12 or later".into(),
    }];
    lab.design.shared_target = true;
    lab.design.methods.truncate(4);
    lab.campaign()
}

fn toll(lab: &mut Lab) {
    for block in 0..5_u32 {
        let wobble = [0, 7, 3, 9, 5][block as usize];
        for (method, kick, frame, reader, throughput) in COSTS {
            lab.done(block, LOCKSTEP, method, |measured| {
                measured.sent.kicks = Some(10_000);
                let own = if kick > 0 { wobble } else { 0 };
                measured.cpu.workers[0] = Nanos((8380 + kick + own) * 10_000);
                counts(measured, method, u64::from(block));
            });
            lab.done(block, PACED, method, |measured| {
                measured.sent.frames = 10_000;
                measured.cpu.workers[0] = Nanos((frame * 10 + wobble) * 100_000);
                measured.cpu.reader = Nanos(reader * 1_000_000);
                measured.cpu.system = Nanos((500 + reader + wobble) * 1_000_000);
            });
            lab.done(block, FLAT, method, |measured| {
                measured.throughput[0] = (throughput * 10 + wobble) * 100_000;
            });
        }
    }
    for block in [5, 6] {
        lab.failed(block, FLAT, "ftrace-function", "10000 calls were expected, 9999 counted");
    }
}

fn counts(measured: &mut Measured, method: &str, block: u64) {
    let (recorded, lost, missed) = match method {
        "off" => return,
        "bpf-fentry-count" => (9_999, Loss::NONE, Loss::Exact(1)),
        "ftrace-function" => (10_000 - block, Loss::Exact(block), Loss::Unknown),
        _ => (83, Loss::NONE, Loss::Unknown),
    };
    measured.observation.recorded[0] = Some(recorded);
    measured.observation.lost = lost;
    measured.observation.missed = missed;
}

fn fidelity(lab: &mut Lab) {
    for block in 0..4_u32 {
        for (method, exchanges) in [
            ("off", 1),
            ("bpf-fentry-count", 1),
            ("ftrace-function", 2),
            ("perf-sample-999-callchain", 7),
        ] {
            let happened = exchanged(if block == 2 { 2 } else { 1 });
            let shown = exchanged(exchanges + block as usize % 2);
            lab.done(block, FIDELITY, method, |measured| {
                shows(measured, &happened, (method != "off").then_some((&shown, 1.0)));
            });
        }
    }
}

#[test]
fn the_text_report() {
    insta::assert_snapshot!(text::render(&campaign()));
}

#[test]
fn the_markdown_table() {
    insta::assert_snapshot!(markdown::render(&campaign()));
}

#[test]
fn every_line_fits_whatever_the_names_and_reasons() {
    let mut campaign = campaign();
    campaign.summary.methods[1].id.0 = format!("external:{}", "name-".repeat(30));
    campaign.summary.methods[2].id.0 = "x".repeat(70);
    campaign.design.unavailable[0].why = "so it is and not otherwise ".repeat(20);
    campaign.design.kernel = "6.12.0-".to_owned() + &"long ".repeat(40);
    for line in text::render(&campaign).lines() {
        assert!(line.chars().count() <= text::WIDTH, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn an_empty_campaign_still_says_why_there_is_nothing() {
    let mut lab = Lab::new();
    lab.run(Platform::Native);
    let text = text::render(&lab.campaign()).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("trials: 0, of which 0 failed; runs: 1"), "{text}");
    assert!(text.contains("the campaign has no lockstep toll trial of off"), "{text}");
}

#[test]
fn a_report_needs_only_the_result_file() {
    let campaign = campaign();
    let file = serde_json::to_string(&campaign).unwrap();
    let read: Campaign = serde_json::from_str(&file).unwrap();
    assert_eq!(text::render(&read), text::render(&campaign));
}
