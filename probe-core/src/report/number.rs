//! Numbers as people read them: with a sign if it is a direction, and without digits that their
//! interval makes meaningless.

use crate::model::{
    figure::{Estimate, Figure, Platform},
    loss::Loss,
};

/// How the numbers of a figure are printed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Style {
    /// Whether values above zero have a `+`.
    pub(super) signed: bool,
    /// Digits after the decimal point; `None` for two digits of the interval's half width.
    pub(super) decimals: Option<usize>,
}

impl Style {
    /// A difference from the baseline.
    pub(super) const DIFFERENCE: Self = Self { signed: true, decimals: None };
    /// A quantity by itself.
    pub(super) const LEVEL: Self = Self { signed: false, decimals: None };
    /// A correlation, or the part of one that remains.
    pub(super) const CORRELATION: Self = Self { signed: false, decimals: Some(3) };
    /// A difference of correlations.
    pub(super) const CORRELATIONS: Self = Self { signed: true, decimals: Some(3) };

    fn decimals(self, estimate: &Estimate) -> usize {
        let half_width = match (estimate.lo, estimate.hi) {
            (Some(lo), Some(hi)) if hi > lo => (hi - lo) / 2.0,
            // Without an interval, or without scatter: three digits of the number itself.
            _ => estimate.estimate.abs() / 10.0,
        };
        self.decimals.unwrap_or_else(|| decimals_for(half_width))
    }
}

/// Digits after the decimal point that show two digits of `width`, at most two.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2")]
fn decimals_for(width: f64) -> usize {
    if width > 0.0 { (1.0 - width.log10().floor()).clamp(0.0, 2.0) as usize } else { 0 }
}

/// A figure in three parts: the estimate, `[lo, hi]`, and `n 10, d 0.3`. `None` if it has no
/// number.
pub(super) fn parts(figure: &Figure, style: Style) -> Option<[String; 3]> {
    let estimate = figure.known()?;
    let decimals = style.decimals(estimate);
    let number = |value: f64, signed: bool| {
        // A value that rounds to zero has no sign.
        let value = if value.abs() < 0.5 / 10_f64.powi(decimals as i32) { 0.0 } else { value };
        if signed && value > 0.0 {
            format!("+{value:.decimals$}")
        } else {
            format!("{value:.decimals$}")
        }
    };
    let interval = match (estimate.lo, estimate.hi) {
        (Some(lo), Some(hi)) => format!("[{}, {}]", number(lo, false), number(hi, false)),
        _ => "no interval".into(),
    };
    let smallest = estimate.detectable.map(|effect| format!(", d {}", number(effect, false)));
    Some([
        number(estimate.estimate, style.signed),
        interval,
        format!("n {}{}", estimate.n, smallest.unwrap_or_default()),
    ])
}

/// The smallest effect that would have been detected, with the digits of the figure.
pub(super) fn detectable(estimate: &Estimate, style: Style) -> Option<String> {
    let decimals = style.decimals(estimate);
    estimate.detectable.map(|effect| format!("{effect:.decimals$}"))
}

pub(super) fn loss(loss: Loss) -> String {
    match loss {
        Loss::Exact(n) => n.to_string(),
        Loss::AtLeast(n) => format!("at least {n}"),
        Loss::Unknown => "unknown".into(),
    }
}

/// The unit of times on this clock.
pub(super) fn nanoseconds(platform: Option<Platform>) -> &'static str {
    match platform {
        Some(Platform::Counted) => "counted ns",
        Some(_) | None => "ns",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{figure::Basis, reason::Reason};

    fn figure(estimate: f64, interval: Option<(f64, f64)>) -> Figure {
        Figure::Known(Estimate {
            estimate,
            lo: interval.map(|(lo, _)| lo),
            hi: interval.map(|(_, hi)| hi),
            n: 5,
            detectable: interval.map(|(lo, hi)| hi - lo),
            platform: Platform::Native,
            basis: Basis::Blocks,
            p: None,
            notes: Vec::new(),
        })
    }

    #[test]
    fn digits_follow_the_interval() {
        let text = |estimate, lo, hi| {
            parts(&figure(estimate, Some((lo, hi))), Style::DIFFERENCE).unwrap().join(" ")
        };
        assert_eq!(text(500.0, 475.2, 524.8), "+500 [475, 525] n 5, d 50");
        assert_eq!(text(-3.1449, -4.0, -2.3), "-3.14 [-4.00, -2.30] n 5, d 1.70");
        assert_eq!(text(0.001, -0.9, 0.9), "0.00 [-0.90, 0.90] n 5, d 1.80");
        assert_eq!(text(7.0, 7.0, 7.0), "+7.00 [7.00, 7.00] n 5, d 0.00");
    }

    #[test]
    fn what_is_missing_is_said() {
        let text = parts(&figure(123.456, None), Style::LEVEL).unwrap().join("|");
        assert_eq!(text, "123|no interval|n 5");
        assert_eq!(parts(&Figure::null(Reason::NoTrials), Style::LEVEL), None);
        let text = parts(&figure(-0.0001, Some((-0.4, 0.4))), Style::CORRELATIONS).unwrap();
        assert_eq!(text[0], "0.000");
        assert_eq!(loss(Loss::AtLeast(3)), "at least 3");
        assert_eq!(loss(Loss::Unknown), "unknown");
    }
}
