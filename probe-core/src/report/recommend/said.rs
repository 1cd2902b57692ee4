//! One method in a sentence.

use crate::{
    analysis::recommend::{
        Beside, Check, Counts, Criterion, Judged, Losses, Standing, Verdict, Wanted, Way,
    },
    model::{
        figure::{Basis, Figure},
        loss::Loss,
    },
    report::{
        grouped::Grouped,
        number::{self, Style, parts},
        reasons,
    },
};

/// The method, and why it stands where it does.
pub(super) fn of_method(judged: &Judged, wanted: &Wanted) -> String {
    let decides = |check: &Check| match judged.standing {
        Standing::Qualifies => true,
        Standing::CannotTell => matches!(check.verdict, Verdict::CannotTell { .. }),
        Standing::Disqualified => matches!(check.verdict, Verdict::Broken { .. }),
    };
    let qualifies = judged.standing == Standing::Qualifies;
    let mut told = match qualifies {
        true => everything(judged, wanted),
        false => of_checks(judged, wanted, decides),
    };
    told.extend(remarks(judged, |of| {
        qualifies || judged.checks.iter().any(|check| check.of == of && decides(check))
    }));
    // Where it cannot be told, that is among the reasons.
    if judged.standing == Standing::Disqualified && judged.failed_trials > 0 {
        told.push(format!("{} of {} trials failed", judged.failed_trials, judged.trials));
    }
    format!("{}: {}.", judged.method, told.join("; "))
}

/// The checks that decide; figures that are not there for one reason stand together.
fn of_checks(judged: &Judged, wanted: &Wanted, decides: impl Fn(&Check) -> bool) -> Vec<String> {
    let mut absent = Grouped::default();
    let mut told = Vec::new();
    for check in judged.checks.iter().filter(|check| decides(check)) {
        match (&check.verdict, figure_of(check.of, judged)) {
            (Verdict::CannotTell { why, .. }, Some(Figure::Null(_))) => {
                absent.add(&reasons::doubt(why), name(check.of), String::new());
            }
            _ => told.push(of_check(check, judged, wanted)),
        }
    }
    told.extend(
        absent.into_groups().map(|group| format!("{}: {}", group.names.join(", "), group.text)),
    );
    told
}

/// What qualifies the figures that are told.
fn remarks(judged: &Judged, is_told: impl Fn(Criterion) -> bool) -> Vec<String> {
    let mut all = Grouped::default();
    for of in Criterion::BY_INTERVAL {
        let figure = figure_of(of, judged).filter(|_| is_told(of)).and_then(Figure::known);
        let notes = figure.into_iter().flat_map(|found| &found.notes);
        for note in notes {
            all.add(&reasons::note(note), name(of), String::new());
        }
    }
    all.into_groups().map(|group| format!("{}: {}", group.names.join(", "), group.text)).collect()
}

fn figure_of(of: Criterion, judged: &Judged) -> Option<&Figure> {
    match of {
        Criterion::Cpu => Some(&judged.cost.cpu_pct),
        Criterion::ThroughputLoss => Some(&judged.throughput_pct),
        Criterion::RRetained => Some(&judged.r_retained),
        Criterion::DetectionLoss => Some(&judged.detection_loss),
        Criterion::Sound | Criterion::Need(_) | Criterion::Loss => None,
    }
}

/// All figures of a method with nothing against it.
fn everything(judged: &Judged, wanted: &Wanted) -> Vec<String> {
    let instead = judged.shows_instead.as_ref().map(|item| format!("it shows {item}, not calls"));
    let like = match judged.beside_the_first {
        Beside::First | Beside::Behind => None,
        Beside::Alike => Some("not told from the first".to_owned()),
        Beside::NotComparable => Some("cannot be compared with the first".to_owned()),
    };
    let figures = [cpu(judged, wanted), throughput(judged), retained(judged)];
    let detection = wanted.max_detection_loss.map(|_| detection(judged));
    let lost = std::iter::once(losses(&judged.losses));
    figures.into_iter().chain(detection).chain(lost).chain(instead).chain(like).collect()
}

/// One check with its figure.
fn of_check(check: &Check, judged: &Judged, wanted: &Wanted) -> String {
    let figure = match check.of {
        Criterion::Sound | Criterion::Need(_) => None,
        Criterion::Cpu => Some(cpu(judged, wanted)),
        Criterion::ThroughputLoss => Some(throughput(judged)),
        Criterion::RRetained => Some(retained(judged)),
        Criterion::DetectionLoss => Some(detection(judged)),
        Criterion::Loss => Some(losses(&judged.losses)),
    };
    match (&check.verdict, figure) {
        (Verdict::Met, figure) => figure.unwrap_or_default(),
        (Verdict::Broken { why }, None) => why.clone(),
        (Verdict::Broken { why }, Some(figure)) if check.of == Criterion::Loss => {
            format!("{figure}: {why}, {}", beyond(check.of, wanted))
        }
        (Verdict::Broken { .. }, Some(figure)) => format!("{figure}: {}", beyond(check.of, wanted)),
        (Verdict::CannotTell { why, more_blocks }, figure) => {
            let figure = figure.map_or_else(String::new, |figure| format!("{figure}: "));
            format!("{figure}{}{}", reasons::doubt(why), more(*more_blocks))
        }
    }
}

fn more(blocks: Option<u64>) -> String {
    match blocks {
        None => String::new(),
        Some(1) => "; run 1 more block".into(),
        Some(blocks) => format!("; run about {blocks} more blocks"),
    }
}

fn name(of: Criterion) -> &'static str {
    match of {
        Criterion::Cpu => "CPU",
        Criterion::ThroughputLoss => "throughput",
        Criterion::RRetained => "r_retained",
        Criterion::DetectionLoss => "detection_loss",
        Criterion::Sound | Criterion::Need(_) | Criterion::Loss => "",
    }
}

/// Which limit is not kept.
fn beyond(of: Criterion, wanted: &Wanted) -> String {
    let (word, limit, unit) = match of {
        Criterion::Cpu => ("above", wanted.max_cpu_pct, " %"),
        Criterion::ThroughputLoss => ("a loss above", wanted.max_throughput_loss_pct, " %"),
        Criterion::RRetained => ("below", wanted.min_r_retained, ""),
        Criterion::DetectionLoss => ("above", wanted.max_detection_loss, ""),
        Criterion::Loss => ("above", wanted.max_loss_pct, " %"),
        Criterion::Sound | Criterion::Need(_) => return String::new(),
    };
    format!("{word} {}{unit}", limit.unwrap_or_default())
}

/// At which load the CPU time is.
pub(super) fn at(wanted: &Wanted) -> String {
    wanted.calls_per_s.map_or_else(|| " at the paced load".into(), |rate| format!(" at {rate}"))
}

/// The CPU time with its parts.
pub(super) fn cpu(judged: &Judged, wanted: &Wanted) -> String {
    let cost = &judged.cost;
    let Some(found) = of_figure(&cost.cpu_pct, Style::LEVEL) else {
        return "CPU not known".into();
    };
    let part = |name: &&str| Some(format!("{name} {}", short(*cost.parts.get(name)?)));
    let parts: Vec<String> = cost.way.parts().iter().filter_map(part).collect();
    let load = match cost.way {
        Way::Profiler => " at any rate".to_owned(),
        Way::Measured | Way::Scaled { .. } => at(wanted),
    };
    let beyond = match cost.beyond_one_worker {
        true => ", which cannot be had from one worker",
        false => "",
    };
    format!("CPU {found} % of one CPU{load} ({}){beyond}", parts.join(", "))
}

/// Without digits that say nothing.
fn short(pct: f64) -> String {
    let text = format!("{pct:.2}");
    if text == "-0.00" { "0.00".into() } else { text }
}

fn throughput(judged: &Judged) -> String {
    let found = of_figure(&judged.throughput_pct, Style::DIFFERENCE);
    found.map_or("throughput not known".into(), |found| format!("throughput {found} %"))
}

/// What is left of the correlation.
pub(super) fn retained(judged: &Judged) -> String {
    let found = of_figure(&judged.r_retained, Style::CORRELATION);
    found.map_or("r_retained not known".into(), |found| format!("r_retained {found}"))
}

/// How much worse it tells a degraded bin.
fn detection(judged: &Judged) -> String {
    let found = of_figure(&judged.detection_loss, Style::CORRELATION);
    found.map_or("detection_loss not known".into(), |found| format!("detection_loss {found}"))
}

/// The estimate with its interval, or that there is none.
fn of_figure(figure: &Figure, style: Style) -> Option<String> {
    let [estimate, interval, _] = parts(figure, style)?;
    let within = figure.known()?.basis == Basis::WithinRun;
    let within = if within { " within one run" } else { "" };
    Some(match interval.starts_with('[') {
        true => format!("{estimate} {interval}{within}"),
        false => format!("{estimate} ({interval})"),
    })
}

fn losses(losses: &Losses) -> String {
    let Counts { recorded, probed, lost, missed, unaccounted, .. } = losses.all;
    if (lost, missed, unaccounted) == (Loss::NONE, Loss::NONE, 0) {
        if probed == 0 {
            return "nothing recorded".into();
        }
        return format!("nothing lost or missed of {probed}");
    }
    let unaccounted = match unaccounted {
        0 => String::new(),
        n => format!(", {n} not accounted for"),
    };
    format!(
        "lost {}, missed {}{unaccounted}, {recorded} recorded",
        number::loss(lost),
        number::loss(missed)
    )
}
