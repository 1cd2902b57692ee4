//! How far the guests of a campaign are, as their journals grow: a bar on a terminal, a line a
//! minute elsewhere.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often journals are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How often a line is written where no bar can be drawn.
const LINE: Duration = Duration::from_secs(60);

/// One guest.
#[derive(Debug, Clone, Default)]
pub(super) struct Guest {
    /// What it measures; guests of one kind take about as long.
    kind: String,
    journal: Option<PathBuf>,
    read: u64,
    trials: Trials,
    began: Option<Instant>,
    ran: Duration,
    ended: bool,
}

/// The trials of a guest.
#[derive(Debug, Clone, Copy, Default)]
struct Trials {
    /// None before its journal begins.
    planned: Option<usize>,
    done: usize,
}

/// Tells people, until it is dropped.
pub(super) struct Progress {
    guests: Mutex<Vec<Guest>>,
    at_once: usize,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of these guests, so many side by side; with a bar where one can be drawn and may be.
    pub(super) fn begin(guests: Vec<Guest>, at_once: usize, may_draw: bool) -> Self {
        let draws = may_draw
            && io::stderr().is_terminal()
            && std::env::var("TERM").is_ok_and(|t| t != "dumb");
        let style = ProgressStyle::with_template("{bar:24} {wide_msg}");
        let bar = || {
            ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr())
                .with_style(style.expect("the template is sound"))
        };
        Self { guests: Mutex::new(guests), at_once, bar: draws.then(bar) }
    }

    /// Looks at the journals again and again, until `over`.
    pub(super) fn follow(&self, over: &AtomicBool) {
        let mut told = Instant::now();
        while !over.load(Ordering::Relaxed) {
            let state = State::of(&self.look(), self.at_once);
            if let Some(bar) = &self.bar {
                bar.set_length(state.planned.unwrap_or(1).max(1) as u64);
                bar.set_position(state.planned.map_or(0, |_| state.done) as u64);
                bar.set_message(state.to_string());
            } else if told.elapsed() >= LINE {
                told = Instant::now();
                eprintln!("{state}");
            }
            thread::park_timeout(LOOK);
        }
    }

    /// A guest has ended: `line` says how.
    pub(super) fn ended(&self, index: usize, line: &str) {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)[index].end();
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn look(&self) -> Vec<Guest> {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        for guest in guests.iter_mut().filter(|guest| !guest.ended) {
            // A journal that cannot be read makes the bar wrong, and nothing else.
            let _ = guest.look();
        }
        guests.clone()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Guest {
    /// One of this kind; without a journal nothing is known of how far it is.
    pub(super) fn new(kind: &str, journal: Option<PathBuf>) -> Self {
        Self { kind: kind.to_owned(), journal, ..Self::default() }
    }

    /// Reads what its journal has grown by.
    fn look(&mut self) -> Result<()> {
        let Some(path) = &self.journal else { return Ok(()) };
        // QEMU makes it when it starts.
        let Ok(file) = File::open(path) else { return Ok(()) };
        let began = *self.began.get_or_insert_with(Instant::now);
        self.ran = began.elapsed();
        let mut journal = BufReader::new(file);
        journal.seek(SeekFrom::Start(self.read))?;
        let mut line = Vec::new();
        while journal.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            self.read += line.len() as u64;
            self.trials.take(&line);
            line.clear();
        }
        Ok(())
    }

    fn end(&mut self) {
        let _ = self.look();
        self.ended = true;
    }
}

impl Trials {
    /// One line of the journal: the first says how many trials follow, each other one is a trial.
    fn take(&mut self, line: &[u8]) {
        if self.planned.is_some() {
            self.done += 1;
            return;
        }
        let start: Value = serde_json::from_slice(line).unwrap_or_default();
        let planned = start.pointer("/start/planned").and_then(Value::as_u64).unwrap_or_default();
        self.planned = Some(usize::try_from(planned).unwrap_or_default());
    }
}

/// How far all of them are.
#[derive(Debug, PartialEq, Eq)]
struct State {
    ended: usize,
    guests: usize,
    done: usize,
    /// Trials of all guests, once one of each kind has said how many it has.
    planned: Option<usize>,
    left: Option<Duration>,
}

impl State {
    fn of(guests: &[Guest], at_once: usize) -> Self {
        let mut kinds: BTreeMap<&str, Vec<&Guest>> = BTreeMap::new();
        for guest in guests {
            kinds.entry(&guest.kind).or_default().push(guest);
        }
        let (mut planned, mut left) = (Some(0), Some(Duration::ZERO));
        for kind in kinds.values() {
            let all = planned_of(kind);
            planned = planned.zip(all).map(|(sum, all)| sum + all);
            left = left.zip(left_of(kind)).map(|(sum, left)| sum + left);
        }
        let ended = guests.iter().filter(|guest| guest.ended).count();
        let side_by_side = at_once.min(guests.len() - ended).max(1);
        Self {
            ended,
            guests: guests.len(),
            done: guests.iter().map(|guest| guest.trials.done).sum(),
            planned,
            left: left.map(|left| left.div_f64(side_by_side as f64)),
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.done)?;
        if let Some(planned) = self.planned {
            write!(f, " of {planned}")?;
        }
        write!(f, " trials, {} of {} guests ended", self.ended, self.guests)?;
        match self.left.map(|left| left.as_secs()) {
            Some(seconds @ ..100) => write!(f, ", {seconds} s left"),
            Some(seconds) => write!(f, ", {} min left", (seconds + 30) / 60),
            None => Ok(()),
        }
    }
}

/// Trials of guests of one kind: those that have not begun will have as many as the others.
fn planned_of(kind: &[&Guest]) -> Option<usize> {
    let one = kind.iter().find_map(|guest| guest.trials.planned)?;
    Some(kind.iter().map(|guest| guest.trials.planned.unwrap_or(one)).sum())
}

/// What they would still take one after the other: each trial that is left as long as those before,
/// the boots included. None before one has ended.
fn left_of(kind: &[&Guest]) -> Option<Duration> {
    let running: Vec<_> = kind.iter().filter(|guest| !guest.ended).collect();
    if running.is_empty() {
        return Some(Duration::ZERO);
    }
    let one = kind.iter().find_map(|guest| guest.trials.planned)?;
    let done: usize = kind.iter().map(|guest| guest.trials.done).sum();
    if done == 0 {
        return None;
    }
    let each = kind.iter().map(|guest| guest.ran).sum::<Duration>().div_f64(done as f64);
    let left =
        |guest: &&&Guest| guest.trials.planned.unwrap_or(one).saturating_sub(guest.trials.done);
    Some(each.mul_f64(running.iter().map(left).sum::<usize>() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn guest(kind: &str, planned: Option<usize>, done: usize, ran: u64, ended: bool) -> Guest {
        let (trials, ran) = (Trials { planned, done }, Duration::from_secs(ran));
        Guest { kind: kind.into(), trials, ran, ended, ..Guest::default() }
    }

    #[test]
    fn a_journal_is_read_as_it_grows_and_a_cut_line_waits_for_its_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.jsonl");
        let mut guest = Guest { journal: Some(path.clone()), ..Guest::default() };
        guest.look().unwrap();
        assert!(guest.began.is_none());
        let mut journal = File::create(&path).unwrap();
        journal.write_all(b"{\"start\":{\"planned\":3}}\n{\"trial\":{}}\n{\"tri").unwrap();
        guest.look().unwrap();
        assert_eq!((guest.trials.planned, guest.trials.done), (Some(3), 1));
        journal.write_all(b"al\":{}}\n").unwrap();
        guest.look().unwrap();
        assert_eq!((guest.trials.planned, guest.trials.done), (Some(3), 2));
    }

    #[test]
    fn what_is_left_is_told_once_each_kind_is_known_and_shared_by_those_side_by_side() {
        let mut guests = vec![
            guest("toll", Some(10), 10, 50, true),
            guest("toll", Some(10), 5, 25, false),
            guest("toll", None, 0, 0, false),
            guest("fidelity", None, 0, 0, false),
        ];
        let state = State::of(&guests, 2);
        assert_eq!(state.to_string(), "15 trials, 1 of 4 guests ended");
        guests[3] = guest("fidelity", Some(4), 1, 30, false);
        // 15 trials of 5 s and 3 of 30 s, two at a time.
        let state = State::of(&guests, 2);
        assert_eq!(state.to_string(), "16 of 34 trials, 1 of 4 guests ended, 82 s left");
        guests.iter_mut().for_each(|guest| guest.ended = true);
        assert_eq!(State::of(&guests, 2).left, Some(Duration::ZERO));
    }
}
