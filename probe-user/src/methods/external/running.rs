//! A program that runs as a method's session.

use std::{
    collections::BTreeMap, fs, os::unix::process::ExitStatusExt as _, process::ExitStatus,
    time::Duration,
};

use probe_core::{
    error::{Error, Result},
    model::{
        external::{Counts, Stop},
        item::{ItemId, PerItem},
        loss::Loss,
        observation::Observation,
        target::Target,
        units::{Bytes, Nanos},
    },
};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use super::{
    hits::Hits,
    pattern::{Names, Pattern, Patterns},
    room,
    tree::{Tree, Written},
};
use crate::{
    kernel::{probe_events::ProbeEvents, tracefs::Instance},
    methods::{Cadence, Session},
};

/// A running program as a session.
#[derive(Debug)]
pub(super) struct Running {
    // Before the events, which it uses, and before the folder, to which it writes.
    tree: Tree,
    /// The instance into which it traces; closing it ends the tracer, whatever the program left.
    instance: Option<Instance>,
    events: Option<ProbeEvents>,
    folder: Option<TempDir>,
    names: Names,
    report: Vec<String>,
    rules: Rules,
    /// CPU time of all processes when the trial's load started.
    before: Nanos,
    hits: Hits,
    end: Option<End>,
}

/// How to evaluate its output.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) patterns: Patterns,
    pub(super) counts: Counts,
    pub(super) lost_is_exact: bool,
    /// Whether it counts in the kernel.
    pub(super) loses_nothing: bool,
    /// Whether its counts should include each hit of the events.
    pub(super) sees_every_hit: bool,
    pub(super) stop: Stop,
    /// Exit statuses other than 0 that do not mean failure.
    pub(super) exit: Vec<i32>,
    pub(super) linger: Duration,
    pub(super) timeout: Duration,
    /// The frames among the target's items.
    pub(super) frames: ItemId,
    /// The cgroup of the report.
    pub(super) cgroup: String,
}

/// The result of the program.
#[derive(Debug)]
struct End {
    /// CPU time of all processes until it was asked to end.
    cpu: Nanos,
    status: ExitStatus,
    /// Everything that it and its report printed.
    said: String,
    /// CPU time of the report.
    report: Nanos,
    written: Written,
}

impl Running {
    pub(super) fn new(
        tree: Tree,
        instance: Option<Instance>,
        events: Option<ProbeEvents>,
        folder: Option<TempDir>,
        names: Names,
        report: Vec<String>,
        rules: Rules,
    ) -> Self {
        let (before, hits, end) = (Nanos(0), Hits::default(), None);
        Self { tree, instance, events, folder, names, report, rules, before, hits, end }
    }

    fn take_hits(&mut self) -> Result<()> {
        self.events.as_ref().map_or(Ok(()), |events| self.hits.take(events))
    }

    /// Stops it, and reads its output.
    fn finish(&mut self) -> Result<()> {
        let cpu = self.tree.cpu()?;
        self.take_hits()?;
        self.tree.await_quiet(self.rules.linger, self.rules.timeout)?;
        let status = self.tree.stop(signal(self.rules.stop), self.rules.timeout)?;
        self.judge(status)?;
        self.take_hits()?;
        let mut said = self.tree.said()?;
        let (reported, report) = self.report()?;
        said.push_str(&reported);
        self.end = Some(End { cpu, status, said, report, written: self.tree.written() });
        Ok(())
    }

    /// Runs the command that prints what was recorded.
    fn report(&self) -> Result<(String, Nanos)> {
        if self.report.is_empty() {
            return Ok((String::new(), Nanos(0)));
        }
        let mut tree = self.tree.beside(&self.report, &self.rules.cgroup)?;
        let status = tree.finish(self.rules.timeout)?;
        if !status.success() {
            return Err(tree.inconsistent(&format!("ended with {status}")));
        }
        let (said, cpu) = (tree.said()?, tree.cpu()?);
        tree.close()?;
        Ok((said, cpu))
    }

    /// Checks that it ended normally: successfully, or by the signal that was sent.
    fn judge(&self, status: ExitStatus) -> Result<()> {
        match did_its_work(status, self.rules.stop, &self.rules.exit) {
            true => Ok(()),
            false => Err(self.tree.inconsistent(&format!("ended with {status}"))),
        }
    }
}

impl Session for Running {
    fn cadence(&self) -> Cadence {
        Cadence::Never
    }

    /// It observes already; this only separates the CPU times.
    fn start(&mut self) -> Result<()> {
        self.tree.check_alive().map_err(|e| room::explain(e, &self.names.out))?;
        self.take_hits()?;
        self.before = self.tree.cpu()?;
        Ok(())
    }

    fn attached(&self, _: &Target) -> Result<Vec<String>> {
        Ok(self.names.events.clone())
    }

    fn stop(&mut self) -> Result<()> {
        self.finish().map_err(|e| room::explain(e, &self.names.out))
    }

    fn account(self: Box<Self>, noted: Observation) -> Result<Observation> {
        let observation = self.seen(noted);
        let Self { tree, instance, events, folder, .. } = *self;
        let ended = tree.close();
        let quiet = instance.map_or(Ok(()), Instance::close);
        let removed = events.map_or(Ok(()), ProbeEvents::close);
        let emptied = folder.map_or(Ok(()), |folder| {
            let path = folder.path().to_owned();
            folder.close().map_err(|e| Error::file("remove", path, e))
        });
        ended.and(quiet).and(removed).and(emptied).and(observation)
    }
}

impl Running {
    fn seen(&self, noted: Observation) -> Result<Observation> {
        let Some(end) = &self.end else { return Ok(noted) };
        let all = self.tree.cpu()?;
        let recorded = self.recorded(&end.said);
        let file = fs::metadata(&self.names.out).map_or(0, |data| data.len());
        Ok(Observation {
            lost: self.lost(&end.said, &recorded),
            missed: self.missed(&recorded),
            recorded,
            processes: end.cpu.since(self.before),
            processes_after: Nanos(all.since(end.cpu).0.saturating_add(end.report.0)),
            bytes_read: Bytes(0),
            details: BTreeMap::from([
                ("cpu_ns_before_enable".into(), json!(self.before.0)),
                ("exit".into(), json!(end.status.to_string())),
                ("out_bytes".into(), json!(file)),
                ("written_bytes".into(), json!(end.written.chars)),
                ("written_to_storage_bytes".into(), json!(end.written.storage)),
            ]),
            ..noted
        })
    }

    /// Its count, for each item that it tells one of.
    fn recorded(&self, said: &str) -> PerItem<u64> {
        let Some(count) = &self.rules.patterns.count else { return PerItem::default() };
        let one = self.names.functions.len() == 1;
        match self.rules.counts {
            Counts::Frames => count
                .sum(said, None)
                .into_iter()
                .map(|frames| (self.rules.frames, frames))
                .collect(),
            Counts::Exact | Counts::Records if count.is_per_function() || one => {
                let counts = self.names.traced().map(|traced| count.sum(said, Some(traced)));
                counts.collect::<Vec<_>>().into()
            }
            // A sum over several functions is no function's.
            Counts::Exact | Counts::Records => PerItem::default(),
        }
    }

    fn lost(&self, said: &str, recorded: &[Option<u64>]) -> Loss {
        let Rules { patterns, lost_is_exact, loses_nothing, .. } = &self.rules;
        if *loses_nothing {
            return Loss::NONE;
        }
        if let unseen @ Loss::Exact(_) = self.unseen(recorded) {
            return unseen;
        }
        let sum = |pattern: &Option<Pattern>| self.sum(pattern.as_ref()?, said);
        let seen: Option<u64> = recorded.iter().flatten().copied().reduce(u64::saturating_add);
        match (sum(&patterns.total), seen, sum(&patterns.lost)) {
            (Some(total), Some(seen), _) => Loss::Exact(total.saturating_sub(seen)),
            (_, _, Some(lost)) if *lost_is_exact => Loss::Exact(lost),
            (_, _, Some(lost)) => Loss::AtLeast(lost),
            _ => self.unseen(recorded),
        }
    }

    /// The number that a pattern finds for all functions together.
    fn sum(&self, pattern: &Pattern, said: &str) -> Option<u64> {
        if !pattern.is_per_function() {
            return pattern.sum(said, None);
        }
        let each = self.names.traced().filter_map(|traced| pattern.sum(said, Some(traced)));
        each.reduce(u64::saturating_add)
    }

    /// Calls at which our own kprobe events could not run, and calls that a program without buffers
    /// did not count; for a program's own probes nothing is known.
    fn missed(&self, recorded: &[Option<u64>]) -> Loss {
        match self.rules.loses_nothing && self.rules.sees_every_hit {
            true => self.hits.missed().and(self.unseen(recorded)),
            false => self.hits.missed(),
        }
    }

    /// Hits of our events that should be in its counts but are not.
    fn unseen(&self, recorded: &[Option<u64>]) -> Loss {
        match self.rules.sees_every_hit {
            true => self.hits.unseen(recorded),
            false => Loss::Unknown,
        }
    }
}

fn signal(stop: Stop) -> Signal {
    match stop {
        Stop::Int => Signal::INT,
        Stop::Term => Signal::TERM,
        Stop::Hup => Signal::HUP,
        Stop::Quit => Signal::QUIT,
        Stop::Usr1 => Signal::USR1,
        Stop::Usr2 => Signal::USR2,
    }
}

/// `exit` are the statuses other than 0 that do not mean failure.
fn did_its_work(status: ExitStatus, stop: Stop, exit: &[i32]) -> bool {
    let signal = signal(stop).as_raw();
    // 128 + N is a shell's notation: perf stat 7.x also uses it.
    let of_signal = status.signal() == Some(signal) || status.code() == signal.checked_add(128);
    status.success() || of_signal || status.code().is_some_and(|code| exit.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_by_the_signal_that_was_sent_is_no_failure() {
        let exited = |code: i32| ExitStatus::from_raw(code << 8);
        let killed = |signal: Signal| ExitStatus::from_raw(signal.as_raw());
        // perf stat 7.2 ends with 130 on SIGINT.
        for well in [exited(0), exited(130), killed(Signal::INT)] {
            assert!(did_its_work(well, Stop::Int, &[]), "{well}");
        }
        for failed in [exited(1), exited(143), killed(Signal::SEGV), killed(Signal::TERM)] {
            assert!(!did_its_work(failed, Stop::Int, &[]), "{failed}");
        }
        assert!(did_its_work(exited(143), Stop::Term, &[]));
        assert!(did_its_work(exited(3), Stop::Int, &[3]));
    }
}
