//! A campaign on this host.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use probe_core::{
    analysis::stop,
    error::{Error, Result},
    model::{
        campaign::{Design, Run as RunRecord, Unavailable},
        method::MethodId,
        scenario::{GuestKind, Scenario},
        target::Target,
        trial::Part,
    },
};

use super::conclude;
use crate::{
    cli::RunArgs,
    commands::{self, progress::Progress, terminal},
    kernel::{
        bpf::{chosen::Programs, statistics},
        claim::{self, Claim},
        cpus,
        holders::{self, Holder},
        host,
        hotplug::Hotplug,
        known::Known,
        run::Run,
        swept::Left,
        targets,
    },
    measure::{
        bench::Bench,
        campaign::CampaignRunner,
        guard::Guard,
        journal::{JOURNAL, Journal},
        leftovers, store,
    },
    methods::{Detection, Method, external, registry},
    workload::{self, Placement, RequestedCpus, Testbed, existing},
};

/// Measures a campaign.
///
/// # Errors
/// A request is invalid or impossible here, a result cannot be written, or the user ended the run.
pub(super) fn run(args: &RunArgs, scenario: &Scenario) -> Result<ExitCode> {
    commands::require_root("run", "it opens /dev/vhost-net and traces the kernel")?;
    let wanted = wanted(args, scenario)?;
    args.journal.as_deref().map_or(Ok(()), Journal::check)?;
    let placement = placement(args, scenario)?;
    let interrupted = commands::on_interrupt()?;
    let _claim = claim(args, &interrupted)?;
    // Before anything is created, and until all of it is gone.
    let guard = RefCell::new(Guard::start()?);
    let mut swept = leftovers::sweep(false);
    // This is not fatal: leftovers are not active, and the target is checked below.
    if let Err(error) = swept.take_failure() {
        terminal::tell(format_args!(
            "warning: some of what a killed run left could not be removed: {error}"
        ));
    }
    for object in swept.removed {
        terminal::tell(format_args!("removed what a killed run left: {object}"));
    }
    for Left { object, why } in swept.left {
        terminal::tell(format_args!("left {object}: {why}"));
    }
    check_others(args, scenario)?;
    let chosen = match (&args.object, &args.bpf_log) {
        (Some(path), _) => Some(Programs::of_file(path)?),
        (None, Some(path)) => Some(Programs::that_log(path)?),
        (None, None) => None,
    };
    let (programs, object) = chosen.unzip();
    // Applies to all trials alike, also to the baseline and the reference counter, until this run
    // ends.
    let _kept = args.bpf_stats.then(statistics::keep).transpose()?;
    let mut run = Run::start()?;
    let mut known = Known::default();
    run.programs = programs.unwrap_or_default();
    known.programs = run.programs.clone();
    let target = target(&args.target, &known)?;
    let holders = check_target(args, &target, &known)?;
    let (methods, unavailable) = detect(wanted, scenario.guests.kind, &target, &known);
    let design = Design {
        version: env!("CARGO_PKG_VERSION").into(),
        kernel: host::release(),
        scenario: scenario.clone(),
        target: target.clone(),
        methods: methods.iter().map(|method| method.descriptor().clone()).collect(),
        unavailable,
        shared_target: !holders.is_empty(),
        object,
        bpf_stats: args.bpf_stats || statistics::are_on(),
        bpf_log: args.bpf_log.is_some(),
    };
    announce(&design);
    for note in targets::notes(&args.target, known.symbols()?)? {
        terminal::tell(format_args!("target: {note}"));
    }
    // Frees megabytes of text that no trial needs.
    drop(known);
    Testbed::detect(scenario, &placement)?;
    if scenario.guests.kind != GuestKind::Existing {
        workload::detect()?;
    }
    let output = Output::open(args)?;
    let bench = Bench {
        run: &run,
        target: &target,
        scenario,
        guard: &guard,
        placement,
        allow_shared: args.allow_shared,
        interrupted: &interrupted,
        link: None,
        kept: RefCell::default(),
        hotplug: RefCell::new(Hotplug::watch()?),
    };
    measure(args, bench, methods, design, output)
}

/// Refuses to load a host whose virtual machines are in use, as far as they are visible from here.
fn check_others(args: &RunArgs, scenario: &Scenario) -> Result<()> {
    if args.allow_shared || scenario.guests.kind == GuestKind::Existing {
        return Ok(());
    }
    let others: Vec<String> = existing::guests()?.into_iter().map(|guest| guest.name).collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(Error::unsupported(
        "vhost-net",
        format!(
            "virtual machines are running here ({}): a load would take CPU time from them, and \
             their calls would be counted as the load's",
            others.join(", ")
        ),
        "Measure these without an additional load: --scenario existing. Or pass --allow-shared",
    ))
}

/// Reserves the kernel for this campaign; waits for it if requested.
fn claim(args: &RunArgs, interrupted: &AtomicBool) -> Result<Claim> {
    /// How often to try.
    const LOOK: Duration = Duration::from_millis(200);
    if let Some(claim) = Claim::try_take()? {
        return Ok(claim);
    }
    if !args.wait {
        return Err(Error::unsupported(
            "vhost-net",
            format!("{}, and two would count each other's calls", claim::taken()),
            "Wait for it with --wait, or stop it",
        ));
    }
    terminal::tell(format_args!("waiting for the campaign of {} to end", claim::holder()));
    loop {
        if interrupted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        if let Some(claim) = Claim::try_take()? {
            return Ok(claim);
        }
        thread::sleep(LOOK);
    }
}

/// Measures, and makes a result of what was measured, even if it is incomplete.
fn measure(
    args: &RunArgs,
    mut bench: Bench<'_>,
    methods: Vec<Box<dyn Method>>,
    design: Design,
    mut output: Output,
) -> Result<ExitCode> {
    let mut record = record(args, &bench)?;
    let blocks = blocks(args, &record.parts)?;
    if record.parts.contains(&Part::Fidelity) {
        record.reference_checks = bench.check_reference()?;
    }
    bench.link = bench.calibrate()?;
    record.link = bench.link;
    let bench = &bench;
    let sizes = sizes(&args.sizes, bench.target)?;
    let (until, progress) = (args.until_ci, Progress::begin());
    let campaign = CampaignRunner {
        bench,
        methods,
        design,
        record,
        blocks,
        until,
        sizes,
        fidelity_control: names_control(args),
        audience: &progress,
    };
    let measured = campaign.measure(&mut output.journal);
    drop(progress);
    let measured = measured.and_then(|failed| bench.close().map(|()| failed));
    // Whatever ended it, make a result of what was measured.
    let finished = output.finish();
    match &measured {
        Ok(_) | Err(Error::Interrupted) => finished?,
        // This error also explains why the result could not be made.
        Err(_) => finished.unwrap_or_else(|error| log::warn!("{error}")),
    }
    measured.map(|failed| ExitCode::from(u8::from(failed > 0)))
}

/// The number of blocks, or the maximum if a stop rule may end the campaign earlier.
fn blocks(args: &RunArgs, parts: &[Part]) -> Result<u32> {
    const MOST: u32 = 100;
    if args.until_ci.is_none() {
        return Ok(args.blocks.unwrap_or(10));
    }
    let blocks = args.blocks.unwrap_or(MOST);
    let refused = |why: &str, hint: &str| Err(Error::invalid("--until-ci", why, hint));
    if !parts.contains(&Part::Overhead) {
        return refused(
            "it depends on costs, and this run measures none",
            "Leave it out, or measure overhead: --parts overhead, with a scenario of `blast` \
             guests",
        );
    }
    if (blocks as usize) < stop::LEAST_BLOCKS {
        let needed = format!(
            "Give --blocks {} or more, or leave --until-ci \
                              out",
            stop::LEAST_BLOCKS
        );
        return refused("it first applies after 10 blocks", &needed);
    }
    Ok(blocks)
}

/// Whether the A/A control was asked for by name.
fn names_control(args: &RunArgs) -> bool {
    let lists = args.methods.split(',').chain(args.method.iter().map(String::as_str));
    lists.map(str::trim).any(|word| word == MethodId::OFF_AGAIN)
}

/// The numbers of functions that were asked for, fewest first; the target's own number is measured
/// anyway.
fn sizes(asked: &[usize], target: &Target) -> Result<Vec<usize>> {
    let all = target.functions.len();
    if let Some(wrong) = asked.iter().find(|&&size| size == 0 || size > all) {
        return Err(Error::invalid(
            format!("--sizes {wrong}"),
            format!("the target has {all} functions"),
            "Give numbers from 1 to that, or a larger target: --target 'vhost,vhost_net:*,tun:*'",
        ));
    }
    let smaller = asked.iter().copied().filter(|&size| size < all);
    Ok(smaller.collect::<BTreeSet<_>>().into_iter().collect())
}

/// The baseline, the methods that were asked for, and the A/A control where costs are measured.
pub(super) fn wanted(args: &RunArgs, scenario: &Scenario) -> Result<Vec<Box<dyn Method>>> {
    let controls = match scenario.overhead {
        Some(_) => format!("{},{}", MethodId::OFF, MethodId::OFF_AGAIN),
        None => MethodId::OFF.to_owned(),
    };
    let mut wanted = registry::select(&format!("{controls},{}", args.methods))?;
    let named = args.method.iter().map(|word| registry::find(word)).collect::<Result<Vec<_>>>()?;
    for method in external::defined(&scenario.external)?.into_iter().chain(named) {
        let id = &method.descriptor().id;
        match wanted.iter().find(|other| other.descriptor().id == *id) {
            None => wanted.push(method),
            Some(other) if other.descriptor() == method.descriptor() => {}
            Some(_) => {
                let why = "two methods have this name";
                return Err(Error::invalid(format!("method `{id}`"), why, "Rename one of them"));
            }
        }
    }
    Ok(wanted)
}

/// Which CPUs do what: those on the command line, otherwise those that this process may use.
fn placement(args: &RunArgs, scenario: &Scenario) -> Result<Placement> {
    let RunArgs { load_cpus, sink_cpu, reader_cpus, .. } = args;
    if let (Some(cpus), GuestKind::Existing) = (load_cpus, scenario.guests.kind) {
        return Err(Error::invalid(
            format!("--load-cpus {cpus}"),
            "guests that already run stay on their CPUs",
            "Leave it out; --reader-cpus selects the CPUs of readers",
        ));
    }
    let named =
        RequestedCpus { load: load_cpus.clone(), sink: *sink_cpu, reader: reader_cpus.clone() };
    let placement = Placement::choose(scenario.load_cpus, &named, &cpus::allowed()?)?;
    placement.is_there().map(|()| placement)
}

/// The target that `request` names on this kernel.
fn target(request: &str, known: &Known) -> Result<Target> {
    let symbols = known.symbols()?;
    if !request.contains(['*', '!']) {
        return targets::resolve(request, symbols);
    }
    let listed = known.traceable()?.text();
    targets::resolve(&targets::expand(request, symbols, listed)?, symbols)
}

/// Refuses a target that cannot be traced, or that another tracer holds.
fn check_target(args: &RunArgs, target: &Target, known: &Known) -> Result<Vec<Holder>> {
    known.check_traceable(target)?;
    let holders = holders::holders(target, known.tracefs()?)?;
    if holders.is_empty() || args.allow_shared {
        Ok(holders)
    } else {
        Err(holders::refusal(&holders))
    }
}

/// Splits the methods into those that work here, under such guests, and those that cannot. If that
/// is unclear, a method is tried.
fn detect(
    wanted: Vec<Box<dyn Method>>,
    guests: GuestKind,
    target: &Target,
    known: &Known,
) -> (Vec<Box<dyn Method>>, Vec<Unavailable>) {
    let mut unavailable = Vec::new();
    let ask = |method: &dyn Method| match method.suits(guests) {
        Detection::Available => method.ask(target, known),
        no => no,
    };
    let usable = wanted.into_iter().filter(|method| match ask(&**method) {
        Detection::Available => true,
        Detection::Inconclusive(error) => {
            log::warn!(
                "{}: could not find out whether it works here: \
                        {error}",
                method.descriptor().id
            );
            true
        }
        Detection::Unsupported { why, hint } => {
            unavailable.push(Unavailable { id: method.descriptor().id.clone(), why, hint });
            false
        }
    });
    (usable.collect(), unavailable)
}

fn announce(design: &Design) {
    for function in targets::describe(&design.target) {
        terminal::tell(format_args!("target: {function}"));
    }
    for method in &design.unavailable {
        terminal::tell(format_args!("left out: {}: {}. {}", method.id, method.why, method.hint));
    }
}

/// The requested parts; if both, those that the scenario has.
fn parts(args: &RunArgs, scenario: &Scenario) -> Result<Vec<Part>> {
    let mut parts = args.parts.list();
    if scenario.overhead.is_none() {
        parts.retain(|part| *part == Part::Fidelity);
    }
    if parts.is_empty() {
        return Err(Error::invalid(
            "--parts overhead",
            format!(
                "scenario {} has no [overhead] table, or its guests are not `blast`",
                scenario.name
            ),
            "Measure its fidelity, or the overhead of --scenario quick",
        ));
    }
    Ok(parts)
}

fn record(args: &RunArgs, bench: &Bench<'_>) -> Result<RunRecord> {
    let host = host::read()?;
    let started = Timestamp::now();
    Ok(RunRecord {
        started,
        command_line: commands::words(),
        seed: args.seed.unwrap_or_else(|| started.as_nanosecond().unsigned_abs() as u64),
        parts: parts(args, bench.scenario)?,
        platform: host::platform(&host),
        reference_checks: Vec::new(),
        link: None,
        environment: Some(host::environment(&host)),
        cpus: Some(bench.placement.record(bench.scenario.guests.kind)),
        host,
    })
}

/// Where a run writes: into a result folder, or only a journal.
struct Output {
    journal: Journal,
    folder: Option<PathBuf>,
}

impl Output {
    fn open(args: &RunArgs) -> Result<Self> {
        if let Some(path) = &args.journal {
            return Ok(Self { journal: Journal::open(path)?, folder: None });
        }
        let folder = store::create(args.out.as_deref())?;
        Ok(Self { journal: Journal::open(&folder.join(JOURNAL))?, folder: Some(folder) })
    }

    /// Makes the result from the journal, prints the answer, and says where the files are.
    fn finish(self) -> Result<()> {
        let Some(folder) = self.folder else { return Ok(()) };
        let campaign = store::read(&folder.join(JOURNAL))?;
        conclude(&folder, &campaign)
    }
}
