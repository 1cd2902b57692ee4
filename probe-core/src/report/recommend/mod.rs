//! What to choose, for people: the answer first, then each method in a sentence, then what all of
//! it rests on.

mod notes;
mod said;

use super::lines::paragraph;
use crate::{
    analysis::recommend::{Beside, Judged, RankedBy, Recommendation, Standing, Wanted},
    model::{campaign::Run, method::Gives},
};

/// What a command begins with.
const PROMPT: &str = "  $ ";

/// The whole answer, of a campaign of these runs; lines fit into [`super::lines::WIDTH`] columns,
/// but for commands.
pub fn render(found: &Recommendation, runs: &[Run]) -> String {
    let mut text = paragraph("", &format!("scenario {}, Linux {}", found.scenario, found.kernel));
    text.push_str(&paragraph("", &format!("wanted: {}", wanted(&found.wanted))));
    text.push('\n');
    text.push_str(&paragraph("", &answer(found)));
    for (standing, title) in [
        (Standing::Qualifies, "Qualify"),
        (Standing::CannotTell, "Cannot tell"),
        (Standing::Disqualified, "Do not qualify"),
    ] {
        let of: Vec<&Judged> =
            found.methods.iter().filter(|one| one.standing == standing).collect();
        if of.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{title}{}\n", order(&of, found.ranked_by)));
        for (number, one) in (1_usize..).zip(&of) {
            let bullet = format!("{number:>2}. ");
            text.push_str(&paragraph(&bullet, &said::of_method(one, &found.wanted)));
        }
    }
    text.push_str("\nWhat this rests on\n");
    for note in notes::list(found, runs) {
        text.push_str(&paragraph("- ", &note));
    }
    if notes::asks_for_blocks(found) {
        // As they are typed, however long.
        text.push_str(&format!("\nTo measure N more blocks\n{PROMPT}{} --out MORE\n", found.again));
        text.push_str(&format!("{PROMPT}tracetoll merge --out ALL RESULT MORE\n"));
    }
    text
}

/// What the order of several is by; nothing where none of them has the figure that it would be by.
fn order(methods: &[&Judged], by: RankedBy) -> &'static str {
    let order = match by {
        RankedBy::Cpu => ", the least CPU first",
        RankedBy::Fidelity => ", the most of the correlation first",
    };
    if methods.len() > 1 && methods.iter().any(|one| one.ranked) { order } else { "" }
}

/// What is wanted, in words.
fn wanted(wanted: &Wanted) -> String {
    let Wanted { max_cpu_pct, max_throughput_loss_pct, min_r_retained, .. } = wanted;
    let Wanted { max_detection_loss, max_loss_pct, .. } = wanted;
    let needs: Vec<String> = wanted.needs.iter().map(Gives::to_string).collect();
    let needs = (!needs.is_empty()).then(|| needs.join(" and "));
    let limits = [
        max_cpu_pct.map(|max| format!("CPU at most {max} % of one CPU{}", said::at(wanted))),
        max_throughput_loss_pct.map(|max| format!("throughput loss at most {max} %")),
        min_r_retained.map(|min| format!("r_retained at least {min}")),
        max_detection_loss.map(|max| format!("detection_loss at most {max}")),
        max_loss_pct.map(|max| format!("loss at most {max} %")),
    ];
    let all: Vec<String> = needs.into_iter().chain(limits.into_iter().flatten()).collect();
    if all.is_empty() { "no limit, no need".into() } else { all.join("; ") }
}

/// What follows, first.
fn answer(found: &Recommendation) -> String {
    let of = |standing| found.methods.iter().filter(move |one| one.standing == standing);
    match (found.outcome, found.methods.first()) {
        (_, None) => {
            "Nothing can be recommended: no method that observes anything was measured.".into()
        }
        (Standing::Qualifies, Some(_)) if found.best.is_none() => format!(
            "{} methods qualify; which of them is best cannot be told: {} was measured of any.",
            of(Standing::Qualifies).count(),
            match found.ranked_by {
                RankedBy::Cpu => "no CPU time that counts",
                RankedBy::Fidelity => "no correlation of calls",
            }
        ),
        (Standing::Qualifies, Some(best)) => {
            take(best, &of(Standing::Qualifies).skip(1).collect::<Vec<_>>(), found)
        }
        (Standing::CannotTell, Some(_)) => format!(
            "Nothing can be recommended yet: no method is known to qualify, of {} it cannot be \
             told.",
            of(Standing::CannotTell).count()
        ),
        (Standing::Disqualified, Some(_)) => "No method qualifies.".into(),
    }
}

fn take(best: &Judged, others: &[&Judged], found: &Recommendation) -> String {
    let figure = match found.ranked_by {
        RankedBy::Cpu => said::cpu(best, &found.wanted),
        RankedBy::Fidelity => said::retained(best),
    };
    let instead = best.shows_instead.as_ref();
    let instead = instead.map_or_else(String::new, |item| format!(" It shows {item}, not calls."));
    if others.is_empty() {
        let id = &best.method;
        return format!("Take {id}, the only one that is known to qualify: {figure}.{instead}");
    }
    let most = match found.ranked_by {
        RankedBy::Cpu => "takes the least",
        RankedBy::Fidelity => "keeps the most of the correlation, costs aside",
    };
    let those = |beside| {
        let of = others.iter().filter(move |one| one.beside_the_first == beside);
        of.map(|one| one.method.0.as_str()).collect::<Vec<_>>()
    };
    let (alike, unlike) = (those(Beside::Alike), those(Beside::NotComparable));
    let number = others.len().saturating_sub(unlike.len()).saturating_add(1);
    let of = match (number, unlike.len()) {
        (1, _) => String::new(),
        (_, 0) => format!(" of the {number} that qualify it {most}:"),
        _ => format!(" of the {number} that qualify and can be compared it {most}:"),
    };
    let alike = match alike.as_slice() {
        [] => String::new(),
        names => format!(
            " From {} it cannot be told block by block, which does not show that they are the \
             same.",
            names.join(", ")
        ),
    };
    let unlike = match unlike.as_slice() {
        [] => String::new(),
        names => format!(" Qualified too, but it cannot be compared with: {}.", names.join(", ")),
    };
    format!("Take {}:{of} {figure}.{instead}{alike}{unlike}", best.method)
}

#[cfg(test)]
mod tests;
