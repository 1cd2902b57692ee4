//! Probe events: all or none are created, the kernel counts them, and they are removed afterwards.

use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use probe_core::error::Error;
use probe_user::kernel::{
    kallsyms::Kallsyms,
    known::Known,
    probe_events::{ProbeEvents, ProbeKind, Profile},
    run::Run,
    targets,
    tracefs::Tracefs,
};

use crate::triggers::{call_open_tun, call_set_name};

pub(crate) fn tests() -> Vec<Trial> {
    vec![crate::test("ftrace_probes::events_are_made_counted_and_removed", events)]
}

const PROBES: [ProbeKind; 5] = [
    ProbeKind::Kprobe,
    ProbeKind::Kretprobe { maxactive: None },
    ProbeKind::Kretprobe { maxactive: Some(64) },
    ProbeKind::Fprobe,
    ProbeKind::FprobeReturn,
];

/// A function that exists and cannot have a probe.
const UNPROBEABLE: &str = "ftrace_stub";

fn events() -> Result<()> {
    crate::load_modules()?;
    let symbols = Kallsyms::load()?;
    let (tracefs, known) = (Tracefs::find()?, Known::default());
    let run = Run::start()?;
    let two = targets::resolve("tun_chr_open,comm_write", &symbols)?.functions;
    let bad = targets::resolve(&format!("tun_chr_open,{UNPROBEABLE}"), &symbols)?.functions;
    for probe in PROBES {
        let fprobe = matches!(probe, ProbeKind::Fprobe | ProbeKind::FprobeReturn);
        if fprobe && !tracefs.read("README")?.contains("f[:[<group>/]") {
            let Err(error) = ProbeEvents::try_out(&known, probe, &two) else {
                bail!("{probe:?} where there are none")
            };
            ensure!(matches!(error, Error::Unsupported { .. }), "{error}");
            println!("{probe:?}: {error}");
            continue;
        }
        ProbeEvents::try_out(&known, probe, &two).context("try_out")?;
        let refused = ProbeEvents::create(&tracefs, &run.probe_group(), probe, &bad);
        let Err(error) = refused else { bail!("{probe:?} at {UNPROBEABLE}") };
        ensure!(error.to_string().contains(UNPROBEABLE), "{error}");
        let listed = tracefs.read("dynamic_events")?;
        ensure!(!listed.contains(&run.probe_group()), "left: {listed}");
        let probes = ProbeEvents::create(&tracefs, &run.probe_group(), probe, &two)?;
        let profile = count(&tracefs, &probes).with_context(|| format!("{probe:?}"));
        probes.close()?;
        let hits = |hits| Some(Profile { hits, missed: 0 });
        let expected = if fprobe { [None, None] } else { [hits(7), hits(3)] };
        let profile = profile?;
        ensure!(profile == expected, "{probe:?}: {profile:?}");
    }
    Ok(())
}

/// Enables the events in the top-level trace for seven calls of the first function and three of the
/// second.
fn count(tracefs: &Tracefs, probes: &ProbeEvents) -> Result<Vec<Option<Profile>>> {
    let switch = |value: &str| -> Result<()> {
        for event in probes.events() {
            fs::write(tracefs.path(&event.file("enable")), value)?;
        }
        Ok(())
    };
    switch("1")?;
    (0..7).try_for_each(|_| call_open_tun())?;
    (0..3).try_for_each(|_| call_set_name())?;
    switch("0")?;
    // Disabled: not counted.
    call_open_tun()?;
    Ok(probes.profile()?)
}
