//! `ftrace-hist`: a kprobe event per function, and a hist trigger that counts its hits in the
//! kernel.
//!
//! The trigger's only key has a single value, so the histogram is one counter. It is created
//! paused, and runs from enable to disable; the event itself is never enabled and records nothing.

use std::{collections::BTreeMap, fs::File, os::unix::fs::FileExt as _, path::PathBuf};

use probe_core::{
    error::{Error, Result},
    model::{
        item::ItemId,
        loss::Loss,
        method::{Class, Descriptor, Family, MethodId, SeriesUnit},
        observation::Observation,
        target::Target,
        units::Bytes,
    },
};
use serde_json::json;

use super::attachment::some_functions;
use crate::{
    kernel::{
        known::Known,
        probe_events::{ProbeEvent, ProbeEvents, ProbeKind, Profile},
        run,
        tracefs::{Instance, Tracefs},
    },
    methods::{AttachContext, Cadence, Detection, Method, Session, Sink},
};

/// The smallest table that the kernel creates (`HIST_TRIGGER_BITS_MIN`), for the single entry.
const TRIGGER: &str = "hist:keys=common_type:size=128";

/// Size of the instance's ring buffer, which remains empty.
const BUFFER_KIB: u32 = 8;

/// The method.
#[derive(Debug)]
pub struct Hist {
    descriptor: Descriptor,
}

impl Hist {
    /// The method; it has no parameters.
    pub fn new() -> Self {
        Self {
            descriptor: Descriptor {
                id: MethodId("ftrace-hist".into()),
                family: Family::Ftrace,
                class: Class::Exact,
                unit: SeriesUnit::Calls { factor: 1.0 },
                durations: false,
                summary:
                    "hist triggers on kprobe events count in the kernel; read at each bin edge"
                        .into(),
                parameters: BTreeMap::from([("trigger".into(), json!(TRIGGER))]),
            },
        }
    }

    /// Without the trigger: even a paused one arms the kprobes.
    fn probe(target: &Target, known: &Known) -> Result<()> {
        let (group, name) = (run::trial_group()?, run::trial_object("trial")?);
        let (probes, instance) = prepare(known.tracefs()?, target, &group, &name)?;
        let closed = instance.close();
        closed.and(probes.close())
    }
}

impl Default for Hist {
    fn default() -> Self {
        Self::new()
    }
}

impl Method for Hist {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, target: &Target, known: &Known) -> Detection {
        Self::probe(target, known).into()
    }

    fn open(&self, target: &Target, context: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        let (group, name) = (context.run.probe_group(), context.run.object("hist"));
        Ok(Box::new(Counting::attach(&Tracefs::find()?, target, &group, &name)?))
    }
}

#[derive(Debug)]
struct Counting {
    // Before the instance: it cannot be removed while they are open.
    histograms: Vec<Histogram>,
    instance: Instance,
    // After the instance: a probe event cannot be removed while it has a trigger there.
    probes: ProbeEvents,
    /// The kernel's counts before enable, and at disable.
    before: Vec<Option<Profile>>,
    after: Vec<Option<Profile>>,
}

impl Counting {
    fn attach(tracefs: &Tracefs, target: &Target, group: &str, name: &str) -> Result<Self> {
        let (probes, instance) = prepare(tracefs, target, group, name)?;
        command(&instance, &probes, ":pause")?;
        let open = |event: &ProbeEvent| Histogram::open(&instance, event);
        Ok(Self {
            histograms: probes.events().iter().map(open).collect::<Result<_>>()?,
            instance,
            probes,
            before: Vec::new(),
            after: Vec::new(),
        })
    }

    fn release(self) -> Result<()> {
        let Self { histograms, instance, probes, .. } = self;
        drop(histograms);
        let closed = instance.close();
        let removed = probes.close();
        closed.and(removed)
    }

    /// Calls at which the kprobe's handler could not run, per function.
    fn missed(&self) -> Vec<u64> {
        let missed = |profile: &Option<Profile>| profile.map_or(0, |profile| profile.missed);
        let pairs = self.before.iter().zip(&self.after);
        pairs.map(|(before, after)| missed(after) - missed(before)).collect()
    }

    fn seen(&mut self, noted: Observation) -> Result<Observation> {
        let totals: Vec<Totals> =
            self.histograms.iter_mut().map(Histogram::read).collect::<Result<_>>()?;
        let missed = self.missed();
        Ok(Observation {
            recorded: ItemId::FIRST.onward().zip(totals.iter().map(|total| total.hits)).collect(),
            // Hits for which the histogram had no room.
            lost: Loss::Exact(totals.iter().map(|total| total.dropped).sum()),
            missed: Loss::Exact(missed.iter().sum()),
            bytes_read: Bytes(self.histograms.iter().map(|histogram| histogram.bytes_read).sum()),
            kernel_memory: Bytes(u64::from(BUFFER_KIB) * 1024 * self.instance.cpus()?.len() as u64),
            details: BTreeMap::from([("nmissed_per_function".into(), json!(missed))]),
            ..noted
        })
    }
}

/// The events, and the instance in which their triggers are set; in this order, so that a caller
/// that fails drops the instance first.
fn prepare(
    tracefs: &Tracefs,
    target: &Target,
    group: &str,
    name: &str,
) -> Result<(ProbeEvents, Instance)> {
    some_functions(target)?;
    let probes = ProbeEvents::create(tracefs, group, ProbeKind::Kprobe, &target.functions)?;
    let instance = tracefs.create_instance(name)?;
    instance.set_buffer_kib(BUFFER_KIB)?;
    for event in probes.events() {
        if !instance.path(&event.file("hist")).exists() {
            return Err(Error::unsupported(
                "hist trigger",
                "this kernel has none",
                "Use a kernel with CONFIG_HIST_TRIGGERS",
            ));
        }
    }
    Ok((probes, instance))
}

/// Sends a command to the trigger of each event.
fn command(instance: &Instance, probes: &ProbeEvents, verb: &str) -> Result<()> {
    let commands = probes
        .events()
        .iter()
        .map(|event| instance.append(&event.file("trigger"), &format!("{TRIGGER}{verb}")));
    commands.fold(Ok(()), Result::and)
}

impl Session for Counting {
    fn cadence(&self) -> Cadence {
        Cadence::Edges
    }

    fn start(&mut self) -> Result<()> {
        self.before = self.probes.profile()?;
        command(&self.instance, &self.probes, ":continue")
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        for (function, histogram) in ItemId::FIRST.onward().zip(&mut self.histograms) {
            sink.count(function, histogram.read()?.hits);
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        let paused = command(&self.instance, &self.probes, ":pause");
        self.after = self.probes.profile()?;
        paused
    }

    fn account(mut self: Box<Self>, noted: Observation) -> Result<Observation> {
        let observation = self.seen(noted);
        self.release().and(observation)
    }
}

/// The `hist` file of one event, kept open: each read from its beginning generates new text.
#[derive(Debug)]
struct Histogram {
    path: PathBuf,
    file: File,
    text: Vec<u8>,
    bytes_read: u64,
}

/// The totals below a histogram (kernel/trace/trace_events_hist.c, `hist_trigger_show`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    hits: u64,
    dropped: u64,
}

impl Histogram {
    fn open(instance: &Instance, event: &ProbeEvent) -> Result<Self> {
        let path = instance.path(&event.file("hist"));
        let file = File::open(&path).map_err(|e| Error::file("open", &path, e))?;
        // A histogram of one entry has some 300 bytes.
        Ok(Self { path, file, text: vec![0; 1 << 14], bytes_read: 0 })
    }

    fn read(&mut self) -> Result<Totals> {
        let mut length = 0;
        loop {
            let piece = self.file.read_at(&mut self.text[length..], length as u64);
            match piece.map_err(|e| Error::file("read", &self.path, e))? {
                0 => break,
                more => length += more,
            }
        }
        self.bytes_read += length as u64;
        let text = String::from_utf8_lossy(&self.text[..length]);
        Totals::parse(&text).ok_or_else(|| {
            Error::malformed(self.path.display().to_string(), format!("no totals in `{text}`"))
        })
    }
}

impl Totals {
    fn parse(text: &str) -> Option<Self> {
        let (_, totals) = text.rsplit_once("Totals:")?;
        let field = |name: &str| {
            let line = totals.lines().find_map(|line| line.trim().strip_prefix(name))?;
            line.trim().parse().ok()
        };
        Some(Self { hits: field("Hits:")?, dropped: field("Dropped:")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_stand_below_the_entries() {
        let text = "# event histogram\n#\n# trigger info: hist:keys=common_type:vals=hitcount:size=128 \
             [active]\n#\n\n{ common_type:       1529 } hitcount:         12\n\nTotals:\n    \
             Hits: 12\n    Entries: 1\n    Dropped: 3\n";
        assert_eq!(Totals::parse(text), Some(Totals { hits: 12, dropped: 3 }));
        assert_eq!(Totals::parse("Totals:\n    Hits: 12\n"), None);
        assert_eq!(Totals::parse(""), None);
    }
}
