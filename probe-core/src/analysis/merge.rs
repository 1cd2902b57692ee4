//! From journals to a campaign.

mod alike;
mod consistent;

use std::collections::BTreeMap;

pub use self::consistent::refute_all;
use super::{differing::differing, summary::summarize};
use crate::{
    error::{Error, Result},
    model::{
        campaign::{
            Campaign, Design, JournalLine, Measurements, READ_VERSIONS, Run, SCHEMA_VERSION,
        },
        trial::Trial,
    },
};

/// A run's journal, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// How errors name it: its file.
    pub name: String,
    /// Its lines.
    pub lines: Vec<JournalLine>,
}

/// Makes one campaign of the journals of its runs, in the order given. Blocks are numbered anew,
/// over all runs. A trial whose series do not fit together becomes a failed one.
///
/// # Errors
/// There is no journal, or one does not begin with its design and run, has another schema version,
/// measured another design than the first or the same part on another machine than an earlier one,
/// or repeats an earlier one. The error names the journal, and the field in which two differ.
pub fn merge(journals: Vec<Source>) -> Result<Campaign> {
    let mut opened: Vec<Opened> = Vec::new();
    for journal in journals {
        let journal = open(journal)?;
        if let Some(first) = opened.first() {
            of_one_design(&journal, first)?;
        }
        opened.iter().try_for_each(|earlier| of_one_experiment(&journal, earlier))?;
        opened.push(journal);
    }
    let Some(first) = opened.first() else {
        return Err(Error::invalid("merge", "there is no journal", "Name at least one"));
    };
    let design = first.design.clone();
    let (runs, trials) = numbered(opened);
    campaign(Measurements { design, runs, trials })
}

/// Why a result of this schema version is not read, if it is not.
pub fn unread(version: u32) -> Option<String> {
    let (first, last) = READ_VERSIONS.into_inner();
    let read = READ_VERSIONS.contains(&version);
    (!read).then(|| format!("schema version {version}; this tracetoll reads {first} to {last}"))
}

/// A journal, its first line taken apart from the rest.
struct Opened {
    name: String,
    design: Design,
    run: Run,
    trials: Vec<Trial>,
}

fn open(Source { name, lines }: Source) -> Result<Opened> {
    let refused = |why: &str, hint: &str| Error::invalid(name.clone(), why, hint);
    let mut lines = lines.into_iter();
    let (design, run) = match lines.next() {
        Some(JournalLine::Start { schema_version, planned: _, design, run }) => {
            if let Some(why) = unread(schema_version) {
                return Err(refused(&why, "Use the tracetoll that wrote it"));
            }
            (*design, *run)
        }
        Some(JournalLine::Trial(_)) => {
            return Err(refused(
                "it begins with a trial, not with its design",
                "Name the journal with its first line, or leave it out",
            ));
        }
        None => return Err(refused("it is empty: its run ended before it began", "Leave it out")),
    };
    let trials = lines.map(|line| match line {
        JournalLine::Trial(trial) => Ok(*trial),
        JournalLine::Start { .. } => Err(refused("it begins twice", "Name a file for each run")),
    });
    let trials = trials.collect::<Result<_>>()?;
    Ok(Opened { name, design, run, trials })
}

/// Refuses a journal of another design.
fn of_one_design(journal: &Opened, first: &Opened) -> Result<()> {
    let json = |one: &Opened| {
        serde_json::to_value(&one.design).map_err(|e| Error::malformed("design", e.to_string()))
    };
    let Some((field, ours, theirs)) = differing("", &json(first)?, &json(journal)?) else {
        return Ok(());
    };
    let why = format!(
        "{field} is {theirs}, and {ours} in {}: they measured different things",
        first.name
    );
    Err(Error::invalid(journal.name.clone(), why, "Merge only results of one design"))
}

/// Refuses a journal of another machine, or of the same run.
fn of_one_experiment(journal: &Opened, earlier: &Opened) -> Result<()> {
    let refused = |why: String, hint: &str| Err(Error::invalid(journal.name.clone(), why, hint));
    if let Some((field, [was, is])) = alike::differing(&earlier.run, &journal.run) {
        return refused(
            format!(
                "runs.{field} is {is}, and {was} in {}: they are not one experiment",
                earlier.name
            ),
            "Set them side by side: `tracetoll report RESULT RESULT`",
        );
    }
    match alike::repeats(&earlier.run, &journal.run) {
        Some(how) => refused(
            format!("{how} {}: blocks that are copies are none", earlier.name),
            "Leave one of them out; further blocks in VMs take seeds of their own (`--first-seed`)",
        ),
        None => Ok(()),
    }
}

/// Runs and trials of all journals, blocks numbered through.
fn numbered(journals: Vec<Opened>) -> (Vec<Run>, Vec<Trial>) {
    let (mut runs, mut trials, mut blocks) = (Vec::new(), Vec::new(), 0_u32);
    for (run, journal) in journals.into_iter().enumerate() {
        let mut renumbered = BTreeMap::new();
        for trial in journal.trials {
            let block = *renumbered.entry(trial.block).or_insert_with(|| {
                let next = blocks;
                blocks = next.saturating_add(1);
                next
            });
            trials.push(Trial { run, block, ..trial });
        }
        runs.push(journal.run);
    }
    (runs, trials)
}

/// The campaign that follows from `measured`: its summary is computed, whatever the version that
/// wrote it said.
///
/// # Errors
/// There is no run, or a trial names none.
pub fn campaign(mut measured: Measurements) -> Result<Campaign> {
    refute_all(&measured.design, &measured.runs, &mut measured.trials)?;
    let Measurements { design, runs, trials } = measured;
    let seed = runs.first().map_or(0, |run| run.seed);
    let summary = summarize(&design, &runs, &trials, seed);
    Ok(Campaign { schema_version: SCHEMA_VERSION, design, runs, trials, summary })
}

#[cfg(test)]
mod tests;
