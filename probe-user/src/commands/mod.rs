//! One file per subcommand; each ties rooms together and holds nothing that another could need.

mod clean;
mod compare;
mod completions;
mod doctor;
mod files;
mod guests;
mod man;
mod merge;
mod methods;
mod progress;
mod recommend;
mod report;
mod run;
mod scenarios;
mod schema;
pub mod terminal;

use std::{
    io::Write as _,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

pub use self::{
    clean::clean, compare::compare, completions::completions, doctor::doctor, guests::guests,
    man::man, merge::merge, methods::methods, recommend::recommend, report::report, run::run,
    scenarios::scenarios, schema::schema,
};
use crate::{
    cli::Overrides,
    error::{Error, Result},
    model::scenario::{GuestKind, Scenario},
    workload::scenarios as library,
};

/// Prints a result on standard output. A reader that went away (`| head`) is no failure.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::file("write", "standard output", error))
        }
        _ => Ok(()),
    }
}

/// Prints `value` as JSON, for people and programs.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(&json(value)?)
}

/// As JSON, in lines.
fn json(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::malformed("output", e.to_string()))?;
    Ok(format!("{text}\n"))
}

/// Refuses anybody but root, before anything else fails for that reason in a less plain way. `why` says what the command
/// does that only root may.
fn require_root(command: &str, why: &str) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::unsupported(
        format!("tracetoll {command}"),
        format!("{why}, which only root may"),
        format!("Run it as root: sudo tracetoll {command}"),
    ))
}

/// The scenario called `name`, or in that file, as it is asked to be.
fn scenario(name: &str, overrides: &Overrides) -> Result<Scenario> {
    let mut scenario = library::load(name)?;
    let Overrides { guests, guest_image, huge_pages, switch, time_scale } = overrides;
    scenario.guests.kind = guests.unwrap_or(scenario.guests.kind);
    scenario.guests.huge_pages |= huge_pages;
    scenario.network.switch = switch.unwrap_or(scenario.network.switch);
    if guest_image.is_some() {
        scenario.guests.image.clone_from(guest_image);
    }
    if let Some(factor) = *time_scale {
        scenario.fidelity.scale(factor, scenario.bin);
    }
    if scenario.guests.kind != GuestKind::Blast {
        // Other guests do not tell how many calls there were.
        scenario.toll = None;
    }
    library::check(name, &scenario)?;
    Ok(scenario)
}

/// A flag that SIGINT, SIGTERM and SIGHUP set. A second one ends the process at once; the next start sweeps.
///
/// # Errors
/// The handlers cannot be set.
pub fn on_interrupt() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
            .map_err(|e| Error::call("sigaction", "the process", e))?;
    }
    Ok(flag)
}
