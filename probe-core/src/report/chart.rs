//! The two series over the schedule, bin by bin and as moving averages: the paper's figure 8 as
//! text.

use std::fmt::Write as _;

use super::shown::first_trial;
use crate::{
    analysis::{
        correlation::{mean, moving_average, pearson},
        fidelity::{moving_average_window, series},
    },
    model::{
        campaign::Campaign,
        method::{Descriptor, SeriesUnit},
        trial::{Measured, ReferenceCounts, SectionMark},
    },
};

/// Width of a line's label, in columns.
const LABEL: usize = 26;
const COLUMNS: usize = 72;

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The chart of each method's first trial; `None` if no fidelity trial succeeded.
pub(super) fn render(campaign: &Campaign) -> Option<String> {
    let function = campaign.summary.headline_function.as_str();
    let window = window(campaign);
    let mut text = String::new();
    for method in &campaign.design.methods {
        let Some(trial) = first_trial(campaign, method) else { continue };
        if text.is_empty() {
            let _ = writeln!(
                text,
                "Throughput, and what each method shows of {function}, over the schedule: first \
                 block;"
            );
            text.push_str("each line from 0 to its greatest value; below it, its 10 s means;\n");
            text.push_str("r: of the bins of this one trial with its throughput\n");
            let _ = writeln!(text, "{:LABEL$}{}", "", marks(trial));
        }
        let seen = shown(campaign, method, trial);
        let r = seen.as_ref().map_or_else(String::new, |seen| r(seen, trial));
        let _ = writeln!(text, "{}{r}", cut(&method.id.0));
        if method.id.is_off() {
            let rates = over_time(&numbers(&trial.throughput), trial);
            let most = greatest(&rates) * 8.0 / 1e6;
            lines(&mut text, &format!("  Mbit/s, to {most:.1}"), &rates, window);
        }
        if let Some(Shown { of, drawn, .. }) = seen {
            let label = match of {
                Of::Share => format!("  % of CPU, to {:.1}", greatest(&drawn)),
                Of::Hits(name) => format!("  {name}/s, to {:.0}", greatest(&drawn)),
            };
            lines(&mut text, &label, &drawn, window);
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Number of bins in the paper's moving averages.
pub(super) fn window(campaign: &Campaign) -> usize {
    moving_average_window(campaign.design.scenario.bin.into())
}

/// The averages, each at the end of its window; `None` if the series is shorter than a few windows.
pub(super) fn means(series: &[f64], window: usize) -> Option<Vec<f64>> {
    (window > 1 && series.len() / 3 >= window).then(|| {
        let blank = std::iter::repeat_n(f64::NAN, window.saturating_sub(1));
        blank.chain(moving_average(series, window)).collect()
    })
}

/// A series to be drawn.
pub(super) struct Shown {
    pub(super) of: Of,
    /// Bin by bin, as in the trial.
    values: Vec<f64>,
    /// In the unit of the label.
    pub(super) drawn: Vec<f64>,
}

/// The quantity of a series.
pub(super) enum Of {
    Share,
    /// Hits per second, of calls or of what the method saw instead.
    Hits(String),
}

/// Calls of the headline function by the reference counter.
pub(super) fn happened(campaign: &Campaign, trial: &Measured) -> Option<Shown> {
    let functions = &campaign.design.target.functions;
    let headline = campaign.summary.headline_function.as_str();
    let index = functions.iter().position(|known| known.name == headline)?;
    let counts = trial.reference.as_ref()?.functions.get(index)?;
    let ReferenceCounts::Calls(calls) = counts else { return None };
    let values = numbers(calls);
    let drawn = over_time(&values, trial);
    Some(Shown { of: Of::Hits("calls".into()), values, drawn })
}

/// What the method shows of the headline function, or the reference counter for the baseline.
pub(super) fn shown(campaign: &Campaign, method: &Descriptor, trial: &Measured) -> Option<Shown> {
    let function = campaign.summary.headline_function.as_str();
    let factor = match method.unit {
        SeriesUnit::Nothing => return happened(campaign, trial),
        SeriesUnit::CpuShare => None,
        SeriesUnit::Calls { factor } => Some(factor),
        SeriesUnit::Counter { .. } => Some(1.0),
    };
    let seen = series(trial, function)?;
    let values = seen.values.clone();
    let Some(factor) = factor else {
        return Some(Shown { of: Of::Share, drawn: values.clone(), values });
    };
    let calls: Vec<f64> = values.iter().map(|value| factor * value).collect();
    let name = if seen.function == function { "calls" } else { &seen.function };
    Some(Shown { of: Of::Hits(name.into()), drawn: over_time(&calls, trial), values })
}

/// r of the drawn series; empty if it is undefined.
pub(super) fn r(seen: &Shown, trial: &Measured) -> String {
    let r = pearson(&seen.values, &numbers(&trial.throughput));
    r.map_or_else(|_| String::new(), |r| format!("  r = {r:.3}"))
}

/// The series, and its moving averages.
fn lines(text: &mut String, label: &str, series: &[f64], window: usize) {
    let most = greatest(series);
    let _ = writeln!(text, "{}{}", cut(label), sparks(series, most));
    if let Some(means) = means(series, window) {
        let _ = writeln!(text, "{:LABEL$}{}", "    10 s means", sparks(&means, most).trim_end());
    }
}

fn sparks(series: &[f64], most: f64) -> String {
    columns(series.len())
        .map(|bins| {
            let level = series.get(bins).map_or(f64::NAN, mean);
            let sign = LEVELS.get(eighth(level, most)).filter(|_| !level.is_nan());
            sign.copied().unwrap_or(' ')
        })
        .collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
fn eighth(level: f64, most: f64) -> usize {
    if most > 0.0 { (7.0 * level / most).round().clamp(0.0, 7.0) as usize } else { 0 }
}

/// The bins of each column.
fn columns(bins: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let columns = bins.min(COLUMNS);
    let edge = move |at: usize| at.saturating_mul(bins).checked_div(columns).unwrap_or(0);
    (0..columns).map(move |column| edge(column)..edge(column.saturating_add(1)))
}

/// The label of each section: its name, or what differs between sections.
pub(super) fn labels(sections: &[SectionMark]) -> Vec<String> {
    let by_hogs = sections.array_windows().any(|[one, next]| one.hogs != next.hogs);
    let by_senders = sections.array_windows().any(|[one, next]| one.senders != next.senders);
    let told = |section: &SectionMark| match (&section.name, section.senders) {
        (Some(name), _) => name.clone(),
        (None, Some(senders)) if by_senders && by_hogs => {
            format!("{senders} + {} hogs", section.hogs)
        }
        (None, Some(senders)) if by_senders => format!("{senders} send"),
        _ => format!("{} hog{}", section.hogs, if section.hogs == 1 { "" } else { "s" }),
    };
    sections.iter().map(told).collect()
}

/// Where sections begin, with as much of their labels as fits.
fn marks(trial: &Measured) -> String {
    let (sections, bins) = (&trial.sections, trial.throughput.len());
    let mut line = vec![' '; bins.min(COLUMNS)];
    let column = |bin: usize| columns(bins).position(|range| range.contains(&bin));
    let ends = sections.iter().skip(1).map(|next| column(next.first_bin)).chain([None]);
    for ((section, told), end) in sections.iter().zip(labels(sections)).zip(ends) {
        let Some(start) = column(section.first_bin) else { continue };
        let places = line.iter_mut().take(end.unwrap_or(COLUMNS)).skip(start);
        let told = std::iter::once('|').chain(told.chars());
        places.zip(told).for_each(|(place, sign)| *place = sign);
    }
    line.into_iter().collect::<String>().trim_end().into()
}

#[expect(clippy::cast_precision_loss, reason = "no bin holds 2^53 calls or bytes")]
pub(super) fn numbers(values: &[u64]) -> Vec<f64> {
    values.iter().map(|&value| value as f64).collect()
}

pub(super) fn over_time(values: &[f64], trial: &Measured) -> Vec<f64> {
    let seconds = trial.edges.array_windows().map(|[from, to]| to.since(*from).as_secs());
    values.iter().zip(seconds).map(|(value, seconds)| value / seconds).collect()
}

fn greatest(series: &[f64]) -> f64 {
    series.iter().copied().fold(0.0, f64::max)
}

/// `label` in exactly [`LABEL`] columns, the last of them blank.
fn cut(label: &str) -> String {
    let label: String = label.chars().take(LABEL - 1).collect();
    format!("{label:LABEL$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture::{
            Lab,
            steps::{Step, climb},
        },
        model::{
            figure::Platform,
            trial::{Outcome, Pace, Part},
        },
    };

    #[test]
    fn a_line_has_a_mark_per_column_and_none_where_nothing_is_known() {
        assert_eq!(sparks(&[0.0, 3.5, 7.0, f64::NAN], 7.0), "▁▅█ ");
        // 144 bins: two per column.
        let steps: Vec<f64> = (0..144).map(|bin| if bin < 72 { 0.0 } else { 2.0 }).collect();
        let line = sparks(&steps, 2.0);
        assert_eq!(line, format!("{}{}", "▁".repeat(36), "█".repeat(36)));
    }

    #[test]
    fn a_ladder_of_senders_is_marked_by_them() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        let marked = |lab: &mut Lab, steps: &[(usize, usize)]| {
            let steps: Vec<Step> =
                steps.iter().map(|&(senders, hogs)| Step::of(senders, hogs, 1e6, 1e3)).collect();
            let kind = (Part::Fidelity, Pace::Saturated);
            let trial = lab.done(0, kind, "off", |measured| climb(measured, &steps, 2));
            let Outcome::Done(measured) = &trial.outcome else { panic!("it was done") };
            marks(measured).split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(marked(&mut lab, &[(1, 0), (2, 0)]), "|1 send |2 send");
        assert_eq!(marked(&mut lab, &[(1, 0), (1, 1)]), "|0 hogs |1 hog");
        assert_eq!(marked(&mut lab, &[(1, 0), (2, 3)]), "|1 + 0 hogs |2 + 3 hogs");
    }

    #[test]
    fn averages_stand_at_the_end_of_their_window() {
        let mut text = String::new();
        lines(&mut text, "x", &[0.0, 4.0, 4.0, 4.0, 0.0, 0.0], 2);
        let drawn: Vec<String> =
            text.lines().map(|line| line.chars().skip(LABEL).collect()).collect();
        assert_eq!(drawn, ["▁███▁▁", " ▅██▅▁"]);
    }
}
