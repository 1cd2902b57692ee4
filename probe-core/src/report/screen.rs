//! The answer on one screen: one line per method, the cheapest first, the conclusion, and where to
//! find the rest.

use super::{
    caveats,
    columns::{OfMethods, id},
    lines::paragraph,
    number::{Style, loss, nanoseconds, parts},
    table::Table,
    text::header,
    verdict,
};
use crate::analysis::figures::table::{KERNEL_NS_PER_EVENT, R_RETAINED, SYSTEM_CPU_PCT};
use crate::model::{
    campaign::{Campaign, MethodSummary},
    figure::{Figure, Platform},
};

/// Width of a method's id, in columns.
const ID: usize = 24;

/// The screen.
pub fn render(campaign: &Campaign) -> String {
    let known = |method: &MethodSummary| cost(method).known().map_or(f64::MAX, |c| c.estimate);
    let judged = |method: &&MethodSummary| match cost(method) {
        // Nothing was measured under it.
        Figure::Null(_) if method.id.is_off_again() => false,
        _ => !method.id.is_off(),
    };
    let mut methods: Vec<_> = campaign.summary.methods.iter().filter(judged).collect();
    methods.sort_by(|a, b| known(a).total_cmp(&known(b)));
    let mut text = header(campaign);
    if let Some(warning) = caveats::logging(&campaign.design) {
        text.push_str(&paragraph("", &warning));
    }
    if !methods.is_empty() {
        text.push_str(&format!("\n{}", lines(methods).text()));
    }
    text.push('\n');
    text.push_str(&verdict::text::render(campaign));
    let untold = caveats::list(campaign).len();
    text.push_str(&paragraph(
        "",
        &format!(
            "`tracetoll report --full RESULT` prints all tables, and {untold} things that this run \
             cannot tell."
        ),
    ));
    text
}

fn lines(methods: Vec<&MethodSummary>) -> Table<'_, &MethodSummary> {
    let clock = methods.iter().find_map(|method| Some(cost(method).known()?.platform));
    let least = least(&methods);
    let columns = vec![
        id().within(ID),
        OfMethods::new(nanoseconds(clock), |method| {
            let parts = parts(cost(method), Style::DIFFERENCE);
            parts.map(|[value, interval, _]| format!("{value} {interval}")).into()
        })
        .unit("per call"),
        OfMethods::new("times", move |method| {
            let times = || {
                let cost = cost(method).known().filter(|_| !method.id.is_off_again())?;
                Some(format!("{:.1}", cost.estimate / least?))
            };
            times().into()
        })
        .unit("least"),
        OfMethods::new("busy CPUs", |method| {
            estimate(method.overhead.of(SYSTEM_CPU_PCT), Style::DIFFERENCE).into()
        })
        .unit("+ points"),
        OfMethods::new("lost", |method| {
            method.events.recorded.map(|_| loss(method.events.lost)).into()
        }),
        OfMethods::new("r kept", |method| {
            estimate(method.fidelity.figures.of(R_RETAINED), Style::CORRELATION).into()
        }),
    ];
    Table::new(methods, columns)
}

fn cost(method: &MethodSummary) -> &Figure {
    method.overhead.of(KERNEL_NS_PER_EVENT)
}

fn estimate(figure: &Figure, style: Style) -> Option<String> {
    parts(figure, style).map(|[value, ..]| value)
}

/// The least cost of a method, where costs of this clock have an order and each is more than
/// nothing. The A/A control is none.
fn least(methods: &[&MethodSummary]) -> Option<f64> {
    let mut least: Option<f64> = None;
    let judged = methods.iter().filter(|method| !method.id.is_off_again());
    for found in judged.filter_map(|method| cost(method).known()) {
        let ordered =
            matches!(found.platform, Platform::Native | Platform::Virtual | Platform::Counted);
        if !ordered || found.lo.is_none_or(|lo| lo <= 0.0) {
            return None;
        }
        least = Some(least.map_or(found.estimate, |least| least.min(found.estimate)));
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::fixture::campaign;

    #[test]
    fn the_answer_fits_one_screen() {
        let text = render(&campaign());
        assert!(text.lines().count() <= 40, "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_line_of_the_table_has_80_columns_at_most() {
        let mut campaign = campaign();
        for method in &mut campaign.summary.methods {
            if let Figure::Known(found) = method.overhead.of_mut(KERNEL_NS_PER_EVENT) {
                (found.estimate, found.lo, found.hi) = (12345.0, Some(-1234.0), Some(23456.0));
            }
        }
        let methods: Vec<_> = campaign.summary.methods.iter().collect();
        let table = lines(methods).text();
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert!(table.contains("times"), "{table}");
    }

    #[test]
    fn costs_that_may_be_nothing_have_no_ratio() {
        let mut campaign = campaign();
        let of = |campaign: &Campaign| least(&campaign.summary.methods.iter().collect::<Vec<_>>());
        assert!(of(&campaign).is_some());
        for method in &mut campaign.summary.methods {
            if let Figure::Known(found) = method.overhead.of_mut(KERNEL_NS_PER_EVENT) {
                found.lo = Some(-1.0);
            }
        }
        assert_eq!(of(&campaign), None);
    }
}
