//! Reports of a campaign that holds one of everything.

use hdrhistogram::Histogram;

use super::{lines, markdown, text};
use crate::{
    analysis::fixture::{
        Lab, exchanged, shows,
        steps::{Step, climb, counts as traced, profiles},
    },
    model::{
        campaign::{Campaign, Unavailable, WitnessCheck},
        figure::Platform,
        latency::Latency,
        loss::Loss,
        method::MethodId,
        scenario::GuestKind,
        trial::{CountedAt, Measured, Outcome, Pace, Part},
        units::{Bytes, Nanos},
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

pub(crate) fn campaign() -> Campaign {
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
                measured.cpu.reader_wakeups = Some(reader);
                measured.observation.kernel_memory = Bytes(reader << 16);
                measured.observation.bytes_read = Bytes(reader << 20);
                measured.latency = Some(latency(frame * 10 + wobble));
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

/// A thousand frames that take up to as many µs.
fn latency(micros: u64) -> Latency {
    let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).expect("bounds");
    (1..=1000).for_each(|part| times.record(part * micros).expect("within bounds"));
    Latency::new(&times, 0).expect("a histogram")
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

/// The sections of [`machines`].
fn steps() -> Vec<Step> {
    (0..4_u8)
        .map(|hogs| Step {
            shares: [20.0 + f64::from(hogs), 5.0, 0.0, 0.0],
            ..Step::of(1, hogs.into(), 1e7 - 2e6 * f64::from(hogs), 9e3 - 1e3 * f64::from(hogs))
        })
        .collect()
}

/// VMs of which one sends while others begin to load the CPU; one block.
pub(crate) fn machines() -> Lab {
    let steps = steps();
    let mut lab = Lab::new();
    lab.design.scenario.guests.kind = GuestKind::Kvm;
    lab.design.scenario.bin = std::time::Duration::from_secs(1);
    lab.run(Platform::Emulated);
    for method in ["off", "ftrace-function", "perf-sample-999-callchain"] {
        lab.done(0, FIDELITY, method, |measured| {
            climb(measured, &steps, 2);
            match method {
                "off" => {}
                "ftrace-function" => traced(measured, &steps),
                _ => profiles(measured, &steps, &["handle_tx", "handle_rx"]),
            }
        });
    }
    lab
}

/// From the sections on: what stands above is told of every campaign.
fn of_sections(campaign: &Campaign) -> String {
    let text = text::render(campaign);
    let start = text.find("Sections under").unwrap();
    let end = text.find("Below each figure").unwrap();
    text[start..end].to_owned()
}

#[test]
fn the_sections_the_chart_and_the_papers_statements() {
    insta::assert_snapshot!(of_sections(&machines().campaign()));
}

#[test]
fn the_markdown_of_vms_holds_their_sections_and_the_papers_statements() {
    let text = markdown::render(&machines().campaign());
    assert!(text.contains("| 1 sends, 3 hogs | 32.0"), "{text}");
    assert!(text.contains("| throughput falls as VMs that load the CPU are added"), "{text}");
}

#[test]
fn only_what_one_run_decides_is_starred() {
    let mut lab = machines();
    lab.done(1, FIDELITY, "off", |measured| climb(measured, &steps(), 2));
    let campaign = lab.campaign();
    let verdicts = markdown::render(&campaign);
    let verdict = |what: &str| {
        let row = verdicts.lines().find(|line| line.contains(what)).unwrap();
        row.rsplit('|').nth(1).unwrap().trim().to_owned()
    };
    // Two blocks of the control, one of the tracer.
    assert_eq!(verdict("throughput falls as VMs"), "yes");
    assert_eq!(verdict("are correlated, bin by bin"), "NO*");
    let text = of_sections(&campaign);
    let row = text.lines().find(|line| line.contains("[1.000, 1.000]")).unwrap();
    assert!(row.contains("[1.000, 1.000]  [1.000, 1.000]*"), "{row}");
}

#[test]
fn what_a_capture_shows_is_called_frames() {
    let mut lab = machines();
    let Outcome::Done(measured) = &mut lab.trials[1].outcome else { panic!("it was done") };
    measured.series[0].function = "frames".into();
    measured.counted_at = Some(CountedAt::Tap);
    let text = text::render(&lab.campaign());
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("frames/s, to 9900"), "{text}");
    assert!(
        words.contains("r_m of handle_tx under ftrace-function: its series is of frames"),
        "{text}"
    );
    assert!(words.contains("Throughput is what came out of the guests' TAPs"), "{text}");
}

#[test]
fn functions_that_the_tables_do_not_hold_are_counted() {
    let mut campaign = machines().campaign();
    for section in &mut campaign.summary.sections {
        for method in &mut section.methods {
            let known = method.functions["handle_tx"].clone();
            let more = (0..5).map(|n| (format!("another_{n}"), known.clone()));
            method.functions.extend(more);
        }
    }
    let text = text::render(&campaign).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("2 more functions stand in campaign.json, `summary.sections`"), "{text}");
}

#[test]
fn every_line_of_the_papers_tables_fits() {
    let mut campaign = machines().campaign();
    let long = "a long reason without an end ".repeat(9) + &"x".repeat(150);
    campaign.summary.sections[0].label = long.clone();
    campaign.summary.paper[0].remarks.push(long.clone());
    for section in &mut campaign.summary.sections {
        section.methods[1].id.0 = format!("external:{}", "name-".repeat(30));
    }
    for line in text::render(&campaign).lines() {
        assert!(line.chars().count() <= lines::WIDTH, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn every_line_fits_whatever_the_names_and_reasons() {
    let mut campaign = campaign();
    campaign.summary.methods[1].id.0 = format!("external:{}", "name-".repeat(30));
    campaign.summary.methods[2].id.0 = "x".repeat(70);
    campaign.design.unavailable[0].why = "so it is and not otherwise ".repeat(20);
    campaign.design.kernel = "6.12.0-".to_owned() + &"long ".repeat(40);
    for line in text::render(&campaign).lines() {
        assert!(line.chars().count() <= lines::WIDTH, "{} columns: {line}", line.chars().count());
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
