//! One file per subcommand; each connects modules and has nothing that another one could need.

mod clean;
mod compare;
mod completions;
mod doctor;
mod files;
mod guests;
mod interrupt;
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
    io::{self, Write as _},
    sync::Arc,
};

use probe_core::{
    error::{Error, Result},
    model::scenario::{GuestKind, Scenario},
};
use rustix::fs::FileType;
use signal_hook::consts::SIGXFSZ;

pub use self::{
    clean::clean, compare::compare, completions::completions, doctor::doctor, guests::guests,
    interrupt::on_interrupt, man::man, merge::merge, methods::methods, recommend::recommend,
    report::report, run::run, scenarios::scenarios, schema::schema,
};
use crate::{cli::Overrides, workload::scenarios as library};

/// Prints a result on standard output. A reader that went away (`| head`, a closed terminal) is not
/// an error.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if !is_unread(&error) => Err(Error::file("write", "standard output", error)),
        _ => Ok(()),
    }
}

/// Whether writing failed because nobody reads standard output any more. A closed terminal gives
/// `EIO`, as a broken disk does.
fn is_unread(error: &io::Error) -> bool {
    let terminal = || {
        rustix::fs::fstat(io::stdout())
            .is_ok_and(|data| FileType::from_raw_mode(data.st_mode) == FileType::CharacterDevice)
    };
    error.kind() == io::ErrorKind::BrokenPipe
        || error.raw_os_error() == Some(libc::EIO) && terminal()
}

/// Prints `value` as JSON.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(&json(value)?)
}

/// JSON on several lines.
fn json(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::malformed("output", e.to_string()))?;
    Ok(format!("{text}\n"))
}

/// The command line as text; bytes that are not UTF-8 are marked.
fn words() -> Vec<String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Refuses any user but root, before something else fails for that reason with a less clear error.
/// `why` says what the command does that only root may do.
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

/// The scenario called `name`, or in that file, with the overrides.
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
        // Other guests do not know how many calls there were.
        scenario.overhead = None;
    }
    library::check(&format!("{name} with these flags"), &scenario)?;
    Ok(scenario)
}

/// Makes a write beyond `ulimit -f` an error with a hint. Unless SIGXFSZ is caught, it ends the
/// process. Child processes are unaffected: execve(2) resets caught signals.
pub fn survive_a_files_limit() {
    // Without the handler the limit still applies.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}
