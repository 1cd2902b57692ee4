//! A program that runs as a method's session.

use std::{
    collections::BTreeMap, fs, os::unix::process::ExitStatusExt as _, process::ExitStatus,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use super::{
    pattern::{Names, Pattern},
    program::Patterns,
    tree::{Tree, Written},
};
use crate::{
    error::{Error, Result},
    kernel::{clock, tracefs::probes::ProbeEvents},
    methods::{Cadence, Session, Sink},
    model::{
        external::{Counts, Stop},
        loss::Loss,
        observation::Observation,
        units::{Bytes, Nanos},
    },
};

/// The session.
#[derive(Debug)]
pub(super) struct Running {
    // Before the events, which it uses, and before the folder, which it writes to.
    tree: Tree,
    events: Option<ProbeEvents>,
    folder: Option<TempDir>,
    names: Names,
    report: Vec<String>,
    rules: Rules,
    enabled: Option<Mark>,
    disabled: Option<Mark>,
    end: Option<End>,
}

/// How to judge what it printed.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) patterns: Patterns,
    pub(super) counts: Counts,
    pub(super) lost_is_exact: bool,
    /// It counts in the kernel.
    pub(super) loses_nothing: bool,
    /// It names no function that was never hit.
    pub(super) silent_is_zero: bool,
    pub(super) stop: Stop,
    /// Exit statuses other than 0 that are none of a failure.
    pub(super) exit: Vec<i32>,
    pub(super) linger: Duration,
    pub(super) timeout: Duration,
    /// Index of the frames among the target's items.
    pub(super) frames: usize,
    /// The cgroup of the report.
    pub(super) cgroup: String,
}

/// A moment, and the CPU time of all processes until then.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Nanos,
    cpu: Nanos,
}

/// What came of it.
#[derive(Debug)]
struct End {
    status: ExitStatus,
    /// All that it and its report printed.
    said: String,
    /// CPU time of the report.
    report: Nanos,
    written: Written,
}

impl Running {
    pub(super) fn new(
        tree: Tree,
        events: Option<ProbeEvents>,
        folder: Option<TempDir>,
        names: Names,
        report: Vec<String>,
        rules: Rules,
    ) -> Self {
        let (enabled, disabled, end) = (None, None, None);
        Self { tree, events, folder, names, report, rules, enabled, disabled, end }
    }

    fn mark(&self) -> Result<Mark> {
        Ok(Mark { at: clock::now(), cpu: self.tree.cpu()? })
    }

    /// Runs the command that prints what was recorded.
    fn report(&self) -> Result<(String, Nanos)> {
        if self.report.is_empty() {
            return Ok((String::new(), Nanos(0)));
        }
        let mut tree = self.tree.beside(&self.report, &self.rules.cgroup)?;
        let status = tree.finish(self.rules.timeout)?;
        if !status.success() {
            return Err(tree.untrue(&format!("ended with {status}")));
        }
        let (said, cpu) = (tree.said()?, tree.cpu()?);
        tree.close()?;
        Ok((said, cpu))
    }

    /// Makes sure that it ended as one does that did its work: well, or of the signal that was sent.
    fn judge(&self, status: ExitStatus) -> Result<()> {
        let Rules { stop, exit, .. } = &self.rules;
        let of_signal = status.signal() == Some(signal(*stop).as_raw());
        let declared = status.code().is_some_and(|code| exit.contains(&code));
        match status.success() || of_signal || declared {
            true => Ok(()),
            false => Err(self.tree.untrue(&format!("ended with {status}"))),
        }
    }
}

impl Session for Running {
    fn cadence(&self) -> Cadence {
        Cadence::Never
    }

    /// It observes already; only its accounts are split here.
    fn enable(&mut self) -> Result<()> {
        self.tree.check_alive()?;
        self.enabled = Some(self.mark()?);
        Ok(())
    }

    fn drain(&mut self, _: &mut dyn Sink) -> Result<()> {
        Ok(())
    }

    fn disable(&mut self) -> Result<()> {
        self.disabled = Some(self.mark()?);
        self.tree.await_quiet(self.rules.linger, self.rules.timeout)?;
        let status = self.tree.stop(signal(self.rules.stop), self.rules.timeout)?;
        self.judge(status)?;
        let mut said = self.tree.said()?;
        let (reported, report) = self.report()?;
        said.push_str(&reported);
        self.end = Some(End { status, said, report, written: self.tree.written() });
        Ok(())
    }

    fn detach(self: Box<Self>) -> Result<Observation> {
        let observation = self.account();
        let Self { tree, events, folder, .. } = *self;
        let ended = tree.close();
        let removed = events.map_or(Ok(()), ProbeEvents::close);
        let emptied = folder.map_or(Ok(()), |folder| {
            let path = folder.path().to_owned();
            folder.close().map_err(|e| Error::file("remove", path, e))
        });
        ended.and(removed).and(emptied).and(observation)
    }
}

impl Running {
    fn account(&self) -> Result<Observation> {
        let (Some(enabled), Some(disabled), Some(end)) = (self.enabled, self.disabled, &self.end)
        else {
            return Ok(Observation::default());
        };
        let time = disabled.at.since(enabled.at);
        let all = self.tree.cpu()?;
        let recorded = self.recorded(&end.said);
        let file = fs::metadata(&self.names.out).map_or(0, |data| data.len());
        Ok(Observation {
            lost: self.lost(&end.said, &recorded),
            missed: self.missed()?,
            recorded,
            enabled: time,
            running: time,
            attached: self.names.events.clone(),
            processes: disabled.cpu.since(enabled.cpu),
            processes_after: Nanos(all.since(disabled.cpu).0 + end.report.0),
            bytes_read: Bytes(0),
            details: BTreeMap::from([
                ("cpu_ns_before_enable".into(), json!(enabled.cpu.0)),
                ("exit".into(), json!(end.status.to_string())),
                ("out_bytes".into(), json!(file)),
                ("written_bytes".into(), json!(end.written.chars)),
                ("written_to_storage_bytes".into(), json!(end.written.storage)),
            ]),
            ..Observation::default()
        })
    }

    /// Its count, for each item that it tells one of.
    fn recorded(&self, said: &str) -> Vec<Option<u64>> {
        let functions = &self.names.functions;
        let Some(count) = &self.rules.patterns.count else { return Vec::new() };
        let silent = self.rules.silent_is_zero.then_some(0);
        let of = |(name, _): &(String, _)| count.sum(said, Some(name)).or(silent);
        match self.rules.counts {
            Counts::Frames => {
                let mut recorded = vec![None; self.rules.frames];
                recorded.push(count.sum(said, None));
                recorded
            }
            Counts::Exact | Counts::Records if count.is_per_function() || functions.len() == 1 => {
                functions.iter().map(of).collect()
            }
            // A sum over several functions is no function's.
            Counts::Exact | Counts::Records => Vec::new(),
        }
    }

    fn lost(&self, said: &str, recorded: &[Option<u64>]) -> Loss {
        let Rules { patterns, lost_is_exact, loses_nothing, .. } = &self.rules;
        if *loses_nothing {
            return Loss::NONE;
        }
        let sum = |pattern: &Option<Pattern>| pattern.as_ref()?.sum(said, None);
        let seen: Option<u64> = recorded.iter().flatten().copied().reduce(|a, b| a + b);
        match (sum(&patterns.total), seen, sum(&patterns.lost)) {
            (Some(total), Some(seen), _) => Loss::Exact(total.saturating_sub(seen)),
            (_, _, Some(lost)) if *lost_is_exact => Loss::Exact(lost),
            (_, _, Some(lost)) => Loss::AtLeast(lost),
            _ => Loss::Unknown,
        }
    }

    /// Calls at which our own kprobe events could not run; of a program's own probes nothing is known.
    fn missed(&self) -> Result<Loss> {
        let Some(events) = &self.events else { return Ok(Loss::Unknown) };
        let profiles = events.profile()?.into_iter();
        let each = profiles.map(|p| p.map_or(Loss::Unknown, |p| Loss::Exact(p.missed)));
        Ok(each.fold(Loss::NONE, Loss::and))
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
