//! Reads a counter at the edges of the bins.

use std::collections::BTreeMap;

use probe_core::{
    error::{Error, Result},
    model::{
        counter::Counted,
        item::ItemId,
        loss::Loss,
        method::{Class, Descriptor, Family, SeriesUnit},
        observation::Observation,
        scenario::GuestKind,
        target::Target,
        units::Bytes,
    },
};
use serde_json::json;

use super::sources::Source;
use crate::{
    kernel::{known::Known, reread::Reread},
    methods::{AttachContext, Cadence, Detection, Method, Session, Sink, options::Options},
};

/// The method.
#[derive(Debug)]
pub(super) struct Counter {
    descriptor: Descriptor,
    source: &'static Source,
}

impl Counter {
    /// The method that reads one of `sources`: the first one, or what the parameter `of` names.
    ///
    /// # Errors
    /// `of` names none of them.
    pub(super) fn take(sources: &'static [Source], options: &mut Options) -> Result<Self> {
        let words: Vec<&'static str> = sources.iter().map(|source| source.word).collect();
        let mut parameters = BTreeMap::new();
        let word = match words[..] {
            [only] => only,
            _ => {
                let word = options.choose("of", &words)?;
                parameters.insert("of".to_owned(), json!(word));
                word
            }
        };
        let source = sources.iter().find(|source| source.word == word);
        let source = source.ok_or_else(|| Error::Inconsistent(format!("no counter {word}")))?;
        let descriptor = Descriptor {
            id: options.id(options.base()),
            family: Family::Counters,
            class: Class::Inferred,
            unit: SeriesUnit::Counter { of: source.of },
            durations: false,
            summary: source.about.into(),
            parameters,
        };
        Ok(Self { descriptor, source })
    }
}

impl Method for Counter {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, _: &Target, _: &Known) -> Detection {
        self.source.try_out().into()
    }

    fn suits(&self, guests: GuestKind) -> Detection {
        self.source.suits(guests).into()
    }

    fn open(&self, target: &Target, context: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        let (source, files) = (self.source, self.source.open(context)?);
        let item = source.of.item(target);
        Ok(Box::new(Counting { source, files, item, from: 0, total: 0, counts: false }))
    }
}

/// The open files.
#[derive(Debug)]
struct Counting {
    source: &'static Source,
    files: Vec<Reread>,
    item: ItemId,
    /// The sum of the files at the start.
    from: u64,
    /// What was added by the last reading.
    total: u64,
    /// Between start and stop.
    counts: bool,
}

impl Counting {
    fn sum(&mut self) -> Result<u64> {
        let mut sum = 0_u64;
        for file in &mut self.files {
            sum = sum.wrapping_add(self.source.read(file)?);
        }
        Ok(sum)
    }

    fn read(&mut self) -> Result<()> {
        let now = self.sum()?;
        let total = now.checked_sub(self.from).filter(|total| *total >= self.total);
        self.total = total.ok_or_else(|| {
            let (name, then) = (self.source.of.name(), self.from.saturating_add(self.total));
            Error::Inconsistent(format!("{name} went back from {then} to {now}"))
        })?;
        Ok(())
    }
}

impl Session for Counting {
    fn cadence(&self) -> Cadence {
        Cadence::Edges
    }

    fn start(&mut self) -> Result<()> {
        self.from = self.sum()?;
        self.counts = true;
        Ok(())
    }

    fn attached(&self, _: &Target) -> Result<Vec<String>> {
        Ok(self.files.iter().map(|file| file.path().display().to_string()).collect())
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        if self.counts {
            self.read()?;
        }
        sink.count(self.item, self.total);
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        self.read()?;
        self.counts = false;
        Ok(())
    }

    fn account(self: Box<Self>, noted: Observation) -> Result<Observation> {
        // Only frames are an item of the target.
        let recorded = (self.source.of == Counted::Frames).then_some((self.item, self.total));
        Ok(Observation {
            recorded: recorded.into_iter().collect(),
            lost: Loss::NONE,
            missed: Loss::NONE,
            bytes_read: Bytes(self.files.iter().map(Reread::bytes_read).sum()),
            details: BTreeMap::from([
                ("total".into(), json!(self.total)),
                ("files".into(), json!(self.files.len())),
            ]),
            ..noted
        })
    }
}
