//! From journals to a campaign.

mod alike;

use std::collections::BTreeMap;

use serde_json::Value;

use super::summary::summarize;
use crate::{
    error::{Error, Result},
    model::{
        campaign::{
            Campaign, Design, JournalLine, Measurements, READ_VERSIONS, Run, SCHEMA_VERSION,
        },
        trial::{Measured, Outcome, ReferenceCounts, Trial},
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
/// over all runs.
///
/// # Errors
/// There is no journal, or one does not begin with its design and run, has another schema version,
/// measured another design than the first, or the same part on another machine than an earlier one
/// (the error names the field), or repeats an earlier one; the error names it. A trial whose series do not fit together becomes a failed one.
pub fn merge(journals: Vec<Source>) -> Result<Campaign> {
    let mut names = Vec::new();
    let mut journals = journals.into_iter().map(|journal| (journal.name.clone(), open(journal)));
    let Some((name, first)) = journals.next() else {
        return Err(Error::invalid("merge", "there is no journal", "Name at least one"));
    };
    let Opened { design, run, trials } = first?;
    let mut campaign = Gathered { runs: vec![run], trials: Vec::new(), blocks: 0 };
    names.push(name);
    campaign.add(trials);
    for (name, journal) in journals {
        let journal = journal?;
        let named = |at: usize| names.get(at).map_or("another", String::as_str);
        if let Some((field, ours, theirs)) = difference(&design, &journal.design)? {
            return Err(Error::invalid(
                name,
                format!(
                    "{field} is {theirs}, and {ours} in {}: they measured different things",
                    named(0)
                ),
                "Merge only results of one design",
            ));
        }
        if let Some((earlier, field, [was, is])) = alike::unlike(&journal.run, &campaign.runs) {
            return Err(Error::invalid(
                name,
                format!(
                    "runs.{field} is {is}, and {was} in {}: they are not one experiment",
                    named(earlier)
                ),
                "Set them side by side: `tracetoll report RESULT RESULT`",
            ));
        }
        if let Some((earlier, how)) = alike::repeated(&journal.run, &campaign.runs) {
            return Err(Error::invalid(
                name,
                format!("{how} {}: blocks that are copies are none", named(earlier)),
                "Leave one of them out; further blocks in VMs take seeds of their own \
                 (`--first-seed`)",
            ));
        }
        names.push(name);
        campaign.runs.push(journal.run);
        campaign.add(journal.trials);
    }
    let Gathered { runs, trials, .. } = campaign;
    self::campaign(Measurements { design, runs, trials })
}

/// Why a result of this schema version is not read, if it is not.
pub fn unread(version: u32) -> Option<String> {
    let (first, last) = READ_VERSIONS.into_inner();
    let read = READ_VERSIONS.contains(&version);
    (!read).then(|| format!("schema version {version}; this tracetoll reads {first} to {last}"))
}

/// A journal, its first line taken apart from the rest.
struct Opened {
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
    fn add(&mut self, trials: Vec<Trial>) {
        let mut renumbered = BTreeMap::new();
        for mut trial in trials {
            trial.run = self.runs.len().saturating_sub(1);
            trial.block = *renumbered.entry(trial.block).or_insert_with(|| {
                let next = self.blocks;
                self.blocks = next.saturating_add(1);
                next
            });
            self.trials.push(trial);
        }
    }
}

/// Makes a trial whose data contradicts itself a failed one, so that whoever reads on may rely on
/// lengths and sizes.
pub(super) fn refute(trial: &mut Trial, design: &Design) {
    if let Err(why) = check(trial, design) {
        trial.outcome = Outcome::Failed { why: format!("its data contradicts itself: {why}") };
    }
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

/// The same for a campaign that was read.
///
/// # Errors
/// A trial is of a run that the campaign does not have, or it has none.
pub fn refute_all(design: &Design, runs: &[Run], trials: &mut [Trial]) -> Result<()> {
    if runs.is_empty() {
        return Err(Error::malformed("the campaign", "it has no run"));
    }
    for trial in trials {
        if trial.run >= runs.len() {
            let why = format!("of {} runs", runs.len());
            return Err(Error::malformed(format!("a trial of run {}", trial.run), why));
        }
        refute(trial, design);
    }
    Ok(())
}

/// No number of a trial is as large, but for instants, which count from the host's start: CPU time
/// of a hundred days, or as many bytes as a day of a terabit's link. Sums of them fit their type.
const LARGEST: u64 = 1 << 53;
const LATEST: u64 = 1 << 62;

/// The first number that is too large, and the field that it stands in.
fn too_large(field: &str, value: &Value) -> Option<String> {
    let largest = if field == "edges" { LATEST } else { LARGEST };
    // What a method tells of itself enters no sum, and may be an address.
    if field == "details" {
        return None;
    }
    match value {
        Value::Number(number) if number.as_u64().is_some_and(|number| number > largest) => {
            Some(format!("{field} of {number}"))
        }
        Value::Array(values) => values.iter().find_map(|value| too_large(field, value)),
        Value::Object(fields) => fields.iter().find_map(|(field, value)| too_large(field, value)),
        _ => None,
    }
}

/// Whether a trial fits the design and its series fit each other.
fn check(trial: &Trial, design: &Design) -> std::result::Result<(), String> {
    if !design.methods.iter().any(|method| method.id == trial.method) {
        return Err(format!("{} is not among the design's methods", trial.method));
    }
    let Outcome::Done(measured) = &trial.outcome else { return Ok(()) };
    let Measured { edges, throughput, reference, observation, series, .. } = &**measured;
    let (bins, items) = (throughput.len(), design.target.item_count());
    let fits = |what: &str, found: usize, wanted: usize| {
        if found == wanted { Ok(()) } else { Err(format!("{found} {what} for {wanted}")) }
    };
    let values = serde_json::to_value(measured).map_err(|e| e.to_string())?;
    if let Some(found) = too_large("measured", &values) {
        return Err(format!("{found}, which is more than can be"));
    }
    fits("bin edges", edges.len(), bins.saturating_add(1))?;
    if !edges.is_sorted() {
        return Err("bin edges go backwards".into());
    }
    fits("totals of items", observation.recorded.len(), items)?;
    if let Some(reference) = reference {
        fits(
            "reference counters of functions",
            reference.functions.len(),
            design.target.functions.len(),
        )?;
        for function in &reference.functions {
            if let ReferenceCounts::Calls(calls) = function {
                fits("bins of the reference counter", calls.len(), bins)?;
            }
        }
    }
    for one in series {
        fits("bins of the method's series", one.values.len(), bins)?;
        if !design.target.items().any(|(_, name)| name == one.function) {
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

/// The first field below `path` in which two values differ, with both.
pub(crate) fn differing(
    path: &str,
    ours: &Value,
    theirs: &Value,
) -> Option<(String, String, String)> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{fixture::Lab, journal::journals},
        model::{
            figure::Platform,
            trial::{Pace, Part},
        },
    };

    const SATURATED: (Part, Pace) = (Part::Overhead, Pace::Saturated);

    /// A journal of one run: two blocks, 3 and 7, `off` and one method each.
    fn lab() -> Lab {
        let mut lab = Lab::new();
        lab.run(Platform::Counted);
        for block in [3, 7] {
            for method in ["off", "ftrace-function"] {
                lab.done(block, SATURATED, method, |_| {});
            }
        }
        lab
    }

    /// Journals called `a.jsonl`, `b.jsonl` and so on.
    fn sources(journals: impl IntoIterator<Item = Vec<JournalLine>>) -> Vec<Source> {
        let named = |(lines, letter)| Source { name: format!("{letter}.jsonl"), lines };
        journals.into_iter().zip('a'..).map(named).collect()
    }

    #[test]
    fn runs_are_indexed_and_blocks_numbered_anew() {
        let other = {
            let mut lab = lab();
            lab.runs[0].platform = Platform::Emulated;
            lab.runs[0].parts = vec![Part::Fidelity];
            lab.runs[0].seed = 2;
            lab.journal()
        };
        let of_overhead = {
            let mut lab = lab();
            lab.runs[0].parts = vec![Part::Overhead];
            lab.journal()
        };
        let campaign = merge(sources([of_overhead, other])).unwrap();
        let places: Vec<_> = campaign.trials.iter().map(|t| (t.run, t.block)).collect();
        let expected = [(0, 0), (0, 0), (0, 1), (0, 1), (1, 2), (1, 2), (1, 3), (1, 3)];
        assert_eq!(places, expected);
        assert_eq!(campaign.runs[1].platform, Platform::Emulated);
        assert_eq!(campaign.schema_version, SCHEMA_VERSION);
        assert_eq!(campaign.summary.methods.len(), campaign.design.methods.len());
    }

    #[test]
    fn a_campaign_reads_back_as_it_was_written() {
        let campaign = merge(sources([lab().journal()])).unwrap();
        let text = serde_json::to_string(&campaign).unwrap();
        assert_eq!(serde_json::from_str::<Campaign>(&text).unwrap(), campaign);
    }

    #[test]
    fn a_merged_campaign_merges_again_with_more() {
        let run = |seed| {
            let mut lab = lab();
            lab.runs[0].seed = seed;
            lab.journal()
        };
        let two = merge(sources([run(1), run(2)])).unwrap();
        assert_eq!(merge(sources(journals(two.clone()).unwrap())).unwrap(), two);
        let three = sources([journals(two.clone()).unwrap(), vec![run(3)]].concat());
        assert_eq!(merge(three).unwrap(), merge(sources([run(1), run(2), run(3)])).unwrap());
        // What is in it already is none.
        let copy = [journals(two.clone()).unwrap(), vec![run(2)]].concat();
        let error = merge(sources(copy)).unwrap_err().to_string();
        assert!(error.contains("c.jsonl: it is the same run as b.jsonl"), "{error}");
        let mut lost = two;
        lost.trials[0].run = 2;
        let error = journals(lost).unwrap_err().to_string();
        assert!(error.contains("a trial of run 2: of 2 runs"), "{error}");
    }

    #[test]
    fn designs_must_agree_and_the_field_is_named() {
        let refused = |change: fn(&mut Design)| {
            let mut other = lab();
            change(&mut other.design);
            merge(sources([lab().journal(), other.journal()])).unwrap_err().to_string()
        };
        let error =
            refused(|design| design.scenario.overhead.as_mut().unwrap().closed_loop.kicks = 2000);
        assert!(
            error.contains("scenario.overhead.closed_loop.kicks is 2000, and 1000 in a.jsonl"),
            "{error}"
        );
        let error = refused(|design| design.target.functions[1].name = "tun_get_user".into());
        assert!(error.contains("target.functions.1.name is \"tun_get_user\""), "{error}");
        let error = refused(|design| design.methods.truncate(4));
        assert!(error.contains("methods is 4 entries, and 5 entries in"), "{error}");
    }

    #[test]
    fn copies_of_a_run_are_refused() {
        let refused = |change: fn(&mut Run)| {
            let mut other = lab();
            change(&mut other.runs[0]);
            merge(sources([lab().journal(), other.journal()])).err().map(|error| error.to_string())
        };
        let later = |run: &mut Run| run.started += jiff::SignedDuration::from_secs(1);
        let same = refused(|_| {}).unwrap();
        assert!(same.contains("b.jsonl: it is the same run as a.jsonl"), "{same}");
        let again = refused(later).unwrap();
        assert!(again.contains("its seed does again"), "{again}");
        assert_eq!(refused(|run| run.seed += 1), None);
        // Whatever else was asked for: a part of it is there twice.
        let more = refused(|run| run.parts = vec![Part::Fidelity]).unwrap();
        assert!(more.contains("it is the same run as a.jsonl"), "{more}");
        let parts = |ours: Part, theirs: Part| {
            let journal = |part| {
                let mut lab = lab();
                lab.runs[0].parts = vec![part];
                lab.journal()
            };
            merge(sources([journal(ours), journal(theirs)])).is_ok()
        };
        assert!(parts(Part::Overhead, Part::Fidelity) && !parts(Part::Overhead, Part::Overhead));
        // Real time is never the same again.
        let native = |started: i64| {
            let mut lab = lab();
            lab.runs[0].platform = Platform::Native;
            lab.runs[0].started += jiff::SignedDuration::from_secs(started);
            lab.journal()
        };
        assert!(merge(sources([native(0), native(1)])).is_ok());
    }

    #[test]
    fn runs_on_different_machines_are_no_campaign() {
        let refused = |platform, change: fn(&mut Run)| {
            let [ours, theirs] = [1, 2].map(|seed| {
                let mut lab = lab();
                lab.runs[0].platform = platform;
                lab.runs[0].seed = seed;
                if seed == 2 {
                    change(&mut lab.runs[0]);
                }
                lab.journal()
            });
            merge(sources([ours, theirs])).err().map(|error| error.to_string())
        };
        let native = |change| refused(Platform::Native, change).unwrap();
        let error = native(|run| run.host.cpu = "another".into());
        assert!(
            error.contains("runs.host.cpu is another, and a CPU in a.jsonl: they are not one"),
            "{error}"
        );
        type Change = fn(&mut Run);
        let hosts: [(&str, Change); 6] = [
            ("host.cpus", |run| run.host.cpus = 8),
            ("host.kernel_version", |run| run.host.kernel_version = "7.3".into()),
            ("host.hypervisor", |run| run.host.hypervisor = Some("KVM".into())),
            ("host.kernel_command_line", |run| run.host.kernel_command_line = "quiet".into()),
            ("host.memory_kib", |run| run.host.memory_kib <<= 2),
            ("platform", |run| run.platform = Platform::Virtual),
        ];
        for (field, change) in hosts {
            let error = native(change);
            assert!(error.contains(&format!("runs.{field} is ")), "{error}");
        }
        // Instructions are counted alike on any host.
        let elsewhere = |run: &mut Run| run.host.cpu = "another".into();
        assert_eq!(refused(Platform::Counted, elsewhere), None);
        let error = refused(Platform::Counted, |run| run.host.cpus = 8).unwrap();
        assert!(error.contains("runs.host.cpus is 8, and 2 in a.jsonl"), "{error}");
    }

    #[test]
    fn addresses_do_not_make_designs_differ() {
        // The next boot loads the module elsewhere.
        let mut other = lab();
        other.design.target.functions[0].addresses.start = 0xffff_ffff_c000_0000;
        other.runs[0].seed = 2;
        assert!(merge(sources([lab().journal(), other.journal()])).is_ok());
    }

    #[test]
    fn journals_that_are_none_are_refused() {
        let error = |journals| merge(sources(journals)).unwrap_err().to_string();
        assert!(error(vec![]).contains("no journal"));
        assert!(error(vec![vec![]]).contains("a.jsonl: it is empty"));
        let journal = lab().journal();
        assert!(error(vec![journal[1..].to_vec()]).contains("begins with a trial"));
        let twice = [journal.clone(), journal.clone()].concat();
        assert!(error(vec![journal.clone(), twice]).contains("b.jsonl: it begins twice"));
        let mut newer = journal;
        if let JournalLine::Start { schema_version, .. } = &mut newer[0] {
            *schema_version += 1;
        }
        assert!(error(vec![newer]).contains(&format!("schema version {}", SCHEMA_VERSION + 1)));
    }

    #[test]
    fn a_trial_that_contradicts_itself_becomes_a_failed_one() {
        let why = |change: fn(&mut Measured)| {
            let mut lab = Lab::new();
            lab.run(Platform::Native).done(0, SATURATED, "ftrace-function", change);
            let campaign = merge(sources([lab.journal()])).unwrap();
            assert_eq!(campaign.summary.failed_trials, 1);
            match &campaign.trials[0].outcome {
                Outcome::Failed { why } => why.clone(),
                Outcome::Done(measured) => panic!("{measured:?}"),
            }
        };
        let contradiction = "its data contradicts itself: ";
        let text = why(|measured| measured.edges.truncate(1));
        assert_eq!(text, format!("{contradiction}1 bin edges for 2"));
        let text = why(|measured| measured.observation.recorded = vec![Some(1)].into());
        assert_eq!(text, format!("{contradiction}1 totals of items for 3"));
        let text = why(|measured| measured.edges.reverse());
        assert_eq!(text, format!("{contradiction}bin edges go backwards"));
    }
}
