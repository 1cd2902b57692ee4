//! Estimates how far a campaign is, and how long the rest will take.

use std::time::Duration;

use super::plan::TrialPlan;

/// The trials of a campaign by kind (a plan, or for VMs a part). Trials of one kind take about as
/// long under each method.
#[derive(Debug, Clone)]
pub struct Ahead<K = TrialPlan>(Vec<Alike<K>>);

#[derive(Debug, Clone)]
struct Alike<K> {
    plan: K,
    planned: usize,
    done: usize,
    /// Time of all that are done.
    took: Duration,
    /// Scheduled time of one trial; only its load.
    scheduled: Duration,
}

impl<K> Default for Ahead<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + PartialEq> Ahead<K> {
    /// Expects `planned` further trials of `plan`, each `scheduled` long.
    pub fn expect(&mut self, plan: K, planned: usize, scheduled: Duration) {
        self.0.push(Alike { plan, planned, done: 0, took: Duration::ZERO, scheduled });
    }

    /// Whether the number of trials of `plan` is known.
    pub fn expects(&self, plan: K) -> bool {
        self.0.iter().any(|kind| kind.plan == plan)
    }

    /// Removes this number of expected trials of `plan`.
    pub fn give_up(&mut self, plan: K, trials: usize) {
        if let Some(kind) = self.0.iter_mut().find(|kind| kind.plan == plan) {
            kind.planned = kind.planned.saturating_sub(trials);
        }
    }

    /// A trial of `plan` has ended.
    pub fn ended(&mut self, plan: K, took: Duration) {
        if let Some(kind) = self.0.iter_mut().find(|kind| kind.plan == plan) {
            kind.done += 1;
            kind.took += took;
        }
    }

    /// Number of trials that have ended.
    pub fn done(&self) -> usize {
        self.0.iter().map(|kind| kind.done).sum()
    }

    /// Number of all trials, unless a rule stops the campaign earlier.
    pub fn planned(&self) -> usize {
        self.0.iter().map(|kind| kind.planned).sum()
    }

    /// How long the remaining trials will take: as long as trials of their plan took so far. A plan
    /// without any finished trial is estimated from its schedule and from how much longer than
    /// scheduled others took. `None` before any trial has ended.
    pub fn left(&self) -> Option<Duration> {
        let done = self.done();
        if done == 0 {
            return None;
        }
        let beyond = |kind: &Alike<K>| kind.took.saturating_sub(scaled(kind.scheduled, kind.done));
        let extra = self.0.iter().map(beyond).sum::<Duration>().div_f64(done as f64);
        let left = |kind: &Alike<K>| {
            let each = match kind.done {
                0 => kind.scheduled + extra,
                done => kind.took.div_f64(done as f64),
            };
            scaled(each, kind.planned.saturating_sub(kind.done))
        };
        Some(self.0.iter().map(left).sum())
    }
}

fn scaled(one: Duration, times: usize) -> Duration {
    one.mul_f64(times as f64)
}

#[cfg(test)]
mod tests {
    use probe_core::model::trial::Pace;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn nothing_is_known_before_the_first_trial_and_nothing_is_left_after_the_last() {
        let plan = TrialPlan::overhead(Pace::ClosedLoop);
        let mut ahead = Ahead::default();
        ahead.expect(plan, 2, SECOND);
        assert_eq!((ahead.left(), ahead.done(), ahead.planned()), (None, 0, 2));
        ahead.ended(plan, 3 * SECOND);
        assert_eq!(ahead.left(), Some(3 * SECOND));
        ahead.ended(plan, 5 * SECOND);
        assert_eq!((ahead.left(), ahead.done()), (Some(Duration::ZERO), 2));
    }

    #[test]
    fn each_kind_takes_as_long_as_it_did_and_an_unknown_one_what_is_scheduled_and_what_others_took_beyond()
     {
        let [closed_loop, saturated] = [Pace::ClosedLoop, Pace::Saturated].map(TrialPlan::overhead);
        let mut ahead = Ahead::default();
        ahead.expect(closed_loop, 4, SECOND);
        ahead.expect(saturated, 3, 10 * SECOND);
        // Two seconds beyond its schedule.
        ahead.ended(closed_loop, 3 * SECOND);
        assert_eq!(ahead.left(), Some((3 * 3 + 3 * 12) * SECOND));
        ahead.ended(saturated, 20 * SECOND);
        assert_eq!(ahead.left(), Some((3 * 3 + 2 * 20) * SECOND));
    }
}
