//! Packet rings on the guests' TAPs, against the TAPs' own counters.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::model::{
    loss::Loss,
    observation::Observation,
    scenario::{GuestKind, Guests},
    target::Target,
};
use probe_user::{
    kernel::{clock, kallsyms::Kallsyms, netdev::NetDevices, netlink::Netlink, run::Run, targets},
    methods::{AttachContext, Detection, Observer, Taps, registry},
    sys::tun::Tap,
    workload::{Offered, Placement, Testbed, addresses},
};
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use crate::{load::dut, sink::Events, tool::Folder};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("capture::frames_are_those_that_the_taps_count", every_frame),
        crate::test("capture::a_flooded_ring_loses_exactly_the_rest", flood),
        crate::test("capture::frames_towards_the_guest_are_not_taken", outgoing),
        crate::test("capture::a_failed_attach_leaves_no_socket", failed_attach),
        crate::test("capture::a_full_disk_is_told_and_keeps_what_is_there", full_disk),
        crate::test("capture::a_clock_that_was_set_is_told", clock_step),
    ]
}

const FRAME: usize = 1514;

struct Bench {
    run: Run,
    target: Target,
    testbed: Testbed,
}

impl Bench {
    fn new(guests: usize) -> Result<Self> {
        crate::load_modules()?;
        let run = Run::start()?;
        let target = targets::resolve("vhost", &Kallsyms::load()?)?;
        let kind = GuestKind::Blast;
        let guests = Guests {
            kind,
            count: guests,
            frame: FRAME,
            ring: 256,
            batch: 64,
            event_idx: true,
            ..Guests::default()
        };
        let testbed = Testbed::of_guests(&run, &guests, &Placement::of(vec![0], vec![1]))?;
        Ok(Self { run, target, testbed })
    }

    fn attach(&self, method: &str) -> Result<Observer> {
        let method = registry::find(method)?;
        match method.detect(&self.target) {
            Detection::Available => {}
            other => bail!("{}: {other:?}", method.descriptor().id),
        }
        let taps = Taps { netns: dut(&self.testbed), names: self.testbed.taps() };
        Ok(method.attach(
            &self.target,
            &AttachContext { taps: Some(taps), ..AttachContext::bare(&self.run) },
        )?)
    }

    /// Number of frames that the TAPs counted as received by the host.
    fn counted(&self) -> Result<u64> {
        let devices = NetDevices::of(dut(&self.testbed))?;
        let names = self.testbed.taps().iter();
        names.map(|tap| Ok(devices.number::<u64>(tap, "statistics/rx_packets")?)).sum()
    }

    /// Sends; returns the number of frames.
    fn closed_loop(&self, kicks: u64) -> Result<u64> {
        let mut load = self.testbed.start(Offered::ClosedLoop { kicks })?;
        ensure!(load.wait(Duration::from_secs(120))?, "the closed loop does not get through");
        Ok(load.stop()?.sent.frames)
    }

    /// Sends while a reader is running, as in a campaign: an unread ring is full once the time of
    /// each block has passed.
    fn closed_loop_read(
        &self,
        kicks: u64,
        session: &mut Observer,
        frames: &mut Events,
    ) -> Result<u64> {
        let mut load = self.testbed.start(Offered::ClosedLoop { kicks })?;
        while !load.wait(Duration::from_millis(20))? {
            session.drain(frames)?;
        }
        Ok(load.stop()?.sent.frames)
    }

    fn recorded(&self, seen: &Observation) -> Result<u64> {
        let others = seen.recorded[..self.target.frames().0].iter().flatten().count();
        ensure!(others == 0, "it observed no functions: {:?}", seen.recorded);
        seen.recorded.get(self.target.frames()).copied().context("no frames")
    }
}

/// Lengths of a pcap file's records: captured, and on the wire.
fn records(path: &Path) -> Result<Vec<(u32, u32)>> {
    let bytes = fs::read(path)?;
    let word = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    ensure!(word(0) == Some(0xa1b2_3c4d), "the magic is {:x?}", word(0));
    let (mut at, mut records) = (24, Vec::new());
    while at < bytes.len() {
        let (kept, length) = (word(at + 8).context("cut")?, word(at + 12).context("cut")?);
        records.push((kept, length));
        at += 16 + kept as usize;
    }
    ensure!(at == bytes.len(), "the last record is cut");
    Ok(records)
}

fn every_frame() -> Result<()> {
    const KICKS: u64 = 1000;
    let bench = Bench::new(2)?;
    let folder = Folder::new()?;
    for (method, kept) in [
        ("capture-headers", 128),
        ("capture-headers:snaplen=60:retire_ms=20", 60),
        ("capture-full", FRAME),
    ] {
        let file = folder.path().join("frames.pcap");
        let mut session = bench.attach(&format!("{method}:file={}", file.display()))?;
        // Attached but not enabled: not recorded.
        bench.closed_loop(10)?;
        let (begin, before) = (clock::now(), bench.counted()?);
        let mut frames = Events::default();
        session.enable()?;
        let sent = bench.closed_loop_read(KICKS, &mut session, &mut frames)?;
        session.disable()?;
        let (end, counted) = (clock::now(), bench.counted()? - before);
        bench.closed_loop(10)?;
        session.drain(&mut frames)?;
        let seen = session.detach()?;
        let recorded = bench.recorded(&seen)?;
        ensure!(
            (recorded, counted) == (sent, sent),
            "{method}: {sent} sent, {counted} counted, {recorded} recorded, {:?} lost",
            seen.lost
        );
        ensure!((seen.lost, seen.missed) == (Loss::NONE, Loss::NONE), "{method}: {seen:?}");
        ensure!(frames.0.len() as u64 == sent, "{method}: {} events", frames.0.len());
        let item = bench.target.frames();
        let strange = frames.0.iter().find(|f| f.0 != item || !(begin..=end).contains(&f.1));
        ensure!(strange.is_none(), "{method}: {strange:?} of {item:?}, {begin} to {end}");
        let records = records(&file)?;
        let expected = (kept as u32, FRAME as u32);
        ensure!(records.len() as u64 == sent, "{method}: {} records", records.len());
        ensure!(records.iter().all(|r| *r == expected), "{method}: {:?}", records[0]);
        ensure!(seen.details["pcap_bytes"] == fs::metadata(&file)?.len(), "{method}: {seen:?}");
    }
    let mut idle = bench.attach("capture-headers")?;
    idle.enable()?;
    idle.disable()?;
    idle.drain(&mut Events::default())?;
    let seen = idle.detach()?;
    ensure!(bench.recorded(&seen)? == 0 && seen.lost == Loss::NONE, "{seen:?}");
    Ok(bench.testbed.close()?)
}

fn flood() -> Result<()> {
    let bench = Bench::new(1)?;
    for method in ["capture-headers:block_kib=4:blocks=2", "capture-full:block_kib=8:blocks=3"] {
        let before = bench.counted()?;
        let mut session = bench.attach(method)?;
        let mut frames = Events::default();
        session.enable()?;
        // Drained in between, so that the ring is full, empty and full again.
        for _ in 0..3 {
            bench.closed_loop(300)?;
            session.drain(&mut frames)?;
        }
        session.disable()?;
        session.drain(&mut frames)?;
        let seen = session.detach()?;
        let counted = bench.counted()? - before;
        let recorded = bench.recorded(&seen)?;
        let lost = seen.lost.exact().context("loss is not exact")?;
        ensure!(recorded == frames.0.len() as u64, "{method}: {} events", frames.0.len());
        ensure!(lost > 0 && recorded > 0, "{method}: {recorded} recorded, {lost} lost");
        ensure!(
            recorded + lost == counted,
            "{method}: {recorded} recorded + {lost} lost is not {counted}"
        );
    }
    Ok(bench.testbed.close()?)
}

fn outgoing() -> Result<()> {
    const FRAMES: u64 = 20;
    let bench = Bench::new(1)?;
    let dut = dut(&bench.testbed);
    let way_in = dut.run(|| Tap::create(&bench.run.interface("in"), 12))??;
    let devices = NetDevices::of(dut)?;
    let bridge = devices.number(&bench.run.interface("br"), "ifindex")?;
    let mut links = dut.run(Netlink::open)??;
    links.join(way_in.name(), 9000, bridge)?;
    links.up(way_in.name())?;
    let mut session = bench.attach("capture-headers")?;
    session.enable()?;
    let tap = &bench.testbed.taps()[0];
    let load = bench.testbed.start(Offered::ClosedLoop { kicks: 0 })?;
    let mut frame = vec![0; 12 + 60];
    frame[12..18].copy_from_slice(&addresses::guest_mac(0).0);
    frame[18..24].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[24..26].copy_from_slice(&[0x88, 0xb5]);
    // Frames that come before the new port forwards are lost; the rest are counted when the guest
    // has taken them.
    let began = Instant::now();
    while devices.number::<u64>(tap, "statistics/tx_packets")? < FRAMES {
        ensure!(began.elapsed() < Duration::from_secs(120), "no frames go out of {tap}");
        way_in.file().write_all(&frame)?;
        thread::sleep(Duration::from_millis(1));
    }
    session.disable()?;
    session.drain(&mut Events::default())?;
    let seen = session.detach()?;
    load.stop()?;
    drop(way_in);
    ensure!(bench.recorded(&seen)? == 0 && seen.lost == Loss::NONE, "{seen:?}");
    Ok(bench.testbed.close()?)
}

fn failed_attach() -> Result<()> {
    let bench = Bench::new(1)?;
    let dut = dut(&bench.testbed);
    let sockets = || -> Result<usize> {
        let listed = dut.run(|| fs::read_to_string("/proc/thread-self/net/packet"))??;
        Ok(listed.lines().skip(1).count())
    };
    let before = sockets()?;
    let method = registry::find("capture-full")?;
    let names = [bench.testbed.taps()[0].clone(), "tt0-absent".to_owned()];
    let taps = Taps { netns: dut, names: &names };
    let context = AttachContext { taps: Some(taps), ..AttachContext::bare(&bench.run) };
    let Err(error) = method.attach(&bench.target, &context) else { bail!("it attached") };
    ensure!(error.to_string().contains("tt0-absent"), "{error}");
    ensure!(sockets()? == before, "{} sockets, {before} before", sockets()?);
    let Err(error) = method.attach(&bench.target, &AttachContext::bare(&bench.run)) else {
        bail!("it attached to nothing")
    };
    ensure!(error.to_string().contains("no TAPs"), "{error}");
    Ok(bench.testbed.close()?)
}

fn full_disk() -> Result<()> {
    let bench = Bench::new(1)?;
    let folder = Folder::new()?;
    let mount = |words: &[&str]| -> Result<()> {
        let status = Command::new(words[0]).args(&words[1..]).arg(folder.path()).status()?;
        ensure!(status.success(), "{words:?}: {status}");
        Ok(())
    };
    mount(&["mount", "-t", "tmpfs", "-o", "size=32k", "none"])?;
    let outcome = fill_up(&bench, &folder.path().join("frames.pcap"));
    mount(&["umount"])?;
    outcome?;
    Ok(bench.testbed.close()?)
}

fn fill_up(bench: &Bench, file: &Path) -> Result<()> {
    let mut session = bench.attach(&format!("capture-full:file={}", file.display()))?;
    let mut frames = Events::default();
    session.enable()?;
    bench.closed_loop(100)?;
    session.disable()?;
    let Err(error) = session.drain(&mut frames) else { bail!("100 frames of 1514 bytes fit") };
    let text = error.to_string();
    ensure!(text.contains("frames.pcap") && text.contains("No space"), "{text}");
    ensure!(frames.0.len() == 100, "{} frames", frames.0.len());
    let records = records(file)?.len();
    ensure!((15..100).contains(&records), "{records} records fit into 32 KiB");
    session.detach()?;
    Ok(())
}

fn clock_step() -> Result<()> {
    const STEP: i64 = 3600;
    let bench = Bench::new(1)?;
    let set = |by: i64| -> Result<()> {
        let now = clock_gettime(ClockId::Realtime);
        Ok(clock_settime(ClockId::Realtime, Timespec { tv_sec: now.tv_sec + by, ..now })?)
    };
    let mut session = bench.attach("capture-headers")?;
    session.enable()?;
    set(STEP)?;
    let disabled = session.disable();
    set(-STEP)?;
    let Err(error) = disabled else { bail!("a step of {STEP} s was not seen") };
    ensure!(error.to_string().contains("time of day was set"), "{error}");
    drop(session);
    Ok(bench.testbed.close()?)
}
