//! The kernel's part of the overhead in the same unit as the reader's, so that the two can be shown
//! together.

use super::{
    estimate::Scale,
    overhead::{self, of_trials, with_load_note},
    pairs::{TrialFilter, Trials},
};
use crate::model::{figure::Figure, method::MethodId, reason::Reason, trial::Pace};

/// CPU time of the vhost workers above the baseline, for the same frames, in per cent of one CPU
/// over the time of the paced load: `100 (W_m/F_m - W_0/F_0) F_m/T_m`.
pub fn kernel_pct(trials: &Trials<'_>, method: &MethodId, seed: u64) -> Figure {
    if method.is_off() {
        return Figure::null(Reason::Baseline);
    }
    let pairs = trials.paired(TrialFilter::overhead(Pace::Paced), method).map(with_load_note);
    of_trials(pairs, Scale::Difference, overhead::kernel_pct, seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture::Lab,
        model::{figure::Platform, note::Note, trial::Part, units::Nanos},
    };

    #[test]
    fn the_workers_extra_time_in_per_cent_of_one_cpu() {
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        // 2 s: 100 and 150 µs per frame, 4000 frames, and 5000 under the method.
        for (method, frames, per_frame) in
            [("off", 4000, 100_000), ("bpf-fentry-count", 5000, 150_000)]
        {
            lab.done(0, (Part::Overhead, Pace::Paced), method, |measured| {
                measured.sent.frames = frames;
                measured.cpu.workers = vec![Nanos(frames * per_frame)];
            });
        }
        let of = |id: &str| kernel_pct(&lab.trials(), &MethodId(id.into()), 1);
        let figure = of("bpf-fentry-count");
        let found = figure.known().unwrap();
        // 50 µs for 2500 frames per second.
        assert!((found.estimate - 12.5).abs() < 1e-9, "{found:?}");
        let load = |note: &Note| matches!(note, Note::LoadDiffered { .. });
        assert!(found.notes.iter().any(load), "{found:?}");
        assert!(of("off").known().is_none() && of("ftrace-function").known().is_none());
    }
}
