//! Remarks on the figures by section: why some have no number, and the limits of others.

use std::collections::{BTreeMap, BTreeSet};

use super::{reasons, widths};
use crate::model::{
    campaign::{Campaign, Summary},
    figure::Figure,
    sections::{FunctionInSection, MethodInSection, RttFigures},
    trial::{CountedAt, Outcome},
};

/// Number of names that are listed.
const FEW: usize = 6;

/// Where a reason or a remark applies.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
struct Where {
    functions: BTreeSet<String>,
    methods: BTreeSet<String>,
    sections: BTreeSet<usize>,
}

/// Figures by remark: whether there is a number, and the text.
type Said = BTreeMap<(bool, String), BTreeMap<&'static str, Where>>;

/// Remarks on the whole campaign: where throughput was counted, if not at the sink, and those by
/// section.
pub(super) fn list(campaign: &Campaign) -> Vec<String> {
    let at_taps = campaign.trials.iter().any(|trial| match &trial.outcome {
        Outcome::Done(measured) => measured.counted_at == Some(CountedAt::Tap),
        Outcome::Failed { .. } => false,
    });
    let place = "Throughput is what the guests' TAPs sent, not what a sink received.";
    let place = at_taps.then(|| place.to_owned());
    let lags = widths::lags(&campaign.summary.methods);
    place.into_iter().chain(lags).chain(by_section(&campaign.summary)).collect()
}

/// One sentence per reason and remark. Intervals within one run have a star in the tables already.
fn by_section(summary: &Summary) -> Vec<String> {
    let mut said = Said::new();
    for (index, section) in summary.sections.iter().enumerate() {
        for method in &section.methods {
            for (name, function, figure) in in_section(method) {
                note(&mut said, name, figure, (function, &method.id.0, Some(index)));
            }
        }
    }
    for method in &summary.methods {
        let Some(rtt) = &method.rtt else { continue };
        for (name, figure) in of_rtt(rtt) {
            note(&mut said, name, figure, (Some(&rtt.function), &method.id.0, None));
        }
    }
    let all = summary.sections.len();
    let sentences = said.into_iter().map(|((known, text), figures)| {
        // Figures with the same remark at the same places are listed together.
        let mut by_place: BTreeMap<Where, Vec<&str>> = BTreeMap::new();
        for (name, place) in figures {
            by_place.entry(place).or_default().push(name);
        }
        let told = |(place, names): (Where, Vec<&str>)| {
            let no = if known { "" } else { "no " };
            format!("{no}{} {}", names.join(", "), place.told(all))
        };
        let figures: Vec<String> = by_place.into_iter().map(told).collect();
        format!("By section: {}: {text}.", figures.join("; "))
    });
    sentences.collect()
}

type Place<'a> = (Option<&'a String>, &'a str, Option<usize>);

fn note(said: &mut Said, name: &'static str, figure: &Figure, place: Place<'_>) {
    let texts = match figure {
        Figure::Null(absent) => vec![(false, reasons::reason(&absent.why))],
        Figure::Known(found) => {
            found.notes.iter().map(|note| (true, reasons::note(note))).collect()
        }
    };
    let (function, method, section) = place;
    for text in texts {
        let at = said.entry(text).or_default().entry(name).or_default();
        at.functions.extend(function.cloned());
        at.methods.insert(method.into());
        at.sections.extend(section);
    }
}

impl Where {
    fn told(&self, all: usize) -> String {
        let mut text = String::new();
        if !self.functions.is_empty() {
            text.push_str(&format!("of {} ", few(&self.functions)));
        }
        text.push_str(&format!("under {}", few(&self.methods)));
        if !self.sections.is_empty() && self.sections.len() < all {
            text.push_str(&format!(" in {} of {all} sections", self.sections.len()));
        }
        text
    }
}

fn few(names: &BTreeSet<String>) -> String {
    let told: Vec<&str> = names.iter().take(FEW).map(String::as_str).collect();
    match names.len().saturating_sub(told.len()) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

fn in_section(
    section: &MethodInSection,
) -> impl Iterator<Item = (&'static str, Option<&String>, &Figure)> {
    let MethodInSection {
        id: _,
        throughput_bps,
        bins_bps: _,
        throughput_cv,
        guests_bps,
        frames_per_call,
        sink_run_delay_pct,
        functions,
    } = section;
    let own = [
        ("throughput_bps", throughput_bps),
        ("throughput_cv", throughput_cv),
        ("frames_per_call", frames_per_call),
        ("sink_run_delay_pct", sink_run_delay_pct),
    ];
    let guests = guests_bps.values().map(|figure| ("guests_bps", figure));
    let own = own.into_iter().chain(guests).map(|(name, figure)| (name, None, figure));
    own.chain(functions.iter().flat_map(|(function, figures)| {
        of_function(figures).map(move |(name, figure)| (name, Some(function), figure))
    }))
}

fn of_function(figures: &FunctionInSection) -> impl Iterator<Item = (&'static str, &Figure)> {
    let FunctionInSection { calls_per_s_w, r_w, calls_per_s_m, share_pct, self_share_pct, r_m } =
        figures;
    let own = [
        ("calls_per_s_m", calls_per_s_m),
        ("share_pct", share_pct),
        ("self_share_pct", self_share_pct),
        ("r_m", r_m),
    ];
    let own = own.into_iter().filter_map(|(name, figure)| Some((name, figure.as_ref()?)));
    [("calls_per_s_w", calls_per_s_w), ("r_w", r_w)].into_iter().chain(own)
}

fn of_rtt(figures: &RttFigures) -> impl Iterator<Item = (&'static str, &Figure)> {
    let RttFigures { function: _, r_w, spearman_w, r_m, spearman_m } = figures;
    let own = [("rtt.r_m", r_m), ("rtt.spearman_m", spearman_m)];
    let own = own.into_iter().filter_map(|(name, figure)| Some((name, figure.as_ref()?)));
    [("rtt.r_w", r_w), ("rtt.spearman_w", spearman_w)].into_iter().chain(own)
}
