//! `capture-headers` and `capture-full`: a packet socket with a `TPACKET_V3` ring on each guest's
//! TAP, written to a pcap file. They capture what guests send, but not what is sent to them
//! (`PACKET_IGNORE_OUTGOING`).

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::{
        bounds,
        item::ItemId,
        loss::Loss,
        method::{Class, Descriptor, Family, SeriesUnit},
        observation::Observation,
        target::Target,
        units::Bytes,
    },
};
use serde_json::json;

use super::pcap::PcapFile;
use crate::{
    kernel::{
        known::Known,
        packets::{
            block::Frame,
            listener::{Listener, Taker},
            realtime::Offset,
        },
    },
    methods::{AttachContext, Cadence, Detection, Method, Session, Sink, Taps, options::Options},
    sys::packet::{RingShape, Socket},
};

/// The captured part of each frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Its first bytes.
    Headers,
    /// The whole frame, including segments of up to 64 KiB that were not split yet.
    Whole,
}

/// The longest frame in the format of pcap files (`MAXIMUM_SNAPLEN` of tcpdump).
const WHOLE: u32 = 262_144;

/// The method.
#[derive(Debug)]
pub struct Capture {
    descriptor: Descriptor,
    shape: RingShape,
    wake: Duration,
    file: Option<PathBuf>,
}

impl Capture {
    /// The method with the user's parameters. By default the ring can hold everything that a guest
    /// can send between two wake-ups of the reader (10,000 frames and more), so it loses nothing as
    /// long as the reader gets its CPU. Its blocks, each handed over after `retire_ms` however few
    /// frames it has, last for 6 s.
    ///
    /// # Errors
    /// A value is wrong.
    pub fn take(kept: Kept, options: &mut Options) -> Result<Self> {
        let (id, block_kib, blocks, summary) = match kept {
            Kept::Headers => ("capture-headers", 64, 128, "the first bytes of"),
            Kept::Whole => ("capture-full", 256, 128, "all of"),
        };
        let snaplen = match kept {
            Kept::Headers => Some(options.number("snaplen", 128, &bounds::SNAPLEN)?),
            Kept::Whole => None,
        };
        let block_kib = options.number("block_kib", block_kib, &bounds::BUFFER_KIB)?;
        let blocks = options.number("blocks", blocks, &bounds::RING_BLOCKS)?;
        let retire_ms = options.number("retire_ms", 50, &bounds::WAKE_MS)?;
        let wake_ms = options.number("wake_ms", 100, &bounds::WAKE_MS)?;
        let file: String = options.take("file", String::new())?;
        let block_size = block_kib.checked_mul(1024).ok_or_else(|| {
            Error::invalid(id, format!("blocks of {block_kib} KiB"), "Ask for less than 4 GiB")
        })?;
        let mut parameters = BTreeMap::from([
            ("block_kib".into(), json!(block_kib)),
            ("blocks".into(), json!(blocks)),
            ("retire_ms".into(), json!(retire_ms)),
            ("wake_ms".into(), json!(wake_ms)),
            ("snaplen".into(), json!(snaplen)),
        ]);
        if !file.is_empty() {
            parameters.insert("file".into(), json!(file));
        }
        let descriptor = Descriptor {
            id: options.id(id),
            family: Family::Capture,
            class: Class::Inferred,
            unit: SeriesUnit::Calls { factor: 1.0 },
            durations: false,
            summary: format!(
                "packet ring on each TAP writes {summary} each frame to a pcap file; frames, not \
                 calls: one call takes many, an empty call none"
            ),
            parameters,
        };
        Ok(Self {
            descriptor,
            shape: RingShape { block_size, blocks, retire_ms, snaplen },
            wake: Duration::from_millis(wake_ms.into()),
            file: Some(file).filter(|file| !file.is_empty()).map(Into::into),
        })
    }

    /// Opens a socket with a ring on each TAP, not yet listening.
    fn listen(&self, taps: Taps<'_>) -> Result<Vec<Listener>> {
        let open = |name: &String| Listener::open(name, &self.shape);
        taps.netns.run(|| taps.names.iter().map(open).collect::<Result<_>>())?
    }
}

impl Method for Capture {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, _: &Target, _: &Known) -> Detection {
        // A socket that listens to nothing, with a small ring: whether there is memory for the real
        // one is not a question of support.
        let page = u32::try_from(rustix::param::page_size()).unwrap_or(u32::MAX);
        let shape = RingShape { block_size: page, blocks: 1, ..self.shape };
        Socket::open(&shape).map(drop).into()
    }

    fn open(&self, target: &Target, context: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        let taps = context.taps.ok_or_else(|| {
            let id = self.descriptor.id.to_string();
            let why =
                "there are no TAPs to capture from, or they are in several network namespaces";
            Error::unsupported(id, why, "Measure guests whose TAPs are in one namespace")
        })?;
        Ok(Box::new(Capturing {
            listeners: self.listen(taps)?,
            pcap: PcapFile::create(self.file.as_deref(), self.shape.snaplen.unwrap_or(WHOLE))?,
            item: target.frames(),
            wake: self.wake,
            offset: None,
        }))
    }
}

/// The attached method.
#[derive(Debug)]
struct Capturing {
    listeners: Vec<Listener>,
    pcap: PcapFile,
    item: ItemId,
    wake: Duration,
    /// From the frames' clock to ours; `None` before it listens.
    offset: Option<Offset>,
}

/// Writes each frame to the file, and reports it.
struct Writing<'a> {
    pcap: &'a mut PcapFile,
    sink: &'a mut dyn Sink,
    item: ItemId,
    offset: Offset,
}

impl Taker for Writing<'_> {
    fn frame(&mut self, frame: &Frame<'_>) {
        self.pcap.push(frame);
        self.sink.event(self.item, self.offset.monotonic(frame.at));
    }

    fn end_of_block(&mut self) -> Result<()> {
        self.pcap.flush()
    }
}

impl Session for Capturing {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.wake)
    }

    fn start(&mut self) -> Result<()> {
        self.offset = Some(Offset::read());
        self.listeners.iter().try_for_each(Listener::start)
    }

    fn attached(&self, _: &Target) -> Result<Vec<String>> {
        Ok(self.listeners.iter().map(|one| one.name().to_owned()).collect())
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let Some(offset) = self.offset else { return Ok(()) };
        let mut writing = Writing { pcap: &mut self.pcap, sink, item: self.item, offset };
        let drained = self.listeners.iter_mut().map(|listener| listener.drain(&mut writing));
        drained.fold(Ok(()), Result::and)
    }

    fn stop(&mut self) -> Result<()> {
        self.listeners.iter_mut().map(Listener::stop).fold(Ok(()), Result::and)?;
        self.listeners.iter().try_for_each(Listener::settle)?;
        self.offset.map_or(Ok(()), Offset::check)
    }

    fn account(self: Box<Self>, noted: Observation) -> Result<Observation> {
        let sum = |of: fn(&Listener) -> u64| self.listeners.iter().map(of).sum::<u64>();
        let [frames, kept] = [sum(|one| one.tally().frames), sum(|one| one.kept().into())];
        if frames as u32 != kept as u32 {
            return Err(Error::Inconsistent(format!(
                "the kernel kept {kept} frames, but {frames} were read"
            )));
        }
        Ok(Observation {
            recorded: [(self.item, frames)].into_iter().collect(),
            lost: Loss::Exact(sum(|one| one.statistics().dropped.into())),
            missed: Loss::NONE,
            bytes_read: Bytes(sum(|one| one.tally().bytes)),
            kernel_memory: Bytes(sum(Listener::ring_bytes)),
            details: BTreeMap::from([
                ("blocks".into(), json!(sum(|one| one.tally().blocks))),
                ("freezes".into(), json!(sum(|one| one.statistics().freezes.into()))),
                ("pcap_bytes".into(), json!(self.pcap.written)),
            ]),
            ..noted
        })
    }
}
