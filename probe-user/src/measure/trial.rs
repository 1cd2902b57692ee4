//! One trial, from testbed to account. Every method, including the baseline, takes the same steps.

use std::{sync::atomic::Ordering, thread, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::{
        campaign::ReferenceCheck,
        method::{Descriptor, SeriesUnit},
        observation::{Observation, Series},
        scenario::{GuestKind, Guests},
        trial::{CpuTimes, Measured, Pace, Part, Phase, Received},
        units::{Bytes, Nanos},
    },
};

use super::{
    arrivals::Arrivals,
    bench::Bench,
    collector::Collector,
    guests,
    plan::TrialPlan,
    reader::{self, Reader, Reading},
    reference::{self, ReferenceCounter, Referenced},
    stopwatch::Stopwatch,
    truth,
    watch::{Watch, Watched},
};
use crate::{
    kernel::{clock, holders, tracefs::Tracefs},
    methods::{AttachContext, Method, Taps},
    workload::{Offered, Testbed},
};

/// Number of kicks for checking the reference counter.
const CHECK_KICKS: u64 = 500;

/// How long it is checked during a load that is not ours.
const CHECK_SPAN: Nanos = Nanos(5_000_000_000);

/// The method's side of a trial, after it is detached.
struct Account {
    observation: Observation,
    series: Vec<Series>,
    reader: Nanos,
    wakeups: Option<u64>,
    after: Nanos,
}

impl Bench<'_> {
    /// Runs one trial. After one that fails, the next gets a new testbed.
    ///
    /// # Errors
    /// Anything that fails on the way; numbers that fail one of their own checks; a CPU that went
    /// offline or came online.
    pub fn measure(
        &self,
        method: &dyn Method,
        plan: TrialPlan,
        watch: &mut Stopwatch,
    ) -> Result<Measured> {
        let measured = self.steadily(|| self.trial(method, plan, watch));
        if measured.is_err() {
            self.kept.take();
        }
        measured
    }

    fn trial(
        &self,
        method: &dyn Method,
        plan: TrialPlan,
        watch: &mut Stopwatch,
    ) -> Result<Measured> {
        self.check_alone()?;
        let mut testbed = self.testbed()?;
        watch.lap(Phase::Build);
        self.warm_up(&testbed, plan)?;
        watch.lap(Phase::WarmUp);
        let reference = match plan.with_reference {
            true => {
                Some(ReferenceCounter::attach(&self.run.programs, self.target, testbed.workers())?)
            }
            false => None,
        };
        let taps = testbed.dut().map(|netns| Taps { netns, names: testbed.taps() });
        let workers = testbed.worker_threads();
        let context = AttachContext {
            run: self.run,
            taps,
            workers: &workers,
            cpus: &self.placement.reader,
            interrupted: Some(self.interrupted),
        };
        let target = plan.part_of(self.target);
        let mut observer = method.attach(&target, &context)?;
        observer.enable()?;
        let collector = Collector::new(&target);
        let mut reader = Reader::start(observer, collector, &self.placement.reader)?;
        watch.lap(Phase::Attach);
        let watched = self.watch(&testbed, plan, reference.as_ref(), &mut reader);
        let reading = reader.stop()?;
        let watched = watched?;
        watch.lap(Phase::Load);
        let account = self.account(method.descriptor(), reading, &watched.edges, watch)?;
        let reference =
            reference.map(|reference| reference.finish(&watched.reference)).transpose()?;
        let measured = assemble(&testbed, watched, reference, account);
        testbed.check()?;
        self.keep(testbed);
        truth::check(&measured, method.descriptor(), self.target, plan)?;
        watch.lap(Phase::Account);
        Ok(measured)
    }

    /// Another tracer may have attached since the campaign started.
    fn check_alone(&self) -> Result<()> {
        if self.allow_shared {
            return Ok(());
        }
        let holders = holders::holders(self.target, &Tracefs::find()?)?;
        if holders.is_empty() { Ok(()) } else { Err(holders::refusal(&holders)) }
    }

    /// Runs the load once before anything is attached, until caches, rings and the bridge's table
    /// are as they will be. A fidelity trial's load runs on by itself before the first bin.
    fn warm_up(&self, testbed: &Testbed, plan: TrialPlan) -> Result<()> {
        if plan.part == Part::Fidelity {
            return Ok(());
        }
        let pace = if plan.pace == Pace::Paced { Pace::Paced } else { Pace::Saturated };
        let arrivals = Arrivals::since_now(testbed.sink())?;
        let load = testbed.start(self.offered(pace)?)?;
        thread::sleep(self.scenario.settle);
        let ended = load.stop()?;
        arrivals.wait_for(ended.sent.frames)
    }

    /// Counts the same load on the target and at the reference counter's sites: the two must agree
    /// on this kernel.
    ///
    /// # Errors
    /// They do not, or the load fails.
    pub fn check_reference(&self) -> Result<Vec<ReferenceCheck>> {
        self.steadily(|| self.check_reference_here())
    }

    fn check_reference_here(&self) -> Result<Vec<ReferenceCheck>> {
        if self.scenario.guests.kind == GuestKind::Existing {
            return self.check_reference_alongside();
        }
        // Independent of the scenario's guests: the check is about the kernel, and only these
        // guests count their kicks.
        let testbed = Testbed::of_guests(self.run, &Guests::default(), &self.placement)?;
        let checks = reference::verify(&self.run.programs, self.target, || {
            let mut load = testbed.start(Offered::ClosedLoop { kicks: CHECK_KICKS })?;
            while !load.wait(Duration::from_millis(100))? {
                if self.interrupted.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
            }
            load.stop()?;
            testbed.kick_receivers()
        })?;
        testbed.close()?;
        Ok(checks)
    }

    /// The same with a load that we do not control.
    fn check_reference_alongside(&self) -> Result<Vec<ReferenceCheck>> {
        let testbed = self.testbed()?;
        let load = testbed.start(Offered::ClosedLoop { kicks: 0 })?;
        let (programs, workers) = (&self.run.programs, testbed.workers().len());
        let checks = reference::verify_alongside(programs, self.target, workers, || {
            let start = clock::now();
            while clock::now().since(start) < CHECK_SPAN {
                if self.interrupted.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                thread::sleep(Duration::from_millis(100));
            }
            Ok(())
        });
        load.stop()?;
        testbed.close()?;
        checks
    }

    fn watch(
        &self,
        testbed: &Testbed,
        plan: TrialPlan,
        reference: Option<&ReferenceCounter>,
        reader: &mut Reader,
    ) -> Result<Watched> {
        let watch = Watch::new(self, testbed, reference, reader)?;
        match plan.part {
            Part::Overhead => watch.overhead(plan.pace),
            Part::Fidelity => watch.fidelity(plan.seed),
        }
    }

    /// Ends the session and takes its account.
    fn account(
        &self,
        method: &Descriptor,
        mut reading: Reading,
        edges: &[Nanos],
        watch: &mut Stopwatch,
    ) -> Result<Account> {
        reading.observer.disable()?;
        // What arrives now belongs to no bin: the counts of the last edge remain as read there.
        reading.collector.at_edge(edges.len());
        reading.drain()?;
        let before = reader::thread_cpu();
        let Reading { observer, collector, cpu, wakeups } = reading;
        let mut observation = observer.detach()?;
        watch.lap(Phase::Detach);
        observation.recorded.list(self.target.item_count());
        let series = self.series(method, &observation, &collector, edges);
        let after = reader::thread_cpu().since(before);
        Ok(Account {
            reader: Nanos(cpu.0 + observation.processes.0),
            wakeups: (observation.processes == Nanos(0)).then_some(wakeups),
            after: Nanos(after.0 + observation.processes_after.0),
            observation,
            series,
        })
    }

    /// The series of every item that the method observed and whose hits it can date. A count for
    /// the whole trial has none.
    fn series(
        &self,
        method: &Descriptor,
        observation: &Observation,
        collector: &Collector,
        edges: &[Nanos],
    ) -> Vec<Series> {
        // What a counter counts is not among the items, or is all that it observes.
        if let SeriesUnit::Counter { of } = method.unit {
            let (item, name) = (of.item(self.target), of.name().to_owned());
            return collector.series(item, name, method.unit, edges).into_iter().collect();
        }
        let told = |item| match observation.recorded.get(item) {
            Some(hits) => *hits == 0 || collector.heard(item),
            None => false,
        };
        let items = self.target.items().filter(|(item, _)| told(*item));
        items.filter_map(|(item, name)| collector.series(item, name, method.unit, edges)).collect()
    }
}

fn assemble(
    testbed: &Testbed,
    watched: Watched,
    mut reference: Option<Referenced>,
    account: Account,
) -> Measured {
    let Watched {
        edges,
        edge_jitter,
        received,
        refused,
        by_guest,
        latency,
        rtt,
        reference: _,
        sections,
        degradations,
        sent,
        spent,
    } = watched;
    let Account { observation, series, reader, wakeups, after } = account;
    let first = received.first().copied().unwrap_or_default();
    let last = received.last().copied().unwrap_or_default();
    let mut guests =
        guests::series(testbed.guest_names(), testbed.counted_at(), &edges, &by_guest, &rtt);
    let calls = reference.as_mut().map(|reference| std::mem::take(&mut reference.guests));
    for (guest, calls) in guests.iter_mut().zip(calls.into_iter().flatten()) {
        guest.calls = calls;
    }
    Measured {
        sent,
        received: Received {
            frames: last.frames - first.frames,
            bytes: Bytes(last.bytes.0 - first.bytes.0),
        },
        refused,
        cpu: CpuTimes {
            elapsed: spent.at,
            workers: spent.workers,
            load: spent.load,
            hogs: spent.hogs,
            reader,
            reader_wakeups: wakeups,
            after,
            system: spent.system,
            cpus: spent.cpus,
            sink_run_delay: spent.sink_run_delay,
        },
        latency,
        guests,
        edges,
        edge_jitter,
        throughput: received.windows(2).map(|pair| pair[1].bytes.0 - pair[0].bytes.0).collect(),
        counted_at: Some(testbed.sink().counted_at()),
        frames: received.windows(2).map(|pair| pair[1].frames - pair[0].frames).collect(),
        reference: reference.map(|reference| reference.series),
        sections,
        degradations,
        observation,
        series,
    }
}
