//! Sources of events in a private instance: a tracer, the run's own probe events, or the kernel's
//! tracepoints.

use probe_core::{
    error::{Error, Result},
    model::{item::ItemId, loss::Loss, target::Target},
};
use serde_json::{Value, json};

use super::calls::{EventKind, Tally};
use crate::kernel::{
    probe_events::{ProbeEvents, ProbeKind},
    tracefs::{
        Instance, Tracefs,
        format::{Format, FormatError},
    },
};

/// A source of events, with what is needed to enable it, to read its events and to account for
/// them.
#[derive(Debug)]
pub enum Attachment {
    /// `function`: attached as the current tracer, started by recording.
    Function,
    /// `function_graph`: like `function`, but a call leaves an entry and an exit.
    Graph,
    /// The run's own probe events, one per function.
    Probes(ProbeEvents),
    /// The target's tracepoints.
    Tracepoints(Vec<String>),
}

impl Attachment {
    /// The meaning of each kind of event that it produces.
    ///
    /// # Errors
    /// A format is missing, or is not what the decoder can read.
    pub fn kinds(&self, tracefs: &Tracefs, target: &Target) -> Result<Vec<EventKind>> {
        match self {
            Self::Function => Ok(vec![kind(tracefs, "function", |f| EventKind::call(f, "ip"))?]),
            Self::Graph => {
                let entry = |f: &Format| EventKind::call(f, "func");
                let mut kinds = vec![
                    kind(tracefs, "funcgraph_entry", entry)?,
                    kind(tracefs, "funcgraph_exit", EventKind::graph_exit)?,
                ];
                // If the option funcgraph-retaddr is on.
                const RETADDR: &str = "fgraph_retaddr_entry";
                if tracefs.path(&format!("events/ftrace/{RETADDR}")).exists() {
                    kinds.push(kind(tracefs, RETADDR, entry)?);
                }
                Ok(kinds)
            }
            Self::Probes(probes) => {
                let events = target.functions().zip(probes.events());
                events.map(|((item, _), event)| event_kind(&event.format, item)).collect()
            }
            Self::Tracepoints(_) => target
                .tracepoints()
                .map(|(item, tracepoint)| {
                    event_kind(&tracefs.format(&tracepoint.group, &tracepoint.name)?, item)
                })
                .collect(),
        }
    }

    /// The items that it observes.
    pub fn items(&self, target: &Target) -> Vec<ItemId> {
        match self {
            Self::Tracepoints(_) => target.tracepoints().map(|(item, _)| item).collect(),
            _ => target.functions().map(|(item, _)| item).collect(),
        }
    }

    /// Prepares the instance as far as possible without recording.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn prepare(&self, instance: &Instance, target: &Target) -> Result<()> {
        match self.tracer() {
            // Patches the target's call sites; nothing is recorded before recording is turned on.
            Some(tracer) => instance.trace(tracer, &target.functions),
            None => Ok(()),
        }
    }

    /// Enables or disables it. The events of several functions start one after the other.
    ///
    /// # Errors
    /// The kernel refused; when disabling, the other events are still disabled.
    pub fn switch(&self, instance: &Instance, on: bool) -> Result<()> {
        let files: Vec<String> = match self {
            Self::Function | Self::Graph => Vec::new(),
            Self::Probes(probes) => probes.events().iter().map(|e| e.file("enable")).collect(),
            Self::Tracepoints(files) => files.clone(),
        };
        if on {
            instance.record(true)?;
            return files.iter().try_for_each(|file| instance.write(file, "1"));
        }
        let switched = files.iter().map(|file| instance.write(file, "0")).fold(Ok(()), Result::and);
        switched.and(instance.record(false))
    }

    /// The kernel's counts of the probes. They must be read after the probes were disabled: the
    /// account needs them.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub fn profile(&self) -> Result<Option<ProbeHits>> {
        let Self::Probes(probes) = self else { return Ok(None) };
        let mut sum = ProbeHits::default();
        for profile in probes.profile()? {
            let Some(profile) = profile else { return Ok(None) };
            sum.hits += profile.hits;
            sum.missed.push(profile.missed);
        }
        Ok(Some(sum))
    }

    /// Removes it from the instance, removes the instance with `close`, and then removes it from
    /// the kernel.
    ///
    /// # Errors
    /// The first refusal; the rest is still released.
    pub fn release(self, instance: Instance) -> Result<()> {
        let closed = instance.close();
        let removed = match self {
            Self::Probes(probes) => probes.close(),
            _ => Ok(()),
        };
        closed.and(removed)
    }

    /// The number of calls whose records are among `lost` events that were written but not read.
    pub fn lost_calls(&self, tally: &Tally, lost: u64) -> Loss {
        match self {
            Self::Graph if lost > 0 => {
                // Calls that had not returned when recording ended have no exit, and nothing counts
                // those.
                let made = (tally.calls + tally.returns + lost).div_ceil(2);
                Loss::AtLeast(made.saturating_sub(tally.calls))
            }
            _ => Loss::Exact(lost),
        }
    }

    /// The calls that did not produce any of the `made` events.
    ///
    /// # Errors
    /// There are more events than the kernel counted hits.
    pub fn missed_calls(profile: Option<&ProbeHits>, made: u64) -> Result<Loss> {
        // Function and graph tracer, fprobes and tracepoints skip a hit made from inside the
        // tracer, and count it nowhere.
        let Some(ProbeHits { hits, missed }) = profile else { return Ok(Loss::Unknown) };
        // A handler that ran and could not record: the ring buffer refuses a writer that interrupts
        // itself.
        let unrecorded = hits.checked_sub(made).ok_or_else(|| {
            Error::Inconsistent(format!(
                "{made} events were made, but the kernel counted {hits} hits"
            ))
        })?;
        Ok(Loss::Exact(unrecorded + missed.iter().sum::<u64>()))
    }

    fn tracer(&self) -> Option<&'static str> {
        match self {
            Self::Function => Some("function"),
            Self::Graph => Some("function_graph"),
            Self::Probes(_) | Self::Tracepoints(_) => None,
        }
    }
}

/// The kernel's counts of all probes of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeHits {
    hits: u64,
    /// Per function.
    missed: Vec<u64>,
}

impl ProbeHits {
    /// For the details of an observation.
    pub fn describe(&self) -> [(String, Value); 2] {
        [
            ("probe_hits".into(), json!(self.hits)),
            ("nmissed_per_function".into(), json!(self.missed)),
        ]
    }
}

fn kind(
    tracefs: &Tracefs,
    name: &str,
    make: impl FnOnce(&Format) -> std::result::Result<EventKind, FormatError>,
) -> Result<EventKind> {
    let format = tracefs.format("ftrace", name)?;
    make(&format).map_err(|e| Error::malformed(format!("format of {name}"), e.to_string()))
}

fn event_kind(format: &Format, item: ItemId) -> Result<EventKind> {
    let bad =
        |e: FormatError| Error::malformed(format!("format of {}", format.name), e.to_string());
    EventKind::item(format, item).map_err(bad)
}

/// Creates one probe event at each function of `target`.
///
/// # Errors
/// The kernel refused one of them, or the target has no function.
pub fn probes(
    tracefs: &Tracefs,
    group: &str,
    probe: ProbeKind,
    target: &Target,
) -> Result<Attachment> {
    some_functions(target)?;
    ProbeEvents::create(tracefs, group, probe, &target.functions).map(Attachment::Probes)
}

/// # Errors
/// The target has no function.
pub fn some_functions(target: &Target) -> Result<()> {
    if target.functions.is_empty() {
        let hint = "Add a function, or use ftrace-tracepoint";
        return Err(Error::unsupported("target", "it has no function", hint));
    }
    Ok(())
}
