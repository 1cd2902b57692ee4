//! `capture-headers` and `capture-full`: a packet socket with a `TPACKET_V3` ring on each guest's TAP, written to a pcap
//! file.
//!
//! Only what guests send is taken: to the kernel, a frame that a guest sends through its TAP is one that it receives from
//! the interface. A frame that finds no free block is dropped and counted by the socket. Nothing else can go missing:
//! `tpacket_rcv` counts each frame that `__netif_receive_skb_core` shows it as kept or as dropped, and vhost's frames take
//! no other way.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{block::Block, pcap::PcapFile, realtime::Offset};
use crate::{
    error::{Error, Result},
    kernel::clock,
    methods::{Cadence, Detection, Method, Scene, Session, Sink, Taps, options::Options},
    model::{
        loss::Loss,
        method::{Class, Descriptor, Family, SeriesUnit},
        observation::Observation,
        target::Target,
        units::{Bytes, Nanos},
    },
    sys::packet::{Shape, Socket, Statistics},
};

/// What is kept of each frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Its first bytes.
    Headers,
    /// All of it, segments of up to 64 KiB that were not cut up yet included.
    Whole,
}

/// The longest frame there is, as pcap files state it (`MAXIMUM_SNAPLEN` of tcpdump).
const WHOLE: u32 = 262_144;

/// The method.
#[derive(Debug)]
pub struct Capture {
    descriptor: Descriptor,
    shape: Shape,
    wake: Duration,
    file: Option<PathBuf>,
}

impl Capture {
    /// The method with the parameters that a person gave. By default the ring holds what a guest sends flat out in
    /// between two wake-ups of the reader (10,000 frames and more), so that it loses nothing as long as the reader gets
    /// its CPU; and its blocks, each handed over after `retire_ms` however few frames it has, last for 6 s.
    ///
    /// # Errors
    /// A value is wrong.
    pub fn take(kept: Kept, options: &mut Options) -> Result<Self> {
        let (id, block_kib, blocks, summary) = match kept {
            Kept::Headers => ("capture-headers", 64, 128, "the first bytes of"),
            Kept::Whole => ("capture-full", 256, 128, "all of"),
        };
        let snaplen = match kept {
            Kept::Headers => Some(options.positive("snaplen", 128)?),
            Kept::Whole => None,
        };
        let block_kib = options.positive("block_kib", block_kib)?;
        let blocks = options.positive("blocks", blocks)?;
        let retire_ms = options.positive("retire_ms", 50)?;
        let wake_ms = options.positive("wake_ms", 100)?;
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
            summary: format!(
                "packet ring on each TAP, {summary} each frame into a pcap file; frames, not calls: one call takes many, \
                 an empty call none"
            ),
            parameters,
        };
        Ok(Self {
            descriptor,
            shape: Shape { block_size, blocks, retire_ms, snaplen },
            wake: Duration::from_millis(wake_ms.into()),
            file: Some(file).filter(|file| !file.is_empty()).map(Into::into),
        })
    }

    /// A socket with its ring on each TAP, none listening.
    fn open(&self, taps: Taps<'_>) -> Result<Vec<Ear>> {
        let open = |name: &String| {
            let socket = Socket::open(&self.shape)?;
            let interface = socket.interface(name)?;
            Ok(Ear { name: name.clone(), interface, socket, tally: Tally::default() })
        };
        taps.netns.run(|| taps.names.iter().map(open).collect::<Result<_>>())?
    }
}

impl Method for Capture {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn detect(&self, _: &Target) -> Detection {
        // One that listens to nothing. Its ring is a small one: whether there is memory for the real one is no feature.
        let page = u32::try_from(rustix::param::page_size()).unwrap_or(u32::MAX);
        let shape = Shape { block_size: page, blocks: 1, ..self.shape };
        Socket::open(&shape).map(drop).into()
    }

    fn attach(&self, target: &Target, scene: &Scene<'_>) -> Result<Box<dyn Session>> {
        let taps = scene.taps.ok_or_else(|| {
            let id = self.descriptor.id.to_string();
            let why =
                "there are no TAPs to capture at, or they stand in several network namespaces";
            Error::unsupported(id, why, "Measure guests whose TAPs stand in one")
        })?;
        Ok(Box::new(Capturing {
            ears: self.open(taps)?,
            pcap: PcapFile::create(self.file.as_deref(), self.shape.snaplen.unwrap_or(WHOLE))?,
            item: target.frames(),
            wake: self.wake,
            retire: Duration::from_millis(self.shape.retire_ms.into()),
            enabled: None,
            observed: Nanos(0),
        }))
    }
}

/// One TAP's socket.
#[derive(Debug)]
struct Ear {
    name: String,
    interface: u32,
    socket: Socket,
    tally: Tally,
}

/// What came out of one ring.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    frames: u64,
    blocks: u64,
    bytes: u64,
    statistics: Statistics,
}

impl Ear {
    /// Reads what the ring holds: at most once around, so that a writer that is faster cannot keep the reader here.
    /// Goes on behind damage, and tells the first.
    fn drain(&mut self, pcap: &mut PcapFile, mut frame: impl FnMut(u64)) -> Result<()> {
        let mut outcome = Ok(());
        for _ in 0..self.socket.blocks() {
            let Some(bytes) = self.socket.block() else { break };
            self.tally.blocks += 1;
            let name = &self.name;
            let damaged = |e| Error::malformed(format!("packet ring of {name}"), format!("{e}"));
            match Block::parse(bytes) {
                Ok(block) => {
                    self.tally.bytes += block.used() as u64;
                    for read in block {
                        match read {
                            Ok(read) => {
                                self.tally.frames += 1;
                                pcap.push(&read);
                                frame(read.at);
                            }
                            Err(e) => outcome = outcome.and(Err(damaged(e))),
                        }
                    }
                }
                Err(e) => outcome = outcome.and(Err(damaged(e))),
            }
            outcome = outcome.and(pcap.flush());
            self.socket.give_back();
        }
        outcome
    }

    /// Frames in blocks that were handed over and not read yet.
    fn waiting(&self) -> u64 {
        let handed_over =
            (0..self.socket.blocks()).map_while(|ahead| self.socket.block_ahead(ahead));
        handed_over
            .filter_map(|bytes| Block::parse(bytes).ok())
            .map(|b| u64::from(b.frames()))
            .sum()
    }

    /// Frames that the kernel kept, by its own account, and that it dropped. It counts in 32 bits.
    fn kept(&self) -> u64 {
        u64::from(self.tally.statistics.frames.wrapping_sub(self.tally.statistics.dropped))
    }

    /// Waits until the block that was last written to is handed over, which its timer does.
    fn settle(&self, retire: Duration) -> Result<()> {
        let began = Instant::now();
        // Frames of 32 bits, as the kernel's count.
        while u64::from((self.tally.frames + self.waiting()) as u32) != self.kept() {
            if began.elapsed() > 100 * retire + Duration::from_secs(10) {
                let (seen, kept) = (self.tally.frames + self.waiting(), self.kept());
                return Err(Error::Untrue(format!(
                    "{}: the kernel kept {kept} frames, {seen} came out of the ring",
                    self.name
                )));
            }
            thread::sleep(retire / 8);
        }
        Ok(())
    }
}

/// The method attached.
#[derive(Debug)]
struct Capturing {
    ears: Vec<Ear>,
    pcap: PcapFile,
    item: usize,
    wake: Duration,
    retire: Duration,
    enabled: Option<(Nanos, Offset)>,
    observed: Nanos,
}

impl Session for Capturing {
    fn cadence(&self) -> Cadence {
        Cadence::Every(self.wake)
    }

    fn enable(&mut self) -> Result<()> {
        self.enabled = Some((clock::now(), Offset::read()));
        self.ears.iter().try_for_each(|ear| ear.socket.listen(ear.interface))
    }

    fn drain(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let Some((_, offset)) = self.enabled else { return Ok(()) };
        let Self { ears, pcap, item, .. } = self;
        let mut outcome = Ok(());
        for ear in ears {
            let drained = ear.drain(pcap, |at| sink.event(*item, offset.monotonic(at)));
            outcome = outcome.and(drained);
        }
        outcome
    }

    fn disable(&mut self) -> Result<()> {
        for ear in &mut self.ears {
            ear.socket.ignore(ear.interface)?;
            ear.tally.statistics = ear.socket.statistics()?;
        }
        let Some((at, offset)) = self.enabled else { return Ok(()) };
        self.observed = clock::now().since(at);
        self.ears.iter().try_for_each(|ear| ear.settle(self.retire))?;
        match offset.step_to(Offset::read()) {
            0 => Ok(()),
            step => Err(Error::Untrue(format!(
                "the time of day was set by {step} ns meanwhile: frames are stamped in it, and when they came cannot be told"
            ))),
        }
    }

    fn detach(self: Box<Self>) -> Result<Observation> {
        let sum = |of: fn(&Ear) -> u64| self.ears.iter().map(of).sum::<u64>();
        let [frames, kept] = [sum(|ear| ear.tally.frames), sum(Ear::kept)];
        if frames as u32 != kept as u32 {
            return Err(Error::Untrue(format!(
                "the kernel kept {kept} frames, {frames} were read"
            )));
        }
        let mut recorded = vec![None; self.item];
        recorded.push(Some(frames));
        let names = self.ears.iter().map(|ear| ear.name.clone());
        Ok(Observation {
            recorded,
            lost: Loss::Exact(sum(|ear| ear.tally.statistics.dropped.into())),
            missed: Loss::NONE,
            enabled: self.observed,
            running: self.observed,
            attached: names.collect(),
            bytes_read: Bytes(sum(|ear| ear.tally.bytes)),
            kernel_memory: Bytes(sum(|ear| ear.socket.ring_bytes())),
            details: BTreeMap::from([
                ("blocks".into(), json!(sum(|ear| ear.tally.blocks))),
                ("freezes".into(), json!(sum(|ear| ear.tally.statistics.freezes.into()))),
                ("pcap_bytes".into(), json!(self.pcap.written)),
            ]),
            ..Observation::default()
        })
    }
}
