//! The recording methods: each is a [`Recording`] from a different source of events.
//!
//! `ftrace-function` and `ftrace-function-mmap`: the function tracer, filtered to the target.
//! `ftrace-graph`: the function-graph tracer, with the same filter; its exits give durations.
//! `ftrace-kprobe`, `ftrace-kretprobe`, `ftrace-fprobe`: probe events. `ftrace-tracepoint`: the
//! target's tracepoints.
//!
//! The time of a kretprobe or returning fprobe is that of the return.

use probe_core::{
    error::{Error, Result},
    model::{
        method::{Class, Descriptor, Family, SeriesUnit},
        target::Target,
    },
};
use serde_json::json;

use super::{
    attachment::{self, Attachment},
    mapped::MappedReader,
    parameters::{PageReader, Parameters},
    reader,
    recording::Recording,
};
use crate::{
    kernel::{
        cpus,
        known::Known,
        probe_events::{ProbeEvents, ProbeKind},
        run::{self, Run},
        tracefs::{Instance, Tracefs},
    },
    methods::{AttachContext, Detection, Method, Session, options::Options},
};

/// The source of a recording's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSource {
    /// The function tracer.
    Function,
    /// The function-graph tracer.
    Graph,
    /// Probe events.
    Probe(ProbeKind),
    /// Tracepoints.
    Tracepoints,
}

impl EventSource {
    fn summary(self) -> &'static str {
        match self {
            Self::Function => {
                "function tracer on a private instance, raw pages, timestamps counted per bin"
            }
            Self::Graph => {
                "function-graph tracer on a private instance: entries, and durations from exits"
            }
            Self::Probe(ProbeKind::Kprobe) => "kprobe events in a private instance, raw pages",
            Self::Probe(ProbeKind::Kretprobe { .. }) => {
                "kretprobe events in a private instance, at the return"
            }
            Self::Probe(ProbeKind::Fprobe) => "fprobe events in a private instance, raw pages",
            Self::Probe(ProbeKind::FprobeReturn) => {
                "fprobe events in a private instance, at the return"
            }
            Self::Tracepoints => "the target's tracepoints in a private instance, raw pages",
        }
    }
}

/// A recording method.
#[derive(Debug)]
pub struct Recorder {
    descriptor: Descriptor,
    source: EventSource,
    parameters: Parameters,
}

impl Recorder {
    /// The method that records `source` in this way.
    pub fn new(source: EventSource, parameters: Parameters, options: &Options) -> Self {
        let mut described = parameters.describe();
        match source {
            EventSource::Probe(ProbeKind::Kretprobe { maxactive }) => {
                described.insert("maxactive".into(), json!(maxactive));
            }
            EventSource::Probe(ProbeKind::Fprobe) => {
                described.insert("at".into(), json!("entry"));
            }
            EventSource::Probe(ProbeKind::FprobeReturn) => {
                described.insert("at".into(), json!("return"));
            }
            _ => {}
        }
        let descriptor = Descriptor {
            id: options.id(options.base()),
            family: Family::Ftrace,
            class: Class::Recorded,
            unit: SeriesUnit::Calls { factor: 1.0 },
            durations: source == EventSource::Graph,
            summary: source.summary().into(),
            parameters: described,
        };
        Self { descriptor, source, parameters }
    }

    fn probe(&self, target: &Target, known: &Known) -> Result<()> {
        let tracefs = known.tracefs()?;
        tracefs.allows_instances()?;
        match self.source {
            EventSource::Function => {
                traceable(known, target, "function", "CONFIG_FUNCTION_TRACER")?;
            }
            EventSource::Graph => {
                traceable(known, target, "function_graph", "CONFIG_FUNCTION_GRAPH_TRACER")?;
                all_functions_in_graphs(tracefs)?;
            }
            EventSource::Probe(probe) => {
                attachment::some_functions(target)?;
                return ProbeEvents::try_out(known, probe, &target.functions);
            }
            EventSource::Tracepoints => return tracepoints(tracefs, target).map(drop),
        }
        if self.source == EventSource::Graph || self.parameters.reader == PageReader::Mmap {
            return self.try_instance(tracefs);
        }
        Ok(())
    }

    /// Finds out in an instance what only an instance can tell; sets no tracer in it.
    fn try_instance(&self, tracefs: &Tracefs) -> Result<()> {
        let name = run::trial_object("trial")?;
        let instance = tracefs.create_instance(&name)?;
        let tried = match self.source {
            EventSource::Graph => accept_graph(&instance),
            _ => reader::layout(&instance)
                .and_then(|layout| MappedReader::open(&instance, cpus::any()?, layout).map(drop)),
        };
        let closed = instance.close();
        tried.and(closed)
    }

    fn attachment(&self, tracefs: &Tracefs, run: &Run, target: &Target) -> Result<Attachment> {
        match self.source {
            EventSource::Function => {
                attachment::some_functions(target).map(|()| Attachment::Function)
            }
            EventSource::Graph => {
                attachment::some_functions(target)?;
                all_functions_in_graphs(tracefs)?;
                Ok(Attachment::Graph)
            }
            EventSource::Probe(probe) => {
                attachment::probes(tracefs, &run.probe_group(), probe, target)
            }
            EventSource::Tracepoints => tracepoints(tracefs, target).map(Attachment::Tracepoints),
        }
    }
}

impl Method for Recorder {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, target: &Target, known: &Known) -> Detection {
        self.probe(target, known).into()
    }

    fn open(&self, target: &Target, context: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        let tracefs = Tracefs::find()?;
        let attachment = self.attachment(&tracefs, context.run, target)?;
        let recording =
            Recording::attach(&tracefs, context.run, "trace", self.parameters, target, attachment)?;
        Ok(Box::new(recording))
    }
}

/// Whether the kernel has the tracer and can trace the target with it.
fn traceable(known: &Known, target: &Target, tracer: &str, config: &str) -> Result<()> {
    attachment::some_functions(target)?;
    let tracefs = known.tracefs()?;
    let tracers = tracefs.read("available_tracers")?;
    if !tracers.split_whitespace().any(|word| word == tracer) {
        let why = format!("this kernel has no {tracer} tracer");
        return Err(Error::unsupported("tracefs", why, format!("Use a kernel with {config}")));
    }
    // A kernel that restricts tracing does not even let this file be read.
    tracefs.read("set_ftrace_filter")?;
    known.check_traceable(target)
}

/// Checks that the files of the top-level trace that affect the function-graph tracers of all
/// instances have their default content (kernel/trace/trace_functions_graph.c,
/// `ftrace_graph_ignore_func`).
fn all_functions_in_graphs(tracefs: &Tracefs) -> Result<()> {
    let limits = ["set_graph_function", "set_graph_notrace", "max_graph_depth"];
    for file in limits {
        let Some(text) = tracefs.read_if_there(file)? else { continue };
        let limit = text.lines().find(|line| !line.starts_with('#') && line.trim() != "0");
        if let Some(limit) = limit {
            return Err(Error::unsupported(
                tracefs.path(file).display().to_string(),
                format!(
                    "it holds `{limit}`, which limits the function-graph tracers of all instances"
                ),
                "Empty the file (max_graph_depth: write 0)",
            ));
        }
    }
    Ok(())
}

/// Whether an instance accepts the function-graph tracer. The top-level trace does on every kernel,
/// but it has no name of its own: nobody could identify, or undo, what a killed run leaves there.
fn accept_graph(instance: &Instance) -> Result<()> {
    if instance.accepts("function_graph")? {
        return Ok(());
    }
    Err(Error::unsupported(
        "function_graph",
        "this kernel has it only for the top-level trace, where a killed run's leftovers could not \
         be identified",
        "Use a kernel whose instances accept it, such as Linux 6.12",
    ))
}

/// The files that enable the target's tracepoints, of which there must be at least one.
fn tracepoints(tracefs: &Tracefs, target: &Target) -> Result<Vec<String>> {
    if target.tracepoints.is_empty() {
        return Err(Error::unsupported(
            "target",
            "it has no tracepoint",
            "Add one, as in --target vhost or tracepoint:net:net_dev_xmit",
        ));
    }
    let file = |tracepoint| {
        tracefs.tracepoint_id(tracepoint)?;
        Ok(format!("events/{}/{}/enable", tracepoint.group, tracepoint.name))
    };
    target.tracepoints.iter().map(file).collect()
}
