//! Units of figures, and which direction is worse.

use serde::Serialize;

use crate::analysis::estimate::Scale;

/// The unit of a figure's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds, or counted nanoseconds.
    Ns,
    /// Per cent above or below the baseline: a ratio, whose logarithm has an even scatter.
    PerCentOfControl,
    /// Per cent of a capacity: a share.
    PerCent,
    /// Seconds per second.
    SecondsPerSecond,
    /// Microseconds.
    Micros,
    /// KiB.
    Kib,
    /// KiB per second.
    KibPerSecond,
    /// Times per second.
    PerSecond,
    /// Seconds.
    Seconds,
    /// Bits.
    Bits,
    /// A correlation or a probability, a difference of such or a share of one.
    Correlation,
}

/// Which way is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Worse {
    /// More is worse.
    Up,
    /// Less is worse.
    Down,
}

impl Unit {
    /// Its text above a column; empty for a number without unit.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Ns => "ns",
            Self::PerCentOfControl => "% of off",
            Self::PerCent => "%",
            Self::SecondsPerSecond => "s per s",
            Self::Micros => "µs",
            Self::Kib => "KiB",
            Self::KibPerSecond => "KiB per s",
            Self::PerSecond => "per s",
            Self::Seconds => "s",
            Self::Bits => "bits",
            Self::Correlation => "",
        }
    }

    /// Whether differences are printed in per cent of the base: not for figures in per cent, nor
    /// for correlations.
    pub fn is_amount(self) -> bool {
        matches!(self, Self::Ns | Self::Micros | Self::Kib | Self::KibPerSecond | Self::PerSecond)
    }

    /// How far two runs of the same kernel and program in the counted clock are apart at most,
    /// whatever the number of blocks: amounts by 2 %, or 10 counted ns if that is more; others by
    /// what twelve blocks of the baseline against itself came to (tests/data/aa).
    pub(in crate::analysis) fn repeats(self, base: f64) -> f64 {
        let part = 0.02 * base.abs();
        match self {
            Self::Ns => part.max(10.0),
            Self::Micros => part.max(0.01),
            Self::Kib | Self::KibPerSecond | Self::PerSecond => part,
            Self::PerCentOfControl => 0.2,
            Self::PerCent => 0.02,
            Self::SecondsPerSecond => 0.0002,
            Self::Seconds => 0.05,
            Self::Bits | Self::Correlation => 0.01,
        }
    }

    /// The widest "same": an interval that reaches further from zero shows nothing. A convention,
    /// like any such margin.
    pub(in crate::analysis) fn margin(self, base: f64) -> f64 {
        match self {
            Self::Ns => (0.05 * base.abs()).max(20.0),
            Self::PerCentOfControl | Self::PerCent => 1.0,
            Self::SecondsPerSecond => 0.01,
            Self::Micros | Self::Kib | Self::KibPerSecond | Self::PerSecond => 0.05 * base.abs(),
            Self::Seconds => 0.1,
            Self::Bits | Self::Correlation => 0.05,
        }
    }
}

impl Scale {
    /// A figure's number on the scale on which blocks scatter evenly and differences are computed.
    pub(in crate::analysis) fn scaled(self, value: f64) -> f64 {
        match self {
            Self::PerCentOfControl => (value / 100.0).ln_1p(),
            Self::Difference | Self::Level(_) => value,
        }
    }

    /// A difference from `base` on that scale, converted back to the figure's own unit.
    pub(in crate::analysis) fn unscaled(self, base: f64, difference: f64) -> f64 {
        match self {
            Self::PerCentOfControl => (100.0 + base) * difference.exp_m1(),
            Self::Difference | Self::Level(_) => difference,
        }
    }
}
