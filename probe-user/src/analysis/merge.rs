//! From journals to a campaign. Text comes in, not files: the caller reads them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::summary::summarize;
use crate::{
    error::{Error, Result},
    model::{
        campaign::{Campaign, Design, JournalLine, Run, SCHEMA_VERSION},
        trial::{Measured, Outcome, Trial, WitnessCounts},
    },
};

/// A journal's text, read as far as it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// Its whole lines.
    pub lines: Vec<JournalLine>,
    /// Whether a last line that was cut short, as by a kill, was left out.
    pub cut: bool,
}

/// Reads a journal.
///
/// # Errors
/// A line is no journal line, and is not the last one without its end. The error names the line, not the file.
pub fn parse_journal(text: &str) -> Result<Parsed> {
    let mut parsed = Parsed { lines: Vec::new(), cut: false };
    let lines = text.split_inclusive('\n').enumerate();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(found) => parsed.lines.push(found),
            Err(_) if !line.ends_with('\n') => parsed.cut = true,
            Err(error) => {
                let column = error.column();
                return Err(Error::malformed(
                    format!("line {}, column {column}", number + 1),
                    without_place(&error),
                ));
            }
        }
    }
    Ok(parsed)
}

/// The error's text without serde_json's own "at line 1 column n", which counts within the one line.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ").map_or(text.as_str(), |place| &text[..place]).to_owned()
}

/// Makes one campaign of the journals of its runs, in the order given. Blocks are numbered anew, over all runs.
///
/// # Errors
/// There is no journal, or one does not begin with its design and run, has another schema version, or measured another
/// design than the first (the error names the field). A trial whose series do not fit together becomes a failed one.
pub fn merge(journals: Vec<Vec<JournalLine>>) -> Result<Campaign> {
    let mut journals = journals.into_iter().zip(1..).map(|(lines, number)| open(lines, number));
    let Some(first) = journals.next() else {
        return Err(Error::invalid("merge", "there is no journal", "Name at least one"));
    };
    let Opened { design, run, trials } = first?;
    let mut campaign = Gathered { runs: vec![run], trials: Vec::new(), blocks: 0 };
    campaign.add(trials, &design);
    for (journal, number) in journals.zip(2..) {
        let journal = journal?;
        if let Some((field, ours, theirs)) = difference(&design, &journal.design)? {
            return Err(Error::invalid(
                format!("journal {number}"),
                format!(
                    "{field} is {theirs}, and {ours} in journal 1: they measured different things"
                ),
                "Merge only journals of one design",
            ));
        }
        campaign.runs.push(journal.run);
        campaign.add(journal.trials, &design);
    }
    let Gathered { runs, trials, .. } = campaign;
    let summary = summarize(&design, &runs, &trials, runs[0].seed);
    Ok(Campaign { schema_version: SCHEMA_VERSION, design, runs, trials, summary })
}

/// A journal, its first line taken apart from the rest.
struct Opened {
    design: Design,
    run: Run,
    trials: Vec<Trial>,
}

fn open(lines: Vec<JournalLine>, number: usize) -> Result<Opened> {
    let name = || format!("journal {number}");
    let mut lines = lines.into_iter();
    let (design, run) = match lines.next() {
        Some(JournalLine::Start { schema_version: SCHEMA_VERSION, design, run }) => (*design, *run),
        Some(JournalLine::Start { schema_version, .. }) => {
            return Err(Error::invalid(
                name(),
                format!("schema version {schema_version}; this tracetoll reads {SCHEMA_VERSION}"),
                "Use the tracetoll that wrote it",
            ));
        }
        Some(JournalLine::Trial(_)) => {
            return Err(Error::malformed(name(), "it begins with a trial, not with its design"));
        }
        None => return Err(Error::malformed(name(), "it is empty: its run ended before it began")),
    };
    let trials = lines.map(|line| match line {
        JournalLine::Trial(trial) => Ok(*trial),
        JournalLine::Start { .. } => Err(Error::malformed(name(), "it begins twice")),
    });
    Ok(Opened { design, run, trials: trials.collect::<Result<_>>()? })
}

/// Trials of the runs so far.
struct Gathered {
    runs: Vec<Run>,
    trials: Vec<Trial>,
    /// Blocks so far: the next one's number.
    blocks: u32,
}

impl Gathered {
    /// Adds the trials of the newest run.
    fn add(&mut self, trials: Vec<Trial>, design: &Design) {
        let mut renumbered = BTreeMap::new();
        for mut trial in trials {
            if let Err(why) = check(&trial, design) {
                trial.outcome =
                    Outcome::Failed { why: format!("its data contradicts itself: {why}") };
            }
            trial.run = self.runs.len() - 1;
            trial.block = *renumbered.entry(trial.block).or_insert_with(|| {
                self.blocks += 1;
                self.blocks - 1
            });
            self.trials.push(trial);
        }
    }
}

/// Whether a trial fits the design and its series fit each other.
fn check(trial: &Trial, design: &Design) -> std::result::Result<(), String> {
    if !design.methods.iter().any(|method| method.id == trial.method) {
        return Err(format!("{} is not among the design's methods", trial.method));
    }
    let Outcome::Done(measured) = &trial.outcome else { return Ok(()) };
    let Measured { edges, throughput, witness, observation, series, .. } = &**measured;
    let (bins, functions) = (throughput.len(), design.target.functions.len());
    let fits = |what: &str, found: usize, wanted: usize| {
        if found == wanted { Ok(()) } else { Err(format!("{found} {what} for {wanted}")) }
    };
    fits("bin edges", edges.len(), bins + 1)?;
    if !edges.is_sorted() {
        return Err("bin edges go backwards".into());
    }
    fits("totals of functions", observation.recorded.len(), functions)?;
    if let Some(witness) = witness {
        fits("witnesses of functions", witness.functions.len(), functions)?;
        for function in &witness.functions {
            if let WitnessCounts::Calls(calls) = function {
                fits("bins of the witness", calls.len(), bins)?;
            }
        }
    }
    for one in series {
        fits("bins of the method's series", one.values.len(), bins)?;
        if !design.target.functions.iter().any(|function| function.name == one.function) {
            return Err(format!("a series of {}, which is not in the target", one.function));
        }
    }
    Ok(())
}

/// The first field in which two designs differ, with both values.
fn difference(ours: &Design, theirs: &Design) -> Result<Option<(String, String, String)>> {
    let json = |design| {
        serde_json::to_value(design).map_err(|e| Error::malformed("design", e.to_string()))
    };
    Ok(differing("", &json(ours)?, &json(theirs)?))
}

fn differing(path: &str, ours: &Value, theirs: &Value) -> Option<(String, String, String)> {
    let below = |key: &dyn std::fmt::Display| {
        if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
    };
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            let side = |map: &serde_json::Map<String, Value>, key| map.get(key).cloned();
            keys.into_iter().find_map(|key| {
                let (a, b) = (side(a, key).unwrap_or_default(), side(b, key).unwrap_or_default());
                differing(&below(key), &a, &b)
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(index, (a, b))| differing(&below(&index), a, b))
        }
        (Value::Array(a), Value::Array(b)) => {
            Some((path.to_owned(), format!("{} entries", a.len()), format!("{} entries", b.len())))
        }
        (ours, theirs) if ours == theirs => None,
        (ours, theirs) => Some((path.to_owned(), ours.to_string(), theirs.to_string())),
    }
}
