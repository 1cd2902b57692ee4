//! The rows: each figure of a method, defined once.

use super::{Definition, Unit, Value, Worse};
use crate::{
    analysis::{
        correlation::Coefficient,
        estimate::{Bounds, Scale},
        latency::{self, MAX, P50, P90, P99, P99_9},
        overhead,
        view::{BinQuantity, Rating, Side},
        within::Within,
    },
    model::trial::Pace,
};

/// Makes a constant of each row, and a list of all rows in the group.
macro_rules! figures {
    ($(#[$about:meta])* $group:ident: $(
        $constant:ident = $name:literal, $title:literal, $unit:ident, $worse:ident, $scale:expr,
        $value:expr, $definition:literal;
    )+) => {
        $(
            #[doc = $definition]
            pub const $constant: &Definition = &Definition {
                name: $name,
                title: $title,
                unit: Unit::$unit,
                worse: Worse::$worse,
                scale: $scale,
                definition: $definition,
                value: $value,
            };
        )+
        $(#[$about])*
        pub const $group: &[&Definition] = &[$($constant),+];
    };
}

const LEVEL: Scale = Scale::Level(Bounds::Positive);
const SHARE: Scale = Scale::Level(Bounds::None);
const R: Scale = Scale::Level(Bounds::Correlation);
const CHANCE: Scale = Scale::Level(Bounds::Probability);
const RATIO: Scale = Scale::PerCentOfControl;

figures! {
    /// What a method costs.
    OVERHEAD:
    KERNEL_NS_PER_EVENT = "kernel_ns_per_event", "kernel, per call", Ns, Up, Scale::Difference,
        Value::PerCall(overhead::worker_ns_per_kick_more),
        "CPU time of the vhost workers per kick above that under `off`, in the closed loop (one \
         frame in flight, one call of `handle_tx` per kick): `W_m/C_m - W_0/C_0`.";
    WORKER_CPU_PCT = "worker_cpu_pct", "worker, per frame", PerCentOfControl, Up, RATIO,
        Value::Change(Pace::Paced, overhead::worker_ns_per_frame_ratio),
        "Change of the workers' CPU time per frame, at fixed offered load: `100 (exp(mean \
         ln((W_m/F_m) / (W_0/F_0))) - 1)`.";
    READER_CPU_PCT = "reader_cpu_pct", "reader", PerCent, Up, LEVEL,
        Value::Level(overhead::reader_pct),
        "CPU time of the method's own threads and processes / elapsed time, in per cent of one \
         CPU, at fixed load.";
    AFTER_S_PER_S = "after_s_per_s", "afterwards", SecondsPerSecond, Up, LEVEL,
        Value::Level(overhead::after_s_per_s),
        "CPU time of the method after the load / elapsed time of the load: the cost of turning \
         records into counts.";
    SYSTEM_CPU_PCT = "system_cpu_pct", "system", PerCent, Up, Scale::Difference,
        Value::Change(Pace::Paced, overhead::busy_pct_more),
        "Change of the time that any task ran, in percentage points of all CPUs, at fixed load: \
         `100 (S_m/T_m - S_0/T_0) / CPUs`.";
    THROUGHPUT_PCT = "throughput_pct", "throughput", PerCentOfControl, Down, RATIO,
        Value::Change(Pace::Saturated, overhead::bytes_per_second_ratio),
        "Change of the bytes that the sink receives per second, when saturated: `100 (exp(mean \
         ln(θ_m/θ_0)) - 1)`.";
    LATENCY_P50_US = "latency_p50_us", "latency, 50 %", Micros, Up, LEVEL,
        Value::LevelOfAll(|trial| latency::micros(trial, P50)),
        "Time from when a frame was due until the sink has it, at fixed load, for `off` too: half \
         of the frames of a trial take at most this long, averaged over blocks.";
    LATENCY_P90_US = "latency_p90_us", "latency, 90 %", Micros, Up, LEVEL,
        Value::LevelOfAll(|trial| latency::micros(trial, P90)), "The same for 90 % of the frames.";
    LATENCY_P99_US = "latency_p99_us", "latency, 99 %", Micros, Up, LEVEL,
        Value::LevelOfAll(|trial| latency::micros(trial, P99)), "The same for 99 % of the frames.";
    LATENCY_P99_9_US = "latency_p99_9_us", "latency, 99.9 %", Micros, Up, LEVEL,
        Value::LevelOfAll(|trial| latency::micros(trial, P99_9)), "The same for 99.9 % of the frames.";
    LATENCY_MAX_US = "latency_max_us", "latency, longest", Micros, Up, LEVEL,
        Value::LevelOfAll(|trial| latency::micros(trial, MAX)), "The longest time of a trial, \
                                                                 averaged over blocks.";
    LATENCY_P50_PCT = "latency_p50_pct", "latency, 50 %", PerCentOfControl, Up, RATIO,
        Value::Change(Pace::Paced, |pair| latency::ratio(pair, P50)),
        "Change of the median `q`: `100 (exp(mean ln(q_m/q_0)) - 1)`.";
    LATENCY_P90_PCT = "latency_p90_pct", "latency, 90 %", PerCentOfControl, Up, RATIO,
        Value::Change(Pace::Paced, |pair| latency::ratio(pair, P90)), "The same for 90 % of the frames.";
    LATENCY_P99_PCT = "latency_p99_pct", "latency, 99 %", PerCentOfControl, Up, RATIO,
        Value::Change(Pace::Paced, |pair| latency::ratio(pair, P99)), "The same for 99 % of the frames.";
    LATENCY_P99_9_PCT = "latency_p99_9_pct", "latency, 99.9 %", PerCentOfControl, Up, RATIO,
        Value::Change(Pace::Paced, |pair| latency::ratio(pair, P99_9)), "The same for 99.9 % of the frames.";
    LATENCY_MAX_PCT = "latency_max_pct", "latency, longest", PerCentOfControl, Up, RATIO,
        Value::Change(Pace::Paced, |pair| latency::ratio(pair, MAX)), "The same for the longest.";
    MEMORY_KIB = "memory_kib", "kernel memory", Kib, Up, LEVEL,
        Value::Level(overhead::memory_kib),
        "Kernel memory of the method's buffers, maps and programs, as the kernel accounts for it, \
         at fixed load.";
    READ_KIB_PER_S = "read_kib_per_s", "read from the kernel", KibPerSecond, Up, LEVEL,
        Value::Level(overhead::read_kib_per_s),
        "What the reader reads from the kernel / elapsed time, at fixed load.";
    WAKEUPS_PER_S = "wakeups_per_s", "reader's wake-ups", PerSecond, Up, LEVEL,
        Value::Level(overhead::wakeups_per_s),
        "Voluntary context switches of the method's own thread / elapsed time, at fixed load; null \
         if it has processes.";
}

figures! {
    /// What a method costs on a smaller target.
    SIZE:
    KERNEL_NS_PER_KICK = "kernel_ns_per_kick", "kernel, per kick", Ns, Up, Scale::Difference,
        Value::PerCall(overhead::worker_ns_per_kick_more),
        "Like `kernel_ns_per_event`, but on only the first functions of the target, however many \
         of their calls one kick makes.";
}

const RAW: Rating = Rating { r: Coefficient::Pearson, window: 1 };
const RANKS: Rating = Rating { r: Coefficient::Spearman, window: 1 };
const SMOOTH: Rating = Rating { r: Coefficient::Pearson, window: usize::MAX };

figures! {
    /// What a method still shows.
    FIDELITY:
    R_0 = "r_0", "r_0", Correlation, Down, R,
        Value::Bins(BinQuantity::R0, RAW),
        "`r(w, θ)` under `off`: the true correlation.";
    R_W = "r_w", "r_w", Correlation, Down, R,
        Value::Bins(BinQuantity::Rw, RAW),
        "`r(w, θ)` under the method: the true correlation while it runs.";
    R_M = "r_m", "r_m", Correlation, Down, R,
        Value::Bins(BinQuantity::Rm, RAW),
        "`r(m, θ)`: what the method shows.";
    PERTURBATION = "perturbation", "perturbation", Correlation, Up, Scale::Difference,
        Value::Bins(BinQuantity::Perturbation, RAW),
        "`r_0 - r_w`: how much the method changed what it looks at.";
    OBSERVATION_LOSS = "observation_loss", "observation loss", Correlation, Up, Scale::Difference,
        Value::Bins(BinQuantity::ObservationLoss, RAW),
        "`r_w - r_m`: how much of it the method does not see.";
    FIDELITY_LOSS = "fidelity_loss", "fidelity loss", Correlation, Up, Scale::Difference,
        Value::Bins(BinQuantity::FidelityLoss, RAW),
        "`r_0 - r_m`, their sum.";
    R_RETAINED = "r_retained", "r_m / r_0", Correlation, Down, SHARE,
        Value::Bins(BinQuantity::Retained, RAW),
        "`mean r_m / mean r_0`: what is left. Null where `r_0` may be below 0.2.";
    SERIES_ERROR = "series_error", "series error", Correlation, Up, LEVEL,
        Value::Bins(BinQuantity::SeriesError, RAW),
        "`Σ|s·m - w| / Σw`; `s` is the method's declared sampling factor, never fitted.";
    R_CALLS = "r_calls", "r with calls", Correlation, Down, R,
        Value::Bins(BinQuantity::Within(Within::Calls), RAW),
        "`r(m, w)` within sections: whether the method shows the calls.";
    R_WITHIN_W = "r_within_w", "r_w within", Correlation, Down, R,
        Value::Bins(BinQuantity::Within(Within::R(Side::ReferenceCounter)), RAW),
        "`r(w, θ)` within sections, under the method; of `off` too.";
    R_WITHIN = "r_within", "r_m within", Correlation, Down, R,
        Value::Bins(BinQuantity::Within(Within::R(Side::Method)), RAW),
        "`r(m, θ)` within sections: whether what the method shows tells the throughput.";
    WITHIN_LOSS = "within_loss", "loss within", Correlation, Up, Scale::Difference,
        Value::Bins(BinQuantity::Within(Within::RLoss), RAW),
        "`r_within_w - r_within`, of the same trial.";
    BITS_PER_BIN = "bits_per_bin", "bits per bin", Bits, Down, SHARE,
        Value::Bins(BinQuantity::Within(Within::Bits), RAW),
        "`-½ log2(1 - r²)` of `r_within`, less its bias by chance: bits that a bin of `m` tells \
         of `θ` at least, if `θ` scatters normally, and equally, within all sections.";
    DETECTION_W = "detection_w", "detection by calls", Correlation, Down, CHANCE,
        Value::Bins(BinQuantity::Within(Within::Detection(Side::ReferenceCounter)), RAW),
        "The same as `detection`, of `w`; of `off` too.";
    DETECTION = "detection", "detection", Correlation, Down, CHANCE,
        Value::Bins(BinQuantity::Within(Within::Detection(Side::Method)), RAW),
        "Chance that `m` is less in a degraded bin than in another of its section; equal ones \
         count half.";
    DETECTION_LOSS = "detection_loss", "detection loss", Correlation, Up, Scale::Difference,
        Value::Bins(BinQuantity::Within(Within::DetectionLoss), RAW),
        "`detection_w - detection`, of the same trial.";
    LONGEST_GAP_S = "longest_gap_s", "longest gap", Seconds, Up, LEVEL,
        Value::Bins(BinQuantity::LongestGap, RAW),
        "Longest run of bins with calls in which the method recorded nothing; no interval from \
         one run.";
}

figures! {
    /// The correlations, with other coefficients.
    BESIDE:
    SPEARMAN_0 = "spearman_0", "Spearman's r_0", Correlation, Down, R,
        Value::Bins(BinQuantity::R0, RANKS), "Spearman's coefficient for `r_0`.";
    SPEARMAN_W = "spearman_w", "Spearman's r_w", Correlation, Down, R,
        Value::Bins(BinQuantity::Rw, RANKS), "Spearman's coefficient for `r_w`.";
    SPEARMAN_M = "spearman_m", "Spearman's r_m", Correlation, Down, R,
        Value::Bins(BinQuantity::Rm, RANKS), "Spearman's coefficient for `r_m`.";
    MOVING_AVERAGE_0 = "moving_average_0", "smoothed r_0", Correlation, Down, R,
        Value::Bins(BinQuantity::R0, SMOOTH),
        "`r_0` of 10 s moving averages, as the paper plots them; without interval.";
    MOVING_AVERAGE_W = "moving_average_w", "smoothed r_w", Correlation, Down, R,
        Value::Bins(BinQuantity::Rw, SMOOTH), "`r_w` of 10 s moving averages.";
    MOVING_AVERAGE_M = "moving_average_m", "smoothed r_m", Correlation, Down, R,
        Value::Bins(BinQuantity::Rm, SMOOTH), "`r_m` of 10 s moving averages.";
}

/// The rows that are also computed in wider bins.
pub const BY_WIDTH: &[&Definition] = &[R_0, R_W, R_M, SERIES_ERROR, BITS_PER_BIN];

/// Percentiles from the same trials as the first one: the same reasons keep them from being known.
pub const OTHER_PERCENTILES: &[&Definition] = &[
    LATENCY_P90_US,
    LATENCY_P99_US,
    LATENCY_P99_9_US,
    LATENCY_MAX_US,
    LATENCY_P90_PCT,
    LATENCY_P99_PCT,
    LATENCY_P99_9_PCT,
    LATENCY_MAX_PCT,
];

/// All figures, by their place in a method's summary.
pub const ALL: [(&str, &[&Definition]); 4] = [
    ("overhead", OVERHEAD),
    ("by_size[]", SIZE),
    ("fidelity", FIDELITY),
    ("fidelity.beside", BESIDE),
];
