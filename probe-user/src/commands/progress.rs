//! Progress of a campaign: a bar with the time left on a terminal, plain lines elsewhere.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Zoned};

use super::terminal;
use crate::measure::{ahead::Ahead, campaign::Audience};

/// Shows progress. The bar is drawn only between trials: during one, this takes no CPU time.
pub(super) struct Progress {
    /// `None` if lines are written instead.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows progress until it is dropped.
    pub(super) fn begin() -> Self {
        // A terminal that cannot move its cursor reports that.
        let draws = io::stderr().is_terminal() && std::env::var("TERM").is_ok_and(|t| t != "dumb");
        let bar = (draws && !terminal::is_quiet()).then(|| bar(ProgressDrawTarget::stderr()));
        terminal::show(bar.clone());
        Self { bar }
    }

    /// VMs measure these trials. If no bar is drawn, writes a line when it is `time` for one.
    pub(super) fn of_vms<K: Copy + PartialEq>(
        &self,
        ahead: &Ahead<K>,
        left: Option<Duration>,
        ended: &str,
        time: bool,
    ) {
        if self.bar.is_some() {
            let left = left.map(|left| format!("{}; ", until(left))).unwrap_or_default();
            self.draw(ahead, left + ended);
        } else if time {
            terminal::tell(format_args!("{}; {ended}", so_far(ahead, left)));
        }
    }

    fn draw<K: Copy + PartialEq>(&self, ahead: &Ahead<K>, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_length(ahead.planned() as u64);
            bar.set_position(ahead.done() as u64);
            bar.set_message(message);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        terminal::show(None);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Audience for Progress {
    fn begins(&self, trial: &str, ahead: &Ahead) {
        let trial = trial.split_whitespace().collect::<Vec<_>>().join(" ");
        let left = ahead.left().map(|left| format!("{}; {trial}", until(left)));
        self.draw(ahead, left.unwrap_or(trial));
    }

    fn ended(&self, trial: &str, outcome: &str, ahead: &Ahead) {
        if self.bar.is_none() {
            terminal::tell(format_args!("{trial} {outcome}; {}", so_far(ahead, ahead.left())));
        } else {
            log::info!("{trial} {outcome}");
        }
    }

    fn failed(&self, trial: &str, why: &str, _ahead: &Ahead) {
        terminal::complain(format_args!("{trial} FAILED: {why}"));
    }

    fn note(&self, text: &str) {
        terminal::tell(format_args!("{text}"));
    }
}

fn bar(target: ProgressDrawTarget) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {wide_msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(None, target).with_style(style)
}

/// `12 of 350, 4 min left`.
fn so_far<K: Copy + PartialEq>(ahead: &Ahead<K>, left: Option<Duration>) -> String {
    let left = left.map(|left| format!(", {} left", rough(left))).unwrap_or_default();
    format!("{} of {}{left}", ahead.done(), ahead.planned())
}

/// With the time of day, which remains correct during a long trial.
fn until(left: Duration) -> String {
    let end =
        SignedDuration::try_from(left).ok().and_then(|left| Zoned::now().checked_add(left).ok());
    let end = end.map(|end| end.strftime(" (until %H:%M)").to_string()).unwrap_or_default();
    format!("{} left{end}", rough(left))
}

/// In seconds, minutes, or hours and minutes.
fn rough(left: Duration) -> String {
    let seconds = left.as_secs_f64().round() as u64;
    let minutes = seconds.saturating_add(30) / 60;
    match minutes {
        _ if seconds < 100 => format!("{seconds} s"),
        ..100 => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use probe_core::model::trial::Pace;

    use super::*;
    use crate::measure::plan::TrialPlan;

    #[test]
    fn time_left_is_told_in_the_unit_that_fits() {
        let told = [0.4, 99.4, 99.6, 149.0, 5999.0, 6000.0, 36_060.0].map(Duration::from_secs_f64);
        let told = told.map(rough);
        assert_eq!(
            told,
            ["0 s", "99 s", "2 min", "2 min", "1 h 40 min", "1 h 40 min", "10 h 01 min"]
        );
    }

    #[test]
    fn the_bar_says_what_runs_and_the_time_left_once_it_is_known() {
        let plan = TrialPlan::overhead(Pace::ClosedLoop);
        let mut ahead = Ahead::default();
        ahead.expect(plan, 3, Duration::ZERO);
        let drawn = bar(ProgressDrawTarget::hidden());
        let progress = Progress { bar: Some(drawn.clone()) };
        progress.begins("block 1/3  overhead closed loop   off   ", &ahead);
        assert_eq!(drawn.message(), "block 1/3 overhead closed loop off");
        ahead.ended(plan, Duration::from_secs(2));
        progress.begins("block 2/3", &ahead);
        assert!(drawn.message().starts_with("4 s left (until "), "{}", drawn.message());
        assert_eq!((drawn.position(), drawn.length()), (1, Some(3)));
        drop(progress);
        assert!(drawn.is_finished());
    }

    #[test]
    fn a_line_has_the_time_left_once_it_is_known() {
        let plan = TrialPlan::overhead(Pace::ClosedLoop);
        let mut ahead = Ahead::default();
        ahead.expect(plan, 3, Duration::ZERO);
        assert_eq!(so_far(&ahead, ahead.left()), "0 of 3");
        ahead.ended(plan, Duration::from_secs(2));
        assert_eq!(so_far(&ahead, ahead.left()), "1 of 3, 4 s left");
    }
}
