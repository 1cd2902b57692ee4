//! A recording in a private instance: what every recording method of this family attaches.
//!
//! The instance keeps the kernel's default of overwriting old events when a buffer is full, like
//! trace-cmd. Its loss is exact in both modes; with overwriting, the pages also say where in the
//! stream events are missing.

use std::collections::BTreeMap;

use probe_core::{
    error::{Error, Result},
    model::{item::PerItem, observation::Observation, target::Target, units::Bytes},
};
use serde_json::{Value, json};

use super::{
    attachment::{Attachment, ProbeHits},
    calls::{CallDecoder, Seen, Tally},
    clocks::Timeline,
    durations::Lengths,
    parameters::Parameters,
    reader,
    source::PageSource,
};
use crate::{
    kernel::{
        run::Run,
        symbols::AddressMap,
        targets,
        tracefs::{CpuStats, Instance, Tracefs},
    },
    methods::{Cadence, Session, Sink},
};

/// An attached method.
#[derive(Debug)]
pub struct Recording {
    // Before the instance: it cannot be removed while they are open.
    sources: Vec<Box<dyn PageSource>>,
    instance: Instance,
    // After the instance: a probe event cannot be removed while it is enabled there.
    attachment: Attachment,
    timeline: Timeline,
    decoder: CallDecoder,
    parameters: Parameters,
    buffer_pages: u64,
    recorded: PerItem<u64>,
    durations: Lengths,
    tally: Tally,
    profile: Option<ProbeHits>,
}

impl Recording {
    /// Creates the instance `name` of `run`, with `attachment` in it.
    ///
    /// # Errors
    /// The kernel's error; nothing is left behind.
    pub fn attach(
        tracefs: &Tracefs,
        run: &Run,
        name: &str,
        parameters: Parameters,
        target: &Target,
        attachment: Attachment,
    ) -> Result<Self> {
        let instance = tracefs.create_instance(&run.object(name))?;
        instance.set_clock(parameters.clock)?;
        instance.write("options/overwrite", if parameters.overwrite { "1" } else { "0" })?;
        let buffer_kib = instance.set_buffer_kib(parameters.buffer_kib_per_cpu)?;
        attachment.prepare(&instance, target)?;
        let layout = reader::layout(&instance)?;
        let kinds = attachment.kinds(tracefs, target)?;
        let items = attachment.items(target);
        Ok(Self {
            sources: reader::open_all(&instance, layout, parameters.reader)?,
            timeline: Timeline::new(tracefs, run, parameters.clock)?,
            decoder: CallDecoder::new(layout, &kinds, AddressMap::new(target)),
            recorded: items.into_iter().map(|item| (item, 0)).collect(),
            durations: Lengths::new(target),
            buffer_pages: (buffer_kib * 1024).div_ceil(layout.data_size() as u64),
            instance,
            attachment,
            parameters,
            tally: Tally::default(),
            profile: None,
        })
    }

    /// What was seen, checked against the kernel's own counters.
    fn seen(&self, stats: &[CpuStats], noted: Observation) -> Result<Observation> {
        let sum = |field: fn(&CpuStats) -> u64| stats.iter().map(field).sum::<u64>();
        let read = sum(|cpu| cpu.read);
        let Tally { events, strangers, .. } = self.tally;
        if read != events {
            return Err(Error::Inconsistent(format!(
                "the kernel returned {read} events, but {events} were decoded"
            )));
        }
        if strangers > 0 {
            let why = "their addresses are not the target's: was the module reloaded?";
            return Err(Error::Inconsistent(format!("{strangers} of {events} calls: {why}")));
        }
        let lost = sum(|cpu| cpu.lost() + cpu.entries);
        let page_size = self.decoder.layout().page_size() as u64;
        Ok(Observation {
            recorded: self.recorded.clone(),
            durations: self.durations.finish(matches!(self.attachment, Attachment::Graph)),
            lost: self.attachment.lost_calls(&self.tally, lost),
            missed: Attachment::missed_calls(self.profile.as_ref(), read + lost)?,
            bytes_read: Bytes(self.sources.iter().map(|source| source.bytes_read()).sum()),
            // Each buffer has an additional page for the reader.
            kernel_memory: Bytes((self.buffer_pages + 1) * page_size * stats.len() as u64),
            details: self.details(stats),
            ..noted
        })
    }

    fn details(&self, stats: &[CpuStats]) -> BTreeMap<String, Value> {
        let Tally { pages, calls, returns, missed, missed_uncounted, .. } = self.tally;
        let mut details = BTreeMap::from([
            ("pages".into(), json!(pages)),
            ("overrun_per_cpu".into(), json!(per_cpu(stats, |cpu| cpu.overrun))),
            ("commit_overrun_per_cpu".into(), json!(per_cpu(stats, |cpu| cpu.commit_overrun))),
            ("dropped_per_cpu".into(), json!(per_cpu(stats, |cpu| cpu.dropped))),
            ("unread_per_cpu".into(), json!(per_cpu(stats, |cpu| cpu.entries))),
            ("missed_by_pages".into(), json!(missed)),
            ("pages_with_uncounted_misses".into(), json!(missed_uncounted)),
        ]);
        if matches!(self.attachment, Attachment::Graph) {
            details.insert("returns".into(), json!(returns));
            details.insert("unpaired_at_least".into(), json!(calls.abs_diff(returns)));
            if stats.iter().any(|cpu| cpu.lost() + cpu.entries > 0) {
                let why = "events were lost: durations are those of calls whose exits were kept, \
                           which is not a random sample";
                details.insert("durations_of_a_part".into(), json!(why));
            }
        }
        details.extend(self.profile.iter().flat_map(ProbeHits::describe));
        details.extend(self.timeline.describe());
        details
    }
}

impl Session for Recording {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.parameters.wake())
    }

    fn start(&mut self) -> Result<()> {
        self.timeline.mark()?;
        self.attachment.switch(&self.instance, true)
    }

    fn attached(&self, target: &Target) -> Result<Vec<String>> {
        Ok(match self.attachment {
            Attachment::Tracepoints(_) => {
                let tracepoints = target.tracepoints.iter();
                tracepoints.map(|tracepoint| format!("tracepoint {tracepoint}")).collect()
            }
            _ => targets::describe(target),
        })
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        self.timeline.mark()?;
        let mut damage = None;
        for source in &mut self.sources {
            // A faster writer must not keep the reader here: read at most one buffer and the
            // reader's own page.
            for _ in 0..self.buffer_pages + 2 {
                let page = match source.next_page() {
                    Ok(Some(page)) => page,
                    Ok(None) => break,
                    Err(error @ Error::Malformed { .. }) => {
                        damage.get_or_insert(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let decoded =
                    self.decoder.events(&page, &mut self.tally, |item, seen| match seen {
                        Seen::Hit(at) => {
                            if let Some(recorded) = self.recorded.get_mut(item) {
                                *recorded += 1;
                            }
                            if let Some(at) = self.timeline.mono(at) {
                                sink.event(item, at);
                            }
                        }
                        Seen::Took(ns) => self.durations.add(item, ns),
                    });
                if let Err(error) = decoded {
                    damage
                        .get_or_insert_with(|| Error::malformed(source.name(), error.to_string()));
                }
            }
        }
        damage.map_or(Ok(()), Err)
    }

    fn stop(&mut self) -> Result<()> {
        let switched = self.attachment.switch(&self.instance, false);
        self.sources.iter_mut().for_each(|source| source.end());
        self.profile = self.attachment.profile()?;
        switched
    }

    fn account(self: Box<Self>, noted: Observation) -> Result<Observation> {
        let stats: Result<Vec<_>> =
            self.sources.iter().map(|source| self.instance.stats(source.cpu())).collect();
        let observation = stats.and_then(|stats| self.seen(&stats, noted));
        let Self { sources, instance, attachment, timeline, .. } = *self;
        drop(sources);
        attachment.release(instance).and(timeline.close()).and(observation)
    }
}

fn per_cpu(stats: &[CpuStats], field: fn(&CpuStats) -> u64) -> Vec<u64> {
    stats.iter().map(field).collect()
}
