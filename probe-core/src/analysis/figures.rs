//! The figures of a method by name, with what their numbers are and which way is worse.

use serde::Serialize;

use super::view::Quantity;
use crate::model::{
    campaign::MethodSummary,
    figure::{Estimate, Figure},
    figures::{FidelityFigures, TollFigures},
};

/// What a figure's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds, or counted nanoseconds.
    Ns,
    /// Per cent above or below the control: a ratio, which scatters by its logarithm.
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
    /// A correlation, a difference of such or a share of one.
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

/// Where a block's value of a figure comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    Toll(fn(&TollFigures) -> &Figure),
    /// On the first so many functions.
    Size(usize),
    /// Of this function; none is the headline's.
    Fidelity(Option<&'a str>, Quantity),
}

/// A figure of one method, with all that decides how it is compared.
#[derive(Debug, Clone)]
pub(super) struct Named<'a> {
    /// Its path in the method's summary.
    pub(super) path: String,
    pub(super) figure: &'a Figure,
    pub(super) unit: Unit,
    pub(super) worse: Worse,
    pub(super) source: Source<'a>,
}

/// Two runs of one kernel and program agree in a method's cost within this share of it, or
/// [`REPEATS_NS`] if that is more: METHODOLOGY.md, "Comparing two campaigns".
pub(super) const REPEATS: f64 = 0.02;

/// See [`REPEATS`]; counted ns.
pub(super) const REPEATS_NS: f64 = 10.0;

impl Unit {
    /// A figure's number on the scale on which blocks scatter evenly and differences are taken.
    pub(super) fn scaled(self, value: f64) -> f64 {
        match self {
            Self::PerCentOfControl => (value / 100.0).ln_1p(),
            _ => value,
        }
    }

    /// A difference from `base` on that scale, back in the figure's own unit.
    pub(super) fn unscaled(self, base: f64, difference: f64) -> f64 {
        match self {
            Self::PerCentOfControl => (100.0 + base) * difference.exp_m1(),
            _ => difference,
        }
    }

    /// Whether differences are told in per cent of the base: not of what is in per cent itself, nor
    /// of correlations.
    pub fn is_amount(self) -> bool {
        matches!(self, Self::Ns | Self::Micros | Self::Kib | Self::KibPerSecond | Self::PerSecond)
    }

    /// The widest "same": an interval that reaches further from zero tells nothing. A convention,
    /// as any such margin is.
    pub(super) fn margin(self, base: f64) -> f64 {
        match self {
            Self::Ns => (0.05 * base.abs()).max(20.0),
            Self::PerCentOfControl | Self::PerCent => 1.0,
            Self::SecondsPerSecond => 0.01,
            Self::Micros | Self::Kib | Self::KibPerSecond | Self::PerSecond => 0.05 * base.abs(),
            Self::Correlation => 0.05,
        }
    }
}

impl Named<'_> {
    /// How far two runs in the counted clock may be apart without any reason; of costs alone that
    /// is known.
    pub(super) fn repeatability(&self, base: &Estimate) -> Option<f64> {
        (self.unit == Unit::Ns).then(|| (REPEATS * base.estimate.abs()).max(REPEATS_NS))
    }
}

type Toll = (&'static str, Unit, Worse, fn(&TollFigures) -> &Figure);

const TOLL: [Toll; 19] = [
    ("kernel_ns_per_event", Unit::Ns, Worse::Up, |toll| &toll.kernel_ns_per_event),
    ("worker_cpu_pct", Unit::PerCentOfControl, Worse::Up, |toll| &toll.worker_cpu_pct),
    ("reader_cpu_pct", Unit::PerCent, Worse::Up, |toll| &toll.reader_cpu_pct),
    ("after_s_per_s", Unit::SecondsPerSecond, Worse::Up, |toll| &toll.after_s_per_s),
    ("system_cpu_pct", Unit::PerCent, Worse::Up, |toll| &toll.system_cpu_pct),
    ("throughput_pct", Unit::PerCentOfControl, Worse::Down, |toll| &toll.throughput_pct),
    ("latency_us.p50", Unit::Micros, Worse::Up, |toll| &toll.latency_us.p50),
    ("latency_us.p90", Unit::Micros, Worse::Up, |toll| &toll.latency_us.p90),
    ("latency_us.p99", Unit::Micros, Worse::Up, |toll| &toll.latency_us.p99),
    ("latency_us.p99_9", Unit::Micros, Worse::Up, |toll| &toll.latency_us.p99_9),
    ("latency_us.max", Unit::Micros, Worse::Up, |toll| &toll.latency_us.max),
    ("latency_pct.p50", Unit::PerCentOfControl, Worse::Up, |toll| &toll.latency_pct.p50),
    ("latency_pct.p90", Unit::PerCentOfControl, Worse::Up, |toll| &toll.latency_pct.p90),
    ("latency_pct.p99", Unit::PerCentOfControl, Worse::Up, |toll| &toll.latency_pct.p99),
    ("latency_pct.p99_9", Unit::PerCentOfControl, Worse::Up, |toll| &toll.latency_pct.p99_9),
    ("latency_pct.max", Unit::PerCentOfControl, Worse::Up, |toll| &toll.latency_pct.max),
    ("memory_kib", Unit::Kib, Worse::Up, |toll| &toll.memory_kib),
    ("read_kib_per_s", Unit::KibPerSecond, Worse::Up, |toll| &toll.read_kib_per_s),
    ("wakeups_per_s", Unit::PerSecond, Worse::Up, |toll| &toll.wakeups_per_s),
];

type Fidelity = (&'static str, Quantity, Worse, fn(&FidelityFigures) -> &Figure);

const FIDELITY: [Fidelity; 8] = [
    ("r_0", Quantity::R0, Worse::Down, |figures| &figures.r_0),
    ("r_w", Quantity::Rw, Worse::Down, |figures| &figures.r_w),
    ("r_m", Quantity::Rm, Worse::Down, |figures| &figures.r_m),
    ("perturbation", Quantity::Perturbation, Worse::Up, |figures| &figures.perturbation),
    ("observation_loss", Quantity::ObservationLoss, Worse::Up, |f| &f.observation_loss),
    ("fidelity_loss", Quantity::FidelityLoss, Worse::Up, |figures| &figures.fidelity_loss),
    ("r_retained", Quantity::Retained, Worse::Down, |figures| &figures.r_retained),
    ("series_error", Quantity::SeriesError, Worse::Up, |figures| &figures.series_error),
];

/// The figures of a method, those without a number included; of the control, what there is to see.
pub(super) fn of(method: &MethodSummary) -> impl Iterator<Item = Named<'_>> {
    let toll = TOLL.iter().map(|&(name, unit, worse, pick)| Named {
        path: format!("toll.{name}"),
        figure: pick(&method.toll),
        unit,
        worse,
        source: Source::Toll(pick),
    });
    // The control has no size: its row of the table is a difference from itself.
    let sizes = method.by_size.iter().filter(|_| !method.id.is_off()).map(|size| Named {
        path: format!("by_size.{}.kernel_ns_per_kick", size.functions),
        figure: &size.kernel_ns_per_kick,
        unit: Unit::Ns,
        worse: Worse::Up,
        source: Source::Size(size.functions),
    });
    let others = method.other_functions.iter().flat_map(|(name, figures)| {
        let path = format!("other_functions.{name}");
        fidelity(method, path, figures, Some(name.as_str()))
    });
    toll.chain(sizes)
        .chain(fidelity(method, "fidelity".into(), &method.fidelity, None))
        .chain(others)
}

/// `r_0` is the control's: methods have the same.
fn fidelity<'a>(
    method: &'a MethodSummary,
    above: String,
    figures: &'a FidelityFigures,
    function: Option<&'a str>,
) -> impl Iterator<Item = Named<'a>> {
    let theirs = FIDELITY.iter().filter(|(name, ..)| (*name == "r_0") == method.id.is_off());
    theirs.map(move |&(name, quantity, worse, pick)| Named {
        path: format!("{above}.{name}"),
        figure: pick(figures),
        unit: Unit::Correlation,
        worse,
        source: Source::Fidelity(function, quantity),
    })
}
