//! Positions of values along an axis, and its ticks.

/// Maps values to positions on a line of the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AxisScale {
    domain: [f64; 2],
    range: [f64; 2],
    kind: ScaleKind,
}

/// How values are distributed along the axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScaleKind {
    Linear,
    /// By logarithm; all values are above zero.
    Log,
}

/// The least and the greatest of some values; values that are not numbers are ignored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extent(pub(crate) f64, pub(crate) f64);

impl Extent {
    /// `None` if no value is a number.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        values.into_iter().filter(|value| value.is_finite()).fold(
            None,
            |found, value| match found {
                None => Some(Self(value, value)),
                Some(Self(least, greatest)) => Some(Self(least.min(value), greatest.max(value))),
            },
        )
    }

    /// The same, extended to include `value`.
    #[must_use]
    pub(crate) fn with(self, value: f64) -> Self {
        Self(self.0.min(value), self.1.max(value))
    }

    /// An extent with some width even if all values are the same.
    fn opened(self) -> Self {
        let Self(least, greatest) = self;
        if greatest > least {
            return self;
        }
        if least == 0.0 {
            return Self(0.0, 1.0);
        }
        let room = least.abs() / 10.0;
        Self(least - room, greatest + room)
    }
}

impl AxisScale {
    /// Even, from one tick to another, with about so many between.
    pub(crate) fn linear(extent: Extent, range: [f64; 2], about: f64) -> Self {
        let Extent(least, greatest) = extent.opened();
        let step = step(greatest - least, about);
        let domain = [(least / step).floor() * step, (greatest / step).ceil() * step];
        Self { domain, range, kind: ScaleKind::Linear }
    }

    /// Linear, no wider than the values.
    pub(crate) fn tight(extent: Extent, range: [f64; 2]) -> Self {
        let Extent(least, greatest) = extent.opened();
        Self { domain: [least, greatest], range, kind: ScaleKind::Linear }
    }

    /// Logarithmic; values that are not above zero are drawn at the least value that is.
    pub(crate) fn log(extent: Extent, range: [f64; 2]) -> Self {
        let Extent(least, greatest) = extent;
        let least = if least > 0.0 { least } else { (greatest / 1e3).max(f64::MIN_POSITIVE) };
        let greatest = if greatest > least { greatest } else { 10.0 * least };
        Self { domain: [least / 1.05, greatest * 1.05], range, kind: ScaleKind::Log }
    }

    /// The position of a value; beyond the ends, that of the end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let [from, to] = self.domain.map(|end| self.spread(end));
        let part = (self.spread(value.clamp(self.domain[0], self.domain[1])) - from) / (to - from);
        self.range[0] + part * (self.range[1] - self.range[0])
    }

    fn spread(&self, value: f64) -> f64 {
        match self.kind {
            ScaleKind::Linear => value,
            ScaleKind::Log => value.ln(),
        }
    }

    /// About `about` round values, with their labels.
    pub(crate) fn ticks(&self, about: f64) -> Vec<(f64, String)> {
        let [from, to] = self.domain;
        match self.kind {
            ScaleKind::Linear => {
                let step = step(to - from, about);
                let first = (from / step - 1e-9).ceil();
                let last = (to / step + 1e-9).floor();
                let values = (0..).map(|n| first + f64::from(n)).take_while(|&n| n <= last);
                values.map(|n| (n * step, label(n * step, step))).collect()
            }
            ScaleKind::Log => {
                let leads: &[f64] =
                    if (to / from).log10() < 1.7 { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let exponents = whole(from.log10().floor())..=whole(to.log10().ceil());
                let all =
                    exponents.flat_map(|n| leads.iter().map(move |lead| lead * 10_f64.powi(n)));
                let inside = all.filter(|value| (from..=to).contains(value));
                inside.map(|value| (value, label(value, value))).collect()
            }
        }
    }
}

/// The round step (1, 2 or 5 times a power of ten) that divides `span` into about `about` parts.
fn step(span: f64, about: f64) -> f64 {
    let raw = span / about.max(1.0);
    let power = 10_f64.powf(raw.log10().floor());
    let lead = raw / power;
    let round = [1.0, 2.0, 5.0].into_iter().find(|&round| lead <= round * 1.000_001);
    round.unwrap_or(10.0) * power
}

/// A tick's label, with as many digits as the step has.
pub(crate) fn label(value: f64, step: f64) -> String {
    // A value that rounds to zero has no sign.
    let value = if value.abs() < step.abs() * 1e-6 { 0.0 } else { value };
    for (from, unit) in [(1e9, "G"), (1e6, "M"), (1e4, "k")] {
        if value.abs() >= from {
            let unit_size = if from == 1e4 { 1e3 } else { from };
            let (value, step) = (value / unit_size, step / unit_size);
            return format!("{value:.*}{unit}", decimals(step));
        }
    }
    format!("{value:.*}", decimals(step))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 9")]
fn decimals(step: f64) -> usize {
    if step > 0.0 { (-(step.log10() + 1e-9).floor()).clamp(0.0, 9.0) as usize } else { 0 }
}

#[expect(clippy::cast_possible_truncation, reason = "an exponent of ten")]
fn whole(value: f64) -> i32 {
    value as i32
}

/// A count as a floating-point number, for layout.
pub(crate) fn count(things: usize) -> f64 {
    u32::try_from(things).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &AxisScale, about: f64) -> Vec<String> {
        scale.ticks(about).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn a_linear_scale_ends_at_round_values() {
        let scale = AxisScale::linear(Extent(-3.0, 117.0), [0.0, 100.0], 5.0);
        assert_eq!(labels(&scale, 5.0), ["-50", "0", "50", "100", "150"]);
        assert_eq!(scale.at(-50.0), 0.0);
        assert_eq!(scale.at(50.0), 50.0);
        assert_eq!(scale.at(150.0), 100.0);
        // Values outside are drawn at the end.
        assert_eq!(scale.at(1e9), 100.0);
    }

    #[test]
    fn small_steps_have_digits_and_great_values_have_units() {
        let ticks = |least, greatest| {
            labels(&AxisScale::linear(Extent(least, greatest), [0.0, 1.0], 4.0), 4.0)
        };
        assert_eq!(ticks(0.91, 1.0), ["0.90", "0.95", "1.00"]);
        assert_eq!(ticks(0.0, 2.0), ["0.0", "0.5", "1.0", "1.5", "2.0"]);
        assert_eq!(ticks(0.0, 40_000.0), ["0", "10k", "20k", "30k", "40k"]);
        assert_eq!(label(1.5e6, 0.5e6), "1.5M");
        assert_eq!(label(-1e-15, 0.1), "0.0");
    }

    #[test]
    fn equal_values_still_have_a_scale() {
        for value in [0.0, 7.0, -2.0] {
            let scale = AxisScale::linear(Extent(value, value), [0.0, 10.0], 4.0);
            assert!((0.0..=10.0).contains(&scale.at(value)), "{value}");
            assert!(scale.ticks(4.0).len() >= 2, "{value}");
        }
        assert!(AxisScale::log(Extent(0.0, 0.0), [0.0, 1.0]).at(1.0).is_finite());
    }

    #[test]
    fn a_log_scale_spreads_decades_evenly() {
        let scale = AxisScale::log(Extent(1.0, 100.0), [0.0, 100.0]);
        assert!((scale.at(10.0) - 50.0).abs() < 1e-9);
        assert_eq!(labels(&scale, 5.0), ["1", "10", "100"]);
        let near = AxisScale::log(Extent(0.3, 4.0), [0.0, 100.0]);
        assert_eq!(labels(&near, 5.0), ["0.5", "1", "2"]);
    }

    #[test]
    fn what_is_no_number_has_no_extent() {
        assert_eq!(Extent::of([f64::NAN, f64::INFINITY]), None);
        assert_eq!(Extent::of([2.0, f64::NAN, -1.0]), Some(Extent(-1.0, 2.0)));
        assert_eq!(Extent(2.0, 3.0).with(0.0), Extent(0.0, 3.0));
    }
}
