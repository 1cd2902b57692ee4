//! The two series over the schedule, bin by bin and as moving averages: figure 8 of the paper in characters.

use std::fmt::Write as _;

use crate::{
    analysis::{
        correlation::{mean, moving_average},
        fidelity::MOVING_AVERAGE,
    },
    model::{
        campaign::Campaign,
        figure::Figure,
        method::{Descriptor, SeriesUnit},
        trial::{Measured, Outcome, Part, SectionMark, WitnessCounts},
        units::Nanos,
    },
};

/// Columns of what a line is, and of its series.
const LABEL: usize = 26;
const COLUMNS: usize = 72;

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The chart of each method's first trial; none where no fidelity trial ended well.
pub(super) fn render(campaign: &Campaign) -> Option<String> {
    let function = campaign.summary.headline_function.as_str();
    let window = Nanos::from(campaign.design.scenario.bin);
    let window = usize::try_from(MOVING_AVERAGE.0 / window.0.max(1)).unwrap_or(usize::MAX);
    let mut text = String::new();
    for method in &campaign.design.methods {
        let Some(trial) = first(campaign, method) else { continue };
        if text.is_empty() {
            text = format!("Throughput and calls of {function} over the schedule, first block;\n");
            text.push_str("each line from 0 to its greatest value; below it, its 10 s means\n");
            let _ = writeln!(text, "{:LABEL$}{}", "", marks(&trial.sections, trial));
        }
        let _ = writeln!(text, "{}{}", cut(&method.id.0), r(campaign, method));
        if method.id.is_off() {
            let rates = per_second(&trial.throughput, trial);
            let most = greatest(&rates) * 8.0 / 1e6;
            lines(&mut text, &format!("  Mbit/s, to {most:.1}"), &rates, window);
        }
        if let Some((label, series)) = shown(campaign, method, trial) {
            lines(&mut text, &label, &series, window);
        }
    }
    (!text.is_empty()).then_some(text)
}

fn first<'a>(campaign: &'a Campaign, method: &Descriptor) -> Option<&'a Measured> {
    let fidelity = campaign.trials.iter().filter(|trial| {
        trial.part == Part::Fidelity && trial.witnessed && trial.method == method.id
    });
    let done = fidelity.filter_map(|trial| match &trial.outcome {
        Outcome::Done(measured) if !measured.throughput.is_empty() => {
            Some(((trial.run, trial.block), &**measured))
        }
        _ => None,
    });
    done.min_by_key(|(place, _)| *place).map(|(_, measured)| measured)
}

/// What the method shows of the headline function, or the witness under the control.
fn shown(campaign: &Campaign, method: &Descriptor, trial: &Measured) -> Option<(String, Vec<f64>)> {
    let function = campaign.summary.headline_function.as_str();
    let factor = match method.unit {
        SeriesUnit::Nothing => {
            let functions = &campaign.design.target.functions;
            let index = functions.iter().position(|known| known.name == function)?;
            let counts = trial.witness.as_ref()?.functions.get(index)?;
            let WitnessCounts::Calls(calls) = counts else { return None };
            let rates = per_second(calls, trial);
            return Some((format!("  calls/s, to {:.0}", greatest(&rates)), rates));
        }
        SeriesUnit::CpuShare => None,
        SeriesUnit::Calls { factor } => Some(factor),
    };
    let values = &trial.series.iter().find(|series| series.function == function)?.values;
    let Some(factor) = factor else {
        return Some((format!("  % of CPU, to {:.1}", greatest(values)), values.clone()));
    };
    let rates: Vec<f64> = over_time(values.iter().map(|value| factor * value), trial);
    Some((format!("  calls/s, to {:.0}", greatest(&rates)), rates))
}

fn r(campaign: &Campaign, method: &Descriptor) -> String {
    let found = campaign.summary.methods.iter().find(|found| found.id == method.id);
    let figure = found
        .map(|found| if method.id.is_off() { &found.fidelity.r_0 } else { &found.fidelity.r_m });
    match figure {
        Some(Figure::Known(found)) => format!("  r = {:.3}", found.estimate),
        _ => String::new(),
    }
}

/// The series, and its moving averages where they hold more than a few windows. An average stands at its window's end.
fn lines(text: &mut String, label: &str, series: &[f64], window: usize) {
    let most = greatest(series);
    let _ = writeln!(text, "{}{}", cut(label), sparks(series, most));
    if window > 1 && series.len() >= 3 * window {
        let blank = std::iter::repeat_n(f64::NAN, window - 1);
        let means: Vec<f64> = blank.chain(moving_average(series, window)).collect();
        let _ = writeln!(text, "{:LABEL$}{}", "    10 s means", sparks(&means, most).trim_end());
    }
}

fn sparks(series: &[f64], most: f64) -> String {
    columns(series.len())
        .map(|bins| {
            let level = mean(&series[bins]);
            if level.is_nan() { ' ' } else { LEVELS[eighth(level, most)] }
        })
        .collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
fn eighth(level: f64, most: f64) -> usize {
    if most > 0.0 { (7.0 * level / most).round().clamp(0.0, 7.0) as usize } else { 0 }
}

/// The bins behind each column.
fn columns(bins: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let columns = bins.min(COLUMNS);
    (0..columns).map(move |column| column * bins / columns..(column + 1) * bins / columns)
}

/// Where sections begin, and as much of what they are as fits in: senders and hogs.
fn marks(sections: &[SectionMark], trial: &Measured) -> String {
    let bins = trial.throughput.len();
    let mut line = vec![' '; bins.min(COLUMNS)];
    let column = |bin: usize| columns(bins).position(|range| range.contains(&bin));
    for (index, section) in sections.iter().enumerate() {
        let Some(start) = column(section.first_bin) else { continue };
        let end = sections.get(index + 1).and_then(|next| column(next.first_bin));
        let hogs = format!("{} hog{}", section.hogs, if section.hogs == 1 { "" } else { "s" });
        let told = section.name.clone().unwrap_or(hogs);
        let places = &mut line[start..end.unwrap_or(bins.min(COLUMNS)).max(start)];
        places.iter_mut().zip(format!("|{told}").chars()).for_each(|(place, sign)| *place = sign);
    }
    line.into_iter().collect::<String>().trim_end().into()
}

fn per_second(values: &[u64], trial: &Measured) -> Vec<f64> {
    #[expect(clippy::cast_precision_loss, reason = "no bin holds 2^53 calls or bytes")]
    over_time(values.iter().map(|&value| value as f64), trial)
}

fn over_time(values: impl Iterator<Item = f64>, trial: &Measured) -> Vec<f64> {
    let seconds = trial.edges.windows(2).map(|edge| edge[1].since(edge[0]).as_secs());
    values.zip(seconds).map(|(value, seconds)| value / seconds).collect()
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

    #[test]
    fn a_line_has_a_mark_per_column_and_none_where_nothing_is_known() {
        assert_eq!(sparks(&[0.0, 3.5, 7.0, f64::NAN], 7.0), "▁▅█ ");
        // 144 bins: two per column.
        let steps: Vec<f64> = (0..144).map(|bin| if bin < 72 { 0.0 } else { 2.0 }).collect();
        let line = sparks(&steps, 2.0);
        assert_eq!(line, format!("{}{}", "▁".repeat(36), "█".repeat(36)));
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
