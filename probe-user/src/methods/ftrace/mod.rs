//! The kernel's own tracers, through tracefs.

pub mod attachment;
pub mod calls;
pub mod clocks;
pub mod durations;
pub mod hist;
pub mod mapped;
pub mod page;
pub mod parameters;
pub mod read;
pub mod reader;
pub mod recorder;
pub mod recording;
pub mod source;
pub mod splice;

use probe_core::{error::Result, model::bounds};

use self::{
    hist::Hist,
    parameters::{PageReader, Parameters},
    recorder::{EventSource, Recorder},
};
use super::{Method, entry::Entry, options::Options};
use crate::kernel::probe_events::ProbeKind;

/// All methods of this family.
pub const METHODS: &[Entry] = &[
    Entry::plain("ftrace-function", function),
    Entry::plain("ftrace-function-mmap", function_mmap),
    Entry::plain("ftrace-graph", |options| recorder(options, EventSource::Graph)),
    Entry::plain("ftrace-kprobe", |options| {
        recorder(options, EventSource::Probe(ProbeKind::Kprobe))
    }),
    Entry::plain("ftrace-kretprobe", kretprobe),
    Entry::plain("ftrace-fprobe", fprobe),
    Entry::plain("ftrace-tracepoint", |options| recorder(options, EventSource::Tracepoints)),
    Entry::plain("ftrace-hist", |_| Ok(Box::new(Hist::new()))),
];

fn recorder(options: &mut Options, source: EventSource) -> Result<Box<dyn Method>> {
    let parameters = Parameters::take(options)?;
    Ok(Box::new(Recorder::new(source, parameters, options)))
}

fn function(options: &mut Options) -> Result<Box<dyn Method>> {
    let reader = PageReader::named(options.choose("reader", PageReader::CHOICES)?);
    let parameters = Parameters { reader, ..Parameters::take(options)? };
    Ok(Box::new(Recorder::new(EventSource::Function, parameters, options)))
}

fn function_mmap(options: &mut Options) -> Result<Box<dyn Method>> {
    let parameters = Parameters { reader: PageReader::Mmap, ..Parameters::take(options)? };
    Ok(Box::new(Recorder::new(EventSource::Function, parameters, options)))
}

fn kretprobe(options: &mut Options) -> Result<Box<dyn Method>> {
    /// The kernel chooses the number (kernel/kprobes.c, `register_kretprobe`).
    const DEFAULT: u32 = 0;
    let maxactive = match options.number("maxactive", DEFAULT, &bounds::MAXACTIVE)? {
        DEFAULT => None,
        calls => Some(calls),
    };
    recorder(options, EventSource::Probe(ProbeKind::Kretprobe { maxactive }))
}

fn fprobe(options: &mut Options) -> Result<Box<dyn Method>> {
    let probe = match options.choose("at", &["entry", "return"])? {
        "return" => ProbeKind::FprobeReturn,
        _ => ProbeKind::Fprobe,
    };
    recorder(options, EventSource::Probe(probe))
}
