//! Two kernels, and a host on another clock.

use super::{super::results::named, *};
use crate::{
    analysis::fixture::{campaign, machines},
    model::{campaign::Campaign, figure::Platform},
    report::lines::WIDTH,
};

/// The campaign of one of everything, on two kernels; on the second a method is not there.
pub(in crate::report) fn kernels() -> Vec<NamedCampaign> {
    let mut older = campaign();
    older.design.kernel = "6.1.0-test".into();
    older.design.methods.pop();
    let gone = older.summary.methods.pop().expect("it has methods");
    older.design.unavailable[0].id = gone.id;
    named(vec![("a".into(), campaign()), ("b".into(), older)])
}

fn on_another_clock() -> Campaign {
    let mut host = campaign();
    host.design.kernel = "7.3.0-test".into();
    for run in &mut host.runs {
        run.platform = Platform::Native;
    }
    for method in &mut host.summary.methods {
        if let Figure::Known(found) = method.overhead.of_mut(KERNEL_NS_PER_EVENT) {
            found.platform = Platform::Native;
        }
    }
    host
}

#[test]
fn two_kernels_as_text() {
    insta::assert_snapshot!(text(&kernels()));
}

#[test]
fn two_kernels_as_markdown() {
    insta::assert_snapshot!(markdown(&kernels()));
}

#[test]
fn costs_on_different_clocks_are_said_not_to_compare() {
    let with = |other| named(vec![("a".into(), campaign()), ("b".into(), other)]);
    let said =
        |results: &[NamedCampaign]| notes(results).iter().any(|n| n.contains("are not comparable"));
    assert!(!said(&kernels()));
    let results = with(on_another_clock());
    assert!(said(&results), "{:?}", notes(&results));
    assert!(markdown(&results).contains("native clock, ns |"));
    let mut other = campaign();
    other.design.scenario.bin *= 2;
    other.design.kernel = "7.3.0-test".into();
    let notes = notes(&with(other));
    assert!(notes.iter().any(|note| note.contains("design.scenario.bin")), "{notes:?}");
}

#[test]
fn a_correlation_of_frames_is_marked_wherever_it_stands() {
    let mut frames = campaign();
    let method = &mut frames.summary.methods[1];
    assert!(method.fidelity.figures.of(R_RETAINED).known().is_some());
    method.shows_instead = Some("frames".into());
    let one = crate::report::markdown::render(&frames);
    // r_m, and the part that remains.
    assert_eq!(one.matches("`frames`").count(), 2, "{one}");
    let results = named(vec![("a".into(), frames), ("b".into(), campaign())]);
    assert_eq!(markdown(&results).matches("`frames`").count(), 1);
    assert!(text(&results).contains("frames"));
}

#[test]
fn intervals_of_one_run_are_told_of() {
    let one = |kernel: &str| {
        let mut lab = machines();
        lab.design.kernel = kernel.into();
        (kernel.to_owned(), lab.campaign())
    };
    let notes = notes(&named(vec![one("6.1"), one("6.12")]));
    let told = notes.iter().filter(|note| note.contains("come from one run's own bins"));
    assert_eq!(told.count(), 2, "{notes:?}");
}

#[test]
fn every_line_fits_however_many_results_there_are() {
    let mut many = Vec::new();
    for at in 0..12 {
        let mut campaign = campaign();
        campaign.design.kernel = format!("6.{at}.0-{}", "long-".repeat(12));
        campaign.summary.methods[1].id.0 = format!("external:{}", "name-".repeat(9));
        many.push(("x".into(), campaign));
    }
    for line in text(&named(many)).lines() {
        assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
    }
}
