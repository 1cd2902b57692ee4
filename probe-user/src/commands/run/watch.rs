//! Follows the VMs of a campaign through their growing journals.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use probe_core::model::{campaign::JournalLine, trial::Part};
use probe_vm::machine::{self, Machine, Outcome, Tools};

use super::plan::{self, VmPlan};
use crate::{
    commands::{progress::Progress, terminal},
    measure::ahead::Ahead,
};

/// How often journals are read.
const LOOK: Duration = Duration::from_secs(1);

/// How often a line is written if no bar can be drawn.
const LINE: Duration = Duration::from_secs(60);

/// Runs all machines of the plan, shows progress, and returns how each ended. After Ctrl-C some
/// have not started.
///
/// # Errors
/// A machine cannot be started.
pub(super) fn all(
    plan: &VmPlan<'_>,
    machines: &[Machine],
    tools: &Tools,
) -> anyhow::Result<Vec<Outcome>> {
    let (guests, at_once) = (plan.guests(), plan.at_once());
    let journals = machines.iter().map(Machine::lines);
    let watched = guests.iter().map(|guest| guest.0).zip(journals);
    let watch = Mutex::new(Watch::new(watched));
    let lock = || watch.lock().unwrap_or_else(PoisonError::into_inner);
    let (progress, over) = (Progress::begin(), AtomicBool::new(false));
    let ended = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let following = scope.spawn(|| {
            let mut told = Instant::now();
            while !over.load(Ordering::Relaxed) {
                let line = told.elapsed() >= LINE;
                if line {
                    told = Instant::now();
                }
                let mut watch = lock();
                watch.look();
                progress.of_vms(&watch.ahead, watch.left(at_once), &watch.ended(), line);
                drop(watch);
                thread::park_timeout(LOOK);
            }
        });
        let ran = machine::run_all(machines, at_once, tools, |index, outcome| {
            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.push((index, outcome.clone()));
            lock().end(index);
            let name = guests.get(index).map(|guest| plan::name(*guest)).unwrap_or_default();
            let number = format!("{} of {}", ended.len(), machines.len());
            terminal::tell(format_args!("VM {name} ({number}): {}", how(outcome)));
        });
        over.store(true, Ordering::Relaxed);
        following.thread().unpark();
        ran
    })?;
    let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended.sort_by_key(|(index, _)| *index);
    Ok(ended.into_iter().map(|(_, outcome)| outcome).collect())
}

/// How a VM ended, in one line; includes the last output of a failed one.
fn how(outcome: &Outcome) -> String {
    match outcome.status() {
        Ok(0) => "done".to_owned(),
        Ok(status) => {
            let said = fs::read_to_string(outcome.dir.join("stderr")).unwrap_or_default();
            let last = said.lines().last().unwrap_or("it said nothing");
            format!("its exit status is {status}: {last}")
        }
        Err(error) => format!("{error:#}"),
    }
}

/// The journals of all VMs, and the work left.
struct Watch {
    journals: Vec<Tail>,
    ahead: Ahead<Part>,
}

/// A growing journal.
struct Tail {
    part: Part,
    file: Option<PathBuf>,
    read: u64,
    /// Number of trials to come, once its first line is known.
    left: Option<usize>,
    /// When its last line was read.
    last: Instant,
    ended: bool,
}

impl Watch {
    fn new(journals: impl Iterator<Item = (Part, Option<PathBuf>)>) -> Self {
        let tail = |(part, file)| Tail {
            part,
            file,
            read: 0,
            left: None,
            last: Instant::now(),
            ended: false,
        };
        Self { journals: journals.map(tail).collect(), ahead: Ahead::default() }
    }

    /// Reads new lines of the journals. If one cannot be read, only the time left is wrong.
    fn look(&mut self) {
        let alike: Vec<Part> = self.journals.iter().map(|tail| tail.part).collect();
        for tail in self.journals.iter_mut().filter(|tail| !tail.ended) {
            for line in tail.lines() {
                match &mut tail.left {
                    Some(left) => {
                        *left = left.saturating_sub(1);
                        self.ahead.ended(tail.part, tail.last.elapsed());
                    }
                    None => {
                        let each = planned(&line);
                        tail.left = Some(each);
                        // VMs that measure the same part have the same number.
                        if !self.ahead.expects(tail.part) {
                            let all =
                                each * alike.iter().filter(|part| **part == tail.part).count();
                            self.ahead.expect(tail.part, all, Duration::ZERO);
                        }
                    }
                }
                tail.last = Instant::now();
            }
        }
    }

    fn end(&mut self, index: usize) {
        self.look();
        if let Some(tail) = self.journals.get_mut(index) {
            tail.ended = true;
            self.ahead.give_up(tail.part, tail.left.unwrap_or_default());
        }
    }

    /// The time left, once a VM of each part has started.
    fn left(&self, at_once: usize) -> Option<Duration> {
        let known = self.journals.iter().all(|tail| self.ahead.expects(tail.part));
        let running = self.journals.iter().filter(|tail| !tail.ended).count();
        let side_by_side = at_once.min(running).max(1);
        self.ahead.left().filter(|_| known).map(|left| left.div_f64(side_by_side as f64))
    }

    fn ended(&self) -> String {
        let ended = self.journals.iter().filter(|tail| tail.ended).count();
        format!("{ended} of {} VMs ended", self.journals.len())
    }
}

impl Tail {
    /// Its new lines; an incomplete line is read again later.
    fn lines(&mut self) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        // QEMU creates it at start.
        let Some(file) = self.file.as_ref().and_then(|file| File::open(file).ok()) else {
            return lines;
        };
        let mut journal = BufReader::new(file);
        if journal.seek(SeekFrom::Start(self.read)).is_err() {
            return lines;
        }
        let mut line = Vec::new();
        while journal.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) && line.ends_with(b"\n") {
            self.read += line.len() as u64;
            lines.push(std::mem::take(&mut line));
        }
        lines
    }
}

/// The number of trials that a journal's first line announces.
fn planned(line: &[u8]) -> usize {
    match serde_json::from_slice(line) {
        Ok(JournalLine::Start { planned, .. }) => planned.unwrap_or_default(),
        Ok(JournalLine::Trial(_)) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, path::Path};

    use probe_core::{analysis::fixture::Lab, model::figure::Platform};

    use super::*;

    /// A journal's first line.
    fn start(trials: usize) -> String {
        let mut line = Lab::new().run(Platform::Counted).journal().remove(0);
        if let JournalLine::Start { planned, .. } = &mut line {
            *planned = Some(trials);
        }
        serde_json::to_string(&line).unwrap() + "\n"
    }

    fn write(file: &Path, text: &str) {
        let mut file = File::options().create(true).append(true).open(file).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn journals_are_read_as_they_grow_and_the_time_left_waits_for_each_part() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| dir.path().join(name));
        let all = [(Part::Overhead, &a), (Part::Overhead, &b), (Part::Fidelity, &c)];
        let mut watch = Watch::new(all.into_iter().map(|(part, file)| (part, Some(file.clone()))));
        let seen = |watch: &mut Watch| {
            watch.look();
            (watch.ahead.done(), watch.ahead.planned(), watch.left(2).is_some())
        };
        assert_eq!(seen(&mut watch), (0, 0, false));
        write(&a, &start(3));
        write(&a, "{\"trial\":{}}\n{\"tri");
        assert_eq!(seen(&mut watch), (1, 6, false));
        write(&a, "al\":{}}\n");
        write(&c, &start(2));
        assert_eq!(seen(&mut watch), (2, 8, true));
        // It had one more.
        watch.end(0);
        assert_eq!(seen(&mut watch), (2, 7, true));
        assert_eq!(watch.ended(), "1 of 3 VMs ended");
    }
}
