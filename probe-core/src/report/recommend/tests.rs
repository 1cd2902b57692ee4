//! Recommendations from a campaign that holds one of everything.

use super::render;
use crate::{
    analysis::{
        fixture::campaign,
        recommend::{Recommendation, Standing, Wanted, recommend},
    },
    model::{
        campaign::Campaign,
        figure::{Figure, Platform},
        method::Gives,
        note::Note,
    },
    report::lines::WIDTH,
};

/// The same on hardware.
fn native() -> Campaign {
    let mut campaign = campaign();
    for run in &mut campaign.runs {
        run.platform = Platform::Native;
        run.host.hypervisor = None;
    }
    let Campaign { design, runs, trials, .. } = &campaign;
    campaign.summary = crate::analysis::summary::summarize(design, runs, trials, 1);
    campaign
}

fn all() -> Wanted {
    Wanted {
        max_cpu_pct: Some(5.0),
        max_throughput_loss_pct: Some(0.5),
        min_r_retained: Some(0.9),
        max_detection_loss: None,
        max_loss_pct: Some(0.1),
        needs: vec![Gives::Counts],
        calls_per_s: Some("100k/s".parse().unwrap()),
        accept_emulated: false,
    }
}

#[test]
fn the_answer_on_hardware() {
    insta::assert_snapshot!(render(&recommend(&native(), &all()), &native().runs));
}

#[test]
fn the_answer_on_a_counted_clock() {
    insta::assert_snapshot!(render(&recommend(&campaign(), &all()), &campaign().runs));
}

#[test]
fn the_answer_where_nothing_is_asked_for() {
    insta::assert_snapshot!(render(&recommend(&native(), &Wanted::default()), &native().runs));
}

#[test]
fn a_machine_that_0_1_called_native_is_doubted_as_in_the_report() {
    let mut campaign = native();
    let told = |campaign: &Campaign| {
        let text = render(&recommend(campaign, &all()), &campaign.runs);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    const DOUBT: &str = "Take its costs as `virtual`.";
    assert!(!told(&campaign).contains(DOUBT), "{}", told(&campaign));
    campaign.runs[0].host.hypervisor = Some("KVM".into());
    campaign.runs[0].host.processor = None;
    assert!(told(&campaign).contains(DOUBT), "{}", told(&campaign));
}

#[test]
fn an_order_is_told_where_there_is_one() {
    const ORDER: &str = ", the most of the correlation first\n";
    let mut found = recommend(&campaign(), &all());
    assert!(render(&found, &[]).contains(ORDER));
    for one in &mut found.methods {
        one.ranked = false;
    }
    assert!(!render(&found, &[]).contains(ORDER), "{}", render(&found, &[]));
    found.best = None;
    found.outcome = Standing::Qualifies;
    for one in &mut found.methods {
        one.standing = Standing::Qualifies;
    }
    let told = render(&found, &[]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        told.contains("cannot be told: no correlation of calls was measured of any."),
        "{told}"
    );
}

#[test]
fn a_limit_without_degradations_says_why_it_is_not_judged() {
    let wanted = Wanted { max_detection_loss: Some(0.05), ..Wanted::default() };
    let text = render(&recommend(&native(), &wanted), &native().runs);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("wanted: detection_loss at most 0.05"), "{text}");
    assert!(text.contains("detection_loss: no bin was degraded on purpose"), "{text}");
}

#[test]
fn every_line_fits_whatever_the_names() {
    let mut found = recommend(&campaign(), &all());
    for one in &mut found.methods {
        one.method.0 = format!("external:{}", "name-".repeat(30));
    }
    found.scenario = "long ".repeat(40);
    for line in render(&found, &[]).lines().filter(|line| !line.starts_with(super::PROMPT)) {
        assert!(line.chars().count() <= WIDTH, "{line}");
    }
}

#[test]
fn programs_get_everything() {
    let found: Recommendation = recommend(&native(), &all());
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["schema_version"], 3);
    assert_eq!(json["outcome"], "cannot_tell");
    assert_eq!(json["ranked_by"], "cpu");
    assert_eq!(json["wanted"]["calls_per_s"], 100_000.0);
    let first = &json["methods"][0];
    for key in ["method", "standing", "cost", "throughput_pct", "r_retained", "losses", "checks"] {
        assert!(!first[key].is_null(), "{key}: {first}");
    }
    assert!(first["cost"]["cpu_pct"]["estimate"].is_number(), "{first}");
    assert!(first["cost"]["parts"]["kernel"].is_number(), "{first}");
    assert_eq!(first["checks"][0]["of"]["criterion"], "need");
    assert_eq!(first["checks"][0]["verdict"], "met");
}

#[test]
fn what_qualifies_a_figure_is_told() {
    let mut found = recommend(&native(), &all());
    for one in &mut found.methods {
        for figure in [&mut one.cost.cpu_pct, &mut one.throughput_pct, &mut one.r_retained] {
            if let Figure::Known(known) = figure {
                known.notes = vec![Note::OtherClocks];
            }
        }
    }
    let text = render(&found, &[]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("r_retained: trials in other clocks"), "{text}");
    assert!(text.contains("CPU, throughput: trials in other clocks"), "{text}");
}

#[test]
fn clocks_are_told_by_what_the_order_is_by() {
    let mut found = recommend(&native(), &all());
    let Figure::Known(cpu) = &mut found.methods[0].cost.cpu_pct else { panic!("{found:?}") };
    cpu.platform = Platform::Counted;
    let text = render(&found, &[]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("Not hardware's: CPU of bpf-fentry-count (the counted clock)"), "{text}");
    assert!(!text.contains("ranked by fidelity"), "{text}");
}
