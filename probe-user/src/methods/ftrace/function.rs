//! `ftrace-function`: the function tracer on a private instance, filtered to the target, read as raw pages.
//!
//! The instance keeps the kernel's default of overwriting old events when a buffer is full, as trace-cmd does. Its
//! loss is exact either way; with overwriting, the pages also say where in the stream events are missing.
//!
//! Part of the toll: the tracer makes the kernel note the name of each task that is switched in
//! (`tracing_start_cmdline_record` in `function_trace_init`), and an instance has no option against it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::{
    calls::{CallDecoder, Tally},
    page::PageLayout,
    reader::PageReader,
};
use crate::{
    error::{Error, Result},
    kernel::{
        clock,
        symbols::AddressMap,
        targets,
        tracefs::{
            CpuStats, Instance, Tracefs,
            format::{Format, FormatError},
        },
    },
    methods::{Cadence, Detection, Method, Scene, Session, Sink, options::Options},
    model::{
        loss::Loss,
        method::{Class, Descriptor, Family, SeriesUnit},
        observation::Observation,
        target::{Function, Target},
        units::{Bytes, Nanos},
    },
};

/// The method's id.
pub const ID: &str = "ftrace-function";

/// The trace clock: that of the bin edges.
const CLOCK: &str = "mono";

/// What shapes the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Size of each CPU's ring buffer; the kernel rounds up to whole pages.
    pub buffer_kib_per_cpu: u32,
    /// How often the reader wakes up.
    pub wake_ms: u32,
}

impl Parameters {
    /// The parameters that a person gave, and the defaults of the others.
    ///
    /// # Errors
    /// A value is wrong.
    pub fn take(options: &mut Options) -> Result<Self> {
        let Self { buffer_kib_per_cpu, wake_ms } = Self::default();
        Ok(Self {
            buffer_kib_per_cpu: options.positive("buffer_kib_per_cpu", buffer_kib_per_cpu)?,
            wake_ms: options.positive("wake_ms", wake_ms)?,
        })
    }
}

impl Default for Parameters {
    /// The kernel's own buffer size (`TRACE_BUF_SIZE_DEFAULT`), which holds 100 ms at 500,000 calls per second.
    fn default() -> Self {
        Self { buffer_kib_per_cpu: 1408, wake_ms: 100 }
    }
}

/// The method.
#[derive(Debug)]
pub struct FunctionTracer {
    descriptor: Descriptor,
    parameters: Parameters,
}

impl FunctionTracer {
    /// The method with these parameters.
    pub fn new(parameters: Parameters, options: &Options) -> Self {
        let Parameters { buffer_kib_per_cpu, wake_ms } = parameters;
        let descriptor = Descriptor {
            id: options.id(ID),
            family: Family::Ftrace,
            class: Class::Recorded,
            unit: SeriesUnit::Calls { factor: 1.0 },
            summary: "function tracer on a private instance, raw pages, timestamps counted per bin"
                .into(),
            parameters: BTreeMap::from([
                ("buffer_kib_per_cpu".into(), json!(buffer_kib_per_cpu)),
                ("wake_ms".into(), json!(wake_ms)),
                ("clock".into(), json!(CLOCK)),
                ("overwrite".into(), json!(true)),
            ]),
        };
        Self { descriptor, parameters }
    }

    fn probe(target: &Target) -> Result<()> {
        let tracefs = Tracefs::find()?;
        let tracers = tracefs.read("available_tracers")?;
        if !tracers.split_whitespace().any(|tracer| tracer == "function") {
            return Err(Error::unsupported(
                ID,
                "this kernel has no function tracer",
                "Use a kernel with CONFIG_FUNCTION_TRACER",
            ));
        }
        tracefs.allows_instances()?;
        // A kernel that restricts tracing refuses even to read it.
        tracefs.read("set_ftrace_filter")?;
        targets::check_traceable(target, &tracefs)
    }

    fn attach_at(&self, tracefs: &Tracefs, target: &Target, name: &str) -> Result<FunctionSession> {
        let instance = tracefs.create_instance(name)?;
        instance.set_clock(CLOCK)?;
        instance.write("options/overwrite", "1")?;
        let buffer_kib = instance.set_buffer_kib(self.parameters.buffer_kib_per_cpu)?;
        set_filter(&instance, target)?;
        // Patches the target's call sites; nothing is recorded before `enable`.
        instance.write("current_tracer", "function")?;
        let decoder = decoder(tracefs, &instance, target)?;
        let layout = decoder.layout();
        let buffer_pages = (buffer_kib * 1024).div_ceil(layout.data_size() as u64);
        let open = |cpu| PageReader::open(&instance, cpu, layout.page_size());
        let readers: Vec<_> = instance.cpus()?.into_iter().map(open).collect::<Result<_>>()?;
        Ok(FunctionSession {
            readers,
            decoder,
            instance,
            buffer_pages,
            wake: Duration::from_millis(self.parameters.wake_ms.into()),
            attached: targets::describe(target),
            recorded: vec![0; target.functions.len()],
            tally: Tally::default(),
            enabled: None,
            observed: Nanos::default(),
        })
    }
}

impl Method for FunctionTracer {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn detect(&self, target: &Target) -> Detection {
        Self::probe(target).into()
    }

    fn attach(&self, target: &Target, scene: &Scene<'_>) -> Result<Box<dyn Session>> {
        let session = self.attach_at(&Tracefs::find()?, target, &scene.run.object("function"))?;
        Ok(Box::new(session))
    }
}

/// Filters the instance to exactly the target's functions, and makes sure that the kernel took them all.
fn set_filter(instance: &Instance, target: &Target) -> Result<()> {
    const FILE: &str = "set_ftrace_filter";
    // `:mod:!*` is the kernel itself: without it, a module's function of the same name would match too.
    let word = |f: &Function| format!("{}:mod:{}\n", f.name, f.module.as_deref().unwrap_or("!*"));
    instance.write(FILE, &target.functions.iter().map(word).collect::<String>())?;
    let mut expected: Vec<_> = target.functions.iter().map(targets::listed_name).collect();
    expected.sort_unstable();
    let text = instance.read(FILE)?;
    let mut filter: Vec<_> = text.lines().collect();
    filter.sort_unstable();
    if filter == expected {
        return Ok(());
    }
    Err(Error::Untrue(format!("{FILE} holds {filter:?} instead of {expected:?}")))
}

fn decoder(tracefs: &Tracefs, instance: &Instance, target: &Target) -> Result<CallDecoder> {
    const FORMAT: &str = "events/ftrace/function/format";
    let bad = |file: &str, e: FormatError| Error::malformed(file, e.to_string());
    let (page, event) =
        (instance.read("events/header_page")?, instance.read("events/header_event")?);
    let layout = PageLayout::parse(&page, &event).map_err(|e| bad("events/header_page", e))?;
    // The function event belongs to the tracer, not to an instance.
    let format = Format::parse(&tracefs.read(FORMAT)?).map_err(|e| bad(FORMAT, e))?;
    CallDecoder::new(layout, &format, "ip", AddressMap::new(target)).map_err(|e| bad(FORMAT, e))
}

/// The method attached.
#[derive(Debug)]
struct FunctionSession {
    // Before the instance: it cannot be removed while they are open.
    readers: Vec<PageReader>,
    decoder: CallDecoder,
    instance: Instance,
    buffer_pages: u64,
    wake: Duration,
    attached: Vec<String>,
    recorded: Vec<u64>,
    tally: Tally,
    enabled: Option<Nanos>,
    observed: Nanos,
}

impl Session for FunctionSession {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.wake)
    }

    fn enable(&mut self) -> Result<()> {
        self.enabled = Some(clock::now());
        self.instance.record(true)
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let mut damage = None;
        for reader in &mut self.readers {
            // A writer faster than this reader must not keep it here: one buffer's worth, and the reader's own page.
            for _ in 0..self.buffer_pages + 2 {
                let Some(page) = reader.next_page()? else { break };
                let decoded = self.decoder.page(page, &mut self.tally, |function, at| {
                    self.recorded[function] += 1;
                    sink.event(function, Nanos(at));
                });
                if let Err(error) = decoded {
                    damage.get_or_insert(Error::malformed(reader.name(), error.to_string()));
                }
            }
        }
        damage.map_or(Ok(()), Err)
    }

    fn disable(&mut self) -> Result<()> {
        self.instance.record(false)?;
        self.observed = self.enabled.take().map_or(self.observed, |at| clock::now().since(at));
        Ok(())
    }

    fn detach(self: Box<Self>) -> Result<Observation> {
        let stats: Result<Vec<_>> =
            self.readers.iter().map(|reader| self.instance.stats(reader.cpu())).collect();
        let observation = stats.and_then(|stats| self.account(&stats));
        let Self { readers, instance, .. } = *self;
        drop(readers);
        let detached = instance.write("current_tracer", "nop");
        let closed = instance.close();
        detached.and(closed).and(observation)
    }
}

impl FunctionSession {
    /// What was seen, checked against the kernel's own counters.
    fn account(&self, stats: &[CpuStats]) -> Result<Observation> {
        let sum = |field: fn(&CpuStats) -> u64| stats.iter().map(field).sum::<u64>();
        let read = sum(|cpu| cpu.read);
        let Tally { pages, events, strangers, missed, missed_uncounted, .. } = self.tally;
        if read != events {
            return Err(Error::Untrue(format!("the kernel gave {read} events, {events} decoded")));
        }
        if strangers > 0 {
            let why = "their addresses are not the target's: was the module reloaded?";
            return Err(Error::Untrue(format!("{strangers} of {events} calls: {why}")));
        }
        let page_size = self.decoder.layout().page_size() as u64;
        let observed = self.observed;
        Ok(Observation {
            recorded: self.recorded.iter().map(|&n| Some(n)).collect(),
            lost: Loss::Exact(sum(|cpu| cpu.lost() + cpu.entries)),
            // ftrace's recursion guard skips a call made from inside the tracer, and counts it nowhere.
            missed: Loss::Unknown,
            enabled: observed,
            running: observed,
            attached: self.attached.clone(),
            bytes_read: Bytes(self.readers.iter().map(|reader| reader.bytes_read).sum()),
            // Each buffer has one page more, the reader's.
            kernel_memory: Bytes((self.buffer_pages + 1) * page_size * stats.len() as u64),
            details: BTreeMap::from([
                ("pages".into(), json!(pages)),
                ("overrun_per_cpu".into(), json!(per_cpu(stats, |cpu| cpu.overrun))),
                ("commit_overrun_per_cpu".into(), json!(per_cpu(stats, |cpu| cpu.commit_overrun))),
                ("dropped_per_cpu".into(), json!(per_cpu(stats, |cpu| cpu.dropped))),
                ("unread_per_cpu".into(), json!(per_cpu(stats, |cpu| cpu.entries))),
                ("missed_by_pages".into(), json!(missed)),
                ("pages_with_uncounted_misses".into(), json!(missed_uncounted)),
            ]),
            ..Observation::default()
        })
    }
}

fn per_cpu(stats: &[CpuStats], field: fn(&CpuStats) -> u64) -> Vec<u64> {
    stats.iter().map(field).collect()
}
