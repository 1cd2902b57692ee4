//! Tests of reports, on a campaign that has one of everything.

use super::{lines, markdown, text};
use crate::{
    analysis::{
        figures::table::PERTURBATION,
        fixture::{Lab, campaign, machines, machines_steps, steps::climb},
    },
    model::{
        campaign::Campaign,
        figure::{Figure, Platform},
        trial::{CountedAt, Outcome, Pace, Part},
    },
};

const FIDELITY: (Part, Pace) = (Part::Fidelity, Pace::Saturated);

#[test]
fn the_text_report() {
    insta::assert_snapshot!(text::render(&campaign()));
}

#[test]
fn below_four_blocks_the_least_effect_that_could_be_seen_is_not_known() {
    let mut campaign = campaign();
    let figure = campaign.summary.methods[1].fidelity.figures.of_mut(PERTURBATION);
    let Figure::Known(found) = figure else { panic!("{figure:?}") };
    found.detectable = None;
    let text = text::render(&campaign).replace("\n  ", " ");
    let told = "perturbation of bpf-fentry-count (d unknown below 4 blocks), ";
    assert!(text.contains(told), "{text}");
}

#[test]
fn the_markdown_table() {
    insta::assert_snapshot!(markdown::render(&campaign()));
}

/// The report from the sections on: what is above is the same for every campaign.
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
    lab.done(1, FIDELITY, "off", |measured| climb(measured, &machines_steps(), 2));
    let campaign = lab.campaign();
    let verdicts = markdown::render(&campaign);
    let verdict = |what: &str| {
        let row = verdicts.lines().find(|line| line.contains(what)).unwrap();
        row.rsplit('|').nth(1).unwrap().trim().to_owned()
    };
    // Two blocks of the baseline, one of the tracer.
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
        words.contains("r_m of handle_tx under ftrace-function: its series counts frames"),
        "{text}"
    );
    assert!(words.contains("Throughput is what the guests' TAPs sent"), "{text}");
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
    assert!(text.contains("2 more functions are in campaign.json, `summary.sections`"), "{text}");
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
    assert!(text.contains("the campaign has no closed-loop overhead trial of off"), "{text}");
}

#[test]
fn a_report_needs_only_the_result_file() {
    let campaign = campaign();
    let file = serde_json::to_string(&campaign).unwrap();
    let read: Campaign = serde_json::from_str(&file).unwrap();
    assert_eq!(text::render(&read), text::render(&campaign));
}
